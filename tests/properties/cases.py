"""A random case of every op: attributes, input types, and what they have to compute.

`PROPERTIES` has one entry per op of the table; `test_properties.py` says so loudly when one is
missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import strategies as st

from archc.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool
from archc.ops.attention_forms import MAX_LOGIT_SCALE
from archc.ops.base import Op
from archc.ops.resize import Resize
from archc.ops.table import OPS
from archc.types import DType, TensorType
from tests.ops import core_cases as core
from tests.ops import (
    core_reference,
    spatial_cases,
    spatial_reference,
    test_attention,
    test_recurrent,
    test_rope,
)
from tests.ops.harness import LAYER, Array, Reference, Tensor
from tests.ops.test_window import mask, partition
from tests.properties import training
from tests.zoo.oracle import torchvision_models

Draw = Any
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One layer to be held against its reference.

    Attributes:
        name: the op.
        op: its attributes.
        types: of the inputs, all sizes fixed.
        below: what integer inputs stay below that do not choose rows.
        edge: puts into the drawn inputs what is at the edge of what the op is made for; None where
            nothing is.
    """

    name: str
    op: Op
    types: tuple[TensorType, ...]
    below: int = 100
    edge: Callable[[Sequence[Array]], None] | None = None


@dataclass(frozen=True)
class Property:
    """What is drawn for an op and what it has to do.

    Attributes:
        cases: random cases, some of which the op refuses.
        reference: from the op to what it computes.
        exact: whether results are elements of the inputs, so that not a bit may differ.
        drift: error per largest input that rounded positions make, see `assert_parity`.
        work: what to count multiply-accumulates of; None for an op that has none.
        training: what it does in training mode; None if the same as otherwise.
        largest: of the standard deviations that inputs have.
        steady: whether a case is one that float32 can compute at all.
        smooth: whether its gradients are, too.
        gentle: of the standard deviations that inputs have where gradients are compared.
        fused: error of gradients that torch's own kernel of the whole layer makes.
        may_refuse: whether ONNX may refuse a case, from the case, whether sizes are symbolic and
            the opset.
    """

    cases: st.SearchStrategy[Case]
    reference: Callable[[Op], Reference]
    exact: Callable[[Op], bool] = lambda op: False
    drift: Callable[[Case], float] = lambda case: 0.0
    work: Callable[[Op], Reference] | None = None
    training: Callable[[Case, int, Any], None] | None = None
    largest: float = 20.0
    steady: Callable[[Case], bool] = lambda case: True
    smooth: Callable[[Case], bool] = lambda case: True
    gentle: float = math.inf
    fused: float = 0.0
    may_refuse: Callable[[Case, bool, int], bool] = lambda case, symbolic, opset: False


def always(op: Op) -> bool:
    return True


def made(name: str, attributes: dict[str, Any], *types: TensorType) -> Case:
    return Case(name, OPS[name].model_validate(attributes), types)


# -- ops with cases of their own ------------------------------------------------------------


def _floats(case: core.Case | spatial_cases.Case) -> Case:
    return Case(case.name, case.op, tuple(TensorType(shape) for shape in case.shapes))


@st.composite
def _of_any_dtype(draw: Draw, cases: st.SearchStrategy[core.Case]) -> Case:
    """Ops that move values take what dtype there is."""
    case = draw(cases)
    dtype = draw(st.sampled_from([DType.FLOAT32, DType.FLOAT32, DType.INT64]))
    return Case(case.name, case.op, tuple(TensorType(shape, dtype) for shape in case.shapes))


def _core(name: str, cases: st.SearchStrategy[core.Case], **more: Any) -> tuple[str, Property]:
    moving = name in core.MOVING
    drawn = _of_any_dtype(cases) if moving else cases.map(_floats)
    if moving:
        more.setdefault("exact", always)
    return name, Property(drawn, partial(_core_reference, name), **more)


def _core_reference(name: str, op: Op) -> Reference:
    return partial(core_reference.reference, name, op)


def _few_values(case: Case) -> bool:
    """Whether a norm stands on so few values that their mean may be many times their spread.

    onnxruntime computes `x * (weight / std) + (bias - mean * weight / std)`, which cancels there.
    """
    shape = case.types[0].shape
    groups = case.op.groups if case.name == "groupnorm" else shape[1]
    return prod(shape[1:]) // groups < 4


def _spread(case: Case) -> bool:
    """Whether a norm stands on more than two values.

    One value normalised is zero and two are -1 and 1, whatever they were: the gradient by them is
    nothing but rounding.
    """
    shape = case.types[0].shape
    return (shape[1] if case.name == "layernorm2d" else prod(shape[-case.op.axes :])) > 2


def _many(case: Case) -> bool:
    """Whether a batch norm, if it takes its statistics from the batch, has more than two values."""
    shape = case.types[0].shape
    return case.op.track_running_stats or prod((shape[0], *shape[2:])) > 2


def _spatial(
    name: str, cases: st.SearchStrategy[spatial_cases.Case], **more: Any
) -> tuple[str, Property]:
    return name, Property(cases.map(_floats), _spatial_reference, **more)


def _spatial_reference(op: Op) -> Reference:
    return partial(spatial_reference.reference, op)


def _circular(case: Case, symbolic: bool, opset: int) -> bool:
    modes = (getattr(case.op, "padding_mode", ""), getattr(case.op, "mode", ""))
    return "circular" in modes and opset < 19


def _open_bins(case: Case, symbolic: bool, opset: int) -> bool:
    return symbolic


def _resize_drift(case: Case) -> float:
    """torch multiplies by `float(in / out)`, onnxruntime divides by `float(out / in)`: positions
    differ by some `size * 2**-24`, and so do the values between two elements."""
    assert isinstance(case.op, Resize)
    return 0.0 if case.op.mode == "nearest" else float(max(case.types[0].shape[2:])) * 2.0**-22


@st.composite
def _linears(draw: Draw) -> Case:
    out = draw(st.integers(1, 6))
    attributes: dict[str, Any] = {
        "out": out,
        "bias": draw(st.booleans()),
        "transposed": draw(st.booleans()),
    }
    if attributes["bias"] and draw(st.integers(0, 2)) == 0:
        start = draw(st.integers(0, out - 1))
        attributes["zero_bias"] = [start, draw(st.integers(start + 1, out))]
    shape = (*core.shape(draw, 1, 4), draw(st.integers(1, 6)))
    return made("linear", attributes, TensorType(shape))


def _linear(op: Op) -> Reference:
    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        bias = weights.get("bias")
        if bias is not None and op.zero_bias is not None:
            start, stop = op.zero_bias
            kept = torch.ones_like(bias)
            kept[start:stop] = 0.0
            bias = bias * kept
        weight = weights["weight"]
        return F.linear(inputs[0], weight.T if op.transposed else weight, bias)

    return compute


@st.composite
def _scales(draw: Draw) -> Case:
    by = draw(st.sampled_from([16, 0.5, -2.0, 1e-3, 0, 1.7]))
    return made("scale", {"by": by}, TensorType(core.shape(draw)))


@st.composite
def _attentions(draw: Draw) -> Case:
    op, shapes = draw(test_attention.cases())
    if draw(st.integers(0, 2)) == 0:
        op = op.model_copy(update={"dropout": draw(st.sampled_from([0.3, 0.7]))})
    types = (x if isinstance(x, TensorType) else TensorType(x) for x in shapes)
    edge = _beyond_cosines if op.cosine and draw(st.integers(0, 2)) == 0 else None
    return Case("attention", op, tuple(types), below=2, edge=edge)


def _beyond_cosines(inputs: Sequence[Array]) -> None:
    """A zero vector, which has no direction, and factors beyond what they are bounded to."""
    inputs[0][..., :1, :] = 0.0
    inputs[-1][...] += MAX_LOGIT_SCALE


def _sees_something(case: Case) -> bool:
    """Whether no query can have all keys hidden from it, nor be zero where directions count.

    Its result is then a mean whatever the scores are, and what gradient they get is nobody's.
    """
    return case.edge is None and all(type_.dtype is DType.FLOAT32 for type_ in case.types)


def _products(op: Op) -> Reference:
    """Queries by keys and shares by values, as products of matrices."""

    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        count = len(inputs) - len(op.referenced)
        main = inputs[0].chunk(3, dim=-1) if count == 1 else inputs[:count]
        kv_heads = op.kv_heads or op.heads
        counts = (op.heads, kv_heads, kv_heads)
        heads = [test_attention.heads_of(x, n) for x, n in zip(main, counts, strict=True)]
        share = [head * kv_heads // op.heads for head in range(op.heads)]
        query, key, value = heads[0], heads[1][..., share, :, :], heads[2][..., share, :, :]
        return query @ key.transpose(-2, -1) @ value

    return compute


@st.composite
def _with_params(draw: Draw, name: str) -> Case:
    shape = core.shape(draw, 1, 4, 4)
    count = draw(st.integers(0, len(shape)))
    own = [size if draw(st.booleans()) else 1 for size in shape[len(shape) - count :]]
    return made(name, {"shape": own}, TensorType(shape))


@st.composite
def _prepended(draw: Draw) -> Case:
    shape = core.shape(draw, 2, 4, 4)
    dim = draw(st.integers(1, len(shape) - 1))
    dim = draw(st.sampled_from([dim, dim - len(shape)]))
    return made("prepend_param", {"count": draw(st.integers(1, 3)), "dim": dim}, TensorType(shape))


def _learned(name: str) -> Callable[[Op], Reference]:
    def reference(op: Op) -> Reference:
        def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
            weight = weights[LAYER]  # the key of a bare tensor is the layer's path itself
            if name == "param":
                return weight
            (x,) = inputs
            if name == "prepend_param":
                return torch.cat([weight.expand(x.shape[0], *weight.shape[1:]), x], op.dim)
            return x + weight if name == "add_param" else x * weight

        return compute

    return reference


@st.composite
def _windows(draw: Draw, name: str) -> Case:
    window = draw(st.integers(1, 4))
    attributes: dict[str, Any] = {"window": window, "shift": draw(st.integers(0, window - 1))}
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    sizes = [draw(st.integers(1, 9)) for _ in range(2)]
    image = TensorType((batch, *sizes, channels))
    if name != "window_merge":
        return made(name, attributes, image)
    count = prod(-(-size // window) for size in sizes)
    other = draw(st.integers(1, 3))
    parted = TensorType((batch, count, window**2, other))
    return made(name, {**attributes, "like": True}, parted, image)


def _merged(op: Op) -> Reference:
    """Each position of the windows put where `partition` took it from."""

    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        x, like = inputs
        batch, height, width, _ = like.shape
        # Positions count from 1: what `partition` pads with is 0.
        places = torch.arange(1.0, height * width + 1).reshape(1, height, width, 1)
        parted = partition(places, op.window, op.shift).flatten().long()
        result = x.new_zeros((batch, height * width + 1, x.shape[-1]))
        result = result.index_copy(1, parted, x.flatten(1, 2))
        return result[:, 1:].reshape(batch, height, width, -1)

    return compute


@st.composite
def _lookups(draw: Draw) -> Case:
    table, index = core.shape(draw, 1, 3, 4), core.shape(draw, 0, 2, 4)
    return made("lookup", {}, TensorType(table), TensorType(index, DType.INT64))


def _rows(op: Op) -> Reference:
    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        table, index = inputs
        rows = [table[i] for i in index.flatten()]
        return torch.stack(rows).reshape((*index.shape, *table.shape[1:]))

    return compute


@st.composite
def _embeddings(draw: Draw) -> Case:
    rows = draw(st.integers(1, 9))
    attributes: dict[str, Any] = {"rows": rows, "features": draw(st.integers(1, 5))}
    if draw(st.booleans()):
        attributes["padding_idx"] = draw(st.integers(0, rows - 1))
    dtype = draw(st.sampled_from([DType.INT64, DType.INT32]))
    return made("embedding", attributes, TensorType(core.shape(draw, 0, 3, 4), dtype))


def _embedded(op: Op) -> Reference:
    return lambda inputs, weights: F.embedding(inputs[0], weights["weight"], op.padding_idx)


@st.composite
def _positions(draw: Draw) -> Case:
    shape = core.shape(draw, 2, 4)
    length = shape[-2] + draw(st.integers(0, 3))
    return made("add_positions", {"length": length}, TensorType(shape))


def _added_positions(op: Op) -> Reference:
    return lambda inputs, weights: inputs[0] + weights["weight"][: inputs[0].shape[-2]]


@st.composite
def _recurrents(draw: Draw, name: str) -> Case:
    _, attributes, shape, sizes = draw(test_recurrent.cases(name))
    fixed = tuple(size if isinstance(size, int) else sizes[str(size)] for size in shape)
    return made(name, attributes, TensorType(fixed))


def _recurrent(name: str) -> Property:
    reference = partial(test_recurrent.reference, name)
    return Property(
        _recurrents(name),
        reference,
        work=reference,
        training=training.recurrent,
        gentle=1.0,
        fused=1e-5,
    )


@st.composite
def _ropes(draw: Draw) -> Case:
    heads = draw(st.integers(1, 3))
    batch = core.shape(draw, 0, 2, 3)
    shape = (*batch, draw(st.integers(1, 6)), heads * 2 * draw(st.integers(1, 4)))
    attributes = core.some(
        draw, theta=st.sampled_from([500000.0, 100.0, 2.0]), interleaved=st.booleans()
    )
    return made("rope", {"heads": heads, **attributes}, TensorType(shape))


def _turned(op: Op) -> Reference:
    return test_rope.reference(op.heads, op.theta, op.interleaved)


def _relative_index(op: Op) -> Reference:
    """Rows and columns of one position less those of another, counted from the least."""

    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        window = op.window
        places = [(y, x) for y in range(window) for x in range(window)]
        found = [
            [
                (a[0] - b[0] + window - 1) * (2 * window - 1) + a[1] - b[1] + window - 1
                for b in places
            ]
            for a in places
        ]
        result = torch.tensor(found)
        return result.flatten() if op.flat else result

    return compute


def _relative_coords(op: Op) -> Reference:
    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        along = torch.arange(1 - op.window, op.window, dtype=torch.float64) * 8 / (op.window - 1)
        along = along.sign() * (along.abs() + 1).log2() / 3
        grid = torch.stack(torch.meshgrid(along, along, indexing="ij"), -1).unsqueeze(0)
        return grid.to(weights[LAYER].dtype)

    return compute


def _window_mask(op: Op) -> Reference:
    return lambda inputs, _: mask(inputs[0], op.window, op.shift)


def _partition(op: Op) -> Reference:
    return lambda inputs, _: partition(inputs[0], op.window, op.shift)


@st.composite
def _affines(draw: Draw) -> Case:
    shape = core.shape(draw, 2, 5)
    numbers = st.floats(-3, 3).map(lambda number: round(number, 3))
    several = st.lists(numbers, min_size=shape[1], max_size=shape[1])
    attributes = core.some(draw, mul=numbers | several, add=numbers | several)
    return made("channel_affine", attributes, TensorType(shape))


def _affine(op: Op) -> Reference:
    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        (x,) = inputs
        mul, add = (
            torch.tensor(numbers, dtype=x.dtype).reshape(1, -1, *([1] * (x.ndim - 2)))
            for numbers in (op.mul, op.add)
        )
        return x * mul + add

    return compute


@st.composite
def _crops(draw: Draw) -> Case:
    side = st.integers(1, 9)
    size = draw(side | st.lists(side, min_size=2, max_size=2))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(side), draw(side))
    dtype = draw(st.sampled_from([DType.FLOAT32, DType.UINT8]))
    return made("center_crop", {"size": size}, TensorType(shape, dtype))


def _cropped(op: Op) -> Reference:
    torchvision_models()
    from torchvision.transforms.functional import center_crop

    return lambda inputs, _: center_crop(inputs[0], list(op.size))


def _attributes(name: str, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Ops without inputs."""
    return st.fixed_dictionaries(strategies).map(lambda attributes: made(name, attributes))


_OWN_TRAINING = {"dropout": training.dropout, "drop_path": training.drop_path}

PROPERTIES: dict[str, Property] = dict(
    [
        *(
            _core(name, core.activations(name), training=_OWN_TRAINING.get(name))
            for name in sorted({*core.PLAIN, *core.ARGUMENTS})
        ),
        _core("batchnorm", core.batchnorms(), training=training.batchnorm, smooth=_many),
        *(
            _core(name, core.layernorms(name), smooth=_spread)
            for name in ("layernorm", "layernorm2d", "rmsnorm")
        ),
        _core("groupnorm", core.groupnorms(), steady=lambda case: not _few_values(case)),
        _core(
            "instancenorm",
            core.instancenorms(),
            steady=lambda case: not _few_values(case),
            training=training.instancenorm,
        ),
        # onnxruntime's LRN slides its sum over the channels, so that it loses digits where
        # inputs and alpha are much larger than any network has them.
        _core("lrn", core.lrns(), largest=0.5),
        _core("flatten", core.flattens()),
        _core("reshape", core.reshapes()),
        *(
            _core(name, core.moves(name))
            for name in ("permute", "transpose", "squeeze", "unsqueeze")
        ),
        *(_core(name, core.parts(name)) for name in ("select", "slice", "split", "chunk")),
        _core("rearrange", core.rearranges()),
        *(_core(name, core.joins(name)) for name in ("add", "sub", "mul", "concat")),
        _spatial("conv", spatial_cases.convs(), work=_spatial_reference, may_refuse=_circular),
        _spatial("conv_transpose", spatial_cases.conv_transposes(), work=_spatial_reference),
        _spatial("maxpool", spatial_cases.maxpools(), exact=always),
        _spatial("avgpool", spatial_cases.avgpools()),
        _spatial(
            "adaptive_avgpool", spatial_cases.adaptives(AdaptiveAvgPool), may_refuse=_open_bins
        ),
        _spatial(
            "adaptive_maxpool",
            spatial_cases.adaptives(AdaptiveMaxPool),
            may_refuse=_open_bins,
            exact=always,
        ),
        _spatial("global_avgpool", spatial_cases.global_pools()),
        _spatial("pad", spatial_cases.pads(), may_refuse=_circular, exact=always),
        _spatial("pad_to", spatial_cases.pad_tos(), exact=always),
        _spatial(
            "resize",
            spatial_cases.resizes(),
            exact=lambda op: op.mode == "nearest",
            drift=_resize_drift,
        ),
    ],
    channel_affine=Property(_affines(), _affine),
    center_crop=Property(_crops(), _cropped, exact=always),
    linear=Property(_linears(), _linear, work=_linear),
    scale=Property(_scales(), lambda op: lambda inputs, _: inputs[0] * op.by),
    attention=Property(
        _attentions(),
        test_attention.reference,
        work=_products,
        training=training.attention,
        largest=3.0,
        # Where a softmax is saturated its gradient is a difference of nearly equal numbers.
        gentle=0.5,
        smooth=_sees_something,
    ),
    add_param=Property(_with_params("add_param"), _learned("add_param")),
    mul_param=Property(_with_params("mul_param"), _learned("mul_param")),
    prepend_param=Property(_prepended(), _learned("prepend_param"), exact=always),
    param=Property(
        _attributes("param", shape=st.lists(st.integers(1, 4), max_size=4)),
        _learned("param"),
        exact=always,
    ),
    window_partition=Property(_windows("window_partition"), _partition, exact=always),
    window_merge=Property(_windows("window_merge"), _merged, exact=always),
    window_mask=Property(_windows("window_mask"), _window_mask, exact=always),
    embedding=Property(_embeddings(), _embedded, exact=always),
    add_positions=Property(_positions(), _added_positions),
    rope=Property(_ropes(), _turned),
    lstm=_recurrent("lstm"),
    gru=_recurrent("gru"),
    rnn=_recurrent("rnn"),
    lookup=Property(_lookups(), _rows, exact=always),
    relative_index=Property(
        _attributes("relative_index", window=st.integers(1, 8), flat=st.booleans()),
        _relative_index,
        exact=always,
    ),
    relative_coords=Property(
        _attributes("relative_coords", window=st.integers(2, 16)), _relative_coords
    ),
)

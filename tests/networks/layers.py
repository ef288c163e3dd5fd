"""Random attributes of every op, for an input of a given type.

`CHOICES` has one entry per op of the table; a test says so loudly when one is missing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import prod
from typing import Any

from archc.ops.base import Op
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.table import OPS
from archc.types import DType, TensorType

Attributes = dict[str, Any]
Choice = Callable[[random.Random, TensorType], "Attributes | None"]

BOUNDS = {"H": (8, 20), "W": (8, 20), "T": (4, 12)}
"""What the networks promise of their open sizes."""

MAX_ELEMENTS = 3000
"""Elements of one value, for one sample and the smallest sizes."""


def typed(op: str, attributes: Attributes, *types: TensorType) -> tuple[TensorType, ...] | None:
    """The types of the results, None where the layer cannot work for all sizes."""
    made = OPS[op].model_validate(attributes)
    cx = ShapeContext({**BOUNDS, "N": (1, None)})
    try:
        found = made.infer(cx, *types)
        made.weights(*types)
    except Refusal:
        return None
    outputs = (found,) if isinstance(found, TensorType) else tuple(found)
    fits = all(1 <= size(output) <= MAX_ELEMENTS for output in outputs)
    return outputs if fits and not cx.conditions else None


def size(type_: TensorType) -> int:
    """Elements of a sample; negative where a dim is not positive."""
    dims = [dim if isinstance(dim, int) else 8 for dim in type_.shape[1:]]
    return prod(dims) if all(dim > 0 for dim in dims) else -1


def static(type_: TensorType, axis: int) -> int | None:
    """A fixed size, None where it is open or there is no such axis."""
    if not -type_.rank <= axis < type_.rank:
        return None
    dim = type_.shape[axis]
    return dim if isinstance(dim, int) else None


def divisor(rng: random.Random, number: int, most: int = 4) -> int:
    return rng.choice([n for n in range(1, most + 1) if number % n == 0])


def _plain(rng: random.Random, x: TensorType) -> Attributes:
    return {}


def _sometimes(rng: random.Random, **choices: list[Any]) -> Attributes:
    return {name: rng.choice(values) for name, values in choices.items() if rng.random() < 0.5}


def _arguments(**choices: list[Any]) -> Choice:
    return lambda rng, x: _sometimes(rng, **choices)


def _spatial(function: Callable[[random.Random, TensorType, int], Attributes]) -> Choice:
    """For images of one to three axes."""

    def choose(rng: random.Random, x: TensorType) -> Attributes | None:
        return function(rng, x, x.rank - 2) if 3 <= x.rank <= 5 else None

    return choose


def _each(rng: random.Random, count: int, values: list[int]) -> Any:
    """One number, or one for each axis."""
    if rng.random() < 0.7:
        return rng.choice(values)
    return [rng.choice(values) for _ in range(count)]


def _window(rng: random.Random, count: int, kernels: list[int]) -> Attributes:
    kernel = rng.choice(kernels)
    forms = [0, kernel // 2, "half", "valid", [[0, 1]] * count, [kernel // 2] * count]
    attributes: Attributes = {"kernel": kernel, "padding": rng.choice(forms)}
    if rng.random() < 0.4:
        attributes["stride"] = _each(rng, count, [1, 1, 2, 3])
    return attributes


def _conv(rng: random.Random, x: TensorType, count: int) -> Attributes:
    channels = static(x, 1) or 4
    groups = divisor(rng, channels) if rng.random() < 0.3 else 1
    attributes = {
        "out": groups * rng.choice([1, 2, 3, 4]),
        **_window(rng, count, [1, 1, 2, 3, 3, 5]),
    }
    if "stride" not in attributes and rng.random() < 0.2:
        attributes["padding"] = "same"
    attributes |= _sometimes(rng, dilation=[1, 2], bias=[True, False])
    if rng.random() < 0.2:
        attributes["padding_mode"] = rng.choice(["reflect", "replicate", "circular"])
    return {**attributes, "groups": groups} if groups > 1 else attributes


def _conv_transpose(rng: random.Random, x: TensorType, count: int) -> Attributes:
    groups = divisor(rng, static(x, 1) or 4, 2)
    attributes = {
        "out": groups * rng.choice([1, 2, 3]),
        "kernel": rng.choice([1, 2, 3]),
        "stride": rng.choice([1, 2]),
        "groups": groups,
    }
    return attributes | _sometimes(rng, padding=[0, 1], bias=[False], output_padding=[0, 1])


def _pool(rng: random.Random, x: TensorType, count: int) -> Attributes:
    attributes = _window(rng, count, [2, 3])
    if isinstance(attributes["padding"], list) and rng.random() < 0.7:
        attributes["padding"] = 0
    return attributes | _sometimes(rng, ceil=[True, False])


def _maxpool(rng: random.Random, x: TensorType, count: int) -> Attributes:
    return _pool(rng, x, count) | _sometimes(rng, dilation=[1, 1, 2])


def _avgpool(rng: random.Random, x: TensorType, count: int) -> Attributes:
    return _pool(rng, x, count) | _sometimes(rng, count_include_pad=[True, False])


def _adaptive(rng: random.Random, x: TensorType, count: int) -> Attributes:
    # Onto more than one bin ONNX takes fixed sizes only.
    fixed = all(isinstance(dim, int) for dim in x.shape[2:])
    return {"size": _each(rng, count, [1, 2, 3, 5]) if fixed else 1}


def _resize(rng: random.Random, x: TensorType, count: int) -> Attributes:
    linear = ("linear", "bilinear", "trilinear")[count - 1]
    mode = rng.choice(["nearest", "nearest", linear, *(["bicubic"] if count == 2 else [])])
    attributes: Attributes = {"mode": mode}
    if mode != "nearest" and rng.random() < 0.5:
        attributes["align_corners"] = rng.random() < 0.5
    if rng.random() < 0.5:
        return {**attributes, "scale": rng.choice([2, 3, 0.5, 1.5])}
    return {"size": _each(rng, count, [2, 5, 7, 8]), **attributes}


def _pad(rng: random.Random, x: TensorType, count: int) -> Attributes:
    mode = rng.choice(["constant", "reflect", "replicate", "circular"])
    attributes: Attributes = {"padding": rng.choice([1, 2, [[0, 1]] * count]), "mode": mode}
    return attributes | ({"value": 0.5} if mode == "constant" and rng.random() < 0.3 else {})


def _pad_to(rng: random.Random, x: TensorType, count: int) -> Attributes:
    return {"multiple": rng.choice([2, 3, 4]), **_sometimes(rng, value=[0.0, 1.0])}


def _lrn(rng: random.Random, x: TensorType, count: int) -> Attributes:
    return {"size": rng.choice([1, 2, 3, 5]), **_sometimes(rng, alpha=[0.1], beta=[0.5], k=[2.0])}


def _batchnorm(rng: random.Random, x: TensorType) -> Attributes | None:
    if not 2 <= x.rank <= 5:
        return None
    return _sometimes(rng, eps=[1e-3], momentum=[0.01, None], affine=[True, False])


def _values_in_group(x: TensorType, groups: int) -> int:
    """The least number of values that a norm of channels stands on."""
    return size(x) // groups


def _groupnorm(rng: random.Random, x: TensorType) -> Attributes | None:
    channels = static(x, 1)
    if channels is None:
        return None
    groups = divisor(rng, channels)
    if _values_in_group(x, groups) < 12:
        return None
    return {"groups": groups, **_sometimes(rng, eps=[1e-3], affine=[False])}


def _instancenorm(rng: random.Random, x: TensorType) -> Attributes | None:
    channels = static(x, 1)
    if channels is None or _values_in_group(x, channels) < 12:
        return None
    return _sometimes(rng, eps=[1e-3], affine=[True], track_running_stats=[True])


def _layernorm(rng: random.Random, x: TensorType) -> Attributes | None:
    if (static(x, -1) or 0) < 6 or x.rank < 2:
        return None
    return _sometimes(rng, eps=[1e-3], affine=[False])


def _layernorm2d(rng: random.Random, x: TensorType) -> Attributes | None:
    return _sometimes(rng, eps=[1e-3]) if x.rank == 4 and (static(x, 1) or 0) >= 6 else None


def _linear(rng: random.Random, x: TensorType) -> Attributes | None:
    if x.rank < 2 or static(x, -1) is None:
        return None
    out = rng.choice([3, 4, 6, 8, 12])
    attributes = {"out": out, **_sometimes(rng, bias=[True, False], transposed=[True])}
    if attributes.get("bias", True) and rng.random() < 0.1:
        attributes["zero_bias"] = [1, 3]
    return attributes


def _attention(rng: random.Random, x: TensorType) -> Attributes | None:
    features = static(x, -1)
    if x.rank < 3 or features is None or features % 3:
        return None
    return {"heads": divisor(rng, features // 3), **_sometimes(rng, causal=[True], scale=[0.5])}


def _flatten(rng: random.Random, x: TensorType) -> Attributes:
    return _sometimes(rng, start=[1, 2], end=[-1, -2])


def _reshape(rng: random.Random, x: TensorType) -> Attributes | None:
    dims = list(x.shape[1:])
    if not all(isinstance(dim, int) for dim in dims):
        return None
    total = size(x)
    first = divisor(rng, total, 8)
    return {"shape": rng.choice([["N", first, -1], ["N", -1], ["N", total // first, first]])}


def _permute(rng: random.Random, x: TensorType) -> Attributes:
    rest = list(range(1, x.rank))
    rng.shuffle(rest)
    return {"dims": [0, *rest]}


def _transpose(rng: random.Random, x: TensorType) -> Attributes | None:
    if x.rank < 3:
        return None
    return {"dims": rng.sample([*range(1, x.rank), *range(1 - x.rank, 0)], 2)}


def _squeeze(rng: random.Random, x: TensorType) -> Attributes | None:
    ones = [axis for axis, dim in enumerate(x.shape) if axis and dim == 1]
    return {"dim": rng.choice(ones)} if ones and x.rank > 2 else None


def _unsqueeze(rng: random.Random, x: TensorType) -> Attributes | None:
    return {"dim": rng.choice([1, 2, -1])} if x.rank < 4 else None


def _select(rng: random.Random, x: TensorType) -> Attributes | None:
    if x.rank < 3:
        return None
    return {"index": rng.choice([0, -1, 1]), **_sometimes(rng, dim=[1, -1, 2])}


def _slice(rng: random.Random, x: TensorType) -> Attributes:
    attributes = _sometimes(rng, start=[1, -3, 0], stop=[3, -1], step=[1, 2], dim=[1, -1])
    return attributes or {"step": 2}


def _split(rng: random.Random, x: TensorType) -> Attributes | None:
    total = static(x, 1)
    if total is None or total < 2:
        return None
    first = rng.randint(1, total - 1)
    return {"sizes": [first, total - first]}


def _chunk(rng: random.Random, x: TensorType) -> Attributes | None:
    total = static(x, 1)
    return {"chunks": divisor(rng, total)} if total else None


def _rearrange(rng: random.Random, x: TensorType) -> Attributes | None:
    patterns: dict[int, list[tuple[str, dict[str, int]]]] = {
        2: [("b (c k) -> b c k", {"k": 2})],
        3: [("b t c -> b c t", {}), ("b t (c k) -> b (t k) c", {"k": 2})],
        4: [
            ("b c h w -> b (h w) c", {}),
            ("b c h w -> b h w c", {}),
            ("b (c k) h w -> b (k c) h w", {"k": 2}),
            ("b c (h p) (w q) -> b (c p q) h w", {"p": 2, "q": 2}),
        ],
    }
    if x.rank not in patterns:
        return None
    pattern, sizes = rng.choice(patterns[x.rank])
    return {"pattern": pattern, **sizes}


def _own_shape(rng: random.Random, x: TensorType) -> Attributes:
    """A shape that is repeated to that of the input."""
    shape: list[int] = []
    for dim in reversed(x.shape[1:]):
        if not isinstance(dim, int) or rng.random() < 0.3:
            shape.insert(0, 1)
        else:
            shape.insert(0, dim)
        if rng.random() < 0.3:
            break
    return {"shape": shape}


def _prepend(rng: random.Random, x: TensorType) -> Attributes | None:
    return {"count": rng.choice([1, 2]), "dim": rng.choice([1, -2])} if x.rank == 3 else None


def _positions(rng: random.Random, x: TensorType) -> Attributes | None:
    length = static(x, -2)
    if x.rank < 3:
        return None
    return {"length": BOUNDS["T"][1] + rng.randint(0, 2) if length is None else length + 1}


def _rope(rng: random.Random, x: TensorType) -> Attributes | None:
    features = static(x, -1)
    if x.rank < 3 or features is None or features % 2:
        return None
    return {
        "heads": divisor(rng, features // 2),
        **_sometimes(rng, theta=[100.0], interleaved=[True]),
    }


def _recurrent(rng: random.Random, x: TensorType) -> Attributes | None:
    if x.rank != 3 or static(x, -1) is None:
        return None
    attributes = {"hidden": rng.choice([2, 3, 6]), **_sometimes(rng, layers=[2], bias=[False])}
    return attributes | _sometimes(rng, bidirectional=[True])


def _crop(rng: random.Random, x: TensorType, count: int) -> Attributes:
    return {"size": rng.choice([3, 4, [5, 4]])}


def _affine(rng: random.Random, x: TensorType) -> Attributes:
    channels = static(x, 1)
    if channels is None or rng.random() < 0.4:
        return {"mul": 0.5, "add": -1.0}
    return {"mul": [rng.choice([0.5, 1.5, -1.0]) for _ in range(channels)], "add": 0.25}


COMPOSED: dict[str, str] = {
    "add": "joins",
    "sub": "joins",
    "mul": "joins",
    "concat": "joins",
    "embedding": "ids",
    "lookup": "windows",
    "param": "windows",
    "relative_index": "windows",
    "relative_coords": "windows",
    "window_mask": "windows",
    "window_merge": "windows",
    "window_partition": "windows",
}
"""Ops that read several values, none or ids, and the part of `grow.py` that makes them."""

CHOICES: dict[str, Choice] = {
    **{name: _plain for name in ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu")},
    **{name: _plain for name in ("tanh", "softsign", "selu", "mish", "identity")},
    "adaptive_avgpool": _spatial(_adaptive),
    "adaptive_maxpool": _spatial(_adaptive),
    "add_param": _own_shape,
    "add_positions": _positions,
    "attention": _attention,
    "avgpool": _spatial(_avgpool),
    "batchnorm": _batchnorm,
    "celu": _arguments(alpha=[0.5, 2.0]),
    "center_crop": _spatial(_crop),
    "channel_affine": _affine,
    "chunk": _chunk,
    "conv": _spatial(_conv),
    "conv_transpose": _spatial(_conv_transpose),
    "drop_path": lambda rng, x: {"p": rng.choice([0.1, 0.5])},
    "dropout": _arguments(p=[0.1, 0.9]),
    "elu": _arguments(alpha=[0.5, 2.0]),
    "flatten": _flatten,
    "gelu": _arguments(approximate=["tanh", "none"]),
    "global_avgpool": _spatial(lambda rng, x, count: {}),
    "groupnorm": _groupnorm,
    "gru": _recurrent,
    "hardtanh": _arguments(min=[-2.0, 0.0], max=[0.5, 4.0]),
    "instancenorm": _instancenorm,
    "layernorm": _layernorm,
    "layernorm2d": _layernorm2d,
    "leaky_relu": _arguments(slope=[0.2, -0.5]),
    "linear": _linear,
    "log_softmax": _arguments(dim=[1, -1]),
    "lstm": _recurrent,
    "lrn": _spatial(_lrn),
    "maxpool": _spatial(_maxpool),
    "mul_param": _own_shape,
    "pad": _spatial(_pad),
    "pad_to": _spatial(_pad_to),
    "permute": _permute,
    "prelu": lambda rng, x: _sometimes(rng, per_channel=[static(x, 1) is not None]),
    "prepend_param": _prepend,
    "rearrange": _rearrange,
    "reshape": _reshape,
    "resize": _spatial(_resize),
    "rmsnorm": _layernorm,
    "rnn": _recurrent,
    "rope": _rope,
    "scale": lambda rng, x: {"by": rng.choice([0.5, 2, -1.5])},
    "select": _select,
    "slice": _slice,
    "softmax": _arguments(dim=[1, -1]),
    "softplus": _arguments(beta=[0.5, 2.0]),
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
}

CALMING = ["layernorm", "rmsnorm", "layernorm2d", "groupnorm", "tanh", "softsign", "sigmoid"]
"""Ops behind which values are of ordinary size, whatever they were."""

WILD = ["mul", "scale", "mul_param", "attention", "conv", "linear", "conv_transpose"]


def choose(
    rng: random.Random, x: TensorType, names: list[str]
) -> tuple[str, Attributes, tuple[TensorType, ...]] | None:
    """A layer out of those called `names` that reads a value of type `x`."""
    for name in rng.sample(names, len(names)):
        if x.dtype is not DType.FLOAT32:
            return None
        attributes = CHOICES[name](rng, x)
        if attributes is None:
            continue
        types = typed(name, _evaluated(attributes), x)
        if types is not None:
            return name, attributes, types
    return None


def _evaluated(attributes: Attributes) -> Attributes:
    from archc.types import symbol

    if "shape" in attributes:
        shape = [symbol(d) if isinstance(d, str) else d for d in attributes["shape"]]
        return {**attributes, "shape": shape}
    return attributes


def principal(op: str) -> str | None:
    declared: type[Op] = OPS[op]
    return declared.principal

"""The operator samples of torch.testing: a functional's arguments, and what it returns."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.upstream import torch_layers as to
from tests.upstream.case import ExcludedError, Expected, Layer
from tests.upstream.suite import Case, Suite

Make = Callable[..., Layer]
"""From the arguments by name to the layer."""

BROADCAST = "operands of different shapes, which `add`, `sub` and `mul` refuse to guess about"


def pointwise(op: str, **names: str) -> Make:
    """Attributes are the arguments behind the input, renamed."""

    def make(input: Tensor, **given: Any) -> Layer:
        return Layer(op, to.renamed(**names)(given), [input])

    return make


def softmax(op: str) -> Make:
    def make(input: Tensor, dim: int, dtype: Any = None) -> Layer:
        if dtype not in (None, torch.float32):
            raise ExcludedError("changes the dtype on the way: no layer casts")
        return Layer(op, {"dim": dim}, [input])

    return make


def embedding(input: Tensor, weight: Tensor, **given: Any) -> Layer:
    """torch.testing gives the table first and lets the operator exchange the two."""
    table, ids = (input, weight) if input.is_floating_point() else (weight, input)
    if given.pop("max_norm", None) is not None:
        raise ExcludedError("rows that are scaled down as they are read (`max_norm`)")
    padding = given.pop("padding_idx", None)
    for changes_gradients_only in ("norm_type", "scale_grad_by_freq", "sparse"):
        given.pop(changes_gradients_only, None)
    rows, features = table.shape
    attributes = {"rows": rows, "features": features, **given}
    if padding is not None:
        attributes["padding_idx"] = padding % rows
    return Layer("embedding", attributes, [ids], {"weight": table})


def unbatched(input: Tensor, axes: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The input with a batch axis, and what gives the results one."""
    if input.ndim == axes + 1:
        return input.unsqueeze(0), lambda result: result.unsqueeze(0)
    return input, lambda result: result


def conv(op: str, axes: int) -> Make:
    def make(input: Tensor, weight: Tensor, bias: Tensor | None = None, **given: Any) -> Layer:
        x, view = unbatched(input, axes)
        groups = given.get("groups", 1)
        out = weight.shape[0] if op == "conv" else weight.shape[1] * groups
        attributes = {"out": out, "kernel": list(weight.shape[2:]), **to.renamed()(given)}
        weights = {"weight": weight}
        if bias is None:
            attributes["bias"] = False
        else:
            weights["bias"] = bias
        return Layer(op, attributes, [x], weights, view)

    return make


def pool(op: str, axes: int) -> Make:
    def make(input: Tensor, **given: Any) -> Layer:
        x, view = unbatched(input, axes)
        names = {"kernel_size": "kernel", "ceil_mode": "ceil", "divisor_override": "divisor"}
        attributes = to.renamed(**names)(to.without_indices(given))
        if attributes.get("stride") == []:
            del attributes["stride"]
        for key, value in attributes.items():
            if isinstance(value, list) and len(value) == 1:
                attributes[key] = value[0]  # one number stands for all axes
        return Layer(op, attributes, [x], view=view)

    return make


def adaptive(op: str, axes: int) -> Make:
    def make(input: Tensor, **given: Any) -> Layer:
        x, view = unbatched(input, axes)
        return Layer(op, to.adaptive(given, x.shape[2:]), [x], view=view)

    return make


def affine(weight: Tensor | None, bias: Tensor | None, like: Sequence[int]) -> dict[str, Tensor]:
    """Both terms or none: one that is absent has its neutral value."""
    if weight is None and bias is None:
        return {}
    return {
        "weight": torch.ones(like) if weight is None else weight,
        "bias": torch.zeros(like) if bias is None else bias,
    }


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    **given: Any,
) -> Layer:
    terms = affine(weight, bias, input.shape[1:2])
    weights = dict(terms)
    if not training:
        assert running_mean is not None and running_var is not None
        weights |= statistics(running_mean, running_var)
    attributes = {"affine": bool(terms), "track_running_stats": not training, **given}
    return Layer("batchnorm", attributes, [input], weights)


def statistics(mean: Tensor, variance: Tensor) -> dict[str, Tensor]:
    return {
        "running_mean": mean,
        "running_var": variance,
        "num_batches_tracked": torch.tensor(0),
    }


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    **given: Any,
) -> Layer:
    weights = affine(weight, bias, input.shape[1:2])
    attributes = {"affine": bool(weights), **given}
    if not use_input_stats and running_mean is not None and running_var is not None:
        attributes["track_running_stats"] = True
        weights |= statistics(running_mean, running_var)
    return Layer("instancenorm", attributes, [input], weights)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    **given: Any,
) -> Layer:
    weights = affine(weight, bias, input.shape[1:2])
    return Layer(
        "groupnorm", {"groups": num_groups, "affine": bool(weights), **given}, [input], weights
    )


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    **given: Any,
) -> Layer:
    attributes = {"axes": len(normalized_shape), **given}
    if weight is not None and bias is None:
        return Layer("layernorm", {**attributes, "bias": False}, [input], {"weight": weight})
    weights = affine(weight, bias, normalized_shape)
    return Layer("layernorm", {**attributes, "affine": bool(weights)}, [input], weights)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, **given: Any
) -> Layer:
    attributes = {"axes": len(normalized_shape), "affine": weight is not None, **given}
    return Layer("rmsnorm", attributes, [input], {} if weight is None else {"weight": weight})


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Layer:
    if weight.ndim == 1:
        raise ExcludedError("a weight that is a vector: `linear` has a matrix, as torch.nn.Linear")
    alone = input.ndim == 1
    attributes = {"out": weight.shape[0], **({} if bias is not None else {"bias": False})}
    weights = {"weight": weight, **({} if bias is None else {"bias": bias})}
    x = input.unsqueeze(0) if alone else input
    return Layer("linear", attributes, [x], weights, lambda y: y.unsqueeze(0) if alone else y)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, **_: Any) -> Layer:
    if training and p > 0.0:
        raise ExcludedError("drops elements at random: results are compared in inference")
    return Layer("dropout", {"p": p}, [input])


def prelu(input: Tensor, weight: Tensor) -> Layer:
    if input.ndim == 1 and weight.numel() > 1:
        raise ExcludedError("one slope per channel of an input without a channel axis")
    many = weight.numel() > 1
    return Layer("prelu", {"per_channel": many}, [input], {"weight": weight.reshape(-1)})


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Layer:
    attributes: dict[str, Any] = {"padding": to.padding(list(pad)), "mode": mode}
    if value is not None and mode == "constant":
        attributes["value"] = value
    if min(pad, default=0) < 0:
        raise ExcludedError("negative padding, which cuts off: `slice` does that")
    return Layer("pad", attributes, [input])


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Layer:
    if mode in ("nearest-exact", "area"):
        raise ExcludedError(f"mode {mode}, which `resize` does not have")
    if antialias:
        raise ExcludedError("antialias, which `resize` does not have")
    attributes: dict[str, Any] = {"mode": mode}
    if align_corners is not None:
        attributes["align_corners"] = align_corners
    if recompute_scale_factor and scale_factor is not None:
        # The scale only says what size; the positions follow the ratio of the sizes.
        size = [math.floor(n * scale_factor) for n in input.shape[2:]]
        scale_factor = None
    if scale_factor is None:
        attributes["size"] = to.plain(size) if not isinstance(size, int) else size
    else:
        attributes["scale"] = scale_factor
    return Layer("resize", attributes, [input])


def upsample(mode: str, corners: bool | None) -> Make:
    def make(input: Tensor, size: Any = None, scale_factor: Any = None) -> Layer:
        return interpolate(input, size, scale_factor, mode, corners)

    return make


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Layer:
    """Heads are an axis in torch, and side by side along the last one in archc."""
    if dropout_p:
        raise ExcludedError("drops elements at random: results are compared in inference")
    ranks = {x.ndim for x in (query, key, value)}
    if len(ranks) > 1 or (query.shape[:-2] != key.shape[:-2] and not enable_gqa):
        raise ExcludedError("queries and keys of different batches, repeated to fit each other")
    heads = query.shape[1] if query.ndim == 4 else 1

    def merged(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2) if x.ndim == 4 else x

    inputs, references = [merged(x) for x in (query, key, value)], {}
    attributes: dict[str, Any] = {"heads": heads}
    if enable_gqa:
        attributes["kv_heads"] = key.shape[1]
    if is_causal:
        attributes["causal"] = True
    if scale is not None:
        attributes["scale"] = scale
    if attn_mask is not None:
        if attn_mask.ndim > 2:
            raise ExcludedError("a mask with an axis for heads: `mask` is added in all alike")
        inputs.append(attn_mask)
        references["mask"] = 3
    return Layer("attention", attributes, inputs, {}, merged, references)


def joined(op: str) -> Make:
    def make(input: Tensor, other: Any, alpha: Any = 1, **_: Any) -> Layer:
        if not isinstance(other, Tensor):
            raise ExcludedError("a number as the other operand: `scale` has the product")
        if alpha != 1:
            raise ExcludedError("a factor `alpha` of the other operand: that is `scale` before it")
        if input.shape != other.shape and (op != "mul" or input.ndim != other.ndim):
            raise ExcludedError(BROADCAST)
        return Layer(op, {}, [input, other])

    return make


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Layer:
    if len(tensors) < 2:
        raise ExcludedError("one tensor alone: `concat` joins two at least")
    return Layer("concat", {"dim": dim}, list(tensors))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> Layer:
    return Layer("chunk", {"chunks": chunks, "dim": dim}, [input], outputs=chunks)


def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> Layer:
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        whole = input.shape[dim]
        sizes = [min(sizes, whole - start) for start in range(0, whole, sizes)]
    if 0 in sizes:
        raise ExcludedError("a size of 0: every size in a network is 1 at least")
    return Layer("split", {"sizes": list(sizes), "dim": dim}, [input], outputs=len(sizes))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Layer:
    return Layer("flatten", {"start": start_dim, "end": end_dim}, [input])


def permute(input: Tensor, dims: Sequence[int]) -> Layer:
    return Layer("permute", {"dims": list(dims)}, [input])


def reshape(input: Tensor, shape: Sequence[int]) -> Layer:
    return Layer("reshape", {"shape": list(shape)}, [input])


def select(input: Tensor, dim: int, index: int) -> Layer:
    return Layer("select", {"index": index, "dim": dim}, [input])


def slice_(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Layer:
    given = {"start": start, "stop": end, "step": step, "dim": dim}
    return Layer(
        "slice", {key: value for key, value in given.items() if value is not None}, [input]
    )


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Layer:
    if isinstance(start, Tensor):
        raise ExcludedError("a start that is computed: a layer's attributes are numbers")
    if length == 0:
        raise ExcludedError("a size of 0: every size in a network is 1 at least")
    start = start if start >= 0 else start + input.shape[dim]
    return Layer("slice", {"start": start, "stop": start + length, "dim": dim}, [input])


def squeeze(input: Tensor, dim: Any = None) -> Layer:
    if not isinstance(dim, int):
        raise ExcludedError(
            "several axes at once, or all of size 1: `squeeze` removes the one named"
        )
    if input.ndim and input.shape[dim] != 1:
        raise ExcludedError("an axis that is not of size 1, which torch ignores and archc refuses")
    return Layer("squeeze", {"dim": dim}, [input])


def unsqueeze(input: Tensor, dim: int) -> Layer:
    return Layer("unsqueeze", {"dim": dim}, [input])


def transpose(input: Tensor, dim0: int, dim1: int) -> Layer:
    return Layer("transpose", {"dims": [dim0, dim1]}, [input])


def channel_shuffle(input: Tensor, groups: int) -> Layer:
    pattern = "n (g c) ... -> n (c g) ..."
    return Layer("rearrange", {"pattern": pattern, "g": groups}, [input])


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Layer:
    pattern = "n (c a b) h w -> n c (h a) (w b)"
    return Layer(
        "rearrange", {"pattern": pattern, "a": upscale_factor, "b": upscale_factor}, [input]
    )


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Layer:
    pattern = "n c (h a) (w b) -> n (c a b) h w"
    factors = {"a": downscale_factor, "b": downscale_factor}
    return Layer("rearrange", {"pattern": pattern, **factors}, [input])


def _nd(
    stem: str, make: Callable[..., Make], op: str, names: str
) -> dict[str, tuple[str, str, Make]]:
    return {f"nn.functional.{stem}{n}d": (op, names, make(op, n)) for n in (1, 2, 3)}


_CONV = "input weight bias stride padding"
_POOL = "input kernel_size stride padding"
_NORM = "input running_mean running_var weight bias"

FUNCTIONALS: Mapping[str, tuple[str, str, Make]] = {
    **_nd("conv", conv, "conv", f"{_CONV} dilation groups"),
    **_nd("conv_transpose", conv, "conv_transpose", f"{_CONV} output_padding groups dilation"),
    **_nd("avg_pool", pool, "avgpool", f"{_POOL} ceil_mode count_include_pad divisor_override"),
    **_nd("max_pool", pool, "maxpool", f"{_POOL} dilation ceil_mode return_indices"),
    **_nd("adaptive_avg_pool", adaptive, "adaptive_avgpool", "input output_size"),
    **_nd("adaptive_max_pool", adaptive, "adaptive_maxpool", "input output_size return_indices"),
    **{
        f"nn.functional.{name}": (name, "input", pointwise(name))
        for name in (
            "celu",
            "elu",
            "hardsigmoid",
            "hardswish",
            "mish",
            "relu",
            "relu6",
            "selu",
            "silu",
        )
    },
    "nn.functional.batch_norm": ("batchnorm", f"{_NORM} training momentum eps", batch_norm),
    "nn.functional.channel_shuffle": ("rearrange", "input groups", channel_shuffle),
    "nn.functional.dropout": ("dropout", "input p training inplace", dropout),
    "nn.functional.embedding": ("embedding", "input weight", embedding),
    "nn.functional.gelu": ("gelu", "input approximate", pointwise("gelu")),
    "nn.functional.group_norm": ("groupnorm", "input num_groups weight bias eps", group_norm),
    "nn.functional.hardtanh": (
        "hardtanh",
        "input min_val max_val",
        pointwise("hardtanh", min_val="min", max_val="max"),
    ),
    "nn.functional.instance_norm": (
        "instancenorm",
        f"{_NORM} use_input_stats momentum eps",
        instance_norm,
    ),
    "nn.functional.interpolate": (
        "resize",
        "input size scale_factor mode align_corners recompute_scale_factor antialias",
        interpolate,
    ),
    "nn.functional.layer_norm": ("layernorm", "input normalized_shape weight bias eps", layer_norm),
    "nn.functional.leaky_relu": (
        "leaky_relu",
        "input negative_slope",
        pointwise("leaky_relu", negative_slope="slope"),
    ),
    "nn.functional.linear": ("linear", "input weight bias", linear),
    "nn.functional.local_response_norm": ("lrn", "input size alpha beta k", pointwise("lrn")),
    "nn.functional.pad": ("pad", "input pad mode value", pad),
    "nn.functional.pixel_shuffle": ("rearrange", "input upscale_factor", pixel_shuffle),
    "nn.functional.pixel_unshuffle": ("rearrange", "input downscale_factor", pixel_unshuffle),
    "nn.functional.prelu": ("prelu", "input weight", prelu),
    "nn.functional.rms_norm": ("rmsnorm", "input normalized_shape weight eps", rms_norm),
    "nn.functional.scaled_dot_product_attention": (
        "attention",
        "query key value attn_mask dropout_p is_causal scale enable_gqa",
        attention,
    ),
    "nn.functional.softplus": ("softplus", "input beta threshold", pointwise("softplus")),
    "nn.functional.softsign": ("softsign", "input", pointwise("softsign")),
    "nn.functional.upsample_bilinear": (
        "resize",
        "input size scale_factor",
        upsample("bilinear", True),
    ),
    "nn.functional.upsample_nearest": (
        "resize",
        "input size scale_factor",
        upsample("nearest", None),
    ),
    "add": ("add", "input other", joined("add")),
    "cat": ("concat", "tensors dim", cat),
    "chunk": ("chunk", "input chunks dim", chunk),
    "constant_pad_nd": (
        "pad",
        "input pad value",
        lambda input, pad, value=None: _padded(input, pad, value),
    ),
    "flatten": ("flatten", "input start_dim end_dim", flatten),
    "log_softmax": ("log_softmax", "input dim", softmax("log_softmax")),
    "mul": ("mul", "input other", joined("mul")),
    "narrow": ("slice", "input dim start length", narrow),
    "permute": ("permute", "input dims", permute),
    "reshape": ("reshape", "input shape", reshape),
    "select": ("select", "input dim index", select),
    "sigmoid": ("sigmoid", "input", pointwise("sigmoid")),
    "slice": ("slice", "input dim start end step", slice_),
    "softmax": ("softmax", "input dim", softmax("softmax")),
    "split": ("split", "input split_size_or_sections dim", split),
    "split_with_sizes": ("split", "input split_size_or_sections dim", split),
    "squeeze": ("squeeze", "input dim", squeeze),
    "sub": ("sub", "input other", joined("sub")),
    "tanh": ("tanh", "input", pointwise("tanh")),
    "transpose": ("transpose", "input dim0 dim1", transpose),
    "unsqueeze": ("unsqueeze", "input dim", unsqueeze),
    "view": ("reshape", "input shape", reshape),
}
"""Operator -> word of the language, names of the arguments in their order, translation."""


def _padded(input: Tensor, amounts: Sequence[int], value: Any) -> Layer:
    return pad(input, amounts, "constant", value)


def suite() -> Suite:
    """Every operator of torch.testing, whether archc has it or not (those are not sampled)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db

        cases: list[Case] = []
        unknown: dict[str, int] = {}
        for info in op_db:
            if info.name not in FUNCTIONALS:
                unknown[info.name] = 0
                continue
            group = f"{info.name} {info.variant_test_name}".strip()
            word, names, make = FUNCTIONALS[info.name]
            for index, sample in enumerate(_samples(info)):
                bound = partial(_layer, info, sample, names.split(), make)
                cases.append(Case(group, str(index), word, bound))
    return Suite("torch operators", tuple(cases), unknown)


def _samples(info: Any) -> Iterator[Any]:
    """Samples as they come from one seed, whatever was drawn before."""
    torch.manual_seed(0)
    np.random.seed(0)
    yield from info.sample_inputs("cpu", torch.float32, requires_grad=False)


def _layer(info: Any, sample: Any, names: Sequence[str], make: Make) -> tuple[Layer, Expected]:
    positional = dict(zip(names, (sample.input, *sample.args), strict=False))
    layer = make(**positional, **sample.kwargs)
    results = [_results(info, s, layer) for s in (sample, sample.transform(_double))]
    inputs = [x.numpy().copy() for x in layer.inputs]
    weights = {key: value.numpy().copy() for key, value in layer.weights.items()}
    plain = replace(layer, inputs=inputs, weights=weights)
    return plain, Expected(*results)


def _double(x: Any) -> Any:
    return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x


def _results(info: Any, sample: Any, layer: Layer) -> list[Any]:
    copied = sample.transform(lambda x: x.clone() if isinstance(x, Tensor) else x)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = info.op(copied.input, *copied.args, **copied.kwargs)
    parts = result if isinstance(result, (list, tuple)) else [result]
    return [layer.view(y).numpy() for y in parts[: layer.outputs]]

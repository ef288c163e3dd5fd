"""The node tests of the onnx package: a node's attributes, inputs and expected outputs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.upstream.case import Array, ExcludedError, Expected, Layer
from tests.upstream.suite import Case, Suite

Values = Sequence[Array | None]
Make = Callable[[Mapping[str, Any], Values], Layer]
"""From the attributes of a node and its inputs, None where one is left out."""

BROADCAST = "operands of different shapes, which `add`, `sub` and `mul` refuse to guess about"


def plain(op: str, **names: str) -> Make:
    """Attributes renamed; every one of them has to be."""

    def make(given: Mapping[str, Any], values: Values) -> Layer:
        unknown = set(given) - set(names)
        if unknown:
            raise ExcludedError(f"attribute `{min(unknown)}`, which `{op}` does not have")
        return Layer(op, {names[key]: word(value) for key, value in given.items()}, [values[0]])

    return make


def fixed(op: str, **values: float) -> Make:
    """An op without attributes: those of the node must have the values that it stands for."""

    def make(given: Mapping[str, Any], inputs: Values) -> Layer:
        for key, value in values.items():
            if not math.isclose(given.get(key, value), value, rel_tol=1e-6):
                raise ExcludedError(f"constants other than those of the standard {op}")
        return Layer(op, {}, [inputs[0]])

    return make


def hardsigmoid(given: Mapping[str, Any], values: Values) -> Layer:
    """ONNX's slope is 0.2 where a node gives none, torch's is 1/6."""
    return fixed("hardsigmoid", alpha=1 / 6, beta=0.5)({"alpha": 0.2, **given}, values)


def word(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return float(f"{value:.7g}") if isinstance(value, float) else value


def windows(given: Mapping[str, Any], x: Array, kernel: Sequence[int]) -> dict[str, Any]:
    """The attributes that say where windows lie."""
    axes = x.ndim - 2
    attributes: dict[str, Any] = {}
    names = {"strides": "stride", "dilations": "dilation", "group": "groups"}
    for key, name in names.items():
        if key in given:
            attributes[name] = given[key]
    pads = given.get("pads")
    if pads is not None:
        attributes["padding"] = [[pads[i], pads[i + axes]] for i in range(axes)]
    auto = given.get("auto_pad", b"NOTSET").decode()
    if auto == "VALID":
        attributes["padding"] = "valid"
    elif auto != "NOTSET":
        strides, dilations = (given.get(key, [1] * axes) for key in ("strides", "dilations"))
        extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
        attributes["padding"] = [
            same(size, extent, stride, auto)
            for size, extent, stride in zip(x.shape[2:], extents, strides, strict=True)
        ]
    return attributes


def same(size: int, extent: int, stride: int, auto: str) -> list[int]:
    """The amounts that `SAME` stands for: a window for each stride that was begun."""
    missing = max((-(-size // stride) - 1) * stride + extent - size, 0)
    few, many = missing // 2, missing - missing // 2
    return [few, many] if auto == "SAME_UPPER" else [many, few]


def conv(op: str) -> Make:
    def make(given: Mapping[str, Any], values: Values) -> Layer:
        x, weight, *rest = values
        assert x is not None and weight is not None
        if op == "conv_transpose" and ("output_shape" in given or "auto_pad" in given):
            raise ExcludedError("a size of the result that padding is computed from")
        out = weight.shape[0] if op == "conv" else weight.shape[1] * given.get("group", 1)
        attributes = {"out": out, "kernel": list(weight.shape[2:])}
        attributes |= windows(given, x, weight.shape[2:])
        if "output_padding" in given:
            attributes["output_padding"] = given["output_padding"]
        weights = {"weight": weight}
        if rest and rest[0] is not None:
            weights["bias"] = rest[0]
        else:
            attributes["bias"] = False
        return Layer(op, attributes, [x], weights)

    return make


def pool(op: str) -> Make:
    def make(given: Mapping[str, Any], values: Values) -> Layer:
        x = values[0]
        assert x is not None
        kernel = given["kernel_shape"]
        attributes = {"kernel": kernel, "stride": 1, **windows(given, x, kernel)}
        if "ceil_mode" in given:
            attributes["ceil"] = bool(given["ceil_mode"])
        if op == "avgpool":
            if any(step > 1 for step in given.get("dilations", ())):
                raise ExcludedError("dilation of a mean, which torch.nn.AvgPool2d does not have")
            attributes.pop("dilation", None)
            attributes["count_include_pad"] = bool(given.get("count_include_pad", 0))
        return Layer(op, attributes, [x])

    return make


def batchnorm(given: Mapping[str, Any], values: Values) -> Layer:
    x, weight, bias, mean, variance = values
    attributes = {"eps": word(given["epsilon"])} if "epsilon" in given else {}
    if given.get("training_mode"):
        raise ExcludedError("training mode, whose running statistics are results of the node")
    tracked = np.array(0, np.int64)
    weights = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}
    return Layer("batchnorm", attributes, [x], {**weights, "num_batches_tracked": tracked})


def norm(op: str, **names: str) -> Make:
    """Group, instance: scale and bias per channel."""

    def make(given: Mapping[str, Any], values: Values) -> Layer:
        x, weight, bias = values
        attributes = {names.get(key, key): word(value) for key, value in given.items()}
        return Layer(op, {**attributes, "affine": True}, [x], {"weight": weight, "bias": bias})

    return make


def last_axes(op: str) -> Make:
    """Layer and RMS normalisation, from an axis on."""

    def make(given: Mapping[str, Any], values: Values) -> Layer:
        x, *terms = values
        assert x is not None
        axis = given.get("axis", -1) % x.ndim
        attributes = {"axes": x.ndim - axis, "eps": word(given.get("epsilon", 1e-5))}
        weights = dict(zip(("weight", "bias"), terms, strict=False))
        return Layer(op, attributes, [x], weights)

    return make


def clip(given: Mapping[str, Any], values: Values) -> Layer:
    x, *bounds = values
    limits = [None if bound is None else float(bound) for bound in bounds] or [None]
    if "min" in given:
        limits = [given["min"], given.get("max")]
    if len(limits) < 2 or None in limits:
        raise ExcludedError("one bound alone: `hardtanh` has two")
    return Layer("hardtanh", {"min": word(limits[0]), "max": word(limits[1])}, [x])


def concat(given: Mapping[str, Any], values: Values) -> Layer:
    return Layer("concat", {"dim": given["axis"]}, list(values))


def joined(op: str) -> Make:
    def make(given: Mapping[str, Any], values: Values) -> Layer:
        shapes = {x.shape for x in values if x is not None}
        if len(values) < 2:
            raise ExcludedError("one tensor alone: a join has two at least")
        if len(shapes) > 1:
            raise ExcludedError(BROADCAST)
        return Layer(op, {}, list(values))

    return make


def flatten(given: Mapping[str, Any], values: Values) -> Layer:
    x = values[0]
    assert x is not None
    if given.get("axis", 1) % x.ndim != 1:
        raise ExcludedError("both sides of an axis merged into a matrix: that is two layers")
    return Layer("flatten", {}, [x])


def gather(given: Mapping[str, Any], values: Values) -> Layer:
    if given.get("axis", 0):
        raise ExcludedError("an axis other than the first: `lookup` takes rows of a table")
    return Layer("lookup", {}, list(values))


def gemm(given: Mapping[str, Any], values: Values) -> Layer:
    a, b, *rest = values
    assert a is not None and b is not None
    if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0 or given.get("transA"):
        raise ExcludedError("a product with factors, or of the transposed input")
    weight = b if given.get("transB") else b.T
    if not rest or rest[0] is None:
        return Layer("linear", {"out": weight.shape[0], "bias": False}, [a], {"weight": weight})
    if (
        rest[0].ndim == 0
        or rest[0].shape[-1] == 1 < weight.shape[0]
        or rest[0].size != weight.shape[0]
    ):
        raise ExcludedError("a bias other than one value per feature")
    weights = {"weight": weight, "bias": rest[0].reshape(-1)}
    return Layer("linear", {"out": weight.shape[0]}, [a], weights)


def global_pool(op: str) -> Make:
    def make(given: Mapping[str, Any], values: Values) -> Layer:
        return Layer(op, {"size": 1}, [values[0]])

    return make


def dropout(given: Mapping[str, Any], values: Values) -> Layer:
    training = len(values) > 2 and values[2] is not None and bool(values[2])
    if training and (values[1] is None or float(values[1]) > 0):
        raise ExcludedError("drops elements at random: results are compared in inference")
    return Layer("dropout", {}, [values[0]])


def prelu(given: Mapping[str, Any], values: Values) -> Layer:
    x, slope = values
    assert x is not None and slope is not None
    channels = x.shape[1] if x.ndim > 1 else 1
    broadcast = (channels, *[1] * (x.ndim - 2))  # ONNX aligns with the last axes
    if slope.size > 1 and slope.shape != broadcast:
        raise ExcludedError("slopes other than one, or one per channel")
    attributes = {"per_channel": True} if slope.size > 1 else {}
    return Layer("prelu", attributes, [x], {"weight": slope.reshape(-1)})


def pad(given: Mapping[str, Any], values: Values) -> Layer:
    x, pads, value, axes = (*values, None, None, None)[:4]
    assert x is not None
    amounts = list(given["pads"]) if pads is None else [int(n) for n in pads]
    named = range(x.ndim) if axes is None else [int(n) % x.ndim for n in axes]
    pairs = [[0, 0] for _ in range(x.ndim)]
    for i, axis in enumerate(named):
        pairs[axis] = [amounts[i], amounts[i + len(named)]]
    if min(amounts) < 0:
        raise ExcludedError("negative padding, which cuts off: `slice` does that")
    mode = given.get("mode", b"constant").decode()
    mode = {"edge": "replicate", "wrap": "circular"}.get(mode, mode)
    while mode != "constant" and pairs[0] == [0, 0]:
        pairs = pairs[1:]
    attributes: dict[str, Any] = {"padding": pairs, "mode": mode}
    number = given.get("value") if value is None else float(value)
    if number is not None and mode == "constant":
        attributes["value"] = word(number)
    return Layer("pad", attributes, [x])


def reshape(given: Mapping[str, Any], values: Values) -> Layer:
    x, shape = values
    assert x is not None and shape is not None
    if given.get("allowzero") and 0 in shape:
        raise ExcludedError("a size of 0: every size in a network is 1 at least")
    return Layer("reshape", {"shape": [int(n) or x.shape[i] for i, n in enumerate(shape)]}, [x])


def resize(given: Mapping[str, Any], values: Values) -> Layer:
    x, _, scales, sizes = (*values, None, None, None)[:4]
    assert x is not None
    mode = given.get("mode", b"nearest").decode()
    where = given.get("coordinate_transformation_mode", b"half_pixel").decode()
    if given.get("antialias") or given.get("exclude_outside") or where == "tf_crop_and_resize":
        raise ExcludedError("antialias, exclude_outside or a crop, which `resize` does not have")
    if "keep_aspect_ratio_policy" in given or "axes" in given or x.ndim != 4:
        raise ExcludedError("some axes alone, or sizes that follow from an aspect ratio")
    if mode == "nearest":
        rule = given.get("nearest_mode", b"round_prefer_floor").decode()
        if (where, rule) != ("asymmetric", "floor"):
            raise ExcludedError("neighbours chosen otherwise than torch's nearest does")
    elif where not in ("half_pixel", "align_corners"):
        raise ExcludedError("positions other than torch's")
    if mode == "cubic" and given.get("cubic_coeff_a", -0.75) != -0.75:
        raise ExcludedError("a cubic coefficient other than torch's -0.75")
    name = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[mode]
    attributes: dict[str, Any] = {"mode": name}
    if where == "align_corners":
        attributes["align_corners"] = True
    if sizes is not None:
        attributes["size"] = [int(n) for n in sizes[2:]]
    else:
        assert scales is not None
        attributes["scale"] = [float(n) for n in scales[2:]]
    return Layer("resize", attributes, [x])


def slice_(given: Mapping[str, Any], values: Values) -> Layer:
    x, starts, ends, axes, steps = (*values, None, None)[:5]
    assert x is not None and starts is not None and ends is not None
    named = range(len(starts)) if axes is None else [int(n) % x.ndim for n in axes]
    pace = [1] * len(starts) if steps is None else [int(n) for n in steps]
    cuts = []
    for axis, start, end, step in zip(named, starts, ends, pace, strict=True):
        if step < 0:
            raise ExcludedError("backwards, which torch cannot slice")
        if (start, end) != (0, x.shape[axis]):
            cuts.append({"start": int(start), "stop": int(end), "step": step, "dim": int(axis)})
    if len(cuts) != 1:
        raise ExcludedError("several axes at once: that is a layer for each")
    return Layer("slice", cuts[0], [x])


def split(given: Mapping[str, Any], values: Values) -> Layer:
    x, sizes = (*values, None)[:2]
    assert x is not None
    axis = given.get("axis", 0)
    if sizes is None:
        raise ExcludedError("sizes that follow from the number of outputs")
    parts = [int(n) for n in sizes]
    return Layer("split", {"sizes": parts, "dim": axis}, [x], outputs=len(parts))


def equal_parts(count: int) -> Make:
    def make(given: Mapping[str, Any], values: Values) -> Layer:
        attributes = {"chunks": count, "dim": given.get("axis", 0)}
        return Layer("chunk", attributes, [values[0]], outputs=count)

    return make


def one_axis(op: str) -> Make:
    def make(given: Mapping[str, Any], values: Values) -> Layer:
        x, axes = values
        assert axes is not None
        if len(axes) != 1:
            raise ExcludedError(f"several axes at once: `{op}` takes one")
        return Layer(op, {"dim": int(axes[0])}, [x])

    return make


def transpose(given: Mapping[str, Any], values: Values) -> Layer:
    x = values[0]
    assert x is not None
    return Layer("permute", {"dims": given.get("perm", list(range(x.ndim))[::-1])}, [x])


def depth_to_space(given: Mapping[str, Any], values: Values) -> Layer:
    block = given["blocksize"]
    channels = "c a b" if given.get("mode", b"DCR") == b"CRD" else "a b c"
    pattern = f"n ({channels}) h w -> n c (h a) (w b)"
    return Layer("rearrange", {"pattern": pattern, "a": block, "b": block}, [values[0]])


def space_to_depth(given: Mapping[str, Any], values: Values) -> Layer:
    block = given["blocksize"]
    channels = "c a b" if given.get("mode", b"DCR") == b"CRD" else "a b c"
    pattern = f"n c (h a) (w b) -> n ({channels}) h w"
    return Layer("rearrange", {"pattern": pattern, "a": block, "b": block}, [values[0]])


def attention(given: Mapping[str, Any], values: Values) -> Layer:
    """Heads are an axis of rank 4, or side by side at rank 3, as in archc."""
    q, k, v, mask, *past = (*values, None)
    assert q is not None and k is not None and v is not None
    if any(x is not None for x in past):
        raise ExcludedError("keys and values of earlier steps")
    known = {"scale", "is_causal", "q_num_heads", "kv_num_heads", "qk_matmul_output_mode"}
    strange = set(given) - known
    if strange:
        raise ExcludedError(f"attribute `{min(strange)}`, which `attention` does not have")
    heads = q.shape[1] if q.ndim == 4 else given["q_num_heads"]
    shared = k.shape[1] if k.ndim == 4 else given["kv_num_heads"]

    def merged(x: Array) -> Array:
        return x.transpose(0, 2, 1, 3).reshape(len(x), x.shape[2], -1) if x.ndim == 4 else x

    attributes: dict[str, Any] = {"heads": heads}
    if heads != shared:
        attributes["kv_heads"] = shared
    if given.get("is_causal"):
        attributes["causal"] = True
    if "scale" in given:
        attributes["scale"] = word(given["scale"])
    inputs, references = [merged(x) for x in (q, k, v)], {}
    if mask is not None:
        if mask.ndim > 2:
            raise ExcludedError("a mask with an axis for heads: `mask` is added in all alike")
        seen = np.tril(mask) if given.get("is_causal") else mask
        if mask.dtype == bool and not seen.any(axis=-1).all():
            raise ExcludedError(
                "a query from which all is hidden: its weights are equal in archc, none in ONNX"
            )
        inputs.append(mask)
        references["mask"] = 3
    return Layer("attention", attributes, inputs, {}, merged, references)


def not_translated(reason: str) -> Make:
    """An operator whose node tests hold nothing that a layer is given."""

    def make(given: Mapping[str, Any], values: Values) -> Layer:
        raise ExcludedError(reason)

    return make


GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}
"""Where the gates of torch stand among those of ONNX: i, o, f, c; z, r, h."""


def recurrent(
    operator: str, given: Mapping[str, Any], values: Values, kept: Sequence[str]
) -> Layer:
    """A node of one layer; ONNX stacks the gates in another order and both biases in one."""
    x, weight, recurrence, bias, *more = (*values, None)
    assert x is not None and weight is not None and recurrence is not None
    if any(value is not None for value in more):
        raise ExcludedError("states to start from, lengths of sequences or peepholes")
    if set(given) - {"hidden_size", "direction", "layout", "linear_before_reset"}:
        raise ExcludedError("activations, clipping or coupled gates other than torch's")
    if operator == "GRU" and not given.get("linear_before_reset"):
        raise ExcludedError("a reset gate that acts before the product, where torch's acts behind")
    if given.get("direction", b"forward") == b"reverse":
        raise ExcludedError("a sequence read from its end alone")
    hidden, gates = given["hidden_size"], GATES[operator]
    rows = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in gates])
    weights = {}
    for index in range(len(weight)):
        suffix = "_l0" + ("_reverse" if index else "")
        weights[f"weight_ih{suffix}"] = weight[index][rows]
        weights[f"weight_hh{suffix}"] = recurrence[index][rows]
        if bias is not None:
            half = len(bias[index]) // 2
            weights[f"bias_ih{suffix}"] = bias[index][:half][rows]
            weights[f"bias_hh{suffix}"] = bias[index][half:][rows]
    batch_first = bool(given.get("layout"))
    attributes = {"hidden": hidden, "batch_first": batch_first, "bias": bias is not None}
    if len(weight) > 1:
        attributes["bidirectional"] = True

    def view(result: Array) -> Array:
        if result.ndim == 3:
            return result.swapaxes(0, 1) if batch_first else result
        merged = result if batch_first else result.swapaxes(1, 2)  # directions before hidden
        return merged.reshape(*merged.shape[:2], -1)

    looked_at = [index for index, name in enumerate(kept) if name]
    layer = Layer(operator.lower(), {**attributes, "states": True}, [x], weights, view)
    return replace(layer, outputs=max(looked_at) + 1, first=min(looked_at))


OPERATORS: Mapping[str, tuple[str, Make]] = {
    "Add": ("add", joined("add")),
    "Attention": ("attention", attention),
    "AveragePool": ("avgpool", pool("avgpool")),
    "BatchNormalization": ("batchnorm", batchnorm),
    "Celu": ("celu", plain("celu", alpha="alpha")),
    "Clip": ("hardtanh", clip),
    "Concat": ("concat", concat),
    "Conv": ("conv", conv("conv")),
    "ConvTranspose": ("conv_transpose", conv("conv_transpose")),
    "DepthToSpace": ("rearrange", depth_to_space),
    "Dropout": ("dropout", dropout),
    "Elu": ("elu", plain("elu", alpha="alpha")),
    "Flatten": ("flatten", flatten),
    "Gather": ("lookup", gather),
    "Gelu": ("gelu", plain("gelu", approximate="approximate")),
    "Gemm": ("linear", gemm),
    "GlobalAveragePool": ("adaptive_avgpool", global_pool("adaptive_avgpool")),
    "GlobalMaxPool": ("adaptive_maxpool", global_pool("adaptive_maxpool")),
    "GroupNormalization": ("groupnorm", norm("groupnorm", num_groups="groups", epsilon="eps")),
    "HardSigmoid": ("hardsigmoid", hardsigmoid),
    "HardSwish": ("hardswish", plain("hardswish")),
    "Identity": ("identity", plain("identity")),
    "InstanceNormalization": ("instancenorm", norm("instancenorm", epsilon="eps")),
    "LRN": ("lrn", plain("lrn", size="size", alpha="alpha", beta="beta", bias="k")),
    "LayerNormalization": ("layernorm", last_axes("layernorm")),
    "LeakyRelu": ("leaky_relu", plain("leaky_relu", alpha="slope")),
    "LogSoftmax": ("log_softmax", plain("log_softmax", axis="dim")),
    "MaxPool": ("maxpool", pool("maxpool")),
    "Mish": ("mish", plain("mish")),
    "Mul": ("mul", joined("mul")),
    "PRelu": ("prelu", prelu),
    "Pad": ("pad", pad),
    "RMSNormalization": ("rmsnorm", last_axes("rmsnorm")),
    "Relu": ("relu", plain("relu")),
    "Reshape": ("reshape", reshape),
    "Resize": ("resize", resize),
    "RotaryEmbedding": (
        "rope",
        not_translated("cosines and sines as inputs, which `rope` computes from the positions"),
    ),
    "Selu": ("selu", fixed("selu", alpha=1.6732632, gamma=1.0507010)),
    "Sigmoid": ("sigmoid", plain("sigmoid")),
    "Slice": ("slice", slice_),
    "Softmax": ("softmax", plain("softmax", axis="dim")),
    "Softplus": ("softplus", plain("softplus")),
    "Softsign": ("softsign", plain("softsign")),
    "SpaceToDepth": ("rearrange", space_to_depth),
    "Split": ("split", split),
    "Squeeze": ("squeeze", one_axis("squeeze")),
    "Sub": ("sub", joined("sub")),
    "Sum": ("add", joined("add")),
    "Swish": ("silu", fixed("silu", alpha=1.0)),
    "Tanh": ("tanh", plain("tanh")),
    "Transpose": ("permute", transpose),
    "Unsqueeze": ("unsqueeze", one_axis("unsqueeze")),
}
"""Operator -> word of the language, translation of a node."""


def suite(kind: str = "node", name: str = "onnx nodes") -> Suite:
    """The node tests, and those converted from PyTorch's, of the onnx package.

    What a test holds as a function's body (`_expanded`) is that function again, in several nodes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        cases: list[Case] = []
        unknown: dict[str, int] = {}
        for test in load_model_tests(kind=kind):
            model = test.model or onnx.load(f"{test.model_dir}/model.onnx")
            nodes = model.graph.node
            operator = nodes[0].op_type if len(nodes) == 1 else "several nodes"
            if operator in GATES:
                make = partial(recurrent, operator, kept=nodes[0].output)
                made = partial(_layer, test, model, make)
                cases.append(Case(operator, test.name, operator.lower(), made))
                continue
            if operator not in OPERATORS:
                unknown[operator] = unknown.get(operator, 0) + 1
                continue
            made = partial(_layer, test, model, OPERATORS[operator][1])
            cases.append(Case(operator, test.name, OPERATORS[operator][0], made))
    return Suite(name, tuple(cases), unknown)


def converted() -> Suite:
    """The tests of PyTorch's modules as the onnx package keeps them, with weights."""
    return suite("pytorch-converted", "onnx converted from PyTorch")


def _layer(test: Any, model: Any, make: Make) -> tuple[Layer, Expected]:
    inputs, outputs = _data(test, model)
    (node,) = model.graph.node
    known = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    fed = [info.name for info in model.graph.input if info.name not in known]
    known |= dict(zip(fed, inputs, strict=True))
    values = [known.get(name) if name else None for name in node.input]
    if any(isinstance(x, list) for x in values) or values[0] is None:
        raise ExcludedError("a sequence or an optional value, which no layer takes")
    if any(x is not None and x.dtype.name in ODD for x in values):
        raise ExcludedError("a dtype that no layer takes")
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type == "Split" and len(values) == 1 and "split" not in given:
        make = equal_parts(len(node.output))
    layer = make(given, values)
    # Behind them stand indices, masks and scores, which a layer does not return.
    expected = [np.asarray(layer.view(y)) for y in outputs[: layer.outputs - layer.first]]
    return layer, Expected(expected, rtol=test.rtol, atol=test.atol)


ODD = {"int16", "uint16", "uint32", "uint64", "object", "complex64", "bfloat16", "str"}
"""Dtypes that the language does not have, or that numpy cannot hand to torch."""


def _data(test: Any, model: Any) -> tuple[list[Any], list[Any]]:
    if test.data_sets is not None:
        return test.data_sets[0]
    folder = f"{test.model_dir}/test_data_set_0"
    counts = (len(model.graph.input) - len(model.graph.initializer), len(model.graph.output))
    inputs, outputs = (
        [_tensor(f"{folder}/{stem}_{i}.pb") for i in range(count)]
        for stem, count in zip(("input", "output"), counts, strict=True)
    )
    return inputs, outputs


def _tensor(path: str) -> Array:
    return numpy_helper.to_array(onnx.load_tensor(path))

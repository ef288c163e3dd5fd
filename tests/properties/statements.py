"""What attributes the ONNX nodes of each op must have, from the documentation of both sides.

Nothing here calls a lowering. Sizes of windows come from `pairs_of` of the references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from archc.ops.base import Op
from tests.ops.spatial_reference import axes_of, pairs_of

if TYPE_CHECKING:
    from tests.properties.cases import Case

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]
Statement = Mapping[str, Attributes]

FREE = object()
"""Stands for an attribute that the spec does not determine; values decide about it."""

LAYOUT = {
    *("Reshape", "Transpose", "Shape", "Concat", "Slice", "Gather", "Expand", "Squeeze"),
    *("Unsqueeze", "Cast", "Split", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceSum"),
}
"""Nodes that move values or reduce axes: where they are no op of the spec, values decide."""


def _axis(dim: int, rank: int) -> int:
    return dim % rank


def _count(shape: Shape) -> int:
    return len(shape) - 2


def _sides(op: Op, count: int) -> list[int]:
    pairs = pairs_of(op, count)
    return [before for before, _ in pairs] + [after for _, after in pairs]


def _window(op: Op, shape: Shape) -> dict[str, Any]:
    count = _count(shape)
    stride = op.kernel if op.stride is None else op.stride
    return {
        "kernel_shape": list(axes_of(op.kernel, count)),
        "strides": list(axes_of(stride, count)),
        "auto_pad": b"NOTSET",
    }


def _padding(mode: str, opset: int) -> bytes | None:
    """The mode of Pad; None if that operator set has none, whatever runtimes make of it."""
    if mode == "circular":
        return b"wrap" if opset >= 19 else None
    return {"reflect": b"reflect", "replicate": b"edge"}.get(mode, b"constant")


def _conv(op: Op, shape: Shape, opset: int) -> Statement:
    count = _count(shape)
    pads = _sides(op, count)
    return {
        "Conv": {
            **_window(op, shape),
            "dilations": list(axes_of(op.dilation, count)),
            "group": op.groups,
            "pads": pads if op.padding_mode == "zeros" else [0] * len(pads),
        },
        "Pad": {"mode": _padding(op.padding_mode, opset)},
    }


def _conv_transpose(op: Op, shape: Shape, opset: int) -> Statement:
    count = _count(shape)
    extra = axes_of(op.output_padding, count)
    # Where output padding reaches beyond every window, or meets a crop, several pairs mean one.
    plain = not any(extra)
    return {
        "ConvTranspose": {
            **_window(op, shape),
            "dilations": list(axes_of(op.dilation, count)),
            "group": op.groups,
            "pads": _sides(op, count) if plain else FREE,
            "output_padding": list(extra) if plain else FREE,
            "output_shape": None,
        },
        "Pad": {"mode": b"constant"},
    }


def _maxpool(op: Op, shape: Shape, opset: int) -> Statement:
    padded = _pooled(op, shape)
    dilations = list(axes_of(op.dilation, _count(shape)))
    return {
        "MaxPool": {**_window(op, shape), **padded, "dilations": dilations, "storage_order": 0},
        "Pad": {"mode": b"constant"},
    }


def _avgpool(op: Op, shape: Shape, opset: int) -> Statement:
    padded = _pooled(op, shape)
    # Without padding there is nothing to count, and a divisor counts what it likes.
    determined = any(_sides(op, _count(shape))) and op.divisor is None and not op.ceil
    counted = int(op.count_include_pad) if determined and padded["pads"] is not FREE else FREE
    return {
        "AveragePool": {
            **_window(op, shape),
            **padded,
            "count_include_pad": counted,
            "dilations": [1] * _count(shape),
        },
        "Pad": {"mode": b"constant"},
    }


def _pooled(op: Op, shape: Shape) -> dict[str, Any]:
    """Padding and rounding, unless a last window is dropped or padding stands apart."""
    plain = not op.ceil and getattr(op, "divisor", None) is None
    sides = _sides(op, _count(shape))
    kernel = axes_of(op.kernel, _count(shape))
    plain = plain and max(sides) < min(kernel)
    equal = sides[: len(kernel)] == sides[len(kernel) :]
    return {
        "pads": sides if plain and equal else FREE,
        # Where windows hang over, padding may say so as well.
        "ceil_mode": FREE if op.ceil else 0,
    }


def _pad(op: Op, shape: Shape, opset: int) -> Statement:
    return {"Pad": {"mode": _padding(getattr(op, "mode", "zeros"), opset)}}


def _resize(op: Op, shape: Shape, opset: int) -> Statement:
    linear = {"linear", "bilinear", "trilinear"}
    mode = b"linear" if op.mode in linear else b"cubic" if op.mode == "bicubic" else b"nearest"
    where = FREE if mode == b"nearest" else b"align_corners" if op.align_corners else None
    return {
        "Resize": {
            "mode": mode,
            "coordinate_transformation_mode": where or _HALF,
            "nearest_mode": b"floor" if mode == b"nearest" else FREE,
            "cubic_coeff_a": -0.75,
            "exclude_outside": 0,
            "extrapolation_value": 0.0,
            "axes": FREE,
            "antialias": 0,
            "keep_aspect_ratio_policy": b"stretch",
        }
    }


_HALF = (b"half_pixel", b"pytorch_half_pixel")


def _layernorm(op: Op, shape: Shape, opset: int) -> Statement:
    return {
        "LayerNormalization": {"axis": len(shape) - op.axes, "epsilon": op.eps, "stash_type": 1}
    }


def _rmsnorm(op: Op, shape: Shape, opset: int) -> Statement:
    eps = float(np.finfo(np.float32).eps) if op.eps is None else op.eps
    if opset < 23 or not op.affine:
        return {}
    return {"RMSNormalization": {"axis": len(shape) - op.axes, "epsilon": eps, "stash_type": 1}}


def _batchnorm(op: Op, shape: Shape, opset: int) -> Statement:
    if not op.track_running_stats:
        return {}
    return _normalised(op)


def _normalised(op: Op) -> Statement:
    return {"BatchNormalization": {"epsilon": op.eps, "momentum": FREE, "training_mode": 0}}


def _epsilon(op: Op, shape: Shape, opset: int) -> Statement:
    return {"InstanceNormalization": {"epsilon": op.eps}}


def _instancenorm(op: Op, shape: Shape, opset: int) -> Statement:
    if op.track_running_stats:
        return _normalised(op)
    return {"InstanceNormalization": {"epsilon": op.eps}}


def _lrn(op: Op, shape: Shape, opset: int) -> Statement:
    return {
        "LRN": {"size": op.size, "alpha": op.alpha, "beta": op.beta, "bias": op.k},
        "AveragePool": {
            "kernel_shape": FREE if len(shape) != 4 else [op.size, 1],
            "strides": FREE,
            "pads": FREE,
            "count_include_pad": 1,
            "ceil_mode": 0,
            "dilations": FREE,
            "auto_pad": b"NOTSET",
        },
    }


def _adaptive(kind: str) -> Callable[[Op, Shape, int], Statement]:
    def statement(op: Op, shape: Shape, opset: int) -> Statement:
        count = _count(shape)
        sizes = axes_of(op.size, count)
        if any(n % m for n, m in zip(shape[2:], sizes, strict=True)):
            return {}
        kernel = [n // m for n, m in zip(shape[2:], sizes, strict=True)]
        own = {"count_include_pad": FREE} if kind == "AveragePool" else {"storage_order": 0}
        return {
            f"Global{kind}": {},
            kind: {
                "kernel_shape": kernel,
                "strides": kernel,
                "pads": [0] * (2 * count),
                "ceil_mode": 0,
                "dilations": [1] * count,
                "auto_pad": b"NOTSET",
                **own,
            },
        }

    return statement


def _gemm(op: Op) -> Statement:
    transposed = int(not op.transposed)
    return {"Gemm": {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": transposed}}


def _permute(op: Op, shape: Shape, opset: int) -> Statement:
    return {"Transpose": {"perm": [_axis(dim, len(shape)) for dim in op.dims]}}


def _transpose(op: Op, shape: Shape, opset: int) -> Statement:
    order = list(range(len(shape)))
    first, second = (_axis(dim, len(shape)) for dim in op.dims)
    order[first], order[second] = order[second], order[first]
    return {"Transpose": {"perm": order}}


def _flatten(op: Op, shape: Shape, opset: int) -> Statement:
    return {"Flatten": {"axis": _axis(op.start, len(shape))}}


def _along(op_type: str, **more: Any) -> Callable[[Op, Shape, int], Statement]:
    def statement(op: Op, shape: Shape, opset: int) -> Statement:
        return {op_type: {"axis": _axis(op.dim, len(shape)), **more}}

    return statement


def _fixed(op_type: str, **attributes: Any) -> Callable[[Op, Shape, int], Statement]:
    return lambda op, shape, opset: {op_type: attributes}


def _attention(op: Any, shape: Shape, opset: int) -> Statement:
    whole = {
        "q_num_heads": op.heads,
        "kv_num_heads": op.kv_heads or op.heads,
        "scale": FREE if op.scale is None else op.scale,
        "is_causal": int(op.causal),
        "qk_matmul_output_mode": 0,
        "softcap": 0.0,
    }
    return {"Softmax": {"axis": -1}, "Trilu": {"upper": 1}, "Attention": whole}


def _recurrent(op_type: str, **more: Any) -> Callable[[Op, Shape, int], Statement]:
    def statement(op: Any, shape: Shape, opset: int) -> Statement:
        direction = b"bidirectional" if op.bidirectional else b"forward"
        own = {"hidden_size": op.hidden, "direction": direction, "layout": 0, **more}
        if op_type == "RNN":
            word = b"Relu" if op.nonlinearity == "relu" else b"Tanh"
            # ONNX's default names two, one for each direction.
            count = 2 if word == b"Tanh" else 1 + op.bidirectional
            own["activations"] = [word] * count
        return {op_type: own, "Gather": {"axis": 0}}

    return statement


STATEMENTS: dict[str, Callable[[Op, Shape, int], Statement]] = {
    "adaptive_avgpool": _adaptive("AveragePool"),
    "adaptive_maxpool": _adaptive("MaxPool"),
    "attention": _attention,
    "avgpool": _avgpool,
    "batchnorm": _batchnorm,
    "celu": lambda op, shape, opset: {"Celu": {"alpha": op.alpha}},
    "chunk": _along("Split", num_outputs=None),
    "concat": _along("Concat"),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "elu": lambda op, shape, opset: {"Elu": {"alpha": op.alpha}},
    "flatten": _flatten,
    "gelu": lambda op, shape, opset: (
        {"Gelu": {"approximate": op.approximate.encode()}} if opset >= 20 else {}
    ),
    "groupnorm": _epsilon,
    "gru": _recurrent("GRU", linear_before_reset=1),
    "hardsigmoid": _fixed("HardSigmoid", alpha=1 / 6, beta=0.5),
    "instancenorm": _instancenorm,
    "embedding": _fixed("Gather", axis=0),
    "layernorm": _layernorm,
    "layernorm2d": lambda op, shape, opset: {
        "LayerNormalization": {"axis": -1, "epsilon": op.eps, "stash_type": 1}
    },
    "leaky_relu": lambda op, shape, opset: {"LeakyRelu": {"alpha": op.slope}},
    "linear": lambda op, shape, opset: _gemm(op) if len(shape) == 2 else {},
    "log_softmax": _along("LogSoftmax"),
    "lookup": _fixed("Gather", axis=0),
    "lrn": _lrn,
    "lstm": _recurrent("LSTM", input_forget=0),
    "maxpool": _maxpool,
    "pad": _pad,
    "pad_to": _pad,
    "permute": _permute,
    "resize": _resize,
    "rmsnorm": _rmsnorm,
    "rnn": _recurrent("RNN"),
    "select": _along("Gather"),
    "selu": _fixed("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "softmax": _along("Softmax"),
    "split": _along("Split", num_outputs=None),
    "transpose": _transpose,
    "window_partition": _pad,
}
"""Ops that are missing here write no attribute but those of `LAYOUT`."""


BUFFERS = {
    "batchnorm": {"running_mean", "running_var", "num_batches_tracked"},
    "instancenorm": {"running_mean", "running_var", "num_batches_tracked"},
    "relative_coords": {""},
    "relative_index": {""},
}
"""Weights that are not trained, by their names; all others are."""


def assert_attributes(case: Case, model: onnx.ModelProto, opset: int) -> None:
    """Attributes of every node are those of the spec; absent ones count with their defaults."""
    shape = tuple(int(dim) for dim in case.types[0].shape) if case.types else ()
    statement = STATEMENTS.get(case.name, lambda *_: {})(case.op, shape, opset)
    for node in model.graph.node:
        found = _attributes(node, opset)
        if node.op_type in statement:
            expected = statement[node.op_type]
            for name, value in found.items():
                assert name in expected, f"{node.op_type} has {name}={value}"
                wanted = expected[name]
                if name == "axis" and isinstance(wanted, int) and shape:
                    wanted, value = wanted % len(shape), value % len(shape)
                assert _same(wanted, value), f"{node.op_type}: {name}={value}, not {wanted}"
        elif node.op_type not in LAYOUT:
            written = {attribute.name for attribute in node.attribute}
            assert not written, f"{node.op_type} has {written}, of which nothing is stated"


def _attributes(node: onnx.NodeProto, opset: int) -> dict[str, Any]:
    """All attributes, those left out with what ONNX says of them."""
    schema = onnx.defs.get_schema(node.op_type, opset)
    found: dict[str, Any] = {}
    for name, declared in schema.attributes.items():
        if declared.default_value.type != onnx.AttributeProto.UNDEFINED:
            found[name] = onnx.helper.get_attribute_value(declared.default_value)
    for attribute in node.attribute:
        found[attribute.name] = onnx.helper.get_attribute_value(attribute)
    return found


def _same(wanted: Any, value: Any) -> bool:
    if wanted is FREE:
        return True
    if isinstance(wanted, tuple):
        return value in wanted
    if isinstance(wanted, float):
        return np.float32(wanted) == np.float32(value)
    return bool(wanted == value)

"""ONNX forms that several ops share or whose spelling depends on the opset.

Every form holds from opset 17 on, the lowest that archc writes.
"""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import OnnxEmitter, Operand
from archc.types import Dim, DType, TensorType


def scalar(g: OnnxEmitter, value: float, like: Operand) -> Operand:
    """A constant of rank 0 with the dtype of `like`."""
    return g.constant(float(value), like.type.dtype, ())


def clip(g: OnnxEmitter, x: Operand, low: float, high: float) -> Operand:
    """Clip to [low, high], as the layer's output."""
    return g.op("Clip", x, scalar(g, low, x), scalar(g, high, x))


def reduce(
    g: OnnxEmitter,
    op_type: str,
    x: Operand,
    axes: Sequence[int],
    *,
    keepdims: int,
    type: TensorType | None,
) -> Operand:
    """A reduction over `axes`; the layer's output when `type` is None.

    ReduceMean and ReduceMax take the axes as an input from opset 18, as an attribute before.
    """
    if g.opset >= 18:
        return g.op(op_type, x, g.constant(axes), type=type, keepdims=keepdims)
    return g.op(op_type, x, type=type, axes=list(axes), keepdims=keepdims)


def reduce_mean(g: OnnxEmitter, x: Operand, axes: Sequence[int]) -> Operand:
    """The mean over `axes`, which stay with size 1."""
    shape: list[Dim] = list(x.type.shape)
    for axis in axes:
        shape[axis] = 1
    return reduce(g, "ReduceMean", x, axes, keepdims=1, type=x.type.with_shape(shape))


DATA_TYPES: dict[DType, int] = {
    DType.FLOAT32: 1,
    DType.UINT8: 2,
    DType.INT8: 3,
    DType.INT32: 6,
    DType.INT64: 7,
    DType.BOOL: 9,
    DType.FLOAT16: 10,
    DType.FLOAT64: 11,
    DType.BFLOAT16: 16,
}
"""What ONNX calls them (`TensorProto.DataType`)."""


def cast(g: OnnxEmitter, x: Operand, dtype: DType, *, last: bool = False) -> Operand:
    """`x` in another floating dtype; the layer's output if it is the `last` node."""
    if x.type.dtype is dtype:
        return x
    type_ = None if last else TensorType(x.type.shape, dtype)
    return g.op("Cast", x, type=type_, to=DATA_TYPES[dtype])


def widened(g: OnnxEmitter, x: Operand) -> Operand:
    """`x` in float32 where it has fewer bits: squares and their sums would not fit.

    Norms accumulate in float32 on every backend of torch, and ONNX's own operators likewise.
    """
    short = x.type.dtype in (DType.FLOAT16, DType.BFLOAT16)
    return cast(g, x, DType.FLOAT32) if short else x


def standardise(g: OnnxEmitter, x: Operand, axes: Sequence[int], eps: float) -> Operand:
    """`(x - mean) / sqrt(var + eps)` over `axes`, with the biased variance."""
    wide = widened(g, x)
    centred = g.op("Sub", wide, reduce_mean(g, wide, axes), type=wide.type)
    return cast(g, _divided(g, centred, axes, eps, wide.type), x.type.dtype)


def divide_by_rms(
    g: OnnxEmitter, x: Operand, axes: Sequence[int], eps: float, type: TensorType | None
) -> Operand:
    """`x / sqrt(mean(x * x) + eps)` over `axes`; the layer's output when `type` is None."""
    wide = widened(g, x)
    if wide is x:
        return _divided(g, x, axes, eps, type)
    return cast(g, _divided(g, wide, axes, eps, wide.type), x.type.dtype, last=type is None)


def _divided(
    g: OnnxEmitter, x: Operand, axes: Sequence[int], eps: float, type: TensorType | None
) -> Operand:
    mean = reduce_mean(g, g.op("Mul", x, x, type=x.type), axes)
    shifted = g.op("Add", mean, scalar(g, eps, x), type=mean.type)
    return g.op("Div", x, g.op("Sqrt", shifted, type=mean.type), type=type)


MIN_NORM = 1e-12
"""Norm below which torch.nn.functional.normalize divides by this instead."""


def l2_normalise(g: OnnxEmitter, x: Operand) -> Operand:
    """`x / max(norm(x), 1e-12)` over the last axis."""
    short = x.type.with_shape((*x.type.shape[:-1], 1))
    norm = reduce(g, "ReduceL2", x, [x.type.rank - 1], keepdims=1, type=short)
    norm = g.op("Max", norm, scalar(g, MIN_NORM, x), type=short)
    return g.op("Div", x, norm, type=x.type)


def reshape(
    g: OnnxEmitter, x: Operand, shape: Sequence[Dim], type: TensorType | None = None
) -> Operand:
    """Reshape `x` to `shape`; the layer's output when `type` is None."""
    return g.op("Reshape", x, g.dims(shape, like=x), type=type)


def per_channel(g: OnnxEmitter, vector: Operand, rank: int) -> Operand:
    """A vector [C] as [C, 1, ...], which broadcasts over axis 1 of a tensor of `rank` axes."""
    shape = (*vector.type.shape, *([1] * (rank - 2)))
    if len(shape) == 1:
        return vector
    return reshape(g, vector, shape, vector.type.with_shape(shape))

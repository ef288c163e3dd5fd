"""Which element nearest-neighbour interpolation takes, in the float32 arithmetic of torch.

torch multiplies the position by a rounded ratio (`floor(i * float(in / out))`, see
area_pixel_compute_scale in aten/src/ATen/native/UpSample.h), onnxruntime divides by the rounded
inverse. Where the exact quotient is an integer, either may land just below it and take the
neighbour. So Resize is used where both are exact, and a table of torch's choices elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction

from archc.ops.base import OnnxEmitter, Operand
from archc.ops.forms import DATA_TYPES
from archc.types import Dim, DType, TensorType, is_static

_FLOAT, _INT64 = DATA_TYPES[DType.FLOAT32], DATA_TYPES[DType.INT64]


def _float32(value: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def torch_indices(size: int, out: int, scale: Fraction | None) -> list[int]:
    """The element that torch takes for each of `out` positions."""
    ratio = _float32(size / out if scale is None else 1.0 / float(scale))
    return [min(int(_float32(i * ratio)), size - 1) for i in range(out)]


def resize_agrees(size: Dim, out: Dim, scale: Fraction | None) -> bool:
    """Whether ONNX's Resize provably takes the elements that torch takes."""
    if scale is not None and not is_static(size):
        return _rounds_to_integers(scale)
    if not (is_static(size) and is_static(out)):
        return False
    inverse = float(scale) if scale is not None else _float32(out / size)
    resized = [min(int(_float32(i / inverse)), size - 1) for i in range(out)]
    return resized == torch_indices(size, out, scale)


def _rounds_to_integers(scale: Fraction) -> bool:
    """Whether `i * float(1/scale)` is never rounded below an integer that `i/scale` reaches.

    The ratio is too small by a relative `error`. An integer q becomes q*(1 - error), and the
    float32 below q is at least q*2**-24 away: up to half of that, q is what it rounds to.
    """
    ratio = Fraction(_float32(1.0 / float(scale)))
    error = 1 - ratio * scale
    return error <= Fraction(1, 2**25)


def gather_nearest(
    g: OnnxEmitter, x: Operand, targets: Sequence[tuple[Dim, Fraction | None]]
) -> Operand:
    """Take torch's neighbours by index, one spatial axis after the other."""
    changed = [
        (axis, out, scale)
        for axis, (out, scale) in enumerate(targets, 2)
        if out != x.type.shape[axis] or scale not in (None, 1)
    ]
    for axis, out, scale in changed:
        size = x.type.shape[axis]
        if is_static(size) and is_static(out):
            index = g.constant(torch_indices(size, out, scale))
        else:
            index = _runtime_index(g, size, out, scale)
        shape = (*x.type.shape[:axis], out, *x.type.shape[axis + 1 :])
        type_ = None if axis == changed[-1][0] else x.type.with_shape(shape)
        x = g.op("Gather", x, index, type=type_, axis=axis)
    return x


def _runtime_index(g: OnnxEmitter, size: Dim, out: Dim, scale: Fraction | None) -> Operand:
    """`min(floor(i * ratio), size - 1)` in float32, for i below `out`."""
    one = TensorType((1,), DType.FLOAT32)
    floats = TensorType((out,), DType.FLOAT32)
    whole = TensorType((out,), DType.INT64)
    sizes, outs = g.dims([size]), g.dims([out])
    if scale is None:
        top = g.op("Cast", sizes, type=one, to=_FLOAT)
        bottom = g.op("Cast", outs, type=one, to=_FLOAT)
        ratio = g.op("Div", top, bottom, type=one)
    else:
        ratio = g.constant([1.0 / float(scale)], DType.FLOAT32)
    limit = g.op("Squeeze", outs, type=TensorType((), DType.INT64))
    steps = g.op("Range", g.constant(0), limit, g.constant(1), type=whole)
    position = g.op("Mul", g.op("Cast", steps, type=floats, to=_FLOAT), ratio, type=floats)
    # Casting a float to an integer cuts the fraction off.
    index = g.op("Cast", position, type=whole, to=_INT64)
    last = g.op("Sub", sizes, g.constant([1]), type=TensorType((1,), DType.INT64))
    return g.op("Min", index, last, type=whole)

"""Ops that images go through on their way into a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_floating, demand_rank
from archc.ops.fields import describe, integers
from archc.ops.forms import DATA_TYPES
from archc.ops.reach import UNTRACKED, Reach, Reaches, pointwise
from archc.types import Dim, DType, TensorType, format_dim, is_static


class ToFloat(Op):
    """Whole numbers and flags as floats: the same values in float32.

    Only compiled preprocessing is made of it (`archc.graph.images`); it is no word of the
    language. In PyTorch the dtype is the default one. Source: torch.Tensor.to, ONNX Cast.
    """

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] of integers -> [...] of float32."""
        if x.dtype.is_floating:
            raise Refusal(
                "wrong-dtype",
                f"`to_float` makes floats of whole numbers, and the input is {x.dtype.value}",
                because=comes_from_here(x),
            )
        return TensorType(x.shape)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.to(torch.get_default_dtype())`: of a network in float64 it can be that."""
        return t.expr("{0}.to(torch.get_default_dtype())", x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Cast."""
        return g.op("Cast", x, to=DATA_TYPES[DType.FLOAT32])


def _numbers(value: Any) -> tuple[float, ...]:
    numbers = value if isinstance(value, (list, tuple)) else [value]
    if not numbers or not all(
        isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers
    ):
        raise PydanticCustomError(
            "wrong-type",
            "must be a number, or a list with one for each channel, not {value}",
            {"value": describe(value)},
        )
    return tuple(map(float, numbers))


Numbers = Annotated[
    tuple[float, ...],
    BeforeValidator(_numbers),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}),
]


class ChannelAffine(Op):
    """Every channel times a fixed number, plus a fixed number: `x * mul + add` along axis 1.

    Source: the arithmetic; ONNX Mul and Add.
    """

    mul: Numbers = (1.0,)
    add: Numbers = (0.0,)

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, ...]."""
        demand_rank("channel_affine", x, 2)
        demand_floating(x)
        for name, numbers in (("mul", self.mul), ("add", self.add)):
            if len(numbers) == 1:
                continue
            refusal = Refusal(
                "shape-mismatch",
                f"`{name}` has {len(numbers)} numbers for {format_dim(x.shape[1])} channels",
                at=name,
                because=comes_from_here(x),
            )
            cx.equal(x.shape[1], len(numbers), refusal)
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x * mul + add`, lists as tensors that broadcast; what changes nothing is left out."""
        ones = "".join(", 1" for _ in range(x.type.rank - 2))
        text = "{0}"
        literals: dict[str, float | tuple[float, ...]] = {}
        for name, sign, numbers in self._parts():
            single = len(numbers) == 1
            literals[name] = numbers[0] if single else numbers
            part = f"{{{name}}}" if single else f"{{0}}.new_tensor({{{name}}}).view(-1{ones})"
            text += f" {sign} {part}"
        return t.expr(text, x, **literals)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Mul, Add, as far as they change anything."""
        parts = list(self._parts())
        for name, _, numbers in parts:
            constant, last = self._constant(g, numbers, x), name == parts[-1][0]
            operator = "Mul" if name == "mul" else "Add"
            x = g.op(operator, x, constant, type=None if last else x.type)
        return x

    def _parts(self) -> Iterator[tuple[str, str, tuple[float, ...]]]:
        """Attribute, operator and numbers of what changes something."""
        if any(number != 1.0 for number in self.mul):
            yield "mul", "*", self.mul
        if any(number != 0.0 for number in self.add):
            yield "add", "+", self.add

    def _constant(self, g: OnnxEmitter, numbers: tuple[float, ...], x: Operand) -> Operand:
        shape = () if len(numbers) == 1 else (len(numbers), *([1] * (x.type.rank - 2)))
        return g.constant(list(numbers), x.type.dtype, shape)


def _sides(value: Any) -> tuple[int, int]:
    sides = integers(1, "a positive integer")(value)
    if isinstance(sides, int):
        return sides, sides
    if len(sides) != 2:
        raise PydanticCustomError(
            "bad-value", "must be a side or [height, width], not {sides}", {"sides": list(sides)}
        )
    return sides[0], sides[1]


Sides = Annotated[
    tuple[int, int],
    BeforeValidator(_sides),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1},
                    "minItems": 2,
                    "maxItems": 2,
                },
            ]
        }
    ),
]


class CenterCrop(Op):
    """The centre of an image: `size` is its side, or [height, width].

    Where as much cannot be cut off on both sides, the place is rounded to the even pixel. A
    smaller image is refused, not padded. Source: torchvision's CenterCrop; ONNX Slice.
    """

    principal = "size"

    size: Sides

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, H, W] -> [N, C, size, size]."""
        demand_rank("center_crop", x, 4, 4)
        for axis, side in zip((2, 3), self.size, strict=True):
            refusal = Refusal(
                "bad-value",
                f"a centre of {side} cannot be cut out of {format_dim(x.shape[axis])}",
                at="size",
                because=comes_from_here(x),
            )
            cx.at_least(x.shape[axis], side, refusal)
        return x.with_shape((*x.shape[:2], *self.size))

    def _start(self, x: TensorType, axis: int) -> Dim:
        """Half of what is cut off, rounded to even: `r // 2` and one more where `r % 4` is 3."""
        rest = x.shape[axis] - self.size[axis - 2]
        return rest // 2 + (rest + 1) // 4 - rest // 4

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """Where it starts."""
        names = zip(("height", "width"), (2, 3), strict=True)
        return tuple(
            f"{name} {format_dim(x.shape[axis])} -> {self.size[axis - 2]} "
            f"from {format_dim(self._start(x, axis))}"
            for name, axis in names
        )

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position, moved by where the centre starts."""
        axes = []
        for axis in range(inputs[0].rank):
            start = self._start(inputs[0], axis) if axis >= 2 else 0
            axes.append(Reach((axis,), 1, start, start) if is_static(start) else UNTRACKED)
        return (tuple(axes),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x[..., top:bottom, left:right]`."""
        top, left = self._start(x.type, 2), self._start(x.type, 3)
        bottom, right = top + self.size[0], left + self.size[1]
        return t.expr(
            "{0}[..., {top}:{bottom}, {left}:{right}]",
            x,
            top=top,
            bottom=bottom,
            left=left,
            right=right,
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Slice."""
        starts = [self._start(x.type, 2), self._start(x.type, 3)]
        stops = [start + side for start, side in zip(starts, self.size, strict=True)]
        return g.op("Slice", x, g.dims(starts), g.dims(stops), g.constant([2, 3]))

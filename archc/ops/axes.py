"""Ops that reorder, insert and remove axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import axis_of, comes_from_here
from archc.ops.fields import Int, describe, whole
from archc.ops.reach import WHOLE, Reach, Reaches
from archc.types import TensorType, format_dim, format_shape


def _axes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise PydanticCustomError(
            "wrong-type", "must be a list of axes, not {value}", {"value": describe(value)}
        )
    return tuple(whole(item, None, "an integer") for item in value)


def _two_axes(value: Any) -> tuple[int, int]:
    axes = _axes(value)
    if len(axes) != 2:
        raise PydanticCustomError(
            "bad-value", "must be a list of two axes, not {axes}", {"axes": list(axes)}
        )
    return axes[0], axes[1]


_AXES_SCHEMA = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
Axes = Annotated[tuple[int, ...], BeforeValidator(_axes), WithJsonSchema(_AXES_SCHEMA)]
TwoAxes = Annotated[
    tuple[int, int],
    BeforeValidator(_two_axes),
    WithJsonSchema({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
]


class Permute(Op):
    """All axes in a new order: axis i of the result is axis `dims[i]` of the input.

    Source: torch.permute, ONNX Transpose.
    """

    principal = "dims"
    copies = True

    dims: Axes

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[a, b, c] -> [a, c, b] for dims [0, 2, 1]."""
        return x.with_shape(x.shape[axis] for axis in self._order(x))

    def _order(self, x: TensorType) -> list[int]:
        order = [axis_of(axis, x, at="dims") for axis in self.dims]
        if sorted(order) != list(range(x.rank)):
            raise Refusal(
                "bad-value",
                f"`permute` has to name each axis of {format_shape(x.shape)} once, and "
                f"{list(self.dims)} does not",
                at="dims",
                label=f"0 to {x.rank - 1}, in any order",
                because=comes_from_here(x),
            )
        return order

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position along the axes' new places."""
        order = self._order(inputs[0])
        return (tuple(Reach((order.index(axis),)) for axis in range(len(order))),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.permute(...)`."""
        return t.expr(f"{{0}}.permute({', '.join(map(str, self.dims))})", x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Transpose; no node when the order stays."""
        order = self._order(x.type)
        return x if order == sorted(order) else g.op("Transpose", x, perm=order)


class Transpose(Op):
    """Two axes exchanged. Source: torch.transpose, ONNX Transpose."""

    principal = "dims"
    copies = True

    dims: TwoAxes

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[a, b, c] -> [a, c, b] for dims [1, 2]."""
        return x.with_shape(x.shape[axis] for axis in self._order(x))

    def _order(self, x: TensorType) -> list[int]:
        first, second = (axis_of(axis, x, at="dims") for axis in self.dims)
        order = list(range(x.rank))
        order[first], order[second] = second, first
        return order

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position along the axes' new places."""
        order = self._order(inputs[0])
        return (tuple(Reach((order.index(axis),)) for axis in range(len(order))),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.transpose(a, b)`."""
        first, second = self.dims
        return t.expr(f"{{0}}.transpose({first}, {second})", x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Transpose; no node when both axes are the same."""
        order = self._order(x.type)
        return x if order == sorted(order) else g.op("Transpose", x, perm=order)


class Squeeze(Op):
    """One axis of size 1 removed; unlike torch, any other size is refused.

    Source: torch.squeeze, ONNX Squeeze.
    """

    principal = "dim"
    copies = True

    dim: Int

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[a, 1, b] -> [a, b]."""
        axis = axis_of(self.dim, x)
        size = format_dim(x.shape[axis])
        cx.equal(
            x.shape[axis],
            1,
            Refusal(
                "shape-mismatch",
                f"`squeeze` removes an axis of size 1, and axis {axis} of "
                f"{format_shape(x.shape)} is {size}",
                at="dim",
                because=[(0, f"{size} comes from here")],
            ),
        )
        return x.with_shape((*x.shape[:axis], *x.shape[axis + 1 :]))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position along the axes that stay."""
        axis = axis_of(self.dim, inputs[0])
        return (
            tuple(WHOLE if i == axis else Reach((i - (i > axis),)) for i in range(inputs[0].rank)),
        )

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.squeeze(dim)`."""
        return t.expr(f"{{0}}.squeeze({self.dim})", x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Squeeze."""
        return g.op("Squeeze", x, g.constant([axis_of(self.dim, x.type)]))


class Unsqueeze(Op):
    """An axis of size 1 inserted, which becomes axis `dim` of the result.

    Source: torch.unsqueeze, ONNX Unsqueeze.
    """

    principal = "dim"
    copies = True

    dim: Int

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[a, b] -> [a, 1, b] for dim 1."""
        axis = axis_of(self.dim, x, extra=1)
        return x.with_shape((*x.shape[:axis], 1, *x.shape[axis:]))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position along the axes that were there."""
        axis = axis_of(self.dim, inputs[0], extra=1)
        return (tuple(Reach((i + (i >= axis),)) for i in range(inputs[0].rank)),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.unsqueeze(dim)`."""
        return t.expr(f"{{0}}.unsqueeze({self.dim})", x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Unsqueeze."""
        return g.op("Unsqueeze", x, g.constant([axis_of(self.dim, x.type, extra=1)]))

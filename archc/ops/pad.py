"""Padding as a layer of its own: by given amounts, or up to a multiple."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import axis_of, comes_from_here, demand_floating, demand_rank
from archc.ops.fields import Number, PositiveInt, integers, whole
from archc.ops.padding import (
    ITEM_SCHEMA,
    Pair,
    demand_mode,
    pad_code,
    pad_node,
    padded_type,
    padding_item,
    pair,
)
from archc.ops.reach import Reach, Reaches, pointwise
from archc.types import TensorType, ceil_div, format_dim, format_shape


def _amounts(value: Any) -> int | tuple[int | tuple[int, int], ...]:
    if isinstance(value, (list, tuple)):
        return tuple(padding_item(item) for item in value)
    return whole(value, 0, "a non-negative integer or a list with one per axis")


def _axes(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    axes = integers(None, "an axis")(value)
    return axes if isinstance(axes, tuple) else (axes,)


Amounts = Annotated[
    int | tuple[int | tuple[int, int], ...],
    BeforeValidator(_amounts),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "array", "items": ITEM_SCHEMA, "minItems": 1},
            ]
        }
    ),
]
Axes = Annotated[
    tuple[int, ...] | None,
    BeforeValidator(_axes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer"},
                {"type": "array", "items": {"type": "integer"}, "minItems": 1},
                {"type": "null"},
            ]
        }
    ),
]


def _demand_fill(x: TensorType, value: float) -> None:
    """Demand a dtype that holds `value`.

    Raises:
        Refusal: `wrong-dtype`.
    """
    if value != int(value):
        demand_floating(x)


class Pad(Op):
    """Elements added around the last axes.

    A list has one entry for each of the last axes in their order: an integer for both sides or
    a pair [before, after]; one integer stands for both sides of every axis behind the channels.

    Source: torch.nn.functional.pad, ONNX Pad.
    """

    principal = "padding"

    padding: Amounts
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    value: Number = 0.0

    def _pairs(self, x: TensorType) -> list[tuple[int, int]]:
        if isinstance(self.padding, int):
            demand_rank("pad", x, 3)
            return [pair(self.padding)] * (x.rank - 2)
        if len(self.padding) > x.rank:
            raise Refusal(
                "bad-value",
                f"`pad` is given {len(self.padding)} axes, but {format_shape(x.shape)} has "
                f"{x.rank}",
                at="padding",
                because=comes_from_here(x),
            )
        return [pair(item) for item in self.padding]

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[..., n] -> [..., n + before + after]."""
        pairs = self._pairs(x)
        if self.mode == "constant":
            _demand_fill(x, self.value)
        else:
            self._demand_paddable(x, pairs)
            demand_mode(cx, "pad", self.mode, x, pairs)
        return padded_type(x, pairs)

    def _demand_paddable(self, x: TensorType, pairs: list[tuple[int, int]]) -> None:
        """Demand what torch pads with the elements of the tensor itself.

        Raises:
            Refusal: `wrong-dtype`, `bad-value` or `wrong-rank`.
        """
        demand_floating(x)
        if self.value:
            raise Refusal(
                "bad-value",
                f"`pad` with mode {self.mode} takes no `value`: it repeats what is there",
                at="value",
            )
        demand_rank("pad", x, 2, 5)
        reach = min(3, x.rank - 1)
        if any(any(both) for both in pairs[: max(0, len(pairs) - reach)]):
            raise Refusal(
                "wrong-rank",
                f"`pad` with mode {self.mode} reaches the last {reach} axes of "
                f"{format_shape(x.shape)} only",
                at="padding",
                because=comes_from_here(x),
            )

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`axis 2: 6 + 1 + 2 = 9`."""
        pairs = self._pairs(x)
        result = padded_type(x, pairs)
        return tuple(
            f"axis {axis}: {format_dim(x.shape[axis])} + {before} + {after} = "
            f"{format_dim(result.shape[axis])}"
            for axis, (before, after) in enumerate(pairs, x.rank - len(pairs))
            if before + after
        )

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The position without what is added before it."""
        x = inputs[0]
        pairs = self._pairs(x)
        first = x.rank - len(pairs)
        moved = (
            Reach((axis,), 1, -before, -before) for axis, (before, _) in enumerate(pairs, first)
        )
        return ((*(Reach((axis,)) for axis in range(first)), *moved),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`F.pad`."""
        pairs = self._pairs(x.type)
        if self.mode != "constant":
            # torch wants a pair for one, two or three axes, for all but the batch at the least
            # (beyond one for rank 2 and 3).
            wanted = max(1, min(3, x.type.rank - 2))
            reach = min(3, x.type.rank - 1)
            pairs = pairs[max(0, len(pairs) - reach) :]
            pairs = [(0, 0)] * (wanted - len(pairs)) + pairs
        return pad_code(t, x, pairs, self.mode, self.value)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Pad."""
        return pad_node(g, x, self._pairs(x.type), self.mode, self.value)


class PadTo(Op):
    """Elements added at the end of axes until their sizes are multiples of a number.

    `dims` are the axes, all behind the channels by default.

    Source: `_patch_merging_pad` of torchvision's Swin Transformer (`F.pad`); ONNX Pad.
    """

    principal = "multiple"

    multiple: PositiveInt
    dims: Axes = None
    value: Number = 0.0

    def _pairs(self, x: TensorType) -> list[Pair]:
        demand_rank("pad_to", x, 3 if self.dims is None else 1)
        numbers = range(2, x.rank) if self.dims is None else self.dims
        axes = {axis_of(axis, x, at="dims") for axis in numbers}
        first = min(axes, default=x.rank - 1)
        return [
            (0, ceil_div(x.shape[axis], self.multiple) * self.multiple - x.shape[axis])
            if axis in axes
            else (0, 0)
            for axis in range(first, x.rank)
        ]

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[..., n, ...] -> [..., ceil(n / multiple) * multiple, ...]."""
        _demand_fill(x, self.value)
        return padded_type(x, self._pairs(x))

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`axis 2: ceil(7/2)*2 = 8`."""
        result = padded_type(x, self._pairs(x))
        return tuple(
            f"axis {axis}: ceil({format_dim(old)}/{self.multiple})*{self.multiple} = "
            f"{format_dim(new)}"
            for axis, (old, new) in enumerate(zip(x.shape, result.shape, strict=True))
            if old != new
        )

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The position itself: what is added stands behind."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`F.pad`, or nothing where the sizes are multiples already."""
        pairs = self._pairs(x.type)
        if not any(after != 0 for _, after in pairs):
            return t.expr("{0}", x)
        return pad_code(t, x, pairs, value=self.value)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Pad, or nothing where the sizes are multiples already."""
        pairs = self._pairs(x.type)
        if not any(after != 0 for _, after in pairs):
            return x
        return pad_node(g, x, pairs, value=self.value)

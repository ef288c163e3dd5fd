"""Ops that regroup elements without moving them: flatten, reshape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import axis_of, comes_from_here
from archc.ops.fields import Int, describe, whole
from archc.ops.forms import reshape
from archc.ops.reach import Reach, Reaches, regrouped, scattered
from archc.types import Dim, Expr, TensorType, dim_product, format_dim, format_shape


class Flatten(Op):
    """Merges the axes `start` to `end` into one; by default all but the batch.

    Source: torch.nn.Flatten; ONNX Flatten, Reshape where some axes behind `end` stay.
    """

    principal = "start"

    start: Int = 1
    end: Int = -1

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[a, b, c] -> [a, b * c]."""
        start, end = self._axes(x)
        if start > end:
            raise Refusal(
                "bad-value",
                f"`flatten` from axis {start} to axis {end} of {format_shape(x.shape)}: the first "
                "axis stands behind the last",
                at="start" if "start" in self.model_fields_set else "end",
            )
        merged = dim_product(x.shape[start : end + 1])
        return x.with_shape((*x.shape[:start], merged, *x.shape[end + 1 :]))

    def _axes(self, x: TensorType) -> tuple[int, int]:
        return axis_of(self.start, x, at="start"), axis_of(self.end, x, at="end")

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """The product of the merged sizes."""
        start, end = self._axes(x)
        merged = x.shape[start : end + 1]
        return (f"{_product(merged)} = {format_dim(dim_product(merged))}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Axes before and behind the merged ones keep their positions."""
        start, end = self._axes(inputs[0])
        return (
            tuple(
                scattered(start)
                if start <= i <= end and start != end
                else Reach((i if i <= start else i - (end - start),))
                for i in range(inputs[0].rank)
            ),
        )

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Flatten`."""
        return t.module(
            "nn.Flatten", start_dim=Default(self.start, 1), end_dim=Default(self.end, -1)
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Flatten where the result is a matrix of [batch, rest]; else Reshape; or no node."""
        start, end = self._axes(x.type)
        if start == end:
            return x
        if start == 1 and end == x.type.rank - 1:
            return g.op("Flatten", x, axis=1)
        merged = dim_product(x.type.shape[start : end + 1])
        return reshape(g, x, (*x.type.shape[:start], merged, *x.type.shape[end + 1 :]))


def _product(dims: tuple[Dim, ...]) -> str:
    return " * ".join(format_dim(d) if isinstance(d, int) else f"({d})" for d in dims)


def _target(value: Any) -> tuple[Dim, ...]:
    """Accept a list of sizes: positive integers, symbolic dims, at most one -1."""
    if not isinstance(value, (list, tuple)) or not value:
        raise PydanticCustomError(
            "wrong-type",
            "must be a list of sizes such as [N, 16, -1], not {value}",
            {"value": describe(value)},
        )
    what = "an integer or a symbolic dim"
    sizes = tuple(v if isinstance(v, Expr) else whole(v, None, what) for v in value)
    if any(isinstance(size, int) and size < 1 and size != -1 for size in sizes):
        raise PydanticCustomError(
            "bad-value", "takes positive sizes and one -1, not {sizes}", {"sizes": list(sizes)}
        )
    if sizes.count(-1) > 1:
        raise PydanticCustomError("bad-value", "can hold -1 once, for the size to be computed", {})
    return sizes


Target = Annotated[
    tuple[int | Expr, ...],
    BeforeValidator(_target),
    WithJsonSchema({"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1}),
]


class Reshape(Op):
    """The same elements in another shape, which is written whole, batch axis included.

    `{reshape: [N, 16, -1]}`; one size may be -1 and follows from the others.
    Source: torch.Tensor.reshape, ONNX Reshape.
    """

    principal = "shape"

    shape: Target

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """Any shape -> `shape`, with as many elements."""
        total = x.numel
        known = dim_product(tuple(size for size in self.shape if size != -1))
        written = format_shape(self.shape)
        if -1 not in self.shape:
            cx.equal(total, known, self._refusal(x, f"{written} holds {format_dim(known)}"))
            return x.with_shape(self.shape)
        refusal = self._refusal(
            x, f"{format_dim(known)}, the product of the sizes in {written}, does not divide that"
        )
        rest = total // known
        # Stated as a product, so that it holds for a symbolic divisor as well.
        cx.equal(rest * known, total, refusal)
        return x.with_shape(rest if size == -1 else size for size in self.shape)

    def _refusal(self, x: TensorType, why: str) -> Refusal:
        return Refusal(
            "shape-mismatch",
            f"{format_shape(x.shape)} holds {format_dim(x.numel)} elements, but {why}",
            at="shape",
            because=comes_from_here(x),
        )

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Leading and trailing axes that stay keep their positions."""
        return regrouped(inputs[0], outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.reshape(...)`, with -1 as written."""
        sizes = {f"size{axis}": size for axis, size in enumerate(self.shape)}
        fields = ", ".join(f"{{{name}}}" for name in sizes)
        return t.expr(f"{{0}}.reshape({fields})", x, **sizes)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Reshape."""
        target = self.infer(ShapeContext(), x.type)
        return x if target == x.type else reshape(g, x, target.shape)

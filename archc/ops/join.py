"""Ops of several inputs: sum, product, concatenation."""

from __future__ import annotations

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.types import TensorType, format_shape


class Add(Op):
    """Elementwise sum of two or more tensors of one shape."""

    arity = (2, None)

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        """Equal shapes -> that shape."""
        first = xs[0]
        for x in xs[1:]:
            refusal = Refusal(
                "shape-mismatch",
                f"`add` needs equal shapes: {format_shape(first.shape)} and "
                f"{format_shape(x.shape)}",
            )
            if x.rank != first.rank:
                raise refusal
            for a, b in zip(first.shape, x.shape, strict=True):
                cx.equal(a, b, refusal)
        return first

    def to_torch(self, t: TorchEmitter, *xs: Operand) -> TorchCode:
        """A sum written with `+`, left to right."""
        return t.expr(" + ".join(f"{{{i}}}" for i in range(len(xs))), *xs)

    def to_onnx(self, g: OnnxEmitter, *xs: Operand) -> Operand:
        """Add nodes, left to right (the order of the torch sum)."""
        total = xs[0]
        for x in xs[1:-1]:
            total = g.op("Add", total, x, type=total.type)
        return g.op("Add", total, xs[-1])

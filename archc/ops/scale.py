"""A tensor times a number."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import ShapeContext
from archc.ops.demands import demand_floating
from archc.ops.fields import Number
from archc.ops.forms import scalar
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType


class Scale(Op):
    """Every element times `by`, a fixed number. A learned factor is `mul_param`.

    Source: `x * by`; ONNX Mul.
    """

    pointwise = True
    principal = "by"

    by: Number

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]."""
        demand_floating(x)
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """The product."""
        return t.expr("{0} * {by}", x, by=self.by)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Mul."""
        return g.op("Mul", x, scalar(g, self.by, x))

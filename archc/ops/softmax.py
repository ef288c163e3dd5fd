"""Softmax and its logarithm along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import ShapeContext
from archc.ops.demands import axis_of, demand_floating
from archc.ops.fields import Int
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType


class Softmax(Op):
    """`exp(x) / sum(exp(x))` along `dim`, the last axis by default.

    Source: torch.nn.Softmax, ONNX Softmax (13).
    """

    principal = "dim"
    torch_module: ClassVar[str] = "nn.Softmax"
    onnx_operator: ClassVar[str] = "Softmax"

    dim: Int = -1

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]."""
        demand_floating(x)
        axis_of(self.dim, x)
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All positions along `dim`."""
        return pointwise(inputs, outputs[0], {axis_of(self.dim, inputs[0])})

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """The torch module; `dim` is always written, torch's default for it is deprecated."""
        return t.module(self.torch_module, dim=self.dim)(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """The operator along one axis."""
        return g.op(self.onnx_operator, x, axis=axis_of(self.dim, x.type))


class LogSoftmax(Softmax):
    """`x - log(sum(exp(x)))` along `dim`, the last axis by default.

    Source: torch.nn.LogSoftmax, ONNX LogSoftmax (13).
    """

    torch_module = "nn.LogSoftmax"
    onnx_operator = "LogSoftmax"

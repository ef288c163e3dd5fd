"""Activations: elementwise functions, each exact on both targets."""

from __future__ import annotations

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import ShapeContext
from archc.types import TensorType


class Activation(Op):
    """Elementwise function; the shape stays."""

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]."""
        return x


class Relu(Activation):
    """`max(x, 0)`. Source: torch.nn.ReLU, ONNX Relu."""

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.ReLU`."""
        return t.module("nn.ReLU")(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Relu."""
        return g.op("Relu", x)

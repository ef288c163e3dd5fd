"""Regularisation that acts in training only: dropout and stochastic depth."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import ShapeContext
from archc.ops.demands import demand_floating, demand_rank
from archc.ops.fields import Probability
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType


class Dropout(Op):
    """Zeroes elements with probability `p` in training and scales up the rest.

    Source: torch.nn.Dropout; nothing in ONNX, which holds the network for inference.
    """

    pointwise = True
    principal = "p"
    copies = True

    p: Probability = 0.5

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]."""
        demand_floating(x)
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Dropout`, its probability always written."""
        return t.module("nn.Dropout", self.p)(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """No node: the value itself."""
        return x


class DropPath(Op):
    """Stochastic depth: zeroes whole samples with probability `p` in training, scales the rest.

    Meant for the branch of a residual, where it skips the branch for some samples of the batch.
    Source: torchvision.ops.StochasticDepth in row mode, arXiv 1603.09382; nothing in ONNX.
    """

    pointwise = True
    principal = "p"
    copies = True

    p: Probability

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, ...] -> [N, ...]."""
        demand_floating(x)
        demand_rank("drop_path", x, 1)
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`torch.feature_dropout`, which zeroes channels, with the batch as the channel axis.

        It draws one number per sample, needs no class outside torch, and in evaluation it costs
        two views, where multiplying by a mask of ones would read the whole tensor.
        """
        return t.expr(
            "torch.feature_dropout({0}.unsqueeze(0), {p}, self.training).squeeze(0)", x, p=self.p
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """No node: the value itself."""
        return x

"""Local response normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import ShapeContext
from archc.ops.demands import demand_floating, demand_rank
from archc.ops.fields import Number, PositiveInt
from archc.ops.forms import reshape, scalar
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType, dim_product


class LRN(Op):
    """Division by `(k + alpha * mean(x**2))**beta` over a window of `size` channels.

    The window of channel c is [c - size//2, c + (size - 1)//2], as in torch; positions outside
    count as zeros. Source: torch.nn.LocalResponseNorm, ONNX LRN.
    """

    channels_first = True
    principal = "size"

    size: PositiveInt
    alpha: Number = 1e-4
    beta: Number = 0.75
    k: Number = 1.0

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, ...]."""
        demand_floating(x)
        demand_rank("lrn", x, 3)
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """A window of channels, counted as all; one position of the other axes."""
        return pointwise(inputs, outputs[0], {1})

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.LocalResponseNorm`.

        From rank 5 on torch flattens the last axes with `view`, which fails for an input whose
        axes were permuted.
        """
        source = t.expr("{0}.contiguous()", x) if x.type.rank > 4 else x
        return t.module(
            "nn.LocalResponseNorm",
            self.size,
            alpha=Default(self.alpha, 1e-4),
            beta=Default(self.beta, 0.75),
            k=Default(self.k, 1.0),
        )(source)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """LRN for images and odd windows; else spelt out with AveragePool over the channels.

        ONNX puts the longer half of an even window on the other side than torch does, and
        onnxruntime takes neither even windows nor other ranks.
        """
        if self.size % 2 == 1 and x.type.rank == 4:
            return g.op("LRN", x, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)
        mean = self._mean_of_squares(g, x)
        scaled = g.op("Mul", mean, scalar(g, self.alpha, x), type=x.type)
        shifted = g.op("Add", scaled, scalar(g, self.k, x), type=x.type)
        return g.op("Div", x, g.op("Pow", shifted, scalar(g, self.beta, x), type=x.type))

    def _mean_of_squares(self, g: OnnxEmitter, x: Operand) -> Operand:
        """AveragePool of the squares as images [N, 1, C, positions]."""
        squares = g.op("Mul", x, x, type=x.type)
        batch, channels, *spatial = x.type.shape
        image = x.type.with_shape((batch, 1, channels, dim_product(spatial)))
        mean = g.op(
            "AveragePool",
            reshape(g, squares, image.shape, image),
            type=image,
            kernel_shape=[self.size, 1],
            pads=[self.size // 2, 0, (self.size - 1) // 2, 0],
            strides=[1, 1],
            count_include_pad=1,
        )
        return reshape(g, mean, x.type.shape, x.type)

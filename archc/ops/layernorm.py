"""Normalisation of each position over its features."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import ShapeContext
from archc.ops.demands import channels_of, demand_float32, demand_rank, demand_static
from archc.ops.fields import Flag, PositiveInt, PositiveNumber
from archc.ops.forms import divide_by_rms
from archc.ops.initial import ONES, ZEROS
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType

FLOAT32_EPSILON = 2.0**-23
"""`torch.finfo(torch.float32).eps`, the default of torch.nn.RMSNorm."""


def _features(op: str, x: TensorType, axes: int) -> tuple[int, ...]:
    why = "its weight has one number per feature"
    return tuple(demand_static(op, x, axis, why) for axis in range(-axes, 0))


class LayerNorm(Op):
    """Normalisation over the last `axes` axes, `(x - mean) / sqrt(var + eps) * weight + bias`.

    Source: torch.nn.LayerNorm, ONNX LayerNormalization (opset 17).
    """

    axes: PositiveInt = 1
    eps: PositiveNumber = 1e-5
    affine: Flag = True
    bias: Flag = True

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[..., features] -> [..., features]."""
        demand_float32("layernorm", x)
        demand_rank("layernorm", x, self.axes)
        _features("layernorm", x, self.axes)
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` and `bias`, shaped as the normalised axes."""
        size = _features("layernorm", x, self.axes)
        if not self.affine:
            return ()
        weight = Weight("weight", size, ONES)
        return (weight, Weight("bias", size, ZEROS)) if self.bias else (weight,)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All positions along the normalised axes."""
        rank = inputs[0].rank
        return pointwise(inputs, outputs[0], range(rank - self.axes, rank))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.LayerNorm`."""
        size = _features("layernorm", x.type, self.axes)
        return t.module(
            "nn.LayerNorm",
            size[0] if self.axes == 1 else size,
            eps=Default(self.eps, 1e-5),
            elementwise_affine=Default(self.affine, True),
            bias=Default(self.bias, True),
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """LayerNormalization."""
        size = _features("layernorm", x.type, self.axes)
        ones = [1.0] * prod(size)
        weight = g.weight("weight") if self.affine else g.constant(ones, x.type.dtype, size)
        bias = g.weight("bias") if self.affine and self.bias else None
        return g.op("LayerNormalization", x, weight, bias, axis=-self.axes, epsilon=self.eps)


class LayerNorm2d(Op):
    """Layer normalisation over the channels of a channels-first image, at each pixel.

    Source: torchvision's LayerNorm2d (ConvNeXt): permute, torch.nn.LayerNorm, permute.
    """

    channels_first = True

    eps: PositiveNumber = 1e-5

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, H, W] -> [N, C, H, W]."""
        demand_float32("layernorm2d", x)
        demand_rank("layernorm2d", x, 4, 4)
        channels_of("layernorm2d", x)
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` and `bias` [C]."""
        size = (channels_of("layernorm2d", x),)
        return (Weight("weight", size, ONES), Weight("bias", size, ZEROS))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All channels of one pixel."""
        return pointwise(inputs, outputs[0], {1})

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.LayerNorm` between two permutations."""
        norm = t.module("nn.LayerNorm", x.type.shape[1], eps=Default(self.eps, 1e-5))
        return t.expr("{0}.permute(0, 3, 1, 2)", norm(t.expr("{0}.permute(0, 2, 3, 1)", x)))

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """LayerNormalization between two Transpose."""
        n, c, h, w = x.type.shape
        last = x.type.with_shape((n, h, w, c))
        flipped = g.op("Transpose", x, type=last, perm=[0, 2, 3, 1])
        weight, bias = g.weight("weight"), g.weight("bias")
        normed = g.op(
            "LayerNormalization", flipped, weight, bias, type=last, axis=-1, epsilon=self.eps
        )
        return g.op("Transpose", normed, perm=[0, 3, 1, 2])


class RMSNorm(Op):
    """Division by the root mean square over the last `axes` axes, times `weight`.

    `eps: none` is the machine epsilon of the dtype, as in torch.
    Source: torch.nn.RMSNorm, ONNX RMSNormalization (opset 23).
    """

    fixed_keys = True

    axes: PositiveInt = 1
    eps: PositiveNumber | None = None
    affine: Flag = True

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[..., features] -> [..., features]."""
        demand_float32("rmsnorm", x)
        demand_rank("rmsnorm", x, self.axes)
        _features("rmsnorm", x, self.axes)
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight`, shaped as the normalised axes."""
        size = _features("rmsnorm", x, self.axes)
        return (Weight("weight", size, ONES),) if self.affine else ()

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All positions along the normalised axes."""
        rank = inputs[0].rank
        return pointwise(inputs, outputs[0], range(rank - self.axes, rank))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.RMSNorm`."""
        size = _features("rmsnorm", x.type, self.axes)
        return t.module(
            "nn.RMSNorm",
            size[0] if self.axes == 1 else size,
            eps=Default(self.eps, None),
            elementwise_affine=Default(self.affine, True),
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """RMSNormalization; spelt out below opset 23."""
        eps = FLOAT32_EPSILON if self.eps is None else self.eps
        if g.opset >= 23 and self.affine:
            return g.op("RMSNormalization", x, g.weight("weight"), axis=-self.axes, epsilon=eps)
        axes = range(x.type.rank - self.axes, x.type.rank)
        if not self.affine:
            return divide_by_rms(g, x, axes, eps, None)
        return g.op("Mul", divide_by_rms(g, x, axes, eps, x.type), g.weight("weight"))

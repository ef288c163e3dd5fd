"""Activations made of straight pieces: the ReLU family, hard gates, identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import channels_of, demand_float32, demand_floating, demand_rank
from archc.ops.fields import Flag, Number
from archc.ops.forms import clip, per_channel
from archc.ops.initial import Constant
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType


class Activation(Op):
    """Elementwise function of a floating-point tensor; shape and dtype stay.

    Class attributes:
        torch_module: the torch class, for an activation without arguments.
        overwrites: whether that class takes `inplace`.
        onnx_operator: the ONNX operator, where one without attributes is the whole of it.
    """

    pointwise = True

    torch_module: ClassVar[str]
    overwrites: ClassVar[bool] = False
    onnx_operator: ClassVar[str]

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]."""
        demand_floating(x)
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """The torch module."""
        if not self.overwrites:
            return t.module(self.torch_module)(x)
        return t.module(self.torch_module, inplace=Default(t.may_overwrite, False))(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """The ONNX operator."""
        return g.op(self.onnx_operator, x)


class Relu(Activation):
    """`max(x, 0)`. Source: torch.nn.ReLU, ONNX Relu."""

    torch_module = "nn.ReLU"
    overwrites = True
    onnx_operator = "Relu"


class Relu6(Activation):
    """`min(max(x, 0), 6)`. Source: torch.nn.ReLU6; ONNX Clip."""

    torch_module = "nn.ReLU6"
    overwrites = True

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Clip, whose bounds are inputs."""
        return clip(g, x, 0.0, 6.0)


class LeakyRelu(Activation):
    """`x` where positive, `slope * x` elsewhere. Source: torch.nn.LeakyReLU, ONNX LeakyRelu."""

    principal = "slope"

    slope: Number = 0.01

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.LeakyReLU`."""
        return t.module("nn.LeakyReLU", negative_slope=Default(self.slope, 0.01))(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """LeakyRelu."""
        return g.op("LeakyRelu", x, alpha=self.slope)


class PRelu(Activation):
    """`x` where positive, `weight * x` elsewhere, with one learnt slope or one per channel.

    Source: torch.nn.PReLU, ONNX PRelu. The slopes start at 0.25.
    """

    principal = "per_channel"
    fixed_keys = True

    per_channel: Flag = False

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]; [N, C, ...] with one slope per channel."""
        demand_float32("prelu", x)
        if self.per_channel:
            demand_rank("prelu", x, 2)
            channels_of("prelu", x)
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` [1], or [C] with one slope per channel."""
        return (Weight("weight", (self._slopes(x),), Constant(0.25)),)

    def _slopes(self, x: TensorType) -> int:
        return channels_of("prelu", x) if self.per_channel else 1

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.PReLU`."""
        if self.per_channel:
            return t.module("nn.PReLU", self._slopes(x.type))(x)
        return t.module("nn.PReLU")(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """PRelu, whose slope broadcasts from the right."""
        slope = g.weight("weight")
        return g.op("PRelu", x, per_channel(g, slope, x.type.rank) if self.per_channel else slope)


class Hardtanh(Activation):
    """`x` cut to [min, max]. Source: torch.nn.Hardtanh; ONNX Clip."""

    min: Number = -1.0
    max: Number = 1.0

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]."""
        if self.min >= self.max:
            raise Refusal(
                "bad-value",
                f"`hardtanh` needs min < max, not min {self.min:g} and max {self.max:g}",
                at="max" if "max" in self.model_fields_set else "min",
            )
        return super().infer(cx, x)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Hardtanh`."""
        return t.module(
            "nn.Hardtanh", min_val=Default(self.min, -1.0), max_val=Default(self.max, 1.0)
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Clip."""
        return clip(g, x, self.min, self.max)


class Hardsigmoid(Activation):
    """`min(max(x / 6 + 1/2, 0), 1)`. Source: torch.nn.Hardsigmoid, ONNX HardSigmoid."""

    torch_module = "nn.Hardsigmoid"

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """HardSigmoid with torch's slope; its own default, 0.2, is off by up to 0.08."""
        return g.op("HardSigmoid", x, alpha=1.0 / 6.0, beta=0.5)


class Hardswish(Activation):
    """`x * hardsigmoid(x)`. Source: torch.nn.Hardswish, ONNX HardSwish."""

    torch_module = "nn.Hardswish"
    overwrites = True
    onnx_operator = "HardSwish"


class Identity(Op):
    """The input itself, of any dtype. Source: torch.nn.Identity; nothing in ONNX."""

    pointwise = True
    copies = True

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]."""
        return x

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Identity`."""
        return t.module("nn.Identity")(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """No node: the value itself."""
        return x

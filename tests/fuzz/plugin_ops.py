"""Ops of a plugin for the corpus: a number, a word, a reference, a weight, a plain activation."""

from __future__ import annotations

from typing import Literal

from archc.plugin import (
    Activation,
    Flag,
    Normal,
    OnnxEmitter,
    Op,
    Operand,
    PositiveInt,
    PositiveInts,
    Probability,
    Refusal,
    ShapeContext,
    TensorType,
    TorchCode,
    TorchEmitter,
    Weight,
    channels_of,
    comes_from_here,
    demand_floating,
    demand_rank,
)


class SquaredRelu(Activation):
    """`max(x, 0) ** 2`. Source: Primer, arXiv 2109.08668."""

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """Relu and a square."""
        return t.expr("F.relu({0}).square()", x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Relu and a product."""
        y = g.op("Relu", x, type=x.type)
        return g.op("Mul", y, y)


class GroupMax(Op):
    """The largest value of groups of channels. Source: Light CNN, arXiv 1511.02683."""

    principal = "groups"

    groups: PositiveInt = 2

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C / groups, ...]."""
        demand_floating(x)
        demand_rank("group_max", x, 2)
        channels = channels_of("group_max", x)
        if channels % self.groups:
            message = f"{channels} channels cannot be split into {self.groups} equal groups"
            raise Refusal("bad-value", message, at="groups", because=comes_from_here(x))
        return x.with_shape((x.shape[0], channels // self.groups, *x.shape[2:]))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """The largest of the chunks."""
        return t.expr("torch.stack({0}.chunk({groups}, dim=1)).amax(dim=0)", x, groups=self.groups)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Split and Max."""
        part = self.infer(ShapeContext(), x.type)
        sizes = [channels_of("group_max", part)] * self.groups
        return g.op("Max", *g.split(x, axis=1, sizes=sizes, types=[part] * self.groups))


class Blend(Op):
    """A weighted sum, or the larger, of what flows by and another layer."""

    principal = "share"
    references = ("other",)

    share: Probability
    other: Flag
    mode: Literal["lerp", "largest"] = "lerp"

    def infer(self, cx: ShapeContext, x: TensorType, other: TensorType) -> TensorType:
        """Two tensors of one shape -> that shape."""
        demand_floating(x)
        if len(x.shape) != len(other.shape):
            raise Refusal("shape-mismatch", f"`blend` of {x} and {other}")
        for axis, (one, two) in enumerate(zip(x.shape, other.shape, strict=True)):
            message = f"`blend` of {x} and {other}: axis {axis} differs"
            cx.equal(one, two, Refusal("shape-mismatch", message, because=comes_from_here(x)))
        return x

    def to_torch(self, t: TorchEmitter, x: Operand, other: Operand) -> TorchCode:
        """lerp or maximum."""
        if self.mode == "largest":
            return t.expr("torch.maximum({0}, {1})", x, other)
        return t.expr("torch.lerp({0}, {1}, {share})", x, other, share=self.share)

    def to_onnx(self, g: OnnxEmitter, x: Operand, other: Operand) -> Operand:
        """Max, or the sum."""
        if self.mode == "largest":
            return g.op("Max", x, other)
        less = g.op("Sub", other, x, type=x.type)
        return g.op("Add", x, g.op("Mul", less, g.constant(self.share, x.type.dtype), type=x.type))


class LearnedBend(Op):
    """A learned slope for each channel, over axes that are given."""

    principal = "axes"

    axes: PositiveInts

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> the same."""
        demand_rank("learned_bend", x, 2)
        channels_of("learned_bend", x)
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """A slope for each channel."""
        channels = channels_of("learned_bend", x)
        return (Weight("slope", (channels, *(1,) * (x.rank - 2)), Normal(0.0, 1.0)),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """The product."""
        return t.expr("{0} * {1}", x, t.weight("slope"))

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """The product."""
        return g.op("Mul", x, g.weight("slope"))


OPS = {
    "squared_relu": SquaredRelu,
    "group_max": GroupMax,
    "blend": Blend,
    "learned_bend": LearnedBend,
}

"""Normalisation of each sample by itself: group and instance normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.batchnorm import running_statistics
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import (
    channels_of,
    comes_from_here,
    demand_float32,
    demand_rank,
    nearest_divisors,
)
from archc.ops.fields import Flag, Number, PositiveInt, PositiveNumber
from archc.ops.forms import per_channel, reshape
from archc.ops.initial import ONES, ZEROS
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType, dim_product

_INSTANCE_MODULES = {3: "nn.InstanceNorm1d", 4: "nn.InstanceNorm2d", 5: "nn.InstanceNorm3d"}


def _affine_weights(op: str, x: TensorType) -> tuple[Weight, ...]:
    size = (channels_of(op, x),)
    return (Weight("weight", size, ONES), Weight("bias", size, ZEROS))


def _constants(g: OnnxEmitter, x: Operand, count: int) -> tuple[Operand, Operand]:
    """Ones and zeros: the affine terms of a normalisation that has none."""
    return (
        g.constant([1.0] * count, x.type.dtype),
        g.constant([0.0] * count, x.type.dtype),
    )


class GroupNorm(Op):
    """Normalisation over groups of channels of each sample, then `* weight + bias` per channel.

    Source: torch.nn.GroupNorm; ONNX InstanceNormalization of the reshaped input (the operator
    GroupNormalization of opset 21 has no kernel on the CPU and would be expanded to the same).
    """

    channels_first = True
    principal = "groups"
    fixed_keys = True

    groups: PositiveInt
    eps: PositiveNumber = 1e-5
    affine: Flag = True

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, ...] with C divisible by the groups."""
        demand_float32("groupnorm", x)
        demand_rank("groupnorm", x, 2)
        channels = channels_of("groupnorm", x)
        if channels % self.groups:
            (nearest,) = nearest_divisors(channels, self.groups, 1)
            raise Refusal(
                "indivisible",
                f"{channels} channels cannot be split into {self.groups} equal groups",
                at="groups",
                label=f"{channels} = {channels // self.groups} * {self.groups} + "
                f"{channels % self.groups}",
                because=comes_from_here(x),
                help=[f"groups: {nearest} divides {channels}"],
            )
        width = channels // self.groups
        cx.at_least(
            dim_product((x.shape[0] * width, *x.shape[2:])),
            2,
            Refusal(
                "too-few-values",
                f"`groupnorm` needs more than one value per group, and {x} has one",
                at="groups",
                because=comes_from_here(x),
            ),
        )
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` and `bias` [C]."""
        return _affine_weights("groupnorm", x) if self.affine else ()

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All positions of the sample: mean and variance are theirs."""
        return pointwise(inputs, outputs[0], range(1, inputs[0].rank))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.GroupNorm`."""
        return t.module(
            "nn.GroupNorm",
            self.groups,
            x.type.shape[1],
            eps=Default(self.eps, 1e-5),
            affine=Default(self.affine, True),
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """InstanceNormalization of [N, groups, -1], then the affine map of the channels."""
        rows = (x.type.shape[0], self.groups, dim_product(x.type.shape[1:]) // self.groups)
        grouped = x.type.with_shape(rows)
        ones, zeros = _constants(g, x, self.groups)
        normed = g.op(
            "InstanceNormalization",
            reshape(g, x, rows, grouped),
            ones,
            zeros,
            type=grouped,
            epsilon=self.eps,
        )
        if not self.affine:
            return reshape(g, normed, x.type.shape)
        standard = reshape(g, normed, x.type.shape, x.type)
        weight = per_channel(g, g.weight("weight"), x.type.rank)
        scaled = g.op("Mul", standard, weight, type=x.type)
        return g.op("Add", scaled, per_channel(g, g.weight("bias"), x.type.rank))


class InstanceNorm(Op):
    """Normalisation of each channel of each sample over its positions.

    With `track_running_stats` training keeps running statistics, moved by `momentum`, and
    inference takes them in place of the input's own. As in torch there are no affine terms and no
    running statistics unless asked for.
    Source: torch.nn.InstanceNorm1d, 2d and 3d; ONNX InstanceNormalization, BatchNormalization.
    """

    channels_first = True
    fixed_keys = True

    eps: PositiveNumber = 1e-5
    momentum: Number = 0.1
    affine: Flag = False
    track_running_stats: Flag = False

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, ...], with one to three axes behind the channels."""
        demand_float32("instancenorm", x)
        demand_rank("instancenorm", x, 3, 5)
        channels_of("instancenorm", x)
        if not self.track_running_stats:
            cx.at_least(
                dim_product(x.shape[2:]),
                2,
                Refusal(
                    "too-few-values",
                    f"`instancenorm` needs more than one value per channel, and {x} has one",
                    because=comes_from_here(x),
                ),
            )
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight`, `bias` [C] when affine; `running_mean`, `running_var` [C] when tracked."""
        affine = _affine_weights("instancenorm", x) if self.affine else ()
        return affine + (running_statistics("instancenorm", x) if self.track_running_stats else ())

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All positions of the channel, unless mean and variance are running ones."""
        axes = range(0) if self.track_running_stats else range(2, inputs[0].rank)
        return pointwise(inputs, outputs[0], axes)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.InstanceNorm1d`, `2d` or `3d`."""
        return t.module(
            _INSTANCE_MODULES[x.type.rank],
            x.type.shape[1],
            eps=Default(self.eps, 1e-5),
            momentum=Default(self.momentum, 0.1),
            affine=Default(self.affine, False),
            track_running_stats=Default(self.track_running_stats, False),
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """InstanceNormalization; BatchNormalization where the statistics are running ones."""
        if self.affine:
            weight, bias = g.weight("weight"), g.weight("bias")
        else:
            weight, bias = _constants(g, x, channels_of("instancenorm", x.type))
        if self.track_running_stats:
            mean, variance = g.weight("running_mean"), g.weight("running_var")
            return g.op("BatchNormalization", x, weight, bias, mean, variance, epsilon=self.eps)
        return g.op("InstanceNormalization", x, weight, bias, epsilon=self.eps)

"""Normalisation with statistics of the batch."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import channels_of, comes_from_here, demand_float32, demand_rank
from archc.ops.fields import Flag, Number, PositiveNumber
from archc.ops.forms import per_channel, standardise
from archc.ops.initial import ONES, ZEROS
from archc.ops.reach import Reaches, pointwise
from archc.types import DType, TensorType, dim_product

_MODULES = {2: "nn.BatchNorm1d", 3: "nn.BatchNorm1d", 4: "nn.BatchNorm2d", 5: "nn.BatchNorm3d"}


def running_statistics(op: str, x: TensorType) -> tuple[Weight, ...]:
    """The buffers that training fills and inference reads, one value per channel."""
    size = (channels_of(op, x),)
    return (
        Weight("running_mean", size, ZEROS, buffer=True),
        Weight("running_var", size, ONES, buffer=True),
        Weight("num_batches_tracked", (), ZEROS, DType.INT64, buffer=True),
    )


class BatchNorm(Op):
    """Normalisation of each channel with the statistics of the batch, or running ones.

    `(x - mean) / sqrt(var + eps) * weight + bias`; in inference mean and variance are the running
    ones, unless `track_running_stats` is false. `momentum: none` averages all batches alike.
    Source: torch.nn.BatchNorm1d, 2d and 3d; ONNX BatchNormalization.
    """

    channels_first = True
    spare_result = True
    fixed_keys = True

    eps: PositiveNumber = 1e-5
    momentum: Number | None = 0.1
    affine: Flag = True
    track_running_stats: Flag = True

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, ...], with up to three axes behind the channels."""
        demand_float32("batchnorm", x)
        demand_rank("batchnorm", x, 2, 5)
        channels_of("batchnorm", x)
        if not self.track_running_stats:
            cx.at_least(
                dim_product((x.shape[0], *x.shape[2:])),
                2,
                Refusal(
                    "too-few-values",
                    "`batchnorm` without running statistics needs more than one value per "
                    f"channel, and {x} has one",
                    at="track_running_stats",
                    because=comes_from_here(x),
                ),
            )
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight`, `bias`, `running_mean`, `running_var` [C] and `num_batches_tracked` []."""
        size = (channels_of("batchnorm", x),)
        affine = (Weight("weight", size, ONES), Weight("bias", size, ZEROS))
        statistics = running_statistics("batchnorm", x) if self.track_running_stats else ()
        return (affine if self.affine else ()) + statistics

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """In inference each position reads itself alone, with running statistics."""
        if self.track_running_stats:
            return pointwise(inputs, outputs[0])
        others = [axis for axis in range(inputs[0].rank) if axis != 1]
        return pointwise(inputs, outputs[0], others)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.BatchNorm1d`, `2d` or `3d`."""
        return t.module(
            _MODULES[x.type.rank],
            x.type.shape[1],
            eps=Default(self.eps, 1e-5),
            momentum=Default(self.momentum, 0.1),
            affine=Default(self.affine, True),
            track_running_stats=Default(self.track_running_stats, True),
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """BatchNormalization; spelt out where the statistics are the input's own."""
        channels = channels_of("batchnorm", x.type)
        if self.affine:
            weight, bias = g.weight("weight"), g.weight("bias")
        else:
            weight = g.constant([1.0] * channels, x.type.dtype)
            bias = g.constant([0.0] * channels, x.type.dtype)
        if self.track_running_stats:
            mean, variance = g.weight("running_mean"), g.weight("running_var")
            return g.op("BatchNormalization", x, weight, bias, mean, variance, epsilon=self.eps)
        axes = [axis for axis in range(x.type.rank) if axis != 1]
        standard = standardise(g, x, axes, self.eps)
        scaled = g.op("Mul", standard, per_channel(g, weight, x.type.rank), type=x.type)
        return g.op("Add", scaled, per_channel(g, bias, x.type.rank))

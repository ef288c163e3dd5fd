"""Convolution over one, two or three spatial axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archc.ops.base import Cost, Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import channels_of, demand_float32, nearest_divisors
from archc.ops.fields import Flag, PositiveInt, PositiveInts
from archc.ops.initial import fan_in_uniform
from archc.ops.padding import (
    Padding,
    PaddingMode,
    demand_mode,
    pad_code,
    pad_node,
    padded_type,
)
from archc.ops.reach import Reaches
from archc.ops.spatial import Window, demand_fit, one_or_tuple, per_axis, sliding, windows, worked
from archc.types import TensorType, dim_product


def demand_groups(op: str, groups: int, channels: int, out: int) -> None:
    """Demand that `groups` divides the channels on both sides.

    Raises:
        Refusal: `indivisible`.
    """
    offending = [
        f"{count} {side} channels"
        for side, count in (("input", channels), ("output", out))
        if count % groups
    ]
    if not offending:
        return
    common = math.gcd(channels, out)
    nearest = nearest_divisors(common, groups, 2)
    choices = " or ".join(str(d) for d in sorted(nearest))
    verb = "divide" if len(nearest) > 1 else "divides"
    help_ = [f"groups: {choices} {verb} both {channels} and {out}"]
    if channels % groups == 0:
        below, above = out // groups * groups, -(-out // groups) * groups
        multiples = f"{below} or {above}" if below else f"{above}"
        help_.append(f"{multiples} output channels divide into {groups} groups")
    raise Refusal(
        "indivisible",
        f"`{op}`: {' and '.join(offending)} cannot be divided into {groups} groups",
        at="groups",
        help=help_,
    )


class Conv(Op):
    """Convolution (cross-correlation) over the spatial axes of [N, C, ...].

    The rank of the input decides between 1d, 2d and 3d. `padding: half` adds
    `dilation * ((kernel - 1) // 2)` on each side, as torchvision's Conv2dNormActivation does: an
    odd kernel with stride 1 keeps the size, an even one shortens it by `dilation`.
    `padding: same` keeps the size for every kernel, with the odd element behind.

    Source: torch.nn.Conv1d, Conv2d, Conv3d; ONNX Conv.
    """

    channels_first = True
    spare_result = True

    principal = "out"

    out: PositiveInt
    kernel: PositiveInts = 1
    stride: PositiveInts = 1
    padding: Padding = 0
    dilation: PositiveInts = 1
    groups: PositiveInt = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(
            "conv",
            x,
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, out, (size + padding - extent)//stride + 1, ...]."""
        slides = self._windows(x)
        demand_float32("conv", x)
        demand_groups("conv", self.groups, channels_of("conv", x), self.out)
        demand_mode(cx, "conv", self.padding_mode, x, [(w.before, w.after) for w in slides])
        demand_fit(cx, "conv", x, slides)
        return x.with_shape((x.shape[0], self.out, *(w.output for w in slides)))

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` [out, in/groups, *kernel] and `bias` [out]."""
        kernel = per_axis("conv", self.kernel, x, at="kernel")
        fan_in = channels_of("conv", x) // self.groups * math.prod(kernel)
        init = fan_in_uniform(fan_in)
        channels = channels_of("conv", x) // self.groups
        weight = Weight("weight", (self.out, channels, *kernel), init)
        return (weight, Weight("bias", (self.out,), init)) if self.bias else (weight,)

    def cost(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Cost:
        """One MAC per output element and weight that it reads."""
        weight = self.weights(inputs[0])[0]
        return Cost(macs=dim_product(outputs[0].shape) * math.prod(weight.shape[1:]))

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`height (32 + 2*0 - 5)//1 + 1 = 28`."""
        return worked((w.name, w.formula, w.output) for w in self._windows(x))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """What lies under the window."""
        return sliding(self._windows(inputs[0]))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Conv2d`, after `F.pad` where the two sides differ."""
        slides = self._windows(x.type)
        source: Operand | TorchCode = x
        padding: str | int | tuple[int, ...]
        padding, mode = one_or_tuple(w.before for w in slides), str(self.padding_mode)
        if self.padding == "same":
            padding = "same"
        elif any(w.before != w.after for w in slides):
            source = pad_code(t, x, [(w.before, w.after) for w in slides], mode)
            padding, mode = 0, "zeros"
        return t.module(
            f"nn.Conv{len(slides)}d",
            x.type.shape[1],
            self.out,
            kernel_size=one_or_tuple(w.kernel for w in slides),
            stride=Default(one_or_tuple(w.stride for w in slides), 1),
            padding=Default(padding, 0),
            dilation=Default(one_or_tuple(w.dilation for w in slides), 1),
            groups=Default(self.groups, 1),
            bias=Default(self.bias, True),
            padding_mode=Default(mode, "zeros"),
        )(source)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Conv, after Pad where the padding is not zeros."""
        slides = self._windows(x.type)
        pairs = [(w.before, w.after) for w in slides]
        if self.padding_mode != "zeros" and any(any(both) for both in pairs):
            x = pad_node(g, x, pairs, self.padding_mode, type=padded_type(x.type, pairs))
            pairs = [(0, 0)] * len(slides)
        return g.op(
            "Conv",
            x,
            g.weight("weight"),
            g.weight("bias") if self.bias else None,
            kernel_shape=[w.kernel for w in slides],
            strides=[w.stride for w in slides],
            pads=[before for before, _ in pairs] + [after for _, after in pairs],
            dilations=[w.dilation for w in slides],
            group=self.groups,
        )

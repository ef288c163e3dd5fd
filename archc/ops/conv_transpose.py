"""Transposed convolution over one, two or three spatial axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from archc.ops.base import Cost, Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.conv import demand_groups
from archc.ops.demands import channels_of, comes_from_here, demand_float32
from archc.ops.fields import Flag, NonNegativeInts, PositiveInt, PositiveInts
from archc.ops.forms import per_channel
from archc.ops.initial import fan_in_uniform
from archc.ops.padding import Padding, pad_code, pad_node, padded_type
from archc.ops.reach import WHOLE, Reach, Reaches
from archc.ops.spatial import Window, one_or_tuple, per_axis, windows, worked
from archc.types import Dim, TensorType, dim_product, format_dim

_OP = "conv_transpose"


class _Spread(NamedTuple):
    """One axis: the window of the convolution that this one transposes, and what is added."""

    window: Window
    extra: int

    @property
    def output(self) -> Dim:
        w = self.window
        return (w.size - 1) * w.stride + w.extent - w.before - w.after + self.extra

    @property
    def formula(self) -> str:
        w = self.window
        crop = f"2*{w.before}" if w.before == w.after else f"({w.before} + {w.after})"
        extent = f"{w.kernel}" if w.dilation == 1 else f"{w.dilation}*({w.kernel} - 1) + 1"
        extra = f" + {self.extra}" if self.extra else ""
        return f"({format_dim(w.size)} - 1)*{w.stride} - {crop} + {extent}{extra}"

    @property
    def least(self) -> int:
        """The smallest size of which something is left after cropping."""
        w = self.window
        room = w.extent - w.before - w.after + self.extra - _end(self).beyond
        return 1 - (room - 1) // w.stride


class ConvTranspose(Op):
    """Transposed convolution (the gradient of `conv`) over the spatial axes of [N, C, ...].

    `padding` is what the transposed convolution pads, so here it crops the result;
    `output_padding` makes the result longer at the end.

    Source: torch.nn.ConvTranspose1d, ConvTranspose2d, ConvTranspose3d; ONNX ConvTranspose.
    """

    channels_first = True
    principal = "out"
    fixed_keys = True

    out: PositiveInt
    kernel: PositiveInts = 1
    stride: PositiveInts = 1
    padding: Padding = 0
    output_padding: NonNegativeInts = 0
    dilation: PositiveInts = 1
    groups: PositiveInt = 1
    bias: Flag = True

    def _spreads(self, x: TensorType) -> tuple[_Spread, ...]:
        slides = windows(
            _OP,
            x,
            kernel=self.kernel,
            stride=self.stride,
            padding="valid" if self.padding == "same" else self.padding,
            dilation=self.dilation,
        )
        extras = per_axis(_OP, self.output_padding, x, at="output_padding")
        return tuple(map(_Spread, slides, extras))

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, out, (size - 1)*stride - padding + extent + output_padding, ...]."""
        spreads = self._spreads(x)
        demand_float32(_OP, x)
        demand_groups(_OP, self.groups, channels_of(_OP, x), self.out)
        if self.padding == "same":
            raise _no_same(spreads)
        for w, extra in spreads:
            if extra >= max(w.stride, w.dilation):
                raise Refusal(
                    "bad-value",
                    f"`{_OP}`: output_padding {extra} has to be smaller than the stride "
                    f"({w.stride}) or the dilation ({w.dilation})",
                    at="output_padding",
                )
        for spread in spreads:
            _demand_rest(cx, x, spread)
        return x.with_shape((x.shape[0], self.out, *(spread.output for spread in spreads)))

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` [in, out/groups, *kernel] and `bias` [out].

        The fan-in is taken from the second axis of the weight, as torch does for every layer
        (torch.nn.init._calculate_fan_in_and_fan_out).
        """
        kernel = per_axis(_OP, self.kernel, x, at="kernel")
        init = fan_in_uniform(self.out // self.groups * math.prod(kernel))
        shape = (channels_of(_OP, x), self.out // self.groups, *kernel)
        weight = Weight("weight", shape, init)
        return (weight, Weight("bias", (self.out,), init)) if self.bias else (weight,)

    def cost(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Cost:
        """One MAC per input element and weight that it meets."""
        weight = self.weights(inputs[0])[0]
        return Cost(macs=dim_product(inputs[0].shape) * math.prod(weight.shape[1:]))

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`height (16 - 1)*2 - 2*1 + 3 + 1 = 32`."""
        return worked((s.window.name, s.formula, s.output) for s in self._spreads(x))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The windows of the convolution that it transposes that cover the position."""
        spatial = (
            Reach(
                (axis,),
                Fraction(1, w.stride),
                Fraction(w.before - w.extent + 1, w.stride),
                Fraction(w.before, w.stride),
            )
            for axis, (w, _) in enumerate(self._spreads(inputs[0]), 2)
        )
        return ((Reach((0,)), WHOLE, *spatial),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.ConvTranspose2d`; what one side crops more than the other is cropped after it."""
        spreads = self._spreads(x.type)
        slides = [spread.window for spread in spreads]
        both = [min(w.before, w.after) for w in slides]
        result = t.module(
            f"nn.ConvTranspose{len(slides)}d",
            x.type.shape[1],
            self.out,
            kernel_size=one_or_tuple(w.kernel for w in slides),
            stride=Default(one_or_tuple(w.stride for w in slides), 1),
            padding=Default(one_or_tuple(both), 0),
            output_padding=Default(one_or_tuple(spread.extra for spread in spreads), 0),
            groups=Default(self.groups, 1),
            bias=Default(self.bias, True),
            dilation=Default(one_or_tuple(w.dilation for w in slides), 1),
        )(x)
        rest = [(p - w.before, p - w.after) for p, w in zip(both, slides, strict=True)]
        return pad_code(t, result, rest) if any(any(crop) for crop in rest) else result

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """ConvTranspose; Pad for output padding that reaches beyond every window."""
        spreads = self._spreads(x.type)
        bias = g.weight("bias") if self.bias else None
        ends = [_end(spread) for spread in spreads]
        if not any(end.beyond for end in ends):
            return self._transpose(g, x, spreads, ends, bias)
        # Nothing but the bias reaches these elements, so it comes after them.
        pairs = [(0, end.beyond) for end in ends]
        inner = [s.output - end.beyond for s, end in zip(spreads, ends, strict=True)]
        result = x.type.with_shape((x.type.shape[0], self.out, *inner))
        partial = self._transpose(g, x, spreads, ends, None, result)
        if bias is None:
            return pad_node(g, partial, pairs)
        whole = pad_node(g, partial, pairs, type=padded_type(result, pairs))
        return g.op("Add", whole, per_channel(g, bias, x.type.rank))

    def _transpose(
        self,
        g: OnnxEmitter,
        x: Operand,
        spreads: Sequence[_Spread],
        ends: Sequence[_End],
        bias: Operand | None,
        type: TensorType | None = None,
    ) -> Operand:
        slides = [spread.window for spread in spreads]
        return g.op(
            "ConvTranspose",
            x,
            g.weight("weight"),
            bias,
            type=type,
            kernel_shape=[w.kernel for w in slides],
            strides=[w.stride for w in slides],
            pads=[w.before for w in slides] + [end.after for end in ends],
            output_padding=[end.extra for end in ends],
            dilations=[w.dilation for w in slides],
            group=self.groups,
        )


class _End(NamedTuple):
    """The end of an axis as ONNX takes it: cropped, lengthened, and what is left to add."""

    after: int
    extra: int
    beyond: int


def _end(spread: _Spread) -> _End:
    """Output padding below the stride stays as it is; onnxruntime takes no more.

    A larger one (torch allows it up to the dilation) crops less, and adds what is then missing.
    """
    after, extra = spread.window.after, spread.extra
    if extra < spread.window.stride:
        return _End(after, extra, 0)
    return _End(max(after - extra, 0), 0, max(extra - after, 0))


def _demand_rest(cx: ShapeContext, x: TensorType, spread: _Spread) -> None:
    """Demand that padding leaves something of what the windows spread over.

    Raises:
        Refusal: `empty-output`.
    """
    w = spread.window
    if spread.least <= 1:
        return
    refusal = Refusal(
        "empty-output",
        f"`{_OP}`: padding of {w.before} and {w.after} needs a {w.name} of at least "
        f"{spread.least}, and it is {format_dim(w.size)}",
        at="padding",
        label=f"{w.name} {spread.formula} = {format_dim(spread.output)}",
        because=comes_from_here(x),
        help=["padding crops what a transposed convolution makes: use less of it"],
    )
    cx.at_least(w.size, spread.least, refusal)


def _no_same(spreads: Sequence[_Spread]) -> Refusal:
    """The refusal of `padding: same`, with padding that gives `size * stride`."""
    crops = [w.extent - w.stride + extra for w, extra in spreads]
    help_ = []
    if all(crop >= 0 for crop in crops):
        pairs = [[crop // 2, crop - crop // 2] for crop in crops]
        help_ = [f"padding: {pairs} gives size * stride"]
    return Refusal(
        "bad-value",
        f"`{_OP}` has no `padding: same`: torch does not say which size that would be",
        at="padding",
        help=help_,
    )

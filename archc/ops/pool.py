"""Pools with a sliding window: the maximum and the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_floating
from archc.ops.fields import Flag, PositiveInts
from archc.ops.forms import scalar
from archc.ops.padding import Padding, pad_code, pad_node, padded_type
from archc.ops.reach import Reaches
from archc.ops.spatial import (
    OptionalPositiveInt,
    OptionalPositiveInts,
    Window,
    demand_fit,
    one_or_tuple,
    sliding,
    windows,
    worked,
)
from archc.types import TensorType, format_dim

_LOWEST = float("-inf")


def _demand_half(op: str, slides: Sequence[Window]) -> None:
    """Demand padding of at most half the kernel, as torch does.

    Raises:
        Refusal: `bad-value`.
    """
    for w in slides:
        most = w.kernel // 2
        if max(w.before, w.after) > most:
            raise Refusal(
                "bad-value",
                f"`{op}`: padding {max(w.before, w.after)} is more than half the kernel "
                f"({w.kernel}), so that a window could lie in the padding alone",
                at="padding",
                help=[f"padding of at most {most} fits; to add more, pad before: {{pad: ...}}"],
            )


def _equal_sides(slides: Sequence[Window]) -> bool:
    return all(w.before == w.after for w in slides)


def _sides(slides: Sequence[Window]) -> list[tuple[int, int]]:
    return [(w.before, w.after) for w in slides]


def _onnx_pads(pairs: Sequence[tuple[int, int]]) -> list[int]:
    return [before for before, _ in pairs] + [after for _, after in pairs]


class MaxPool(Op):
    """Largest element of each window; padding never wins.

    `ceil: true` lets a last window hang over the end, unless it would start in the padding
    behind.

    Source: torch.nn.MaxPool1d, MaxPool2d, MaxPool3d; ONNX MaxPool.
    """

    channels_first = True
    principal = "kernel"

    kernel: PositiveInts
    stride: OptionalPositiveInts = None
    padding: Padding = 0
    dilation: PositiveInts = 1
    ceil: Flag = False

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(
            "maxpool",
            x,
            kernel=self.kernel,
            stride=self.kernel if self.stride is None else self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil=self.ceil,
        )

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, (size + padding - extent)//stride + 1, ...]."""
        slides = self._windows(x)
        demand_floating(x)
        _demand_half("maxpool", slides)
        demand_fit(cx, "maxpool", x, slides)
        for w in slides:
            if w.dilation > 1 and w.before + w.after > 0:
                refusal = Refusal(
                    "bad-value",
                    f"`maxpool`: with dilation {w.dilation} and padding a {w.name} of "
                    f"{format_dim(w.size)} may leave a window without any element, and the "
                    "maximum of none is minus infinity",
                    at="dilation",
                    because=comes_from_here(x),
                )
                cx.at_least(w.size, w.dilation, refusal)
        return x.with_shape((*x.shape[:2], *(w.output for w in slides)))

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`height (56 + 2*1 - 3)//2 + 1 = 28`."""
        return worked((w.name, w.formula, w.output) for w in self._windows(x))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """What lies under the window."""
        return sliding(self._windows(inputs[0]))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.MaxPool2d`, after `F.pad` where the two sides differ."""
        slides = self._windows(x.type)
        source: Operand | TorchCode = x
        padding, ceil = one_or_tuple(w.before for w in slides), bool(self.ceil)
        if not _equal_sides(slides):
            # Padded so far that the windows are the same without hanging over: the module
            # would take the padding for input and start windows in it.
            source = pad_code(t, x, [(w.before, w.end) for w in slides], value=_LOWEST)
            padding, ceil = 0, False
        kernel = one_or_tuple(w.kernel for w in slides)
        return t.module(
            f"nn.MaxPool{len(slides)}d",
            kernel_size=kernel,
            stride=Default(one_or_tuple(w.stride for w in slides), kernel),
            padding=Default(padding, 0),
            dilation=Default(one_or_tuple(w.dilation for w in slides), 1),
            ceil_mode=Default(ceil, False),
        )(source)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """MaxPool."""
        slides = self._windows(x.type)
        pairs, ceil = _sides(slides), int(self.ceil)
        if any(w.drops_last for w in slides):
            # Runtimes and ONNX's own shape inference disagree on the window that is dropped, so
            # the padding is written that gives the same windows without ceil_mode.
            pairs, ceil = [(w.before, w.end) for w in slides], 0
        if any(max(both) >= w.kernel for both, w in zip(pairs, slides, strict=True)):
            # onnxruntime takes less padding than the kernel has elements, dilated or not.
            x = pad_node(g, x, pairs, value=_LOWEST, type=padded_type(x.type, pairs))
            pairs = [(0, 0)] * len(slides)
        return g.op(
            "MaxPool",
            x,
            kernel_shape=[w.kernel for w in slides],
            strides=[w.stride for w in slides],
            pads=_onnx_pads(pairs),
            dilations=[w.dilation for w in slides],
            ceil_mode=ceil,
        )


class AvgPool(Op):
    """Mean of each window.

    With `count_include_pad` (torch's default) padding counts as zeros; what a window of
    `ceil: true` reads behind the padding never counts. `divisor` replaces the number of elements
    that the sum is divided by.

    Source: torch.nn.AvgPool1d, AvgPool2d, AvgPool3d; ONNX AveragePool.
    """

    channels_first = True
    principal = "kernel"

    kernel: PositiveInts
    stride: OptionalPositiveInts = None
    padding: Padding = 0
    ceil: Flag = False
    count_include_pad: Flag = True
    divisor: OptionalPositiveInt = None

    def _windows(self, x: TensorType) -> tuple[Window, ...]:
        return windows(
            "avgpool",
            x,
            kernel=self.kernel,
            stride=self.kernel if self.stride is None else self.stride,
            padding=self.padding,
            ceil=self.ceil,
        )

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, (size + padding - kernel)//stride + 1, ...]."""
        slides = self._windows(x)
        demand_floating(x)
        _demand_half("avgpool", slides)
        demand_fit(cx, "avgpool", x, slides)
        if self.divisor is not None and len(slides) == 1:
            raise Refusal(
                "bad-value",
                "`avgpool`: torch has a divisor for two and three spatial axes only",
                at="divisor",
                help=["leave `divisor` out and scale the result"],
            )
        self._demand_countable(slides)
        if len(slides) == 3:
            self._demand_volume(cx, x, slides)
        return x.with_shape((*x.shape[:2], *(w.output for w in slides)))

    def _demand_countable(self, slides: Sequence[Window]) -> None:
        """Demand that torch can count the elements where the two sides differ.

        Raises:
            Refusal: `bad-value`.
        """
        if _equal_sides(slides) or self.divisor is not None:
            return
        if not self.count_include_pad:
            raise Refusal(
                "bad-value",
                "`avgpool`: torch cannot leave unequal padding out of the mean",
                at="padding",
                help=["pad both sides equally, or write count_include_pad: true"],
            )
        if any(w.drops_last for w in slides):
            raise Refusal(
                "bad-value",
                "`avgpool`: with unequal padding and `ceil`, torch would start windows in the "
                "padding behind",
                at="padding",
                help=["pad both sides equally, or write ceil: false"],
            )

    def _demand_volume(self, cx: ShapeContext, x: TensorType, slides: Sequence[Window]) -> None:
        """Demand an image as large as the kernel: torch's 3d pool looks at it without padding.

        Raises:
            Refusal: `kernel-too-large`.
        """
        for w in slides:
            # Unequal padding is added before, so that the pool is given the padded image.
            behind = w.after if self.divisor is None else w.end
            padding = 0 if _equal_sides(slides) else w.before + behind
            refusal = Refusal(
                "kernel-too-large",
                f"`avgpool`: torch's 3d pool needs a {w.name} of at least {w.kernel - padding}, "
                f"its kernel, and it is {format_dim(w.size)}",
                at="kernel",
                because=comes_from_here(x),
            )
            if w.kernel - padding > 1:
                cx.at_least(w.size, w.kernel - padding, refusal)

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`height (8 + 2*1 - 3)//1 + 1 = 8`."""
        return worked((w.name, w.formula, w.output) for w in self._windows(x))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """What lies under the window."""
        return sliding(self._windows(inputs[0]))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.AvgPool2d`, after `F.pad` where the two sides differ."""
        slides = self._windows(x.type)
        source: Operand | TorchCode = x
        padding, ceil = one_or_tuple(w.before for w in slides), bool(self.ceil)
        include = bool(self.count_include_pad)
        if not _equal_sides(slides):
            pairs = _sides(slides)
            if self.divisor is not None:
                pairs, ceil = [(w.before, w.end) for w in slides], False
            source = pad_code(t, x, pairs)
            padding, include = 0, True
        kernel = one_or_tuple(w.kernel for w in slides)
        # 1d has no divisor.
        divisor = {"divisor_override": Default(self.divisor, None)} if len(slides) > 1 else {}
        return t.module(
            f"nn.AvgPool{len(slides)}d",
            kernel_size=kernel,
            stride=Default(one_or_tuple(w.stride for w in slides), kernel),
            padding=Default(padding, 0),
            ceil_mode=Default(ceil, False),
            count_include_pad=Default(include, True),
            **divisor,
        )(source)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """AveragePool."""
        slides = self._windows(x.type)
        output = x.type.with_shape((*x.type.shape[:2], *(w.output for w in slides)))
        floored = [(w.before, w.end) for w in slides]
        if self.divisor is not None:
            # A sum of zeros more is the same sum: padding counts and no window hangs over.
            mean = self._pool(g, x, slides, floored, type=output, count=1)
            elements = math.prod(w.kernel for w in slides)
            return g.op("Mul", mean, scalar(g, elements / self.divisor, x))
        pads = _sides(slides)
        count = int(self.count_include_pad and any(any(both) for both in pads))
        if count and any(w.hangs_over for w in slides):
            return self._pool_hanging(g, x, slides, output)
        if not any(w.drops_last for w in slides):
            return self._pool(g, x, slides, pads, ceil=int(self.ceil), count=count)
        return self._pool(g, x, slides, pads if count else floored, count=count)

    def _pool(
        self,
        g: OnnxEmitter,
        x: Operand,
        slides: Sequence[Window],
        pads: Sequence[tuple[int, int]],
        *,
        ceil: int = 0,
        count: int = 0,
        type: TensorType | None = None,
    ) -> Operand:
        return g.op(
            "AveragePool",
            x,
            type=type,
            kernel_shape=[w.kernel for w in slides],
            strides=[w.stride for w in slides],
            pads=_onnx_pads(pads),
            ceil_mode=ceil,
            count_include_pad=count,
        )

    def _pool_hanging(
        self, g: OnnxEmitter, x: Operand, slides: Sequence[Window], type: TensorType
    ) -> Operand:
        """The mean over whole windows, divided by the share of each that does not hang over.

        For `ceil` with padding that counts: no attributes of AveragePool say this in a way that all
        opsets and runtimes agree on, and onnxruntime 1.20 moves a Pad before it into it.
        """
        mean = self._pool(g, x, slides, [(w.before, w.end) for w in slides], type=type, count=1)
        sizes = (w.size + w.before + min(w.after, w.end) for w in slides)
        inside = TensorType((1, 1, *sizes), x.type.dtype)
        ones = g.op("Expand", scalar(g, 1.0, x), g.dims(inside.shape), type=inside)
        behind = [(0, max(w.end - w.after, 0)) for w in slides]
        shares = type.with_shape((1, 1, *type.shape[2:]))
        share = self._pool(g, ones, slides, behind, type=shares, count=1)
        return g.op("Div", mean, share)

"""Pools to a given output size, and the mean over all spatial axes.

Bin `i` of `m` over `n` elements runs from `floor(i*n/m)` to `ceil((i + 1)*n/m)`, as in
torch.nn.functional.adaptive_avg_pool2d.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import ShapeContext
from archc.ops.demands import demand_floating
from archc.ops.fields import PositiveInts
from archc.ops.forms import reduce, reshape
from archc.ops.reach import WHOLE, Reach, Reaches, scattered
from archc.ops.spatial import axis_names, one_or_tuple, per_axis, spatial_rank
from archc.types import Dim, TensorType, dim_product, format_dim, is_static, provably_equal

_IN_ORDER = 4096
"""Elements up to which a mean may be added up in order: the error grows with their number."""


def _is_small(x: TensorType) -> bool:
    """Whether onnxruntime, which adds up in order, takes the mean over all of a map exactly enough.

    Otherwise the mean goes axis by axis: at 385 x 385 the error is a tenth.
    """
    count = dim_product(x.shape[2:])
    return is_static(count) and count <= _IN_ORDER


def bins(size: int, count: int) -> list[range]:
    """The elements of each of `count` bins over `size` elements."""
    return [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


class AdaptivePool(Op):
    """Reduction of each bin of a grid of a given size.

    Class attributes:
        word: the name in the table of ops.
        kind: `Avg` or `Max`, as torch writes it.
        onnx_kind: `Average` or `Max`, as ONNX writes it.
        reduction: the ONNX reduction over whole axes.
    """

    channels_first = True
    principal = "size"
    word: ClassVar[str]
    kind: ClassVar[str]
    onnx_kind: ClassVar[str]
    reduction: ClassVar[str]

    size: PositiveInts

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C, *size]."""
        spatial_rank(self.word, x)
        demand_floating(x)
        return x.with_shape((*x.shape[:2], *self._sizes(x)))

    def _sizes(self, x: TensorType) -> tuple[int, ...]:
        return per_axis(self.word, self.size, x, at="size")

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`height 14 -> 7`."""
        lines: dict[str, str] = {}
        sizes = self._sizes(x)
        for name, size, out in zip(axis_names(len(sizes)), x.shape[2:], sizes, strict=True):
            text = f"{format_dim(size)} -> {out}"
            lines.setdefault(text, f"{name} {text}")
        return tuple(lines.values())

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The bin of the position."""
        x = inputs[0]
        spatial = (
            _bin(axis, size, count)
            for axis, (size, count) in enumerate(zip(x.shape[2:], self._sizes(x), strict=True), 2)
        )
        return ((Reach((0,)), Reach((1,)), *spatial),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.AdaptiveAvgPool2d`."""
        sizes = self._sizes(x.type)
        return t.module(f"nn.Adaptive{self.kind}Pool{len(sizes)}d", one_or_tuple(sizes))(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """A global pool, a pool whose window is the bin, or one form for each axis."""
        sizes = self._sizes(x.type)
        spatial = x.type.shape[2:]
        if all(size == 1 for size in sizes):
            return self._global(g, x)
        even = [
            n // m for n, m in zip(spatial, sizes, strict=True) if isinstance(n, int) and n % m == 0
        ]
        if len(even) == len(sizes):
            return self._pool(g, x, even)
        steps = [
            (axis, m)
            for axis, (n, m) in enumerate(zip(spatial, sizes, strict=True), 2)
            if not provably_equal(n, m)
        ]
        for axis, count in steps:
            last = axis == steps[-1][0]
            x = self._axis(g, x, axis, count, _with_axis(x.type, axis, count), last)
        return x

    def _global(self, g: OnnxEmitter, x: Operand) -> Operand:
        """The pool over everything; over large maps the mean axis by axis."""
        if self.onnx_kind == "Max" or _is_small(x.type):
            return g.op(f"Global{self.onnx_kind}Pool", x)
        for axis in range(x.type.rank - 1, 1, -1):
            shape = x.type.with_shape((*x.type.shape[:axis], 1, *x.type.shape[axis + 1 :]))
            x = reduce(g, "ReduceMean", x, [axis], keepdims=1, type=shape if axis > 2 else None)
        return x

    def _pool(self, g: OnnxEmitter, x: Operand, window: list[int]) -> Operand:
        extra: dict[str, Any] = {"count_include_pad": 0} if self.onnx_kind == "Average" else {}
        return g.op(
            f"{self.onnx_kind}Pool",
            x,
            kernel_shape=window,
            strides=window,
            pads=[0] * (2 * len(window)),
            ceil_mode=0,
            **extra,
        )

    def _axis(
        self, g: OnnxEmitter, x: Operand, axis: int, count: int, result: TensorType, last: bool
    ) -> Operand:
        """Reduce one axis to `count` bins."""
        size = x.type.shape[axis]
        type_ = None if last else result
        if count == 1:
            return reduce(g, self.reduction, x, [axis], keepdims=1, type=type_)
        if is_static(size):
            return self._uneven(g, x, axis, bins(size, count), type_)
        if not provably_equal(size % count, 0):
            name = axis_names(x.type.rank - 2)[axis - 2]
            g.refuse(
                f"`{self.word}` cuts a {name} of {format_dim(size)} into {count} bins, and ONNX "
                "has no form for bins whose sizes depend on the input",
                help=[
                    f"write numbers for height and width in `inputs`, or a {name} that {count} "
                    "always divides",
                    "1 bin works for every size: " + f"{{{self.word}: 1}}",
                ],
            )
        grouped = (*x.type.shape[:axis], count, size // count, *x.type.shape[axis + 1 :])
        split = reshape(g, x, grouped, x.type.with_shape(grouped))
        return reduce(g, self.reduction, split, [axis + 1], keepdims=0, type=type_)

    def _uneven(
        self, g: OnnxEmitter, x: Operand, axis: int, cuts: Sequence[range], type: TensorType | None
    ) -> Operand:
        """Reduce one axis of known size to bins of any size."""
        raise NotImplementedError


class AdaptiveAvgPool(AdaptivePool):
    """Mean of each bin of a grid of `size`, whatever the size of the input.

    Source: torch.nn.AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d; ONNX
    GlobalAveragePool, ReduceMean over large maps, AveragePool, or a MatMul with the bins for each
    axis.
    """

    word = "adaptive_avgpool"
    kind = "Avg"
    onnx_kind = "Average"
    reduction = "ReduceMean"

    def _uneven(
        self, g: OnnxEmitter, x: Operand, axis: int, cuts: Sequence[range], type: TensorType | None
    ) -> Operand:
        """A product with the matrix that holds 1/len(bin) where an element is in the bin."""
        size, rank = cuts[-1].stop, x.type.rank
        rows = [[1.0 / len(cut) if j in cut else 0.0 for j in range(size)] for cut in cuts]
        if axis == rank - 1:
            columns = [row[j] for j in range(size) for row in rows]
            matrix = g.constant(columns, x.type.dtype, (size, len(cuts)))
            return g.op("MatMul", x, matrix, type=type)
        matrix = g.constant([v for row in rows for v in row], x.type.dtype, (len(cuts), size))
        result = _with_axis(x.type, axis, len(cuts))
        if axis == rank - 2:
            return g.op("MatMul", matrix, x, type=type)
        # MatMul reduces the last axis but one: bring this axis there and back.
        order = [i for i in range(rank) if i != axis]
        order.insert(rank - 2, axis)
        turned = g.op("Transpose", x, type=_permuted(x.type, order), perm=order)
        product = g.op("MatMul", matrix, turned, type=_permuted(result, order))
        back = sorted(range(rank), key=order.__getitem__)
        return g.op("Transpose", product, type=type, perm=back)


class AdaptiveMaxPool(AdaptivePool):
    """Largest element of each bin of a grid of `size`, whatever the size of the input.

    Source: torch.nn.AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d; ONNX GlobalMaxPool,
    MaxPool, or a Gather of the bins and ReduceMax for each axis.
    """

    word = "adaptive_maxpool"
    kind = "Max"
    onnx_kind = "Max"
    reduction = "ReduceMax"

    def _uneven(
        self, g: OnnxEmitter, x: Operand, axis: int, cuts: Sequence[range], type: TensorType | None
    ) -> Operand:
        """The bins side by side, the shorter ones with their last element repeated."""
        longest = max(len(cut) for cut in cuts)
        indices = [min(cut.start + j, cut.stop - 1) for cut in cuts for j in range(longest)]
        table = g.constant(indices, shape=(len(cuts), longest))
        shape = (*x.type.shape[:axis], len(cuts), longest, *x.type.shape[axis + 1 :])
        gathered = g.op("Gather", x, table, type=x.type.with_shape(shape), axis=axis)
        return reduce(g, self.reduction, gathered, [axis + 1], keepdims=0, type=type)


def _bin(axis: int, size: Dim, count: int) -> Reach:
    """What bin `i` of `m` reads: from `i*n//m` to `((i + 1)*n - 1)//m`."""
    if count == 1:
        return WHOLE
    if not is_static(size):
        return scattered(axis)
    ratio = Fraction(size, count)
    # Whole numbers from i*ratio - rest on start where the bin starts, and they end likewise.
    rest = Fraction(ratio.denominator - 1, ratio.denominator)
    return Reach((axis,), ratio, -rest, ratio - 1 + rest)


def _with_axis(x: TensorType, axis: int, size: Dim) -> TensorType:
    return x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :]))


def _permuted(x: TensorType, order: Sequence[int]) -> TensorType:
    return x.with_shape(x.shape[i] for i in order)


class GlobalAvgPool(Op):
    """Mean over all spatial axes, which are gone afterwards: [N, C, ...] -> [N, C].

    Source: `x.mean([2, 3])` in torchvision's MNASNet and ShuffleNet; ONNX ReduceMean.
    """

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, C, ...] -> [N, C]."""
        spatial_rank("global_avgpool", x)
        demand_floating(x)
        return x.with_shape(x.shape[:2])

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All positions of the channel."""
        spatial = (WHOLE,) * (inputs[0].rank - 2)
        return ((Reach((0,)), Reach((1,)), *spatial),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.mean((2, 3))`."""
        return t.expr("{0}.mean({dims})", x, dims=tuple(range(2, x.type.rank)))

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """ReduceMean without the reduced axes, over large maps axis by axis."""
        if _is_small(x.type):
            return reduce(g, "ReduceMean", x, range(2, x.type.rank), keepdims=0, type=None)
        for axis in range(x.type.rank - 1, 1, -1):
            shape = x.type.with_shape(x.type.shape[:axis])
            x = reduce(g, "ReduceMean", x, [axis], keepdims=0, type=shape if axis > 2 else None)
        return x

"""Square windows of an image that holds its channels last, shifted cyclically or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_floating, demand_rank, demand_static
from archc.ops.fields import Flag, NonNegativeInt, Number, PositiveInt
from archc.ops.forms import reshape
from archc.ops.padding import pad_code, pad_node
from archc.ops.reach import UNTRACKED, Reach, Reaches
from archc.types import Dim, DType, TensorType, format_dim, format_shape

APART = -100.0
"""Score of a pair that must not attend to each other, as in arXiv 2103.14030."""


class _Axis(NamedTuple):
    """Rows or columns.

    Attributes:
        size: of the image.
        windows: how many there are.
        padded: size once it is a multiple of the window.
        shift: none where one window holds all.
    """

    size: int
    windows: int
    padded: int
    shift: int


class _Windows(Op):
    """What the ops of windows share."""

    principal = "window"

    window: PositiveInt
    shift: NonNegativeInt = 0

    def _axes(self, word: str, x: TensorType) -> tuple[_Axis, _Axis]:
        """Rows and columns of an image [N, H, W, C]."""
        demand_rank(word, x, 4, 4)
        if self.shift >= self.window:
            raise Refusal(
                "bad-value",
                f"`{word}` shifts by less than a window, not {self.shift} of {self.window}",
                at="shift",
            )
        return self._axis(word, x, 1), self._axis(word, x, 2)

    def _axis(self, word: str, x: TensorType, axis: int) -> _Axis:
        size = demand_static(word, x, axis, "it counts the windows")
        count = -(-size // self.window)
        padded = count * self.window
        return _Axis(size, count, padded, self.shift if padded > self.window else 0)

    def _parted(self, x: TensorType, rows: _Axis, columns: _Axis) -> TensorType:
        """[N, rows, window, columns, window, C]."""
        n, _, _, c = x.shape
        return x.with_shape((n, rows.windows, self.window, columns.windows, self.window, c))


class WindowPartition(_Windows):
    """The windows of an image [N, H, W, C], row by row, each with its positions in one axis.

    The image is padded with zeros at the right and the bottom to whole windows, then moved up and
    left by `shift`, what leaves on one side entering on the other. An axis that one window holds
    whole is not shifted. Source: torchvision's shifted_window_attention (arXiv 2103.14030): pad,
    roll, permute; ONNX Pad, Slice, Concat, Reshape, Transpose.
    """

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, H, W, C] -> [N, windows, window * window, C]."""
        demand_floating(x)
        rows, columns = self._axes("window_partition", x)
        count = rows.windows * columns.windows
        return x.with_shape((x.shape[0], count, self.window**2, x.shape[3]))

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """Windows along each axis."""
        rows, columns = self._axes("window_partition", x)
        named = (("height", rows), ("width", columns))
        return tuple(f"{n} ceil({a.size}/{self.window}) = {a.windows} windows" for n, a in named)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same sample and channel; positions go by window."""
        return ((Reach((0,)), UNTRACKED, UNTRACKED, Reach((3,))),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`F.pad`, `roll`, `permute`, as far as they change anything."""
        rows, columns = self._axes("window_partition", x.type)
        value: Operand | TorchCode = x
        if rows.padded > rows.size or columns.padded > columns.size:
            ends = (0, rows.padded - rows.size), (0, columns.padded - columns.size), (0, 0)
            value = pad_code(t, x, ends)
        moved = f".roll(({-rows.shift}, {-columns.shift}), (1, 2))"
        return t.expr(
            "{0}"
            + (moved if rows.shift or columns.shift else "")
            + ".unflatten(2, {parts}).unflatten(1, {parts}).permute(0, 1, 3, 2, 4, 5)"
            + ".flatten(3, 4).flatten(1, 2)",
            value,
            parts=(-1, self.window),
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Pad, Slice and Concat, Reshape, Transpose, Reshape."""
        rows, columns = self._axes("window_partition", x.type)
        n, _, _, c = x.type.shape
        if rows.padded > rows.size or columns.padded > columns.size:
            ends = [(0, rows.padded - rows.size), (0, columns.padded - columns.size), (0, 0)]
            x = pad_node(g, x, ends, type=x.type.with_shape((n, rows.padded, columns.padded, c)))
        for axis, part in ((1, rows), (2, columns)):
            if part.shift:
                x = _rolled(g, x, axis, part.shift, x.type)
        parted = self._parted(x.type, rows, columns)
        x = reshape(g, x, parted.shape, parted)
        moved = parted.with_shape(parted.shape[axis] for axis in _ORDER)
        x = g.op("Transpose", x, type=moved, perm=_ORDER)
        return reshape(g, x, (n, rows.windows * columns.windows, self.window**2, c))


_ORDER = [0, 1, 3, 2, 4, 5]
"""Exchanges a window's rows with the windows' columns, either way."""


class WindowMerge(_Windows):
    """The image that `window_partition` parted: windows put together, moved back, padding cut off.

    `like` names the image that was parted; only its size is read. `window` and `shift` are those
    of the partition. Source and targets as of `window_partition`.
    """

    references = ("like",)

    like: Flag

    def infer(self, cx: ShapeContext, x: TensorType, like: TensorType) -> TensorType:
        """[N, windows, window * window, C] -> [N, H, W, C] for an image [N, H, W, any]."""
        demand_floating(x)
        demand_rank("window_merge", x, 4, 4)
        rows, columns = self._axes("window_merge", like)
        wanted: tuple[Dim, ...] = (rows.windows * columns.windows, self.window**2)
        refusal = Refusal(
            "shape-mismatch",
            f"{format_shape(x.shape)} are not the windows of {format_shape(like.shape)}: there are "
            f"{format_dim(wanted[0])} of {format_dim(wanted[1])} positions",
            because=[*comes_from_here(x), *comes_from_here(like, 1)],
        )
        cx.equal(x.shape[0], like.shape[0], refusal)
        for found, size in zip(x.shape[1:3], wanted, strict=True):
            cx.equal(found, size, refusal)
        return x.with_shape((x.shape[0], rows.size, columns.size, x.shape[3]))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same sample and channel; of `like` no element is read."""
        return ((Reach((0,)), UNTRACKED, UNTRACKED, Reach((3,))), ())

    def to_torch(self, t: TorchEmitter, x: Operand, like: Operand) -> TorchCode:
        """`permute`, `roll`, a slice, as far as they change anything."""
        rows, columns = self._axes("window_merge", like.type)
        moved = f".roll(({rows.shift}, {columns.shift}), (1, 2))"
        cut = rows.padded > rows.size or columns.padded > columns.size
        sizes = {"height": rows.size, "width": columns.size} if cut else {}
        return t.expr(
            "{0}.unflatten(2, {window}).unflatten(1, {counts}).permute(0, 1, 3, 2, 4, 5)"
            + ".flatten(3, 4).flatten(1, 2)"
            + (moved if rows.shift or columns.shift else "")
            + ("[:, :{height}, :{width}]" if cut else ""),
            x,
            window=(self.window, self.window),
            counts=(-1, columns.windows),
            **sizes,
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand, like: Operand) -> Operand:
        """Reshape, Transpose, Reshape, Slice and Concat, Slice."""
        rows, columns = self._axes("window_merge", like.type)
        n, _, _, c = x.type.shape
        whole = x.type.with_shape((n, rows.padded, columns.padded, c))
        merged = self._parted(whole, rows, columns)
        parted = merged.with_shape(merged.shape[axis] for axis in _ORDER)
        x = reshape(g, x, parted.shape, parted)
        x = g.op("Transpose", x, type=merged, perm=_ORDER)
        cut = whole.shape[1:3] != (rows.size, columns.size)
        shifted = [(a, p.padded - p.shift) for a, p in ((1, rows), (2, columns)) if p.shift]
        x = reshape(g, x, whole.shape, whole if shifted or cut else None)
        for index, (axis, shift) in enumerate(shifted, 1):
            last = index == len(shifted) and not cut
            x = _rolled(g, x, axis, shift, None if last else whole)
        if not cut:
            return x
        ends = g.constant([rows.size, columns.size])
        return g.op("Slice", x, g.constant([0, 0]), ends, g.constant([1, 2]))


def _rolled(g: OnnxEmitter, x: Operand, axis: int, shift: int, type_: TensorType | None) -> Operand:
    """`x` moved by `shift` towards 0 along an axis, what leaves entering at the other end."""
    size = x.type.shape[axis]
    assert isinstance(size, int)

    def part(start: int, stop: int) -> Operand:
        shape = (*x.type.shape[:axis], stop - start, *x.type.shape[axis + 1 :])
        places = (g.constant([n]) for n in (start, stop, axis))
        return g.op("Slice", x, *places, type=x.type.with_shape(shape))

    return g.op("Concat", part(shift, size), part(0, shift), type=type_, axis=axis)


class WindowMask(_Windows):
    """Scores that keep apart what a cyclic shift brought into one window: `apart`, else 0.

    It reads the size of the image alone that `window_partition` parts, and is what `attention`
    adds as its `mask`. Source: torchvision's shifted_window_attention (arXiv 2103.14030); a
    constant in ONNX.
    """

    apart: Number = APART

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, H, W, C] -> [windows, window * window, window * window]."""
        rows, columns = self._axes("window_mask", x)
        places = self.window**2
        return TensorType((rows.windows * columns.windows, places, places), DType.FLOAT32)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """No element is read."""
        return ((),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """A mask made on the device of the image."""
        rows, columns = self._axes("window_mask", x.type)
        usual = self.apart == APART
        return t.expr(
            "_window_mask({0}, {window}, {rows}, {columns}" + ("" if usual else ", {apart}") + ")",
            x,
            **({} if usual else {"apart": self.apart}),
            window=self.window,
            rows=(rows.padded, rows.shift),
            columns=(columns.padded, columns.shift),
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """A constant."""
        rows, columns = self._axes("window_mask", x.type)
        values: list[float] = []
        for row in range(rows.windows):
            for column in range(columns.windows):
                regions = [
                    (y >= rows.padded - rows.shift, x >= columns.padded - columns.shift)
                    for y in self._places(row)
                    for x in self._places(column)
                ]
                values += [0.0 if a == b else self.apart for a in regions for b in regions]
        places = self.window**2
        shape = (rows.windows * columns.windows, places, places)
        return g.constant(values, DType.FLOAT32, shape)

    def _places(self, window: int) -> range:
        return range(window * self.window, (window + 1) * self.window)

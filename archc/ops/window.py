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

    def _sources(self, rows: _Axis, columns: _Axis) -> list[int]:
        """For each place in the windows, window by window, which pixel of the image it shows."""
        return [
            (y + rows.shift) % rows.padded * columns.padded + (x + columns.shift) % columns.padded
            for row in range(rows.windows)
            for column in range(columns.windows)
            for y in self._places(row)
            for x in self._places(column)
        ]

    def _places(self, window: int) -> range:
        """Rows, or columns, that a window covers."""
        return range(window * self.window, (window + 1) * self.window)


class WindowPartition(_Windows):
    """The windows of an image [N, H, W, C], row by row, each with its positions in one axis.

    The image is padded with zeros at the right and the bottom to whole windows, then moved up and
    left by `shift`, what leaves on one side entering on the other. An axis that one window holds
    whole is not shifted. Source: torchvision's shifted_window_attention (arXiv 2103.14030): pad,
    roll, permute; ONNX Pad, Reshape, Gather.
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
        """Pad, Reshape, Gather: one copy, where moving and permuting would take several."""
        rows, columns = self._axes("window_partition", x.type)
        n, _, _, c = x.type.shape
        if rows.padded > rows.size or columns.padded > columns.size:
            ends = [(0, rows.padded - rows.size), (0, columns.padded - columns.size), (0, 0)]
            x = pad_node(g, x, ends, type=x.type.with_shape((n, rows.padded, columns.padded, c)))
        flat = x.type.with_shape((n, rows.padded * columns.padded, c))
        sources = self._sources(rows, columns)
        shape = (rows.windows * columns.windows, self.window**2)
        index = g.constant(sources, DType.INT64, shape)
        return g.op("Gather", reshape(g, x, flat.shape, flat), index, axis=1)


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
        """Reshape, Gather."""
        rows, columns = self._axes("window_merge", like.type)
        sources = self._sources(rows, columns)
        places = {source: place for place, source in enumerate(sources)}
        kept = [
            places[row * columns.padded + column]
            for row in range(rows.size)
            for column in range(columns.size)
        ]
        flat = x.type.with_shape((x.type.shape[0], len(sources), x.type.shape[3]))
        index = g.constant(kept, DType.INT64, (rows.size, columns.size))
        return g.op("Gather", reshape(g, x, flat.shape, flat), index, axis=1)


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
        return x.with_shape((rows.windows * columns.windows, places, places))

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
                scores = {a: [0.0 if a == b else self.apart for b in regions] for a in set(regions)}
                for a in regions:
                    values += scores[a]
        places = self.window**2
        shape = (rows.windows * columns.windows, places, places)
        return g.constant(values, x.type.dtype, shape)

"""Rows of a table by index, and the indices of relative positions."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_rank
from archc.ops.fields import Flag, PositiveInt
from archc.ops.initial import Computed
from archc.ops.reach import UNTRACKED, Reach, Reaches
from archc.types import DType, TensorType, is_static


class Lookup(Op):
    """Rows of a table: the first input is the table, the second says which rows, in which order.

    `{lookup: , from: [table, index]}`. An index beyond the table fails when the model runs.
    Source: indexing of torch tensors, ONNX Gather.
    """

    arity = (2, 2)

    def infer(self, cx: ShapeContext, table: TensorType, index: TensorType) -> TensorType:
        """[rows, ...] and [a, b] -> [a, b, ...]."""
        demand_rank("lookup", table, 1)
        if index.dtype is not DType.INT64:
            raise Refusal(
                "wrong-dtype",
                f"`lookup` needs int64 indices, not {index.dtype.value}",
                because=comes_from_here(index, 1),
                help=["the table comes first: from: [table, index]"],
            )
        return table.with_shape((*index.shape, *table.shape[1:]))

    def index_bounds(self, inputs: Sequence[TensorType]) -> tuple[int | None, ...]:
        """Indices choose a row of the table."""
        rows = inputs[0].shape[0]
        return (None, rows if is_static(rows) else None)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """One index each; which row that is, nobody knows before."""
        table, index = inputs
        return (
            (UNTRACKED, *(Reach((index.rank + axis,)) for axis in range(table.rank - 1))),
            tuple(Reach((axis,)) for axis in range(index.rank)),
        )

    def to_torch(self, t: TorchEmitter, table: Operand, index: Operand) -> TorchCode:
        """`table[index]`."""
        return t.expr("{0}[{1}]", table, index)

    def to_onnx(self, g: OnnxEmitter, table: Operand, index: Operand) -> Operand:
        """Gather along axis 0."""
        return g.op("Gather", table, index, axis=0)


class RelativeIndex(Op):
    """For each pair of positions in a square window, which of its offsets lies between them.

    The indices are a buffer whose key is the layer's own path. They count the rows of a table that
    has one per offset, `(2 * window - 1) ** 2` of them; `flat: false` keeps pairs in two axes.
    Source: arXiv 2103.14030; an int64 buffer in torch, an initializer in ONNX.
    """

    principal = "window"
    arity = (0, 0)

    window: PositiveInt
    flat: Flag = True

    def infer(self, cx: ShapeContext) -> TensorType:
        """Nothing -> [window ** 4], or [window ** 2, window ** 2]."""
        return TensorType(self._shape, DType.INT64)

    @property
    def _shape(self) -> tuple[int, ...]:
        count = self.window**2
        return (count * count,) if self.flat else (count, count)

    def weights(self) -> tuple[Weight, ...]:
        """The indices, under the layer's path."""
        init = Computed("relative_index", (self.window, self.window))
        return (Weight("", self._shape, init, DType.INT64, buffer=True),)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """No input is read."""
        return ()

    def to_torch(self, t: TorchEmitter) -> TorchCode:
        """The buffer."""
        return t.weight("")

    def to_onnx(self, g: OnnxEmitter) -> Operand:
        """The initializer."""
        return g.weight("")


class RelativeCoords(Op):
    """All offsets within a square window on a logarithmic scale, as the input of a small network.

    They are a buffer whose key is the layer's own path: offsets down and right from -1 to 1, the
    finer the nearer. A window has more than one position, or there were no scale.
    Source: arXiv 2111.09883; a buffer in torch, an initializer in ONNX.
    """

    principal = "window"
    arity = (0, 0)

    window: PositiveInt

    def infer(self, cx: ShapeContext) -> TensorType:
        """Nothing -> [1, 2 * window - 1, 2 * window - 1, 2]."""
        if self.window == 1:
            raise Refusal(
                "bad-value", "`relative_coords` needs a window of more than 1", at="window"
            )
        return TensorType(self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        count = 2 * self.window - 1
        return (1, count, count, 2)

    def weights(self) -> tuple[Weight, ...]:
        """The offsets, under the layer's path."""
        init = Computed("relative_coords", (self.window, self.window))
        return (Weight("", self._shape, init, buffer=True),)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """No input is read."""
        return ()

    def to_torch(self, t: TorchEmitter) -> TorchCode:
        """The buffer."""
        return t.weight("")

    def to_onnx(self, g: OnnxEmitter) -> Operand:
        """The initializer."""
        return g.weight("")

"""Learned rows: one per id, one per position."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.base import Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_float32, demand_rank, demand_static
from archc.ops.fields import NonNegativeInt, PositiveInt
from archc.ops.initial import Normal
from archc.ops.reach import Reach, Reaches, pointwise
from archc.types import DType, TensorType, format_dim, format_shape

INTEGERS = (DType.INT64, DType.INT32)
"""Dtypes of indices that both targets take."""


class Embedding(Op):
    """A learned row of `features` numbers for each id, out of `rows`.

    The row of `padding_idx` starts as zeros and is not trained. An id that is no row fails when the
    model runs. Source: torch.nn.Embedding, ONNX Gather.
    """

    principal = "rows"

    rows: PositiveInt
    features: PositiveInt
    padding_idx: NonNegativeInt | None = None

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] of int64 or int32 -> [..., features]."""
        if x.dtype not in INTEGERS:
            raise Refusal(
                "wrong-dtype",
                f"`embedding` needs ids of int64 or int32, not {x.dtype.value}",
                because=comes_from_here(x),
                help=["an input of ids is declared as `ids: {shape: [N, T], dtype: int64}`"],
            )
        if self.padding_idx is not None and self.padding_idx >= self.rows:
            raise Refusal(
                "bad-value",
                f"`padding_idx` is {self.padding_idx}, but the rows are 0 to {self.rows - 1}",
                at="padding_idx",
            )
        return TensorType((*x.shape, self.features))

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` [rows, features]."""
        shape = (self.rows, self.features)
        return (Weight("weight", shape, Normal(0.0, 1.0), zero_row=self.padding_idx),)

    def index_bounds(self, inputs: Sequence[TensorType]) -> tuple[int | None, ...]:
        """Ids choose a row."""
        return (self.rows,)

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """What an id becomes."""
        return (f"one of {self.rows} rows of {self.features} features for each id",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads its own id."""
        return (tuple(Reach((axis,)) for axis in range(inputs[0].rank)),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Embedding`."""
        padding = Default(self.padding_idx, None)
        return t.module("nn.Embedding", self.rows, self.features, padding_idx=padding)(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Gather along axis 0."""
        return g.op("Gather", g.weight("weight"), x, axis=0)


class AddPositions(Op):
    """Adds a learned row to each position: row `t` of a table of `length` rows at position `t`.

    Positions lie along the axis before the last. The input may be shorter than the table, never
    longer: that is proved, or demanded of its size.
    Source: torch.nn.Embedding of torch.arange, as in arXiv 1810.04805; ONNX Slice, Add.
    """

    principal = "length"

    length: PositiveInt

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[..., T, features] -> [..., T, features]."""
        demand_float32("add_positions", x)
        demand_rank("add_positions", x, 2)
        self._features(x)
        found = format_dim(x.shape[-2])
        refusal = Refusal(
            "bad-value",
            f"`add_positions` has rows for {self.length} positions, and {format_shape(x.shape)} "
            f"has {found}",
            at="length",
            because=comes_from_here(x),
        )
        cx.at_least(self.length, x.shape[-2], refusal)
        return x

    def _features(self, x: TensorType) -> int:
        return demand_static("add_positions", x, -1, "a row has one number per feature")

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` [length, features]."""
        return (Weight("weight", (self.length, self._features(x)), Normal(0.0, 1.0)),)

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """Positions against rows."""
        return (f"{format_dim(x.shape[-2])} positions of at most {self.length}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x + embedding(torch.arange(length))`."""
        table = t.module("nn.Embedding", self.length, self._features(x.type))
        axis = x.type.rank - 2
        return t.expr(
            "{0} + {1}",
            x,
            table(t.expr(f"torch.arange({{0}}.shape[{axis}], device={{0}}.device)", x)),
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Slice of the table, Add."""
        table = g.weight("weight")
        length, features = x.type.shape[-2:]
        if length != self.length:
            rows = x.type.with_shape((length, features))
            start, axis = g.constant([0]), g.constant([0])
            table = g.op("Slice", table, start, g.dims([length]), axis, type=rows)
        return g.op("Add", x, table)

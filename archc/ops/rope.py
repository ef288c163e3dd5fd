"""Rotary position embedding."""

from __future__ import annotations

import math
from collections.abc import Sequence

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_float32, demand_rank, demand_static
from archc.ops.fields import Flag, PositiveInt, PositiveNumber
from archc.ops.forms import DATA_TYPES, cast, reshape
from archc.ops.reach import Reaches, pointwise
from archc.types import DType, TensorType, format_shape, is_static


class Rope(Op):
    """Rotary position embedding: pairs of features turn by an angle that grows with the position.

    The features of a position are parted into `heads`, those of a head into pairs. At position `t`,
    counted from 0, pair `i` of `n` turns by `t * theta ** (-i / n)`. A pair is a feature of the
    first half of the head with its counterpart in the second, as in Llama's checkpoints at Hugging
    Face; `interleaved` pairs neighbours, as the paper does. Positions lie along the axis before the
    last. Angles are computed in float64: in float32 those of far positions are off by some 1e-4.

    Source: arXiv 2104.09864; ONNX Mul, Sin.
    """

    principal = "heads"

    heads: PositiveInt
    theta: PositiveNumber = 10000.0
    interleaved: Flag = False

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[..., length, features] -> the same."""
        demand_float32("rope", x)
        demand_rank("rope", x, 2)
        features = demand_static("rope", x, -1, "it is parted into heads")
        if features % (2 * self.heads):
            raise Refusal(
                "indivisible",
                f"{features} features cannot be parted into {self.heads} heads of pairs: "
                f"{format_shape(x.shape)}",
                at="heads",
                because=comes_from_here(x),
            )
        return x

    def _pairs(self, x: TensorType) -> int:
        features = x.shape[-1]
        assert isinstance(features, int)  # infer refused symbolic sizes
        return features // self.heads // 2

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """Pairs in each head."""
        return (f"pairs per head {x.shape[-1]} / {self.heads} / 2 = {self._pairs(x)}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Features of one position."""
        return pointwise(inputs, outputs[0], {inputs[0].rank - 1})

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """The function `_rotate`."""
        template = "_rotate({0}, {heads}, {theta}"
        template += ", interleaved=True)" if self.interleaved else ")"
        return t.expr(template, x, heads=self.heads, theta=self.theta)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Split of the pairs, Sin of positions times speeds, products and sums."""
        pairs = self._pairs(x.type)
        pair = (pairs, 2) if self.interleaved else (2, pairs)
        grouped = x.type.with_shape((*x.type.shape[:-1], self.heads, *pair))
        axis = grouped.rank - (1 if self.interleaved else 2)
        half = grouped.with_shape((*grouped.shape[:axis], 1, *grouped.shape[axis + 1 :]))
        parted = reshape(g, x, grouped.shape, grouped)
        first, second = g.split(parted, axis=axis, sizes=[1, 1], types=[half, half])
        cos, sin = self._turns(g, x.type, pairs)

        def turned(one: Operand, op_type: str, other: Operand) -> Operand:
            products = (
                g.op("Mul", one, cos, type=half),
                g.op("Mul", other, sin, type=half),
            )
            return g.op(op_type, *products, type=half)

        results = (turned(first, "Sub", second), turned(second, "Add", first))
        joined = g.op("Concat", *results, type=grouped, axis=axis)
        return reshape(g, joined, x.type.shape)

    def _turns(self, g: OnnxEmitter, x: TensorType, pairs: int) -> tuple[Operand, Operand]:
        """Cosine and sine of every angle, [length, 1, pairs, 1] or [length, 1, 1, pairs]."""
        length = x.shape[-2]
        place = (pairs, 1) if self.interleaved else (1, pairs)
        speeds = [self.theta ** (-i / pairs) for i in range(pairs)]
        if is_static(length):
            positions = g.constant(
                [float(t) for t in range(length)], DType.FLOAT64, (length, 1, 1, 1)
            )
        else:
            flat = TensorType((length,), DType.INT64)
            stop = g.op(
                "Squeeze", g.dims([length]), g.constant([0]), type=TensorType((), DType.INT64)
            )
            counted = g.op("Range", g.constant(0), stop, g.constant(1), type=flat)
            wide = TensorType((length,), DType.FLOAT64)
            counted = g.op("Cast", counted, type=wide, to=DATA_TYPES[DType.FLOAT64])
            column = wide.with_shape((length, 1, 1, 1))
            positions = g.op("Unsqueeze", counted, g.constant([1, 2, 3]), type=column)
        type_ = TensorType((length, 1, *place), DType.FLOAT64)
        angles = g.op("Mul", positions, g.constant(speeds, DType.FLOAT64, place), type=type_)
        # onnxruntime 1.20 has Sin in float64, but no Cos.
        quarter = g.constant(math.pi / 2, DType.FLOAT64, ())
        ahead = g.op("Add", angles, quarter, type=type_)
        cos, sin = (cast(g, g.op("Sin", turned, type=type_), x.dtype) for turned in (ahead, angles))
        return cos, sin

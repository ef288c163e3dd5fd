"""Tensors that a network learns by themselves: added, multiplied, put in front, or as they are.

Each keeps one weight whose key is the layer's own path, as a bare `nn.Parameter` has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import axis_of, comes_from_here, demand_float32, demand_rank, demand_static
from archc.ops.fields import Int, PositiveInt, describe, whole
from archc.ops.initial import ONES, ZEROS, Init, Normal
from archc.ops.reach import Reach, Reaches, pointwise
from archc.types import TensorType, format_dim, format_shape


def _sizes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        raise PydanticCustomError(
            "wrong-type",
            "must be a list of sizes such as [1, 16], not {value}",
            {"value": describe(value)},
        )
    return tuple(whole(item, 1, "a positive integer") for item in value)


Sizes = Annotated[
    tuple[int, ...],
    BeforeValidator(_sizes),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 1}}),
]


class Param(Op):
    """A learned tensor of a fixed shape, which reads nothing.

    Source: torch.nn.Parameter; an initializer in ONNX.
    """

    principal = "shape"
    arity = (0, 0)

    shape: Sizes

    def infer(self, cx: ShapeContext) -> TensorType:
        """Nothing -> `shape`."""
        return TensorType(self.shape)

    def weights(self) -> tuple[Weight, ...]:
        """The tensor itself, under the layer's path."""
        return (Weight("", self.shape, Normal(0.0, 0.02)),)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """No input is read."""
        return ()

    def to_torch(self, t: TorchEmitter) -> TorchCode:
        """The parameter."""
        return t.weight("")

    def to_onnx(self, g: OnnxEmitter) -> Operand:
        """The initializer."""
        return g.weight("")


class _WithParam(Op):
    """An arithmetic operator between a tensor and a learned one, which is repeated as needed."""

    word: ClassVar[str]
    symbol: ClassVar[str]
    onnx_operator: ClassVar[str]
    start: ClassVar[Init]

    principal = "shape"

    shape: Sizes

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[...] -> [...]; `shape` stands for the last axes, with 1 where it is repeated."""
        demand_float32(self.word, x)
        demand_rank(self.word, x, max(1, len(self.shape)))
        for axis, size in enumerate(self.shape, x.rank - len(self.shape)):
            if size != 1:
                cx.equal(x.shape[axis], size, self._mismatch(x, axis, size))
        return x

    def _mismatch(self, x: TensorType, axis: int, size: int) -> Refusal:
        found = format_dim(x.shape[axis])
        return Refusal(
            "shape-mismatch",
            f"`{self.word}` of shape {list(self.shape)} does not fit {format_shape(x.shape)}: "
            f"axis {axis} is {found}, not {size}",
            at="shape",
            because=comes_from_here(x),
            help=["write 1 for an axis along which the same numbers are used"],
        )

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """The learned tensor, under the layer's path."""
        return (Weight("", self.shape, self.start),)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Each position reads itself alone."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """The operator written out."""
        return t.expr(f"{{0}} {self.symbol} {{1}}", x, t.weight(""))

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Add or Mul with the initializer."""
        return g.op(self.onnx_operator, x, g.weight(""))


class AddParam(_WithParam):
    """Sum with a learned tensor of `shape`, aligned with the last axes; zeros at first.

    Position embeddings are such sums: `{add_param: [1, in_length, in_features]}`.
    Source: torch.nn.Parameter and `+`; ONNX Add.
    """

    word = "add_param"
    symbol = "+"
    onnx_operator = "Add"
    start = ZEROS


class MulParam(_WithParam):
    """Product with a learned tensor of `shape`, aligned with the last axes; ones at first.

    Layer scales are such products: `{mul_param: [in_channels, 1, 1], init: 1e-6}`
    (arXiv 2103.17239). Source: torch.nn.Parameter and `*`; ONNX Mul.
    """

    word = "mul_param"
    symbol = "*"
    onnx_operator = "Mul"
    start = ONES


class PrependParam(Op):
    """Puts `count` learned positions in front along `dim`, the same for every sample.

    Class tokens are such positions. Source: `expand` and torch.cat; ONNX Expand and Concat.
    """

    principal = "count"

    count: PositiveInt = 1
    dim: Int = 1

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[N, length, features] -> [N, count + length, features] for dim 1."""
        demand_float32("prepend_param", x)
        demand_rank("prepend_param", x, 2)
        axis = self._axis(x)
        self._sizes(x)
        return x.with_shape((*x.shape[:axis], x.shape[axis] + self.count, *x.shape[axis + 1 :]))

    def _axis(self, x: TensorType) -> int:
        axis = axis_of(self.dim, x)
        if axis == 0:
            raise Refusal(
                "bad-value",
                "`prepend_param` cannot add to axis 0, the batch: a sample more is no position",
                at="dim",
            )
        return axis

    def _sizes(self, x: TensorType) -> tuple[int, ...]:
        """The shape of the weight: 1 for the batch."""
        axis = self._axis(x)
        why = "it learns numbers for each position"
        others = range(1, x.rank)
        rest = (
            self.count if i == axis else demand_static("prepend_param", x, i, why) for i in others
        )
        return (1, *rest)

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """The positions [1, count, features], under the layer's path."""
        return (Weight("", self._sizes(x), ZEROS),)

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """`axis 1: 1 + 196 = 197`."""
        axis = self._axis(x)
        length = x.shape[axis]
        total = format_dim(length + self.count)
        return (f"axis {axis}: {self.count} + {format_dim(length)} = {total}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The position `count` further in front, where there is one."""
        axis = self._axis(inputs[0])
        moved = Reach((axis,), 1, -self.count, -self.count)
        return (tuple(moved if i == axis else Reach((i,)) for i in range(inputs[0].rank)),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`torch.cat` of the positions, expanded over the batch, and the input."""
        still = ", -1" * (x.type.rank - 1)
        return t.expr(
            f"torch.cat([{{1}}.expand({{0}}.shape[0]{still}), {{0}}], dim={{dim}})",
            x,
            t.weight(""),
            dim=self.dim,
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Expand to the batch, Concat."""
        weight = g.weight("")
        shape = (x.type.shape[0], *weight.type.shape[1:])
        tokens = g.op("Expand", weight, g.dims(shape), type=x.type.with_shape(shape))
        return g.op("Concat", tokens, x, axis=self._axis(x.type))

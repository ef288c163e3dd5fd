"""Ops of several inputs: sum, difference, product, concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import axis_of, demand_rank
from archc.ops.fields import Int
from archc.ops.reach import UNTRACKED, Reach, Reaches, pointwise
from archc.types import (
    Dim,
    DType,
    TensorType,
    format_dim,
    format_shape,
    is_static,
    provably_equal,
)


def _listing(xs: Sequence[TensorType]) -> str:
    """The distinct shapes as a sentence names them: `[1], [2] and [3]`."""
    shapes = list(dict.fromkeys(format_shape(x.shape) for x in xs))
    return " and ".join([", ".join(shapes[:-1]), shapes[-1]] if len(shapes) > 1 else shapes)


def _demand_one_dtype(op: str, xs: Sequence[TensorType]) -> None:
    for index, x in enumerate(xs):
        if x.dtype is not xs[0].dtype:
            raise Refusal(
                "wrong-dtype",
                f"`{op}` needs inputs of one dtype: {xs[0].dtype.value} and {x.dtype.value}",
                because=[
                    (0, f"{xs[0].dtype.value} comes from here"),
                    (index, f"{x.dtype.value} comes from here"),
                ],
            )


def _demand_arithmetic(op: str, xs: Sequence[TensorType]) -> None:
    _demand_one_dtype(op, xs)
    if xs[0].dtype is DType.BOOL:
        raise Refusal("wrong-dtype", f"`{op}` needs numbers, not bool")


def _mismatch(
    op: str, needs: str, xs: Sequence[TensorType], pair: tuple[int, int], axis: int
) -> Refusal:
    """The refusal of two inputs that differ along `axis`."""
    first, second = pair
    left, right = (format_dim(xs[index].shape[axis]) for index in pair)
    return Refusal(
        "shape-mismatch",
        f"`{op}` needs {needs}: {_listing(xs)}",
        label=f"axis {axis}: {left} against {right}",
        because=[(first, f"{left} comes from here"), (second, f"{right} comes from here")],
        help=_remedies(xs[first], xs[second], axis),
    )


def _remedies(first: TensorType, second: TensorType, axis: int) -> tuple[str, ...]:
    """What makes `second` fit `first`, where the shapes tell."""
    left, right = first.shape[axis], second.shape[axis]
    if first.rank < 3 or not isinstance(left, int) or not isinstance(right, int):
        return ()
    if axis == 1 and first.rank == 4:
        return (
            f"a 1x1 convolution changes the channels: {{conv: {left}, kernel: 1}} makes {left} "
            f"of {right}",
        )
    small, large = sorted((left, right))
    if axis >= 2 and small > 0 and large % small == 0:
        return (f"stride: {large // small} brings {large} to {small}",)
    return ()


def _demand_equal_rank(op: str, needs: str, xs: Sequence[TensorType]) -> None:
    for index, x in enumerate(xs):
        if x.rank != xs[0].rank:
            raise Refusal(
                "shape-mismatch",
                f"`{op}` needs {needs}: {_listing(xs)}",
                label=f"{xs[0].rank} axes against {x.rank}",
                because=[
                    (0, f"{format_shape(xs[0].shape)} comes from here"),
                    (index, f"{format_shape(x.shape)} comes from here"),
                ],
            )


def _demand_equal(
    cx: ShapeContext, op: str, needs: str, xs: Sequence[TensorType], axes: Sequence[int]
) -> None:
    """Demand equal ranks and equal sizes along `axes`."""
    _demand_equal_rank(op, needs, xs)
    for other in range(1, len(xs)):
        for axis in axes:
            left, right = xs[0].shape[axis], xs[other].shape[axis]
            if not provably_equal(left, right):
                cx.equal(left, right, _mismatch(op, needs, xs, (0, other), axis))


class _Elementwise(Op):
    """An arithmetic operator between tensors of one dtype."""

    pointwise = True

    symbol: ClassVar[str]
    onnx_operator: ClassVar[str]

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position of every input; an axis of size 1 is repeated."""
        return pointwise(inputs, outputs[0])

    def to_torch(self, t: TorchEmitter, *xs: Operand) -> TorchCode:
        """The operator written out, left to right."""
        return t.expr(f" {self.symbol} ".join(f"{{{i}}}" for i in range(len(xs))), *xs)

    def to_onnx(self, g: OnnxEmitter, *xs: Operand) -> Operand:
        """Nodes of two inputs, left to right (the order of the torch expression)."""
        result = xs[0]
        for x in xs[1:-1]:
            type_ = result.type.with_shape(_broadcast(result.type, x.type))
            result = g.op(self.onnx_operator, result, x, type=type_)
        return g.op(self.onnx_operator, result, xs[-1])


class Add(_Elementwise):
    """Elementwise sum of two or more tensors of one shape; nothing is broadcast."""

    spare_result = True
    arity = (2, None)
    symbol = "+"
    onnx_operator = "Add"

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        """Equal shapes -> that shape."""
        _demand_arithmetic("add", xs)
        _demand_equal(cx, "add", "equal shapes", xs, range(xs[0].rank))
        return xs[0]


class Sub(_Elementwise):
    """Elementwise difference of two tensors of one shape; nothing is broadcast."""

    arity = (2, 2)
    symbol = "-"
    onnx_operator = "Sub"

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        """Equal shapes -> that shape."""
        _demand_arithmetic("sub", xs)
        _demand_equal(cx, "sub", "equal shapes", xs, range(xs[0].rank))
        return xs[0]


class Mul(_Elementwise):
    """Elementwise product of two or more tensors of equal rank; axes of size 1 are repeated.

    This is what gates need: `[N, C, 1, 1]` times `[N, C, H, W]`. An axis is repeated where its
    size is the number 1; a symbolic size is never taken for 1, even where it could be.
    """

    arity = (2, None)
    symbol = "*"
    onnx_operator = "Mul"

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        """Shapes equal up to axes of size 1 -> the larger size of each axis."""
        needs = "equal shapes up to axes of size 1"
        _demand_arithmetic("mul", xs)
        _demand_equal_rank("mul", needs, xs)
        shape: list[Dim] = []
        for axis in range(xs[0].rank):
            wide = [i for i, x in enumerate(xs) if not _is_one(x.shape[axis])]
            for i in wide[1:]:
                left, right = xs[wide[0]].shape[axis], xs[i].shape[axis]
                if not provably_equal(left, right):
                    cx.equal(left, right, _mismatch("mul", needs, xs, (wide[0], i), axis))
            shape.append(xs[wide[0]].shape[axis] if wide else 1)
        return xs[0].with_shape(shape)


def _is_one(dim: Dim) -> bool:
    return is_static(dim) and dim == 1


def _broadcast(left: TensorType, right: TensorType) -> tuple[Dim, ...]:
    return tuple(b if _is_one(a) else a for a, b in zip(left.shape, right.shape, strict=True))


def _sum(dims: Sequence[Dim]) -> Dim:
    total = dims[0]
    for dim in dims[1:]:
        total = total + dim
    return total


def _shifted(axis: int, start: Dim) -> Reach:
    """What is read of an input that stands from `start` on."""
    return Reach((axis,), 1, -start, -start) if is_static(start) else UNTRACKED


class Concat(Op):
    """Concatenation of two or more tensors along `dim`, in the order of the inputs.

    Source: torch.cat, ONNX Concat.
    """

    principal = "dim"
    arity = (2, None)

    dim: Int = 1

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        """Shapes equal but for `dim` -> the sum of the sizes along it."""
        _demand_one_dtype("concat", xs)
        demand_rank("concat", xs[0], 1)
        axis = axis_of(self.dim, xs[0])
        others = [other for other in range(xs[0].rank) if other != axis]
        _demand_equal(cx, "concat", f"shapes that are equal outside axis {axis}", xs, others)
        total = _sum([x.shape[axis] for x in xs])
        return xs[0].with_shape((*xs[0].shape[:axis], total, *xs[0].shape[axis + 1 :]))

    def explain(self, *xs: TensorType) -> tuple[str, ...]:
        """The sum of the sizes."""
        axis = axis_of(self.dim, xs[0])
        sizes = [x.shape[axis] for x in xs]
        return (f"axis {axis} {' + '.join(map(format_dim, sizes))} = {format_dim(_sum(sizes))}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position of every input; along `dim` it is where that input stands."""
        axis = axis_of(self.dim, inputs[0])
        starts = accumulate((x.shape[axis] for x in inputs[:-1]), initial=0)
        return tuple(
            tuple(_shifted(axis, start) if i == axis else Reach((i,)) for i in range(x.rank))
            for x, start in zip(inputs, starts, strict=True)
        )

    def to_torch(self, t: TorchEmitter, *xs: Operand) -> TorchCode:
        """`torch.cat`."""
        fields = ", ".join(f"{{{i}}}" for i in range(len(xs)))
        return t.expr(f"torch.cat([{fields}], dim={{dim}})", *xs, dim=self.dim)

    def to_onnx(self, g: OnnxEmitter, *xs: Operand) -> Operand:
        """Concat."""
        return g.op("Concat", *xs, axis=axis_of(self.dim, xs[0].type))

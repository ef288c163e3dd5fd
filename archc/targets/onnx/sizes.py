"""Symbolic dims as values at run time."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import groupby
from typing import ClassVar, NamedTuple

from archc.graph.graph import Node, Value
from archc.ops.base import OnnxAttribute, Operand
from archc.targets.onnx.builder import GraphBuilder
from archc.targets.onnx.encode import raw_data
from archc.types import (
    Dim,
    DType,
    Expr,
    TensorType,
    dim_max,
    dim_min,
    format_dim,
    is_static,
    provably_at_least,
    provably_equal,
    symbol,
)

_ONE = TensorType((1,), DType.INT64)


class _Size(NamedTuple):
    """A size at run time: an int64 value of shape [1], or None for a dim known beforehand."""

    dim: Dim
    value: Operand | None


def reshape_entries(shape: Sequence[Dim], like: Sequence[Dim]) -> list[Dim]:
    """A target shape in Reshape's terms: 0 keeps an axis, one -1 is worked out.

    Args:
        shape: the shape wanted.
        like: the shape of the tensor being reshaped.
    """
    entries: list[Dim] = [
        0 if isinstance(dim, Expr) and axis < len(like) and provably_equal(dim, like[axis]) else dim
        for axis, dim in enumerate(shape)
    ]
    symbolic = [axis for axis, dim in enumerate(entries) if isinstance(dim, Expr)]
    if symbolic:
        # The longest expression is the one that would take most nodes to compute.
        longest = max(symbolic, key=lambda axis: (len(format_dim(entries[axis])), -axis))
        entries[longest] = -1
    return entries


class RuntimeSizes:
    """Computes dims from the shapes of values, each expression once per graph.

    A size that a layer's own operand has along an axis is read off there. Everything else is
    worked out from the axes of the graph's inputs with the arithmetic that `format_dim` prints.

    Args:
        inputs: the graph's inputs.
        builder: where nodes go.
    """

    def __init__(self, inputs: Sequence[Value], builder: GraphBuilder) -> None:
        self._inputs = tuple(Operand(value.name, value.type) for value in inputs)
        self._builder = builder
        self._known: dict[str, Operand] = {}

    def vector(self, node: Node, entries: Sequence[Dim], operands: Sequence[Operand]) -> Operand:
        """An int64 vector of these entries.

        Args:
            node: the layer that needs it.
            entries: dims, at least one of them symbolic.
            operands: values whose axes may be read.
        """
        parts: list[Operand] = []
        for static, group in groupby(entries, key=is_static):
            if static:
                parts.append(self._constant(node, [dim for dim in group if is_static(dim)]))
            else:
                parts += [self._operand(node, self._size(node, dim, operands)) for dim in group]
        if len(parts) == 1:
            return parts[0]
        type_ = TensorType((len(entries),), DType.INT64)
        return self._append(node, "Concat", parts, type_, axis=0)

    def _size(self, node: Node, dim: Dim, operands: Sequence[Operand]) -> _Size:
        known = self._recall(dim) or self._axis(node, dim, operands)
        if known is not None:
            return _Size(dim, known)
        return self._term(node, ast.parse(format_dim(dim), mode="eval").body)

    def _recall(self, dim: Dim) -> Operand | None:
        known = self._known.get(format_dim(dim))
        # A layer whose result is a size gave it a name of its own.
        return known if known is not None and known.name in self._builder.types else None

    def _axis(self, node: Node, dim: Dim, operands: Sequence[Operand]) -> Operand | None:
        """The size read off an axis that has it."""
        for operand in (*operands, *self._inputs):
            for axis, size in enumerate(operand.type.shape):
                if isinstance(size, Expr) and provably_equal(size, dim):
                    found = self._append(node, "Shape", [operand], _ONE, start=axis, end=axis + 1)
                    self._known[format_dim(dim)] = found
                    return found
        return None

    def _term(self, node: Node, term: ast.expr) -> _Size:
        match term:
            case ast.Constant(value=int(value)):
                return _Size(value, None)
            case ast.Name(id=name):
                size = self._recall(symbol(name)) or self._axis(node, symbol(name), ())
                if size is not None:
                    return _Size(symbol(name), size)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return self._difference(node, _Size(0, None), self._term(node, inner))
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
                factors = [self._term(node, left)] * power
                return reduce(lambda a, b: self._product(node, a, b), factors)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in self._ARITHMETIC:
                combine = self._ARITHMETIC[type(op)]
                return combine(self, node, self._term(node, left), self._term(node, right))
            case ast.Call(func=ast.Name(id="max" | "min" as name), args=args):
                combine = RuntimeSizes._maximum if name == "max" else RuntimeSizes._minimum
                terms = [self._term(node, arg) for arg in args]
                return reduce(lambda a, b: combine(self, node, a, b), terms)
        raise AssertionError(f"no input of the graph gives the size {ast.unparse(term)}")

    def _sum(self, node: Node, a: _Size, b: _Size) -> _Size:
        return self._combine(node, "Add", a, b, a.dim + b.dim)

    def _difference(self, node: Node, a: _Size, b: _Size) -> _Size:
        return self._combine(node, "Sub", a, b, a.dim - b.dim)

    def _product(self, node: Node, a: _Size, b: _Size) -> _Size:
        return self._combine(node, "Mul", a, b, a.dim * b.dim)

    def _remainder(self, node: Node, a: _Size, b: _Size) -> _Size:
        return self._combine(node, "Mod", a, b, a.dim % b.dim)

    def _maximum(self, node: Node, a: _Size, b: _Size) -> _Size:
        return self._combine(node, "Max", a, b, dim_max(a.dim, b.dim))

    def _minimum(self, node: Node, a: _Size, b: _Size) -> _Size:
        return self._combine(node, "Min", a, b, dim_min(a.dim, b.dim))

    def _quotient(self, node: Node, a: _Size, b: _Size) -> _Size:
        """Floor division by a positive size; ONNX's Div truncates, which differs below zero."""
        if a.dim == 1:
            # onnxruntime (DivMulFusion) makes y / x of (1 / x) * y, of integers too.
            rest = self._difference(node, _Size(2, None), b)
            return self._maximum(node, rest, _Size(0, None))
        if not provably_at_least(a.dim, 0):
            a = self._difference(node, a, self._remainder(node, a, b))
        return self._combine(node, "Div", a, b, a.dim // b.dim)

    _ARITHMETIC: ClassVar[dict[type[ast.operator], Callable[..., _Size]]] = {
        ast.Add: _sum,
        ast.Sub: _difference,
        ast.Mult: _product,
        ast.Mod: _remainder,
        ast.FloorDiv: _quotient,
    }

    def _combine(self, node: Node, op_type: str, a: _Size, b: _Size, dim: Dim) -> _Size:
        if is_static(dim):
            return _Size(dim, None)
        value = self._recall(dim)
        if value is None:
            inputs = [self._operand(node, a), self._operand(node, b)]
            value = self._append(node, op_type, inputs, _ONE)
            self._known[format_dim(dim)] = value
        return _Size(dim, value)

    def _operand(self, node: Node, size: _Size) -> Operand:
        if size.value is not None:
            return size.value
        assert is_static(size.dim)
        return self._constant(node, [size.dim])

    def _constant(self, node: Node, values: Sequence[int]) -> Operand:
        type_ = TensorType((len(values),), DType.INT64)
        return self._builder.constant(node, type_, raw_data(values, DType.INT64))

    def _append(
        self,
        node: Node,
        op_type: str,
        inputs: Sequence[Operand],
        type_: TensorType,
        **attributes: OnnxAttribute,
    ) -> Operand:
        names = [operand.name for operand in inputs]
        return self._builder.append(node, op_type, names, [type_], attributes)[0]

"""Sizes known at run time only, written over the shapes of what a layer reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from archc.graph import Value
from archc.targets.torch.code import Literal, Size, Sizes, Var
from archc.types import Dim, Expr, format_dim, provably_equal, symbols_of

SIZE_OF = "size:"
"""Prefix of the id of a value that is the size a symbol stands for (an int, not a tensor)."""


def contains_symbol(value: Any) -> bool:
    """Whether a literal has a symbolic dim in it."""
    if isinstance(value, (tuple, list)):
        return any(contains_symbol(item) for item in value)
    return isinstance(value, Expr)


def runtime_sizes(value: Any, role: str, operands: Sequence[Value]) -> Sizes:
    """A dim, or a tuple with dims, as code."""
    items = value if isinstance(value, (tuple, list)) else (value,)
    code = tuple(
        _size(item, operands) if isinstance(item, Expr) else Literal(item, role, _kind(item, role))
        for item in items
    )
    return Sizes(code, single=not isinstance(value, (tuple, list)))


def _kind(item: object, role: str) -> str:
    """A size may be a number of features, which other blocks have otherwise."""
    return "size" if type(item) is int and item > 0 else role


def _size(dim: Expr, operands: Sequence[Value]) -> Size:
    """`{0}.shape[2]` where an operand has that very size, else arithmetic over symbols.

    A symbol that no operand shows as an axis comes from the inputs of the model, as a variable.
    """
    axis = _axis_of(dim, operands)
    if axis is not None:
        return axis
    places = {name: _axis_named(name, operands) for name in sorted(symbols_of(dim))}
    order = list(places)

    def place(match: re.Match[str]) -> str:
        name = match[0]
        if name not in places:
            return name
        index = order.index(name)
        return places[name].template.replace("{0}", f"{{{index}}}")

    text = format_dim(dim).replace("{", "{{").replace("}", "}}")
    template = re.sub(r"[A-Za-z_]\w*", place, text)
    return Size(template, tuple(places[name].operands[0] for name in order))


def _axis_of(dim: Dim, operands: Sequence[Value]) -> Size | None:
    for value in operands:
        for axis, size in enumerate(value.type.shape):
            if isinstance(size, Expr) and provably_equal(size, dim):
                return Size(f"{{0}}.shape[{axis}]", (Var(value.name),))
    return None


def _axis_named(name: str, operands: Sequence[Value]) -> Size:
    for value in operands:
        for axis, size in enumerate(value.type.shape):
            if isinstance(size, Expr) and format_dim(size) == name:
                return Size(f"{{0}}.shape[{axis}]", (Var(value.name),))
    return Size("{0}", (Var(SIZE_OF + name),))

"""Headers of loops: `i, (n, c) in enumerate(zip(depths, widths))`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from archc.spec.expressions.expression import (
    Expression,
    ExpressionError,
    located,
    parse_expression,
)
from archc.spec.expressions.fault import Fault
from archc.spec.expressions.lexer import Token, check_tokens, tokenize
from archc.spec.expressions.operators import describe
from archc.spec.expressions.parser import parse
from archc.spec.tree import Scalar

_FOR = re.compile(r"\s*for\b\s*")


@dataclass(frozen=True, slots=True)
class Target:
    """What one item of a loop is bound to.

    Attributes:
        place: offsets into the scalar's text.
        name: a single name, or None when the item is taken apart.
        parts: targets of the items it is taken apart into.
    """

    place: tuple[int, int]
    name: str | None
    parts: tuple[Target, ...] = ()

    def names(self) -> Iterator[str]:
        """Every name bound."""
        if self.name is not None:
            yield self.name
        for part in self.parts:
            yield from part.names()


@dataclass(frozen=True, slots=True, eq=False)
class ForHeader:
    """A loop's header.

    Attributes:
        target: what each item is bound to.
        iterable: what the loop runs over.
    """

    target: Target
    iterable: Expression

    @property
    def names(self) -> tuple[str, ...]:
        """Names the loop binds, in the order written."""
        return tuple(self.target.names())

    def iterate(self, value: object) -> list[object]:
        """The items of the evaluated iterable.

        Raises:
            ExpressionError: `expression-type`, it is no list.
        """
        if not isinstance(value, list | tuple):
            raise ExpressionError(
                "expression-type",
                f"`for` needs a list, not {describe(value)}",
                self.iterable.span,
                ("write range(n) to count",) if isinstance(value, int) else (),
            )
        return list(value)

    def bind(self, value: object) -> dict[str, object]:
        """Names and values for one item.

        Raises:
            ExpressionError: `expression-type`, the item has not as many parts as there are names.
        """
        bound: dict[str, object] = {}
        pairs = [(self.target, value)]
        while pairs:
            target, item = pairs.pop()
            if target.name is not None:
                bound[target.name] = item
                continue
            if not isinstance(item, list | tuple) or len(item) != len(target.parts):
                raise ExpressionError(
                    "expression-type",
                    f"{describe(item)} cannot be taken apart into {len(target.parts)} names",
                    self.iterable.scalar.sub_span(*target.place),
                )
            pairs.extend(zip(target.parts, item, strict=True))
        return bound


def parse_for(scalar: Scalar) -> ForHeader:
    """Parse a loop's header, with or without the leading `for`.

    Raises:
        ExpressionError: `bad-expression`, `unknown-function` or `expression-limit`.
    """
    if isinstance(scalar.cache, ForHeader):
        return scalar.cache
    text = scalar.text
    match = _FOR.match(text)
    start = match.end() if match else 0
    try:
        separator = _separator(tokenize(text[start:]))
        target = _target(text[start : start + separator.start], start)
    except Fault as fault:
        raise located(fault, scalar, start, scalar.span) from None
    after = start + separator.end
    header = ForHeader(target, parse_expression(scalar, text[after:], after))
    scalar.cache = header
    return header


def _separator(tokens: list[Token]) -> Token:
    """The `in` between target and iterable."""
    for index, token in enumerate(tokens):
        if token.text == "in" and token.kind == "keyword":
            if index + 1 == len(tokens):
                raise Fault("bad-expression", "a list is missing after `in`", place=token.place)
            return token
    raise Fault("bad-expression", "`for` needs an `in`", "write `for i in range(n)`")


def _target(text: str, offset: int) -> Target:
    """Parse the names left of `in`; offsets in it count from `offset`."""
    tokens = tokenize(text)
    if not tokens:
        raise Fault("bad-expression", "a name is missing before `in`", place=(0, len(text)))
    # In brackets of its own, because `i, n` is a list here and nowhere else.
    bracketed = f"[{text.strip()}]"
    shift = len(text) - len(text.lstrip()) - 1
    try:
        check_tokens(tokenize(bracketed))
        tree = parse(bracketed)
    except Fault as fault:
        place = fault.place or (1, len(bracketed) - 1)
        fault.place = (max(place[0] + shift, 0), max(place[1] + shift, 0))
        raise
    seen: set[str] = set()

    def build(node: ast.expr) -> Target:
        place = tuple_shifted(tree.place(node))
        if isinstance(node, ast.Name):
            if node.id in seen and node.id != "_":
                message = f"`{node.id}` is bound twice"
                raise Fault("bad-expression", message, place=(place[0], place[1]))
            seen.add(node.id)
            return Target((place[0] + offset, place[1] + offset), node.id)
        if isinstance(node, ast.Tuple | ast.List) and node.elts:
            parts = tuple(build(part) for part in node.elts)
            return Target((place[0] + offset, place[1] + offset), None, parts)
        raise Fault("bad-expression", "`for` binds names only", place=place)

    def tuple_shifted(place: tuple[int, int]) -> tuple[int, int]:
        return (place[0] + shift, place[1] + shift)

    root = tree.root
    assert isinstance(root, ast.List)
    if len(root.elts) == 1 and tokens[-1].text != ",":
        return build(root.elts[0])
    start, end = tokens[0].start, tokens[-1].end
    parts = tuple(build(part) for part in root.elts)
    return Target((start + offset, end + offset), None, parts)

"""Headers of loops: `i, (n, c) in enumerate(zip(depths, widths))`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archc.records import dataclass
from archc.spec.expressions.expression import (
    Expression,
    ExpressionError,
    located,
    parse_expression,
)
from archc.spec.expressions.fault import MAX_NESTING, Fault
from archc.spec.expressions.lexer import CONSTANTS, WORDS, Token, tokenize
from archc.spec.expressions.operators import describe
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
            # The leftmost is taken next: of names bound twice (`_`), the last one counts.
            pairs.extend(reversed(list(zip(target.parts, item, strict=True))))
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
        tokens = tokenize(text[start:])
        separator = _separator(tokens)
        target = _TargetReader(tokens[:separator], start).read()
    except Fault as fault:
        raise located(fault, scalar, start, scalar.span) from None
    first = tokens[separator + 1].start + start
    header = ForHeader(target, parse_expression(scalar, text[first:].rstrip(), first))
    scalar.cache = header
    return header


def _separator(tokens: list[Token]) -> int:
    """Where the `in` between target and iterable stands."""
    for index, token in enumerate(tokens):
        if token.text == "in" and token.kind == "keyword":
            if index == 0:
                raise _bad("a name is missing before `in`", token)
            if index + 1 == len(tokens):
                raise _bad("a list is missing after `in`", token)
            return index
    raise Fault("bad-expression", "`for` needs an `in`", "write `for i in range(n)`")


def _bad(message: str, token: Token) -> Fault:
    return Fault("bad-expression", message, place=token.place)


class _TargetReader:
    """Reads names, commas and brackets, the only things that can be bound.

    Args:
        tokens: what stands left of `in`, at least one.
        offset: where they begin in the scalar.
    """

    def __init__(self, tokens: list[Token], offset: int) -> None:
        self.tokens = tokens
        self.offset = offset
        self.index = 0
        self.depth = 0
        self.seen: set[str] = set()

    def read(self) -> Target:
        """Read all of it.

        Raises:
            Fault: `bad-expression`.
        """
        parts, comma = self.read_parts(None)
        if self.index < len(self.tokens):
            raise _bad("`for` binds names only", self.tokens[self.index])
        if len(parts) == 1 and not comma:
            return parts[0]
        return Target(self.place(self.tokens[0], self.tokens[-1]), None, parts)

    def read_parts(self, closing: str | None) -> tuple[tuple[Target, ...], bool]:
        """Targets up to a closing bracket or the end, and whether a comma is among them."""
        parts: list[Target] = []
        comma = False
        while self.index < len(self.tokens) and self.tokens[self.index].text != closing:
            parts.append(self.read_one())
            comma = self.index < len(self.tokens) and self.tokens[self.index].text == ","
            if not comma:
                break
            self.index += 1
        return tuple(parts), comma or len(parts) > 1

    def read_one(self) -> Target:
        token = self.tokens[self.index]
        self.index += 1
        if token.text in ("(", "["):
            return self.read_bracket(token)
        if token.kind != "name" or token.text in CONSTANTS or token.text in WORDS:
            raise _bad("`for` binds names only", token)
        if token.text in self.seen and token.text != "_":
            raise _bad(f"`{token.text}` is bound twice", token)
        self.seen.add(token.text)
        return Target(self.place(token, token), token.text)

    def read_bracket(self, opening: Token) -> Target:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _bad("brackets are nested too deep", opening)
        parts, comma = self.read_parts(")" if opening.text == "(" else "]")
        if self.index == len(self.tokens):
            raise _bad(f"this `{opening.text}` is never closed", opening)
        closing = self.tokens[self.index]
        if (opening.text, closing.text) not in (("(", ")"), ("[", "]")) or not parts:
            raise _bad("`for` binds names only", closing)
        self.index += 1
        self.depth -= 1
        if len(parts) == 1 and not comma and opening.text == "(":
            return parts[0]
        return Target(self.place(opening, closing), None, parts)

    def place(self, first: Token, last: Token) -> tuple[int, int]:
        return (self.offset + first.start, self.offset + last.end)

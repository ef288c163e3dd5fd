"""An expression at its place in a spec."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TypeAlias

from archc.diagnostics import Diagnostic, Label, Span
from archc.spec.expressions.evaluator import Scope, evaluate
from archc.spec.expressions.fault import Fault
from archc.spec.expressions.lexer import WORDS
from archc.spec.expressions.parser import Tree, parse
from archc.spec.tree import Literal, Scalar, resolve_plain

Unknown: TypeAlias = Callable[[str, Span], object]
"""Last resort for a name: returns what it stands for, or declines by raising KeyError."""


class ExpressionError(Exception):
    """An expression that cannot be read or evaluated.

    Attributes:
        code: code of the diagnostic it becomes.
        message: one sentence.
        span: the part of the expression that is at fault.
        help: suggestions.
    """

    def __init__(self, code: str, message: str, span: Span, help: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span
        self.help = tuple(help)

    def diagnostic(self) -> Diagnostic:
        """The same as a diagnostic."""
        return Diagnostic(self.code, self.message, Label(self.span), help=self.help)


class Expression:
    """A parsed expression; immutable, evaluated as often as needed.

    Attributes:
        scalar: the scalar that holds it.
        span: its own place, all of the scalar or a part.
        word: the name, when the expression is nothing but a name; else None.
    """

    __slots__ = ("_literal", "_offset", "_tree", "scalar", "span", "word")

    def __init__(self, scalar: Scalar, span: Span, offset: int, tree: Tree | Literal) -> None:
        self.scalar = scalar
        self.span = span
        self._offset = offset
        self._tree = tree if isinstance(tree, Tree) else None
        self._literal = None if isinstance(tree, Tree) else tree
        root = tree.root if isinstance(tree, Tree) else None
        self.word = root.id if isinstance(root, ast.Name) and root.id not in WORDS else None

    def evaluate(self, scope: Scope, unknown: Unknown | None = None) -> object:
        """The value.

        Numbers, booleans, None, texts and lists are plain Python values, sizes that are not
        fixed are `archc.types.Expr`, and whatever else the scope supplies passes through.
        `true`, `false` and `null` mean what they do in YAML. Other names mean, in this order:
        variables of a comprehension, the scope, what `unknown` makes of them; `none` is None.

        Args:
            scope: what names mean.
            unknown: last resort for a name.

        Raises:
            ExpressionError: `unknown-name`, `expression-type`, `expression-limit`,
                `division-by-zero` or `symbolic-condition`. What the scope itself raises, but
                for KeyError, passes through.
        """
        if self._tree is None:
            return self._literal

        def at_span(name: str, place: tuple[int, int]) -> object:
            assert unknown is not None
            return unknown(name, self._span(place))

        try:
            return evaluate(self._tree, scope, None if unknown is None else at_span)
        except Fault as fault:
            raise located(fault, self.scalar, self._offset, self.span) from None

    def _span(self, place: tuple[int, int]) -> Span:
        return self.scalar.sub_span(self._offset + place[0], self._offset + place[1])


def located(fault: Fault, scalar: Scalar, offset: int, default: Span) -> ExpressionError:
    """A fault in the text that begins at `offset` of a scalar, as an error with a span."""
    span = default
    if fault.place is not None:
        span = scalar.sub_span(offset + fault.place[0], offset + fault.place[1])
    return ExpressionError(fault.code, fault.message, span, fault.help)


def parse_expression(scalar: Scalar, text: str | None = None, offset: int = 0) -> Expression:
    """Parse a scalar, or a part of one.

    A whole scalar that is a YAML number, boolean or null stands for that value, quoted or not.

    Args:
        scalar: what holds the expression; keeps the result when it is parsed whole.
        text: the part to parse, `scalar.text[offset:offset + len(text)]`.
        offset: where the part begins.

    Raises:
        ExpressionError: `bad-expression`, `unknown-function` or `expression-limit`.
    """
    if text is not None:
        span = scalar.sub_span(offset, offset + len(text))
        return _parse(scalar, text, offset, span)
    if isinstance(scalar.cache, Expression):
        return scalar.cache
    literal = resolve_plain(scalar.text) if scalar.text or scalar.plain else ""
    if isinstance(literal, str):
        expression = _parse(scalar, scalar.text, 0, scalar.span)
    else:
        expression = Expression(scalar, scalar.span, 0, literal)
    scalar.cache = expression
    return expression


def _parse(scalar: Scalar, text: str, offset: int, span: Span) -> Expression:
    try:
        return Expression(scalar, span, offset, parse(text))
    except Fault as fault:
        raise located(fault, scalar, offset, span) from None

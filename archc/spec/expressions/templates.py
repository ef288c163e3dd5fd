"""Names that hold expressions: `layer{i + 1}`, `features.denseblock{i}.denselayer{j + 1}`."""

from __future__ import annotations

import re

from archc.records import dataclass
from archc.spec.expressions.evaluator import Scope
from archc.spec.expressions.expression import Expression, ExpressionError, parse_expression
from archc.spec.expressions.operators import describe
from archc.spec.expressions.sizes import not_fixed
from archc.spec.tree import Scalar
from archc.types import Expr

MAX_NAME = 200
"""Characters of a name."""

_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]")
_WORD = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A name as written.

    Attributes:
        scalar: where it is written.
        parts: texts that stand as they are, and expressions between them.
    """

    scalar: Scalar
    parts: tuple[str | Expression, ...]

    @property
    def is_static(self) -> bool:
        """Whether it holds no expression."""
        return all(isinstance(part, str) for part in self.parts)

    def render(self, scope: Scope) -> str:
        """The name: dot-separated, each part of letters, digits, `_` and `-`.

        Raises:
            ExpressionError: an expression fails, or `bad-name`.
        """
        name = "".join(
            part if isinstance(part, str) else _rendered(part, scope) for part in self.parts
        )
        if len(name) > MAX_NAME:
            raise _bad(self.scalar, f"a name of {len(name)} characters; at most {MAX_NAME} fit")
        if not _NAME.fullmatch(name):
            shown = f"`{name}`: a part of the name" if name else "the name"
            raise _bad(self.scalar, f"{shown} is empty")
        return name


def parse_template(scalar: Scalar) -> Template:
    """Parse a name.

    Raises:
        ExpressionError: `bad-name`, or an expression in it is wrong.
    """
    if isinstance(scalar.cache, Template):
        return scalar.cache
    text = scalar.text
    parts: list[str | Expression] = []
    at = 0
    while at < len(text):
        opening = text.find("{", at)
        literal = text[at:] if opening < 0 else text[at:opening]
        foreign = _FOREIGN.search(literal)
        if foreign:
            place = (at + foreign.start(), at + foreign.end())
            raise _bad(scalar, f"a name cannot hold `{foreign.group()}`", place)
        if literal:
            parts.append(literal)
        if opening < 0:
            break
        closing = text.find("}", opening)
        if closing < 0:
            raise _bad(scalar, "this `{` is never closed", (opening, opening + 1))
        parts.append(parse_expression(scalar, text[opening + 1 : closing], opening + 1))
        at = closing + 1
    template = Template(scalar, tuple(parts))
    scalar.cache = template
    return template


def _bad(scalar: Scalar, message: str, place: tuple[int, int] | None = None) -> ExpressionError:
    span = scalar.span if place is None else scalar.sub_span(*place)
    hint = "names are of letters, digits, `_` and `-`, joined by `.`; `{expr}` puts in a number"
    return ExpressionError("bad-name", message, span, (hint,))


def _rendered(expression: Expression, scope: Scope) -> str:
    value = expression.evaluate(scope)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    message = f"a name takes whole numbers and words, not {describe(value)}"
    if isinstance(value, Expr):
        message = f"a name takes fixed numbers, but {not_fixed(value)}"
    raise ExpressionError("bad-name", message, expression.span)

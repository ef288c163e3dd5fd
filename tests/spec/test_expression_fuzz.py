"""Whatever an expression says: a bounded value, or an error with a place inside the text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from archc.diagnostics import Source, Span
from archc.spec.expressions import (
    FUNCTIONS,
    ExpressionError,
    parse_expression,
    parse_for,
    parse_template,
)
from archc.spec.tree import Scalar
from archc.types import Expr, symbol

NAMES: dict[str, object] = {
    "x": 3,
    "n": 0,
    "f": 0.5,
    "xs": [1, 2, 3],
    "rows": [[1, 2], [3, 4]],
    "word": "abc",
    "flag": True,
    "relu": object(),
    "inf": math.inf,
    "H": symbol("H"),
    "W": symbol("W"),
}


class Names:
    def lookup(self, name: str) -> object:
        return NAMES[name]

    def names(self) -> Iterable[str]:
        return NAMES


TOKENS = st.sampled_from(
    [
        *NAMES,
        *(f"{name}(" for name in FUNCTIONS),
        *("1", "2", "0", "64", "1e3", "0.5", "010", "'a'", '"b"', "true", "none", "None", "9" * 20),
        *("+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "=", ":", ","),
        *("(", ")", "[", "]", "in", "not", "and", "or", "if", "else", "for", "a", "is", "lambda"),
        *(
            "&&",
            "!",
            ".",
            "{",
            "}",
            "\\",
            "'",
            "#",
            "é",
            "\n",
            "\N{MULTIPLICATION SIGN}",
            "\u2028",
            "\0",
            "@",
            "`",
        ),
    ]
)
TEXTS = st.one_of(st.lists(TOKENS, max_size=14).map(" ".join), st.text(max_size=40))

# Texts that parse, so that evaluation is reached: a grammar over the same names.
ATOMS = st.sampled_from([*NAMES, "1", "2", "-3", "0.5", "'a'", "[]", "[1, 'a']", "none"])
OPERATORS = st.sampled_from(
    [
        *("+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">="),
        *("and", "or", "in", "not in", "if x else"),
    ]
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, OPERATORS, inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"-({text})"),
        inner.map(lambda text: f"[a for a in {text} if a]"),
        st.tuples(inner, inner).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]})[{parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]})[{parts[1]}:]"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, min_size=1, max_size=3)).map(
            lambda parts: f"{parts[0]}({', '.join(parts[1])})"
        ),
    )


EXPRESSIONS = st.recursive(ATOMS, _larger, max_leaves=8)


def check_bounded(value: object) -> None:
    if isinstance(value, list):
        assert len(value) <= 100_000
        for item in value[:10]:
            check_bounded(item)
    elif isinstance(value, int):
        assert abs(value) < 2**63
    elif isinstance(value, str):
        assert len(value) <= 1000
    else:
        assert value is None or isinstance(value, Expr | float) or value is NAMES["relu"]


def run(text: str, use: Callable[[Scalar], object]) -> None:
    source = Source("t.yaml", f"key: {text}\n")
    scalar = Scalar(text, True, Span(source, 5, 5 + len(text)), True)
    try:
        use(scalar)
    except ExpressionError as error:
        assert 5 <= error.span.start <= error.span.end <= 5 + len(text)
        assert error.message
        str(error.diagnostic().primary)


def evaluate(scalar: Scalar) -> None:
    check_bounded(parse_expression(scalar).evaluate(Names()))


def loop(scalar: Scalar) -> None:
    header = parse_for(scalar)
    for item in header.iterate(header.iterable.evaluate(Names()))[:10]:
        header.bind(item)


@settings(deadline=None)  # no absolute times
@given(TEXTS)
def test_any_text_as_an_expression(text: str) -> None:
    run(text, evaluate)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_any_expression(text: str) -> None:
    run(text, evaluate)


@settings(deadline=None)
@given(st.one_of(TEXTS, TEXTS.map("for a, b in {}".format), TEXTS.map("{} in xs".format)))
def test_any_text_as_a_header(text: str) -> None:
    run(text, loop)


@settings(deadline=None)
@given(st.one_of(TEXTS, TEXTS.map("layer{{{}}}".format)))
def test_any_text_as_a_name(text: str) -> None:
    run(text, lambda scalar: parse_template(scalar).render(Names()))

"""Expressions over sizes that are not fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.diagnostics import Source, Span
from archc.spec.expressions import ExpressionError, parse_expression
from archc.spec.tree import Scalar
from archc.types import evaluate as value_of
from archc.types import provably_equal, symbol

Evaluate = Callable[..., Any]
Refuse = Callable[..., Any]

H, W = symbol("H"), symbol("W")
NAMES: dict[str, Any] = {"H": H, "W": W, "x": 3, "xs": [1, 2]}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("H * 2 + 1", 2 * H + 1),
        ("1 - H", 1 - H),
        ("-H", -H),
        ("+H", H),
        ("(H + 2 * 1 - 3) // 2 + 1", (H - 1) // 2 + 1),
        ("-(-H // 2) // 7", (H + 1) // 2 // 7),
        ("H % 8", H % 8),
        ("H * W", H * W),
        ("100 // H", 100 // H),
        ("H * true", H),
        ("sum([H, W, 1])", H + W + 1),
        ("int(H) + round(H) + ceil(H) + floor(H)", 4 * H),
        ("[H, 1][0]", H),
        ("H - H", 0),
    ],
)
def test_arithmetic_is_exact(evaluate: Evaluate, text: str, size: Any) -> None:
    result = evaluate(text, **NAMES)
    assert result == size
    assert type(result) is type(size)


def test_extremes(evaluate: Evaluate) -> None:
    assert evaluate("max(H, 1)", **NAMES) == H
    assert evaluate("min([H + 1, H, H + 2])", **NAMES) == H
    widest = evaluate("max(H, W, true)", **NAMES)
    assert value_of(widest, {"H": 3, "W": 8}) == 8


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("H >= 1", True),
        ("H > 0", True),
        ("H < 1", False),
        ("H <= 0", False),
        ("0 < H", True),
        ("H == 0", False),
        ("H != 0", True),
        ("H + 1 > H", True),
        ("H <= H", True),
        ("2 * H % 2 == 0", True),
        ("2 * H == 7", False),
        ("H == 'H'", False),
        ("H == 1.5", False),
        ("H == none", False),
        ("[H, 1] == [H, 1]", True),
        ("[H, 1] == [3, 2]", False),
        ("[2, H] == [3, 3]", False),
        ("H in [0, -1]", False),
        ("H in [7, H]", True),
        ("H not in ['a', none]", True),
        ("not H", False),
        ("1 if H else 2", 1),
        ("H and 5", 5),
        ("H - H or 5", 5),
        ("bool(H)", True),
        ("any([H % 2, 1])", True),
        ("all([H % 2, 0])", False),
        ("[a for a in xs if H > 0]", [1, 2]),
    ],
)
def test_conditions_that_hold_for_every_size(evaluate: Evaluate, text: str, value: object) -> None:
    result = evaluate(text, **NAMES)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "shown", "names"),
    [
        ("H % 2 == 0", "H % 2 == 0", "H, which is not fixed"),
        ("x + 1 if H == 7 else x", "H == 7", "H, which is not fixed"),
        ("H < W", "H < W", "H and W, which are not fixed"),
        ("x < H < 9", "x < H < 9", "H, which is not fixed"),
        ("1 if H % 2 else 2", "H % 2", "H, which is not fixed"),
        ("not (H - 1)", "H - 1", "H, which is not fixed"),
        ("x and H - 5 and 1", "H - 5", "H, which is not fixed"),
        ("H in [3, 4]", "H in [3, 4]", "H, which is not fixed"),
        ("[H, 1] == [3, 1]", "[H, 1] == [3, 1]", "H, which is not fixed"),
        ("any([H % 2, 0])", "any([H % 2, 0])", "H, which is not fixed"),
        ("all([H % 2, 1])", "all([H % 2, 1])", "H, which is not fixed"),
        ("bool(H % 2)", "bool(H % 2)", "H, which is not fixed"),
        ("[a for a in xs if a < H]", "a < H", "H, which is not fixed"),
    ],
)
def test_conditions_that_depend_on_a_size(
    refuse: Refuse, text: str, shown: str, names: str
) -> None:
    refusal = refuse(text, **NAMES)
    assert (refusal.code, refusal.shown) == ("symbolic-condition", shown)
    assert refusal.message == f"`{shown}` depends on {names}"


@pytest.mark.parametrize(
    ("text", "code", "shown", "words"),
    [
        ("H / 2", "expression-type", "H / 2", "gives a float"),
        ("H ** 2", "expression-type", "H ** 2", "needs fixed numbers"),
        ("H + 0.5", "expression-type", "0.5", "integers only"),
        ("'a' + H", "expression-type", "'a'", "integers only"),
        ("[1] * H", "expression-type", "[1]", "integers only"),
        ("H < 0.5", "expression-type", "0.5", "does not order"),
        ("H // (H - 5)", "expression-type", "H - 5", "may be zero"),
        ("H // 0", "division-by-zero", "0", "divides by zero"),
        ("H % (x - 3)", "division-by-zero", "x - 3", "`x - 3` is 0"),
        ("range(H)", "expression-type", "H", "H is not"),
        ("xs[H]", "expression-type", "H", "an index is an integer"),
        ("make_divisible(H)", "expression-type", "H", "H is not"),
        ("sqrt(H * W)", "expression-type", "H * W", "H and W are not"),
        ("float(H)", "expression-type", "H", "H is not"),
        ("max(H, 0.5)", "expression-type", "max(H, 0.5)", "takes integers"),
        ("sorted([H, 1])", "expression-type", "[H, 1]", "sorted"),
        ("9223372036854775807 * H * 2", "expression-limit", None, "64 bits"),
        ("(H + 9223372036854775807 + 1) - H", "expression-limit", None, "64 bits"),
        ("*".join(["(H + W + 1)"] * 70), "expression-limit", None, "deep"),
        ("*".join(["(H*H + W*W + H + W + 1)"] * 30), "expression-limit", None, ""),
        ("[H * i % 64 == 0 for i in range(9999)]", "symbolic-condition", None, "depends on"),
        ("[H * i > 0 for i in range(1, 9999)]", "expression-limit", None, "steps"),
    ],
)
def test_refusals(refuse: Refuse, text: str, code: str, shown: str | None, words: str) -> None:
    refusal = refuse(text, **NAMES)
    assert refusal.code == code
    assert shown in (None, refusal.shown)
    assert words in refusal.message


NUMBERS = st.integers(1, 12).map(str)
SIZES = st.recursive(
    st.one_of(st.sampled_from(["H", "W"]), NUMBERS),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({' '.join(p)})"),
        st.tuples(inner, st.sampled_from(["//", "%"]), NUMBERS).map(lambda p: f"({' '.join(p)})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
    ),
    max_leaves=5,
)
COMPARISONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def _evaluate(text: str, names: dict[str, Any]) -> Any:
    class Names:
        def lookup(self, name: str) -> object:
            return names[name]

        def names(self) -> list[str]:
            return list(names)

    source = Source("t.yaml", text)
    return parse_expression(Scalar(text, True, Span(source, 0, len(text)), True)).evaluate(Names())


@settings(deadline=None)  # no absolute times
@given(SIZES, st.integers(1, 40), st.integers(1, 40))
def test_a_size_has_the_value_of_its_expression(text: str, h: int, w: int) -> None:
    try:
        size = _evaluate(text, {"H": H, "W": W})
    except ExpressionError as error:
        assert error.code == "expression-limit"
        return
    assert value_of(size, {"H": h, "W": w}) == _evaluate(text, {"H": h, "W": w})
    assert provably_equal(size, size)


@settings(deadline=None)
@given(SIZES, COMPARISONS, SIZES, st.integers(1, 40), st.integers(1, 40))
def test_a_decided_condition_holds_at_every_size(
    left: str, symbol: str, right: str, h: int, w: int
) -> None:
    text = f"{left} {symbol} {right}"
    try:
        decided = _evaluate(text, {"H": H, "W": W})
    except ExpressionError as error:
        assert error.code in ("symbolic-condition", "expression-limit")
        return
    assert decided == _evaluate(text, {"H": h, "W": w})

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from archc.diagnostics import Source, Span
from archc.spec.expressions import FUNCTIONS, parse_expression
from archc.spec.tree import Scalar

Evaluate = Callable[..., Any]

NAMES: dict[str, Any] = {
    "x": 3,
    "zero": 0,
    "half": 0.5,
    "word": "abc",
    "xs": [1, 2, 3],
    "pair": (7, 8),
    "rows": [[1, 3, 16], [6, 5, 24], [6, 3, 40]],
    "depths": [2, 2, 6, 2],
    "flag": True,
    "nothing": None,
}

VALUES = {
    # literals
    "12": 12,
    "010": 10,
    "1_000": 1000,
    "0x1f": 31,
    "0b11": 3,
    "1e-3": 1e-3,
    "3.": 3.0,
    ".5": 0.5,
    "'it'": "it",
    '"é"': "é",
    "true": True,
    "False": False,
    "null": None,
    "none": None,
    "None": None,
    "~": None,
    "[1, x, [2]]": [1, 3, [2]],
    "[]": [],
    "(1, x)": [1, 3],
    "()": [],
    # arithmetic
    "1 + 2 * x": 7,
    "(1 + 2) * x": 9,
    "7 / 2": 3.5,
    "-7 // 2": -4,
    "-(-7 // 2)": 4,
    "7 % 4": 3,
    "-7 % 4": 1,
    "2 ** 10": 1024,
    "2 ** -1": 0.5,
    "4 ** 0.5": 2.0,
    "(-1) ** 4611686018427387904": 1,
    "-x ** 2": -9,
    "+flag": 1,
    "flag + flag": 2,
    "7.5 // 2": 3.0,
    "half * 4": 2.0,
    "9223372036854775807": 2**63 - 1,
    "64 * 2**x": 512,
    "[1] + [2, 3]": [1, 2, 3],
    "pair + [9]": [7, 8, 9],
    "[0] * x": [0, 0, 0],
    "2 * [1, 2]": [1, 2, 1, 2],
    "[1] * -1": [],
    "'a' + word": "aabc",
    "'ab' * 2": "abab",
    # comparisons, conditions
    "1 < x <= 3": True,
    "1 < x < 3": False,
    "x == 3.0": True,
    "x != 3": False,
    "1 == '1'": False,
    "[1, [2]] == [1, [2]]": True,
    "[1, 2] == [1]": False,
    "pair == [7, 8]": True,
    "nothing == none": True,
    "'a' < 'b'": True,
    "2 in xs": True,
    "5 not in xs": True,
    "[1, 3, 16] in rows": True,
    "'b' in word": True,
    "not x": False,
    "not x == 3": False,
    "x and 0": 0,
    "zero and 1 // zero": 0,
    "x or 1 // zero": 3,
    "'' or [] or none or 'last'": "last",
    "1 if x > 2 else 1 // zero": 1,
    "'a' if zero else 'b' if flag else 'c'": "b",
    # lists
    "xs[0]": 1,
    "xs[-1]": 3,
    "rows[1][2]": 24,
    "xs[1:]": [2, 3],
    "xs[:1]": [1],
    "xs[:]": [1, 2, 3],
    "xs[::-1]": [3, 2, 1],
    "xs[zero:x:2]": [1, 3],
    "xs[9:]": [],
    "pair[:1]": [7],
    "[a * 2 for a in xs]": [2, 4, 6],
    "[a for a in xs if a != 2]": [1, 3],
    "[a + b for a in xs for b in [10, 20] if a > 1]": [12, 22, 13, 23],
    "[a for r in rows for a in r[:1]]": [1, 6, 6],
    "[n for (k, s, n) in rows]": [16, 24, 40],
    "[n for k, s, n in rows]": [16, 24, 40],
    "[i + a + b for i, (a, b) in enumerate([pair])]": [15],
    "[[b for b in range(a)] for a in xs]": [[0], [0, 1], [0, 1, 2]],
    "[x for x in [1]] + [x]": [1, 3],
    "sum(row[2] for row in rows)": 80,
    "sum(depths[:2]) + sum(row[2] for row in rows[:1])": 20,
    "0.2 * (sum(depths[:2]) + 1) / (sum(depths) - 1)": 0.2 * 5 / 11,
    # functions
    "range(3)": [0, 1, 2],
    "range(1, 3)": [1, 2],
    "range(5, 0, -2)": [5, 3, 1],
    "range(3, 0)": [],
    "enumerate(pair)": [[0, 7], [1, 8]],
    "enumerate(pair, 1)": [[1, 7], [2, 8]],
    "enumerate(pair, start=x)": [[3, 7], [4, 8]],
    "zip(xs, depths[:3])": [[1, 2], [2, 2], [3, 6]],
    "zip(pair)": [[7], [8]],
    "len(xs)": 3,
    "len(word)": 3,
    "min(3, 1.5)": 1.5,
    "max(xs)": 3,
    "max('a', 'b')": "b",
    "max([x])": 3,
    "sum([])": 0,
    "sum(a > 1 for a in xs)": 2,
    "abs(-x)": 3,
    "round(2.5)": 2,
    "round(3.5)": 4,
    "round(2.345, 1)": 2.3,
    "round(1234, ndigits=-2)": 1200,
    "int(7.9)": 7,
    "int(-7.9)": -7,
    "int(flag)": 1,
    "float(x)": 3.0,
    "bool(xs)": True,
    "list(pair)": [7, 8],
    "reversed(xs)": [3, 2, 1],
    "sorted([3, 1.5, 2])": [1.5, 2, 3],
    "sorted(['b', 'a'], reverse=true)": ["b", "a"],
    "any([0, 1])": True,
    "all([])": True,
    "any(a > 5 for a in xs)": False,
    "ceil(2 * 1.1)": 3,
    "floor(-0.5)": -1,
    "sqrt(9)": 3.0,
    "isqrt(10)": 3,
    "gcd(12, 18, 8)": 2,
    "log(1)": 0.0,
    "log(8, 2)": 3.0,
    "log(100, base=10)": 2.0,
    "exp(0)": 1.0,
    "make_divisible(32 * 1.1)": 32,
    # Space is free, also in the lines of a block scalar.
    "  x  ": 3,
    "x\n  + 1": 4,
    "[1,]": [1],
}


@pytest.mark.parametrize("text", VALUES)
def test_value(evaluate: Evaluate, text: str) -> None:
    value = evaluate(text, **NAMES)
    assert value == VALUES[text]
    assert type(value) is type(VALUES[text])


def test_every_function_is_tried() -> None:
    assert {name for name in FUNCTIONS if any(f"{name}(" in text for text in VALUES)} == set(
        FUNCTIONS
    )


@pytest.mark.parametrize(
    ("value", "divisor", "expected"),
    # The widths of EfficientNet-B1 to B7 and MobileNet, by torchvision's function.
    [
        *((32, 8, 32), (17.6, 8, 16), (35.2, 8, 32), (44.8, 8, 48), (64 * 0.35, 8, 24)),
        *((3, 8, 8), (26.5, 8, 24), (26.7, 8, 32), (10, 1, 10), (0, 8, 8)),
    ],
)
def test_make_divisible(evaluate: Evaluate, value: float, divisor: int, expected: int) -> None:
    result = evaluate("make_divisible(v, d)", v=value, d=divisor)
    assert result == expected
    assert result % divisor == 0
    assert result >= 0.9 * value


def test_infinite_and_undefined_numbers_pass_through_names(evaluate: Evaluate) -> None:
    assert evaluate("-x", x=math.inf) == -math.inf
    assert math.isnan(evaluate("x", x=math.nan))
    assert evaluate("x > 1e300", x=math.inf) is True


@pytest.mark.parametrize(
    ("text", "value"), [("64", 64), ("010", 10), ("true", True), ("1e-3", 1e-3), ("x * 2", 6)]
)
def test_quoting_changes_nothing(scope: Any, text: str, value: object) -> None:
    source = Source("t.yaml", f"'{text}'")
    quoted = Scalar(text, False, Span(source, 0, len(text) + 2), True)
    result = parse_expression(quoted).evaluate(scope({"x": 3}))
    assert result == value
    assert type(result) is type(value)


class TestNames:
    def test_locals_hide_the_scope_and_end_with_their_brackets(self, evaluate: Evaluate) -> None:
        assert evaluate("[[a for a in [b]] for b in [a]]", a=1) == [[1]]
        assert evaluate("[a for a in [1, 2]] + [a]", a=9) == [1, 2, 9]

    def test_only_none_can_be_given_another_meaning(self, evaluate: Evaluate) -> None:
        assert evaluate("none", none=5) == 5
        assert evaluate("[true, null]", true=5, null=5) == [True, None]

    def test_bare_words_can_be_accepted(self, evaluate: Evaluate) -> None:
        seen: list[tuple[str, str]] = []

        def unknown(name: str, span: Span) -> object:
            seen.append((name, span.source.text[span.start : span.end]))
            if name == "other":
                raise KeyError(name)
            return name.upper()

        assert evaluate("x + same", unknown, x="a") == "aSAME"
        assert evaluate("none", unknown) == "NONE"
        assert evaluate("true", unknown) is True
        assert seen == [("same", "same"), ("none", "none")]

    def test_what_the_scope_raises_passes_through(self) -> None:
        class Failing:
            def lookup(self, name: str) -> object:
                raise RuntimeError(name)

            def names(self) -> list[str]:
                return []

        source = Source("t.yaml", "a + b")
        with pytest.raises(RuntimeError, match="a"):
            parse_expression(Scalar("a + b", True, Span(source, 0, 5), True)).evaluate(Failing())

    def test_opaque_values_are_passed_on_and_compared(self, evaluate: Evaluate) -> None:
        relu, gelu = object(), object()
        assert evaluate("a if a != b else none", a=relu, b=gelu) is relu
        assert evaluate("a == 'relu' or a in [b]", a=relu, b=relu) is True
        assert evaluate("a and [a]", a=relu) == [relu]
        assert evaluate("a == none", a=relu) is False


def test_a_bare_name_is_told(scalar: Callable[[str], Scalar]) -> None:
    assert parse_expression(scalar("relu")).word == "relu"
    assert parse_expression(scalar(" relu ")).word == "relu"
    for text in ("relu + 1", "12", "true", "'true'", " true ", "True", "'relu'", "~"):
        assert parse_expression(scalar(text)).word is None


def test_a_scalar_is_parsed_once(scalar: Callable[[str], Scalar]) -> None:
    one = scalar("x + 1")
    assert parse_expression(one) is parse_expression(one)
    assert parse_expression(one, "x", 0) is not parse_expression(one)

"""Limits of expressions to the last unit, and numbers on which an off-by-one would show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archc.diagnostics import Diagnostics, Source
from archc.spec.expressions import ExpressionError, parse_template
from archc.spec.files import read_source
from archc.spec.tree import Scalar
from archc.spec.yaml import parse_yaml

Evaluate = Callable[..., Any]
Refuse = Callable[..., Any]

# what fits, its value; what is one too many, words of the message
LIMITS: dict[str, tuple[str, Any, str, str]] = {
    "characters": ("1" + " " * 999, 1, "1" + " " * 1000, "1000 characters"),
    "brackets": ("(" * 32 + "1" + ")" * 32, 1, "(" * 33 + "1" + ")" * 33, "nested"),
    "depth": ("+".join("1" * 64), 64, "+".join("1" * 65), "nested"),
    "signs": ("-" * 16 + "1", 1, "-" * 17 + "1", ""),
    "signs in brackets": ("-" * 16 + "(" + "-" * 16 + "1)", 1, "(" + "-" * 17 + "1)", ""),
    "signs after a number": ("2 - 1 - " + "-" * 14 + "1", 0, "2 - " + "-" * 17 + "1", ""),
    "a range": ("len(range(100000))", 100_000, "len(range(100001))", "100,001 numbers"),
    "a range with steps": ("len(range(0, 999999, 10))", 100_000, "len(range(0, 1000011, 10))", ""),
    "a list repeated": ("len([0] * 100000)", 100_000, "len([0] * 100001)", "100,001 items"),
    "lists joined": (
        "len([0] * 50000 + [0] * 50000)",
        100_000,
        "len([0] * 50000 + [0] * 50001)",
        "100,001 items",
    ),
    "integers": ("2 ** 62 + (2 ** 62 - 1)", 2**63 - 1, "2 ** 63", "64 bits"),
    "powers": ("(-1) ** 65 + 1 ** 64 + 0 ** 99", 0, "2 ** 64", "64 bits"),
    "powers of two": ("(-2) ** 62", 2**62, "(-2) ** 64", "64 bits"),
    "zero to a power": ("0 ** 0", 1, "0 ** -1", "zero"),
    "roots": ("isqrt(0) + isqrt(1) + isqrt(24)", 5, "isqrt(-1)", "negative number"),
    "bases": ("int(log(8, 0.5)) + int(log(9, 1.5))", 2, "log(8, 1)", ""),
    "rounding up": ("[make_divisible(n, 8) for n in [3, 12, 20, 100]]", [8, 16, 24, 104], "", ""),
    "digits": ("round(2.675, 1) + round(7, 0)", 9.7, "round(2.5, 1, 2)", "takes 1 to 2"),
    "zip": ("zip([1])", [[1]], "zip()", "at least 1"),
    "min": ("min([1]) + max(2, 1)", 3, "min()", "at least 1"),
    "sorted": ("sorted([2, 1], true)", [2, 1], "sorted([1], true, 1)", "takes 1 to 2"),
    "log": ("log(8, 2)", 3.0, "log(8, 2, 2)", "takes 1 to 2"),
    "repeating less than never": ("[1] * -5 + [2]", [2], "", ""),
    "loops that bind again": (
        "[[b for b in [a, a + 1]] for a in [1, 5]]",
        [[1, 2], [5, 6]],
        "",
        "",
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_up_to_the_limit(evaluate: Evaluate, refuse: Refuse, case: str) -> None:
    inside, value, outside, words = LIMITS[case]
    assert evaluate(inside) == value
    if outside:
        assert words in refuse(outside).message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("round(1.5, 'ab')", "'ab'"),
        ("round(1.5, ndigits='ab')", "'ab'"),
        ("make_divisible(9, 'ab')", "'ab'"),
        ("isqrt(3 - 9)", "3 - 9"),
        ("   ", ""),
        ("x[0](1)", "]("),
    ],
)
def test_the_argument_at_fault_is_shown(refuse: Refuse, text: str, shown: str) -> None:
    assert refuse(text, x=[1]).shown == shown


def test_values_in_messages_are_cut(refuse: Refuse) -> None:
    assert refuse("-x", x="a" * 40).message.endswith(f"'{'a' * 40}'")
    message = refuse("-x", x="a" * 41).message
    assert "a" * 40 + "..." in message and "a" * 41 not in message
    digits = "1234567890" * 3
    assert digits[:24] in refuse(digits[:24]).message
    assert " 1234567890...2345 " in f" {refuse(digits[:25]).message} ".replace("`", " ")


def test_lists_in_lists_are_counted(evaluate: Evaluate, refuse: Refuse) -> None:
    for count, fits in ((49_999, True), (50_000, False)):
        text, lists = "[xs, xs]", {"xs": [0] * count}
        if fits:
            assert len(evaluate(text, **lists)) == 2
        else:
            assert "those of inner lists counted" in refuse(text, **lists).message


def test_names_are_as_long_as_may_be(scalar: Callable[[str], Scalar], scope: Any) -> None:
    assert len(parse_template(scalar("a" * 195 + "{x}")).render(scope({"x": 12345}))) == 200
    with pytest.raises(ExpressionError):
        parse_template(scalar("a" * 196 + "{x}")).render(scope({"x": 12345}))


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("for (a) in [1, 2]", [{"a": 1}, {"a": 2}]),
        ("for (a,) in [[1], [2]]", [{"a": 1}, {"a": 2}]),
        ("for [a] in [[1], [2]]", [{"a": 1}, {"a": 2}]),
        ("for a, (b, [c]) in [[1, [2, [3]]]]", [{"a": 1, "b": 2, "c": 3}]),
    ],
)
def test_targets(evaluate: Evaluate, text: str, items: Any) -> None:
    names = sorted(items[0])
    listed = ", ".join(names)
    assert evaluate(f"[[{listed}] {text}]") == [[item[name] for name in names] for item in items]


def test_files_are_as_large_as_may_be(tmp_path: Any) -> None:
    path = tmp_path / "net.yaml"
    for size, fits in ((1024 * 1024, True), (1024 * 1024 + 1, False)):
        path.write_bytes(b"#" * size)
        source, found = read_source(str(path))
        assert (source is not None) == fits
        if not fits:
            assert "larger than 1024 KiB" in found[0].message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a: "x\\\\y\\q"\n', "\\q"),
        ('"\\q": 1\n', "\\q"),
        ("a:\n  b: 1\n\t\tc: 2\n", "\t"),
    ],
)
def test_places_of_yaml_errors(text: str, shown: str) -> None:
    for pure in (False, True):
        sink = Diagnostics()
        parse_yaml(Source("t.yaml", text), sink, pure=pure)
        (found, *_) = sink.sorted()
        label = found.primary
        assert label is not None
        assert label.span.source.text[label.span.start : label.span.end].startswith(shown)
        assert shown == "\t" or f"`{shown}`" in found.message

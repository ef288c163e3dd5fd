from __future__ import annotations

import math

import pytest

from archc.diagnostics import Source, Span
from archc.spec.tree import Scalar, resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("9223372036854775807", 2**63 - 1),
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("6.02e+23", 6.02e23),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    resolved = resolve_plain(text)
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text: str) -> None:
    value = resolve_plain(text)
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "yes", "on", "off", "y", "n", "tRUE", "nULL", "none"),
        *("2024-01-01", "12:30:45", "1_000", "0b11", "0x", "0xg", "0o8", "-0x1", "1e", "e3", "."),
        *("+", "-", "1.2.3", "1 2", "Inf", ".infinity", "64 * i", "٣", "1٣"),
    ],
)
def test_text(text: str) -> None:
    assert resolve_plain(text) == text


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775808", "1e999", "9" * 65, "0x" + "f" * 5000]
)
def test_a_number_that_does_not_fit_stays_text(text: str) -> None:
    assert resolve_plain(text) == text


def _scalar(written: str, text: str, *, plain: bool, exact: bool) -> Scalar:
    source = Source("t.yaml", f"a: {written}\n")
    return Scalar(text, plain, Span(source, 3, 3 + len(written)), exact)


def test_a_quoted_scalar_is_text() -> None:
    assert _scalar("'12'", "12", plain=False, exact=True).value == "12"
    assert _scalar("12", "12", plain=True, exact=True).value == 12


@pytest.mark.parametrize(("written", "plain"), [("x * yy", True), ("'x * yy'", False)])
def test_sub_span_is_exact(written: str, plain: bool) -> None:
    span = _scalar(written, "x * yy", plain=plain, exact=True).sub_span(4, 6)
    assert span.source.text[span.start : span.end] == "yy"


def test_sub_span_is_the_whole_scalar_when_offsets_are_not_exact() -> None:
    scalar = _scalar(r'"x\x20y"', "x y", plain=False, exact=False)
    assert scalar.sub_span(2, 3) == scalar.span


@pytest.mark.parametrize(("start", "end"), [(0, 99), (-5, 2), (3, 1), (99, 100)])
def test_sub_span_stays_inside(start: int, end: int) -> None:
    scalar = _scalar("'abc'", "abc", plain=False, exact=True)
    span = scalar.sub_span(start, end)
    assert scalar.span.start + 1 <= span.start <= span.end <= scalar.span.end - 1

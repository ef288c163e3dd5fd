"""Nothing that reaches a terminal may steer it, hide or deceive."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.diagnostics.terminal import Painter, Role, display_width, escape_terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv: 64", "conv: 64"),
        ("größe 図形 é e\u0301", "größe 図形 é e\u0301"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x7f\x85\x9b", r"\x00\x7f\x85\x9b"),
        ("user\u202etxt.exe\u2066", r"user\u202etxt.exe\u2066"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028para\u2029", r"line\u2028para\u2029"),
        ("no-break\xa0space\u3000", r"no-break\xa0space\u3000"),
        ("\ud800 \udc80", r"\ud800 \udc80"),
        ("tag\U000e0041", r"tag\U000e0041"),
    ],
)
def test_escape_terminal(text: str, shown: str) -> None:
    assert escape_terminal(text) == shown


@given(st.text(st.characters(codec=None)))
def test_escaped_text_is_printable_and_stays_so(text: str) -> None:
    shown = escape_terminal(text)
    assert shown.isprintable()
    assert escape_terminal(shown) == shown
    shown.encode("utf-8")


def test_every_dangerous_character_is_escaped() -> None:
    dangerous = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    left = [
        hex(point)
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) in dangerous
        and escape_terminal(chr(point)) == chr(point)
    ]
    assert left == []


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("図形", 4),
        ("ｶﾅ", 2),
        ("\uff21\uff22", 4),
        ("é", 1),
        ("e\u0301", 1),
        ("한", 2),
    ],
)
def test_display_width(text: str, width: int) -> None:
    assert display_width(text) == width


def test_a_decomposed_syllable_is_as_wide_as_a_composed_one() -> None:
    assert display_width(unicodedata.normalize("NFD", "한글")) == display_width("한글")


def test_painter() -> None:
    assert Painter(color=False).paint("x", Role.ERROR) == "x"
    assert Painter(color=True).paint("x", Role.ERROR) == "\x1b[1;31mx\x1b[0m"
    assert Painter(color=True).paint("x", Role.PLAIN) == "x"
    assert Painter(color=True).paint("", Role.ERROR) == ""

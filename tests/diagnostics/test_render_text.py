"""The forms for people, compared with what they should look like."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.diagnostics import Diagnostic, Label, Severity, Source, Span
from archc.diagnostics.render import OutputFormat, render
from archc.diagnostics.terminal import display_width, escape_terminal
from archc.diagnostics.text import render_concise, render_full, summary

NET = Source(
    "specs/net.yaml",
    """\
archc: 1
name: net
inputs: {x: [N, 3, 32, 32]}
layers:
  stem: {conv: 8, kernal: 3, strid: 2}
  body: [relu,
         tanh]
  wide: {conv: 図形, kernel:\t3}
  last: relu
""",
)
STD = Source("specs/std.yaml", "archc: 1\nblocks:\n  unit: relu\n")


def at(text: str, source: Source = NET, nth: int = 0) -> Span:
    """The place of the nth occurrence of a text."""
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def finding(*labels: Label, message: str = "something is wrong", **kwargs: object) -> Diagnostic:
    return Diagnostic("some-code", message, labels[0], tuple(labels[1:]), **kwargs)  # type: ignore[arg-type]


def shown(diagnostic: Diagnostic, **kwargs: int) -> str:
    """The rendering below its header and arrow."""
    return "\n".join(render_full([diagnostic], **kwargs).split("\n")[2:])


def drawn(text: str) -> str:
    return dedent(text).strip("\n")


def test_the_format_of_the_design() -> None:
    source = Source(
        "specs/net.yaml",
        "\n" * 32 + "      shortcut: []\n" + "\n" * 7 + "      conv2: {conv: 256, stride: 2}\n",
    )
    diagnostic = Diagnostic(
        "shape-mismatch",
        "`add` needs equal shapes: [N, 256, 28, 28] and [N, 256, 27, 27]",
        Label(at("{conv: 256, stride: 2}", source), "height (56 + 2*0 - 3)//2 + 1 = 27"),
        (Label(at("shortcut", source), "28 comes from here"),),
        ("padding: 1 gives 28",),
    )
    assert render_full([diagnostic]) == drawn(
        """
        error[shape-mismatch]: `add` needs equal shapes: [N, 256, 28, 28] and [N, 256, 27, 27]
          --> specs/net.yaml:41:14
           |
        33 |       shortcut: []
           |       -------- 28 comes from here
           ...
        41 |       conv2: {conv: 256, stride: 2}
           |              ^^^^^^^^^^^^^^^^^^^^^^ height (56 + 2*0 - 3)//2 + 1 = 27
           = help: padding: 1 gives 28
        """
    )


def test_one_label() -> None:
    diagnostic = finding(Label(at("kernal"), "did you mean `kernel`?"))
    assert render_full([diagnostic]) == drawn(
        """
        error[some-code]: something is wrong
         --> specs/net.yaml:5:19
          |
        5 |   stem: {conv: 8, kernal: 3, strid: 2}
          |                   ^^^^^^ did you mean `kernel`?
        """
    )


def test_label_without_text() -> None:
    assert shown(finding(Label(at("kernal")))) == drawn(
        """
          |
        5 |   stem: {conv: 8, kernal: 3, strid: 2}
          |                   ^^^^^^
        """
    )


def test_several_labels_on_one_line() -> None:
    diagnostic = finding(
        Label(at("kernal"), "unknown"),
        Label(at("stem"), "of this layer"),
        Label(at("strid"), "too"),
    )
    assert shown(diagnostic) == drawn(
        """
          |
        5 |   stem: {conv: 8, kernal: 3, strid: 2}
          |   ----            ^^^^^^     ----- too
          |   |               |
          |   |               unknown
          |   of this layer
        """
    )


def test_a_place_inside_another_stays_visible() -> None:
    diagnostic = finding(
        Label(at("{conv: 8, kernal: 3, strid: 2}"), "the layer"), Label(at("kernal"), "the key")
    )
    assert shown(diagnostic) == drawn(
        """
          |
        5 |   stem: {conv: 8, kernal: 3, strid: 2}
          |         ^^^^^^^^^^------^^^^^^^^^^^^^^ the layer
          |                   |
          |                   the key
        """
    )


def test_two_labels_at_the_same_place() -> None:
    diagnostic = finding(Label(at("relu"), "first"), Label(at("relu"), "second"))
    assert shown(diagnostic) == drawn(
        """
          |
        6 |   body: [relu,
          |          ^^^^ first
          |          |
          |          second
        """
    )


def test_of_two_labels_at_the_same_place_the_one_with_a_text_stands_behind() -> None:
    diagnostic = finding(Label(at("relu")), Label(at("relu"), "first used here"))
    assert shown(diagnostic) == drawn(
        """
          |
        6 |   body: [relu,
          |          ^^^^ first used here
        """
    )


def test_lines_near_and_far() -> None:
    diagnostic = finding(Label(at("stem"), "a"), Label(at("name"), "b"), Label(at("inputs"), "c"))
    assert shown(diagnostic) == drawn(
        """
          |
        2 | name: net
          | ---- b
        3 | inputs: {x: [N, 3, 32, 32]}
          | ------ c
        4 | layers:
        5 |   stem: {conv: 8, kernal: 3, strid: 2}
          |   ^^^^ a
        """
    )


def test_a_place_of_several_lines_is_shown_by_its_first() -> None:
    assert shown(finding(Label(at("[relu,\n         tanh]"), "two layers"))) == drawn(
        """
          |
        6 |   body: [relu,
          |         ^^^^^^ two layers
        """
    )


def test_tabs_and_wide_characters_keep_the_marks_in_place() -> None:
    diagnostic = finding(Label(at("3", nth=3), "three"), Label(at("図形"), "図"))
    assert shown(diagnostic) == (
        "  |\n"
        "5 |   stem: {conv: 8, kernal: 3, strid: 2}\n"
        "  |                           ^ three\n"
        "  ...\n"
        "8 |   wide: {conv: 図形, kernel:    3}\n"
        "  |                ---- 図"
    )
    diagnostic = finding(Label(at("\t3"), "behind a tab"))
    assert shown(diagnostic).split("\n")[-1] == "  |" + " " * 29 + "^^^^^ behind a tab"


def test_another_file_gets_a_block_of_its_own() -> None:
    diagnostic = finding(
        Label(at("stem"), "used here"), Label(at("relu", STD), "defined here"), help=("rename it",)
    )
    assert shown(diagnostic) == drawn(
        """
          |
        5 |   stem: {conv: 8, kernal: 3, strid: 2}
          |   ^^^^ used here
         ::: specs/std.yaml:3:9
          |
        3 |   unit: relu
          |         ---- defined here
          = help: rename it
        """
    )


def test_line_numbers_are_aligned() -> None:
    source = Source("net.yaml", "a: 1\n" * 12)
    diagnostic = finding(Label(Span(source, 45, 46)), Label(Span(source, 40, 41)))
    assert shown(diagnostic).split("\n")[1:4:2] == [" 9 | a: 1", "10 | a: 1"]


@pytest.mark.parametrize("text", ["", "a: 1", "a: 1\n", "a: 1\r\n", "a: 1   \n"])
def test_the_end_of_the_file_can_be_marked(text: str) -> None:
    lines = shown(finding(Label(Span(Source("f", text), len(text), len(text)), "here"))).split("\n")
    assert lines[-1].endswith("^ here")
    assert len(lines) == 3


def test_a_finding_without_a_place() -> None:
    diagnostic = Diagnostic("missing-file", "no such file", path="net.yaml", help=("look around",))
    assert render_full([diagnostic]) == drawn(
        """
        error[missing-file]: no such file
         --> net.yaml
          = help: look around
        """
    )
    assert render_full([Diagnostic("missing-extra", "torch is not installed")]) == (
        "error[missing-extra]: torch is not installed"
    )


def test_findings_are_separated_by_an_empty_line() -> None:
    one = Diagnostic("missing-extra", "torch is not installed")
    assert render_full([one, one]) == (
        "error[missing-extra]: torch is not installed\n\n"
        "error[missing-extra]: torch is not installed"
    )
    assert render_full([]) == ""


def test_hostile_text_is_shown_not_obeyed() -> None:
    source = Source("a\x1b]0;b.yaml", "x: \x1b[2J\u202e end \ud800\n")
    diagnostic = Diagnostic(
        "some-code",
        "bad \x1b[1m message\nerror: forged",
        Label(at("end", source), "label \x07"),
        (Label(at("x", source), "second \u202e"),),
        ("help \x9b",),
    )
    text = render_full([diagnostic]) + render_concise([diagnostic])
    assert text.replace("\n", "").isprintable()
    assert render_full([diagnostic]) == drawn(
        r"""
        error[some-code]: bad \x1b[1m message\nerror: forged
         --> a\x1b]0;b.yaml:1:10
          |
        1 | x: \x1b[2J\u202e end \ud800
          | -                ^^^ label \x07
          | |
          | second \u202e
          = help: help \x9b
        """
    )


LONG = Source("long.yaml", "layers: [" + ", ".join(f"l{i}" for i in range(500)) + "]\n")


@pytest.mark.parametrize("word", ["layers", "l0", "l20", "l250,", "l499]"])
def test_long_lines_are_cut_around_the_place(word: str) -> None:
    _, line, marks = shown(finding(Label(at(word, LONG), "here")), width=60).split("\n")
    assert len(line) <= 60
    column = marks.index("^")
    assert line[column : column + len(word)] == word
    assert marks == " " * 2 + "|" + " " * (column - 3) + "^" * len(word) + " here"
    assert line.startswith("1 | ...") == (word not in ("layers", "l0"))
    assert line.endswith("...") == (word != "l499]")


def test_places_far_apart_on_a_long_line_are_all_marked() -> None:
    diagnostic = finding(Label(at("l3", LONG), "near"), Label(at("l400", LONG), "far"))
    _, line, marks, *rest = shown(diagnostic, width=60).split("\n")
    assert line[marks.index("^") :].startswith("l3")
    assert marks.endswith("- far")
    assert rest[-1].endswith("near")


def test_a_place_longer_than_the_terminal_is_shown_from_its_start() -> None:
    diagnostic = finding(Label(at("[l0", LONG).to(at("l499]", LONG)), "all"))
    _, line, marks = shown(diagnostic, width=60).split("\n")
    assert line == "1 | ...[l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11,..."
    assert marks == "  |    " + "^" * 53 + " all"


printable_line = st.text(
    st.sampled_from("ab:{}[], \t図한é\u0301ｶ\x1b\u202e\ud800\U0001f600"), max_size=120
)


@given(printable_line, st.integers(0, 120), st.integers(0, 120), st.integers(20, 200))
def test_marks_stand_under_what_they_mark(text: str, a: int, b: int, width: int) -> None:
    start, end = sorted((min(a, len(text)), min(b, len(text))))
    source = Source("f", text)
    output = shown(finding(Label(Span(source, start, end))), width=width)
    assert output.replace("\n", "").isprintable()
    _, line, marks = output.split("\n")
    line, marks = line[4:], marks[4:]

    def columns(part: str) -> int:
        return sum(4 if char == "\t" else display_width(escape_terminal(char)) for char in part)

    room = max(width - 4, 24)
    assert display_width(line) <= room
    assert set(marks) <= {" ", "^"}
    if columns(text) <= room:
        visible = text[: max(start, min(end, len(text.rstrip())))]
        assert marks.index("^") == columns(text[:start])
        assert len(marks) == max(columns(visible), columns(text[:start]) + 1)
    else:
        assert len(marks) <= room + 1


def test_colours_only_when_asked() -> None:
    diagnostics = [
        finding(Label(at("kernal"), "bad"), Label(at("stem"), "here"), help=("a",)),
        finding(Label(at("relu"), "meh"), severity=Severity.WARNING),
    ]
    plain = render_full(diagnostics)
    colored = render_full(diagnostics, color=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert "\x1b[1;31merror[some-code]\x1b[0m" in colored
    assert "\x1b[1;33mwarning[some-code]\x1b[0m" in colored
    assert "\x1b[1;31m^^^^^^\x1b[0m" in colored
    assert "\x1b[1;33m^^^^\x1b[0m" in colored
    assert "\x1b[1;34m----\x1b[0m" in colored
    concise = render_concise(diagnostics, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", concise) == render_concise(diagnostics)
    assert "\x1b[1;31merror[some-code]\x1b[0m" in concise


def test_concise() -> None:
    diagnostics = [
        finding(Label(at("kernal"), "unseen"), help=("unseen",)),
        finding(Label(at("relu")), severity=Severity.WARNING),
        Diagnostic("missing-file", "no such file", path="net.yaml"),
        Diagnostic("missing-extra", "torch is not installed"),
    ]
    assert render_concise(diagnostics).split("\n") == [
        "specs/net.yaml:5:19: error[some-code]: something is wrong",
        "specs/net.yaml:6:10: warning[some-code]: something is wrong",
        "net.yaml: error[missing-file]: no such file",
        "error[missing-extra]: torch is not installed",
    ]


def test_summary() -> None:
    error = finding(Label(at("stem")))
    other = finding(Label(at("unit", STD)))
    warning = finding(Label(at("stem")), severity=Severity.WARNING)
    lost = Diagnostic("missing-extra", "torch is not installed")
    assert summary([]) == "no problems found"
    assert summary([error]) == "1 error in 1 file"
    assert summary([warning, warning]) == "2 warnings in 1 file"
    assert summary([error, other, error, warning]) == "3 errors, 1 warning in 2 files"
    assert summary([lost]) == "1 error"


def test_one_door_for_all_formats() -> None:
    diagnostic = Diagnostic("unknown-op", "no op", Label(at("stem")))
    outputs = {name: render([diagnostic], name) for name in OutputFormat}
    assert len(set(outputs.values())) == len(OutputFormat) == 5
    assert outputs[OutputFormat.FULL] == render_full([diagnostic])
    assert all("unknown-op" in text and not text.endswith("\n") for text in outputs.values())
    assert "\x1b[" in render([diagnostic], OutputFormat.FULL, color=True)
    assert "..." in render([finding(Label(at("l20", LONG)))], OutputFormat.FULL, width=40)

"""Diagnostics for people: with the source lines they speak of, or one line each."""

from __future__ import annotations

from collections.abc import Iterable

from archc.diagnostics.diagnostic import Diagnostic, Label, Severity
from archc.diagnostics.snippet import Marked, draw
from archc.diagnostics.source import Source
from archc.diagnostics.terminal import Painter, Role, escape_terminal

DEFAULT_WIDTH = 100


def render_full(
    diagnostics: Iterable[Diagnostic], *, color: bool = False, width: int = DEFAULT_WIDTH
) -> str:
    """Every finding with its source lines, marked and labelled, and its suggestions.

    Args:
        diagnostics: the findings, in the order in which they are to be shown.
        color: whether to use ANSI colours.
        width: columns of the terminal; longer source lines are cut around the marked places.

    Returns:
        Text without a final line break; findings are separated by an empty line.
    """
    painter = Painter(color)
    return "\n\n".join("\n".join(_full(d, width, painter)) for d in diagnostics)


def render_concise(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """Every finding on one line: `file:line:col: error[code]: message`."""
    painter = Painter(color)
    lines = []
    for diagnostic in diagnostics:
        place = _place(diagnostic)
        lines.append((f"{place}: " if place else "") + _header(diagnostic, painter))
    return "\n".join(lines)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """The closing line: `3 errors, 1 warning in 2 files`."""
    findings = list(diagnostics)
    numbers = ((sum(d.severity is severity for d in findings), severity) for severity in Severity)
    counts = [
        f"{number} {severity.value}{'s' if number != 1 else ''}"
        for number, severity in numbers
        if number
    ]
    if not counts:
        return "no problems found"
    files = {d.primary.span.source.name if d.primary else d.path for d in findings} - {None}
    where = f" in {len(files)} file{'s' if len(files) != 1 else ''}" if files else ""
    return ", ".join(counts) + where


def _full(diagnostic: Diagnostic, width: int, painter: Painter) -> list[str]:
    lines = [_header(diagnostic, painter)]
    labels = [*([diagnostic.primary] if diagnostic.primary else []), *diagnostic.secondary]
    digits = max((len(str(label.span.line)) for label in labels), default=1)
    margin = " " * digits
    if diagnostic.primary is None and diagnostic.path is not None:
        lines.append(margin + painter.paint("--> ", Role.GUTTER) + _place(diagnostic))
    for source, marked in _by_source(diagnostic).items():
        is_main = diagnostic.primary is not None and source is diagnostic.primary.span.source
        arrow = "--> " if is_main else "::: "
        where = diagnostic.primary if is_main and diagnostic.primary else marked[0].label
        place = escape_terminal(str(where.span))
        lines.append(margin + painter.paint(arrow, Role.GUTTER) + place)
        lines += draw(source, marked, width=width, number_width=digits, painter=painter)
    for text in diagnostic.help:
        note = painter.paint("=", Role.GUTTER) + " " + painter.paint("help", Role.STRONG)
        lines.append(f"{margin} {note}: {escape_terminal(text)}")
    return lines


def _by_source(diagnostic: Diagnostic) -> dict[Source, list[Marked]]:
    """The labels by the text they lie in, the primary one's text first."""
    groups: dict[Source, list[Marked]] = {}

    def add(label: Label, char: str, role: Role) -> None:
        groups.setdefault(label.span.source, []).append(Marked(label, char, role))

    if diagnostic.primary is not None:
        add(diagnostic.primary, "^", _role(diagnostic))
    for label in diagnostic.secondary:
        add(label, "-", Role.SECONDARY)
    return groups


def _header(diagnostic: Diagnostic, painter: Painter) -> str:
    kind = painter.paint(f"{diagnostic.severity.value}[{diagnostic.code}]", _role(diagnostic))
    return kind + painter.paint(f": {escape_terminal(diagnostic.message)}", Role.STRONG)


def _place(diagnostic: Diagnostic) -> str:
    if diagnostic.primary is not None:
        return escape_terminal(str(diagnostic.primary.span))
    return escape_terminal(diagnostic.path or "")


def _role(diagnostic: Diagnostic) -> Role:
    match diagnostic.severity:
        case Severity.ERROR:
            return Role.ERROR
        case Severity.WARNING:
            return Role.WARNING
        case Severity.NOTE:
            return Role.NOTE

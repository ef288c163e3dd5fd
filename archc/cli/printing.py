"""What commands print: findings, and plain lines that are safe for a terminal."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import click

from archc.diagnostics import Diagnostic, Severity
from archc.diagnostics.render import OutputFormat, render
from archc.diagnostics.terminal import escape_terminal
from archc.diagnostics.text import summary

EXIT_ERRORS = 1


def print_line(text: str) -> None:
    """Print a line that may hold names from files."""
    click.echo(escape_terminal(text))


def print_diagnostics(
    diagnostics: Iterable[Diagnostic],
    output_format: str = OutputFormat.FULL.value,
    *,
    to_stdout: bool = False,
) -> None:
    """Print findings: for a person on standard error, for a program where it reads."""
    found = list(diagnostics)
    chosen = OutputFormat(output_format)
    for_people = chosen in {OutputFormat.FULL, OutputFormat.CONCISE}
    if for_people and not found:
        return
    color = for_people and use_color(sys.stdout if to_stdout else sys.stderr)
    import shutil

    width = shutil.get_terminal_size((100, 24)).columns
    text = render(found, chosen, color=color, width=width).rstrip("\n")
    if chosen is OutputFormat.FULL:
        text += "\n" + summary(found)
    if text:
        click.echo(text, err=not to_stdout, color=color)


def use_color(stream: Any) -> bool:
    """Whether a stream takes colours: a terminal that can, and NO_COLOR is not set."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(stream.isatty())


def complaints(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Findings without mere notes."""
    return [found for found in diagnostics if found.severity is not Severity.NOTE]


def fail(diagnostics: Iterable[Diagnostic]) -> NoReturn:
    """Print findings and leave with exit code 1."""
    print_diagnostics(diagnostics)
    raise SystemExit(EXIT_ERRORS)


def need_torch(what: str) -> None:
    """Make sure that torch is installed, without importing it; else say how to install it.

    Args:
        what: what needs it, the subject of a sentence.
    """
    try:
        found = importlib.util.find_spec("torch") is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        message = f"{what} needs PyTorch, which is not installed"
        fail([Diagnostic("missing-extra", message, help=("pip install 'archc[torch]'",))])

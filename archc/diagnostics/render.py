"""One door to all forms in which diagnostics are given out."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from archc.diagnostics.diagnostic import Diagnostic
from archc.diagnostics.machine import render_github, render_json
from archc.diagnostics.text import DEFAULT_WIDTH, render_concise, render_full


class OutputFormat(StrEnum):
    """How findings are written; the values are those of `--output-format`."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def render(
    diagnostics: Iterable[Diagnostic],
    output_format: OutputFormat,
    *,
    color: bool = False,
    width: int = DEFAULT_WIDTH,
) -> str:
    """Findings in the form asked for, in the order given.

    Args:
        diagnostics: the findings.
        output_format: the form.
        color: whether the forms for people may use ANSI colours.
        width: columns of the terminal.

    Returns:
        Text without a final line break, safe to print; empty for no findings, except that JSON
        and SARIF are whole documents always.
    """
    match output_format:
        case OutputFormat.FULL:
            return render_full(diagnostics, color=color, width=width)
        case OutputFormat.CONCISE:
            return render_concise(diagnostics, color=color)
        case OutputFormat.JSON:
            return render_json(diagnostics)
        case OutputFormat.GITHUB:
            return render_github(diagnostics)
        case OutputFormat.SARIF:
            # The catalogue's texts are read only by those who ask for them.
            from archc.diagnostics.sarif import render_sarif

            return render_sarif(diagnostics)

r"""Diagnostics for programs: JSON and the annotations of GitHub's workflows.

The JSON document is one object and stays compatible while its `version` is 1::

    {"version": 1,
     "diagnostics": [
       {"code": "shape-mismatch", "severity": "error", "message": "...",
        "file": "net.yaml", "line": 7, "column": 12, "endLine": 7, "endColumn": 20,
        "label": "...",
        "secondary": [{"file": ..., "line": ..., ..., "label": "28 comes from here"}],
        "help": ["padding: 1 gives 28"]}]}

Lines and columns count from 1, columns in code points; the end is the column just past the last
character. `file` is null when no file is concerned; `line` to `endColumn` are null when the file
has no text to point into. Texts are valid Unicode: a lone surrogate is written as `\ud800`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archc.diagnostics.diagnostic import Diagnostic, Label, Severity
from archc.diagnostics.terminal import escape_terminal


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """All findings as one JSON object, ASCII only."""
    return dump_json({"version": 1, "diagnostics": [diagnostic_data(d) for d in diagnostics]})


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Every finding as a workflow command, which GitHub shows at the line it speaks of."""
    return "\n".join(_command(diagnostic) for diagnostic in diagnostics)


def dump_json(value: dict[str, Any]) -> str:
    """Write JSON that is valid Unicode to every reader and harmless on a terminal."""
    import json

    # DEL is the one control character that JSON lets stand; it can only be inside a string.
    return json.dumps(_valid(value), indent=2).replace("\x7f", "\\u007f")


def _valid(value: Any) -> Any:
    """The value without lone surrogates, which JSON can write but strict readers refuse."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _valid(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valid(item) for item in value]
    return value


def diagnostic_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """A finding as JSON holds it."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_place(diagnostic.primary, diagnostic.path),
        "secondary": [_place(label, None) for label in diagnostic.secondary],
        "help": list(diagnostic.help),
    }


def _place(label: Label | None, path: str | None) -> dict[str, Any]:
    span = label.span if label else None
    return {
        "file": span.source.name if span else path,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "endLine": span.end_line if span else None,
        "endColumn": span.end_column if span else None,
        "label": label.text if label else "",
    }


def _command(diagnostic: Diagnostic) -> str:
    properties: dict[str, str | int] = {}
    span = diagnostic.primary.span if diagnostic.primary else None
    if span is not None:
        properties |= {"file": span.source.name, "line": span.line, "col": span.column}
        properties["endLine"] = span.end_line
        if span.end_line == span.line:
            # GitHub takes columns as a range within one line only.
            properties["endColumn"] = span.end_column
    elif diagnostic.path is not None:
        properties["file"] = diagnostic.path
    properties["title"] = f"{diagnostic.severity.value}[{diagnostic.code}]"
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    label = diagnostic.primary.text if diagnostic.primary else ""
    lines = [diagnostic.message, label, *(f"help: {text}" for text in diagnostic.help)]
    message = "%0A".join(_data(line) for line in lines if line)
    command = "notice" if diagnostic.severity is Severity.NOTE else diagnostic.severity.value
    return f"::{command} {listed}::{message}"


def _data(text: str) -> str:
    """Escape the message of a workflow command (line breaks are visible escapes by then)."""
    return escape_terminal(text).replace("%", "%25")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")

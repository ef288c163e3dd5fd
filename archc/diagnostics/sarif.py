"""Diagnostics as SARIF 2.1.0, the format that code scanning services read.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from archc.diagnostics.codes import CODES, Code
from archc.diagnostics.diagnostic import Diagnostic, Label
from archc.diagnostics.machine import dump_json
from archc.diagnostics.source import Span

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def render_sarif(diagnostics: Iterable[Diagnostic]) -> str:
    """All findings as one SARIF log; its rules are the catalogue's entries of the codes found."""
    findings = list(diagnostics)
    codes = sorted({d.code for d in findings})
    driver: dict[str, Any] = {"name": "archc", "rules": [_rule(CODES[code]) for code in codes]}
    with suppress(PackageNotFoundError):  # run from a source tree that is not installed
        driver["version"] = version("archc")
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, codes.index(d.code)) for d in findings],
    }
    return dump_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.name,
        "shortDescription": {"text": code.title},
        "help": {"text": code.explanation, "markdown": code.as_markdown()},
        "defaultConfiguration": {"level": code.severity.value},
    }


def _result(diagnostic: Diagnostic, rule_index: int) -> dict[str, Any]:
    lines = [diagnostic.message, *(f"help: {text}" for text in diagnostic.help)]
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule_index,
        "level": diagnostic.severity.value,
        "message": {"text": "\n".join(lines)},
    }
    if diagnostic.primary is not None:
        result["locations"] = [_location(diagnostic.primary)]
    elif diagnostic.path is not None:
        artifact = {"artifactLocation": {"uri": _uri(diagnostic.path)}}
        result["locations"] = [{"physicalLocation": artifact}]
    if diagnostic.secondary:
        result["relatedLocations"] = [
            {"id": index, **_location(label)} for index, label in enumerate(diagnostic.secondary)
        ]
    return result


def _location(label: Label) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(label.span.source.name)},
            "region": _region(label.span),
        }
    }
    if label.text:
        location["message"] = {"text": label.text}
    return location


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _uri(name: str) -> str:
    """A relative path as a relative reference, an absolute one as a `file:` URI."""
    path = PurePath(name)
    try:
        # A file name that is not valid Unicode holds a surrogate for every odd byte.
        quoted = quote(path.as_posix().encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        quoted = quote(path.as_posix().encode("utf-8", "backslashreplace"))
    if not path.is_absolute():
        return quoted
    return "file://" + quoted if quoted.startswith("/") else "file:///" + quoted

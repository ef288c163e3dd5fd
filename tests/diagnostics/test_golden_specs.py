"""Specs at fault in `golden/`: what is found, where, and how it looks.

The top lines of `NAME.yaml` list the findings in reading order as
`# expect: error[code] LINE:COLUMN`; `NAME.txt` holds the full rendering. Set ARCHC_UPDATE_GOLDEN=1
to write the `.txt` files anew, then read the difference before committing it. The expectations
are written by hand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from archc.diagnostics import Diagnostic
from archc.diagnostics.codes import CODES
from archc.diagnostics.text import render_full, summary

GOLDEN = Path(__file__).parent / "golden"
SPECS = sorted(GOLDEN.glob("*.yaml"))
EXPECT = re.compile(r"# expect: (error|warning|note)\[([a-z-]+)\] (\d+):(\d+)\n")


def _expected(text: str) -> list[str]:
    """The findings that the comments on the top lines announce."""
    expected = []
    for line in text.splitlines(keepends=True):
        match = EXPECT.fullmatch(line)
        if match is None:
            break
        expected.append("{}[{}] {}:{}".format(*match.groups()))
    return expected


def _found(diagnostic: Diagnostic) -> str:
    assert diagnostic.primary is not None
    span = diagnostic.primary.span
    return f"{diagnostic.severity.value}[{diagnostic.code}] {span.line}:{span.column}"


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_findings_and_their_rendering(
    spec: Path, check: Callable[[str, str], list[Diagnostic]]
) -> None:
    text = spec.read_text(encoding="utf-8")
    expected = _expected(text)
    assert expected, "a golden spec announces its findings on its top lines"
    findings = check(text, f"golden/{spec.name}")
    rendering = f"{render_full(findings)}\n\n{summary(findings)}\n"
    assert [_found(d) for d in findings] == expected, rendering
    golden = spec.with_suffix(".txt")
    if os.environ.get("ARCHC_UPDATE_GOLDEN"):
        golden.write_text(rendering, encoding="utf-8")
    assert rendering == golden.read_text(encoding="utf-8")


def test_every_rendering_belongs_to_a_spec() -> None:
    assert len(SPECS) >= 10
    assert {path.stem for path in GOLDEN.iterdir()} == {path.stem for path in SPECS}


def test_every_code_that_a_text_shows_has_a_golden_spec() -> None:
    shown = {
        line.split("[")[1].split("]")[0]
        for spec in SPECS
        for line in _expected(spec.read_text("utf-8"))
    }
    assert sorted({name for name, code in CODES.items() if code.bad} - shown) == []

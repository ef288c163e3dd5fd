"""The examples of docs/show.md are what the program prints (ARCHC_UPDATE_DOCS=1 rewrites them)."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from archc.cli import archc

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "show.md"
EXAMPLE = re.compile(r"^```console\n\$ archc ([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_examples_are_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "100")

    def printed(example: re.Match[str]) -> str:
        result = CliRunner().invoke(archc, shlex.split(example[1]), prog_name="archc")
        assert result.exit_code == 0, result.output
        return f"```console\n$ archc {example[1]}\n{result.stdout}```"

    text = PAGE.read_text(encoding="utf-8")
    fresh, count = EXAMPLE.subn(printed, text)
    assert count == 3
    if os.environ.get("ARCHC_UPDATE_DOCS"):
        PAGE.write_text(fresh, encoding="utf-8")
    assert text == fresh

"""The examples of docs/show.md are what the program prints (ARCHC_UPDATE_DOCS=1 rewrites them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.transcript import check_page

ROOT = Path(__file__).parents[2]


def test_examples_are_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = check_page(ROOT / "docs" / "show.md", ROOT, monkeypatch)
    assert [command.split()[1] for command in commands] == ["show", "show", "explain"]

"""What docs/parity.md shows is what the program prints (ARCHC_UPDATE_DOCS=1 rewrites it)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.transcript import check_page

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


def test_examples_are_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = check_page(PAGE, tmp_path, monkeypatch)
    assert [command.split()[1] for command in commands] == ["verify"]

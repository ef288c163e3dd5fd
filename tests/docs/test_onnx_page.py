"""docs/onnx.md, run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.transcript import check_page

ROOT = Path(__file__).parents[2]


def test_examples_are_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    commands = check_page(ROOT / "docs" / "onnx.md", tmp_path, monkeypatch)
    assert [command.split()[1] for command in commands] == ["build", "build"]

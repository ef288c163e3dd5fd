"""docs/images.md: its commands print what is shown."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.docs.transcript import check_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "images.md"


def test_examples_are_what_is_printed(tmp_path, monkeypatch) -> None:
    (tmp_path / "specs").mkdir()
    shutil.copy(ROOT / "specs" / "squeezenet.yaml", tmp_path / "specs")
    assert len(check_page(PAGE, tmp_path, monkeypatch)) == 6

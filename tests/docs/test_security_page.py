"""docs/security.md names tests and limits that exist."""

from __future__ import annotations

import re
from pathlib import Path

from archc.elaborate.builder import MAX_LAYERS
from archc.spec.files import MAX_FILE_SIZE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_named_tests_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    files = (ROOT / "tests").rglob("test_*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert named - set(re.findall(r"^def (test_\w+)\(", text, re.M)) == set()


def test_the_named_files_exist() -> None:
    for name in re.findall(r"`(tests/[\w/]+(?:\.py)?/?)`", PAGE):
        assert (ROOT / name).exists(), name


def test_the_limits_are_those_of_the_code() -> None:
    assert f"| bytes of a file | {MAX_FILE_SIZE >> 20} MiB |" in PAGE
    assert f"| layers and turns of loops | {MAX_LAYERS:,} |" in PAGE

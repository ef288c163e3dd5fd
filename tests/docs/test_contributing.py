"""CONTRIBUTING.md names what is there, in the order that the import contract has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_layers_are_those_of_the_contract_in_its_order(page) -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (c for c in config["tool"]["importlinter"]["contracts"] if c["id"] == "layers")
    layers = [name for layer in contract["layers"] for name in re.findall(r"\w+", layer)]
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert listed == [name for name in layers if not name.startswith("__")]


def test_every_path_exists(page) -> None:
    paths = re.findall(r"`([\w./]+/[\w.]*|[A-Z]+\.md|pyproject\.toml)`", page)
    assert len(paths) > 25
    for path in paths:
        assert path == "specs/NAME.yaml" or (ROOT / path).exists(), path


def test_every_variable_is_read_somewhere(page) -> None:
    names = set(re.findall(r"ARCHC_\w+", page))
    assert len(names) == 4
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    for name in names:
        assert any(f'"{name}"' in text for text in sources), name


def test_limit_on_lines_is_that_of_the_house(page) -> None:
    house = (ROOT / "tests" / "house" / "test_house.py").read_text(encoding="utf-8")
    assert f"MAX_LINES = {re.findall(r'outgrows ([0-9]+) lines', page)[0]}\n" in house

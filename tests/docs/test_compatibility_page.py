"""docs/compatibility.md declares what pyproject.toml asks for, and what CI pins was tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from archc.targets.onnx.opsets import opset_supported

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
_ROW = re.compile(r"^\| ([a-z]+) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)


@pytest.fixture
def rows() -> dict[str, tuple[str, str]]:
    """Package: oldest and newest version of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return {name: (oldest, newest) for name, oldest, newest in _ROW.findall(text)}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_oldest_are_those_of_the_package(rows) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["torch"], *extras["image"]]
    assert [f"{name}>={oldest}" for name, (oldest, _) in rows.items()] == declared
    python = project["requires-python"].removeprefix(">=")
    assert f"Python {python} or newer" in PAGE.read_text(encoding="utf-8")


def test_what_ci_pins_is_between(rows) -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    pinned = dict(re.findall(r"^(\w+)==([\d.]+)$", constraints, re.MULTILINE))
    for name, (oldest, newest) in rows.items():
        assert numbers(oldest) <= numbers(pinned[name]) <= numbers(newest), name


def test_results_are_of_these_versions(rows) -> None:
    """Both columns name every package with its version."""
    text = PAGE.read_text(encoding="utf-8")
    oldest, newest = (
        re.search(rf"^\| `{column}` \| (.*?) \|", text, re.MULTILINE)[1].split(", ")
        for column in ("oldest", "newest")
    )
    for name, versions in rows.items():
        for run, version in zip((oldest, newest), versions, strict=True):
            (ran,) = (item.split()[1] for item in run if item.startswith(f"{name} "))
            length = len(numbers(version))
            assert numbers(ran)[:length] == numbers(version), name
            assert not any(numbers(ran)[length:]), name


def test_no_opset_is_skipped_where_it_is_taken() -> None:
    """Tests leave out operator sets that are not taken here; CI's versions take all of them."""
    import onnxruntime

    if numbers(onnxruntime.__version__)[:2] >= (1, 32):
        assert all(map(opset_supported, range(17, 25)))

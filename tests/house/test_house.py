"""The rules of the house that tools can check: style, types, imports, layout, one test command."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
TOP_LEVEL = {
    ".ci",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".pre-commit-hooks.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "archc",
    "benchmarks",
    "constraints.txt",
    "docs",
    "pyproject.toml",
    "specs",
    "tests",
}
FRAMEWORKS = {"numpy", "onnx", "onnxruntime", "safetensors", "torch", "torchvision"}


def _local_hooks() -> dict[str, str]:
    """The commands of .pre-commit-config.yaml, which CI runs through this test."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    return {
        hook["id"]: hook["entry"]
        for repo in config["repos"]
        if repo["repo"] == "local"
        for hook in repo["hooks"]
    }


CHECKS = _local_hooks()


def test_every_check_of_the_house_is_a_hook() -> None:
    assert set(CHECKS) == {"ruff-check", "ruff-format", "mypy", "import-contract"}


@pytest.mark.parametrize("check", CHECKS)
def test_check_passes(check: str) -> None:
    program, *arguments = shlex.split(CHECKS[check])
    result = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{CHECKS[check]}\n{result.stdout}{result.stderr}"


def test_mypy_is_strict() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert config["tool"]["mypy"]["strict"] is True
    assert config["tool"]["mypy"]["packages"] == ["archc"]


def _readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in script if line and not line.startswith(("#", "set ", "cd "))]
    assert len(commands) == 1
    assert commands[0] in _readme_commands()
    assert commands[0].startswith("python3 -m venv .venv && ")
    assert re.search(r" && \.venv/bin/python -m pytest( -n \d+)?$", commands[0])


def test_constraints_are_exact_and_portable() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 30
    for pin in pins:
        # A local version such as +cpu exists in one index only.
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", pin), pin


def _tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("an unpacked archive, not a clone")
    command = ["git", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listing.split("\0") if name]


def test_top_level_holds_only_what_is_agreed() -> None:
    assert {name.split("/")[0] for name in _tracked()} <= TOP_LEVEL


def test_typing_marker_is_shipped() -> None:
    assert "archc/py.typed" in _tracked()
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["archc"]


def test_no_file_outgrows_a_room() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "archc").rglob("*.py")
    }
    assert len(sizes) > 10
    assert {name: size for name, size in sizes.items() if size > MAX_LINES} == {}


def test_no_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    parts = {part for path in (ROOT / "archc").rglob("*.py") for part in path.with_suffix("").parts}
    assert parts & drawers == set()


@pytest.mark.parametrize("module", ["archc", "archc.cli", "archc.elaborate", "archc.diagnostics"])
def test_import_pays_for_no_framework(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({FRAMEWORKS!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""

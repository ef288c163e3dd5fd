"""docs/plugins.md is run as it stands; its plugin is enabled in every way that it tells."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.transcript import check_page, run_command

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


@pytest.fixture(autouse=True)
def _forget_the_plugin(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("light_cnn", None)
    importlib.invalidate_caches()


def test_page(tmp_path, monkeypatch) -> None:
    commands = check_page(PAGE, tmp_path, monkeypatch)
    assert [command.split()[1] for command in commands] == [
        "check",
        "check",
        "build",
        "verify",
        "explain",
        "check",
    ]
    run_command("archc build face.yaml --plugin light_cnn --to torch", tmp_path)
    source = (tmp_path / "face.py").read_text("utf-8")
    imports = re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
    assert set(imports) <= {"__future__", "torch"}
    _is_enabled_by_the_project(tmp_path)
    _computes_what_it_says(tmp_path)


def _is_enabled_by_the_project(folder: Path) -> None:
    (settings,) = re.findall(r"  ```toml\n(.*?)  ```", PAGE.read_text("utf-8"), re.DOTALL)
    (folder / "pyproject.toml").write_text(settings.replace("  ", ""), encoding="utf-8")
    # Imported by the commands before, it is as good as installed.
    assert ": face is sound: " in run_command("archc check face.yaml", folder)


def _computes_what_it_says(folder: Path) -> None:
    import torch

    import archc

    spec = folder / "mfm.yaml"
    spec.write_text(
        "archc: 1\ninputs: {x: [N, 6, 2]}\nlayers: {mfm: {max_feature_map: 3}}\n", encoding="utf-8"
    )
    module = archc.load(spec, plugins=["light_cnn"])
    x = torch.randn(2, 6, 2)
    expected = torch.maximum(torch.maximum(x[:, :2], x[:, 2:4]), x[:, 4:])
    assert torch.equal(module(x), expected)

"""docs/tutorial.md is run as it stands, and its network learns."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from archc.runtime import open_session
from tests.docs.transcript import check_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"


def test_tutorial(tmp_path, monkeypatch) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    commands = check_page(PAGE, tmp_path, monkeypatch)
    assert [command.split()[:2] for command in commands] == [
        ["archc", "check"],
        ["archc", "check"],
        ["archc", "build"],
        ["python", "train.py"],
        ["archc", "build"],
        ["archc", "build"],
        ["python", "evaluate.py"],
        ["archc", "run"],
        ["archc", "verify"],
    ]
    _shows_what_was_written(tmp_path)
    _holds_what_it_says(tmp_path, monkeypatch)


def _shows_what_was_written(folder: Path) -> None:
    """Parts of files that the page shows are parts of those files."""
    page = PAGE.read_text(encoding="utf-8")
    (spec,) = (block for block in _blocks(page, "yaml") if block.startswith("archc: 1\nname: len"))
    assert spec == (ROOT / "specs" / "lenet5.yaml").read_text(encoding="utf-8")
    source = (folder / "lenet5.py").read_text(encoding="utf-8")
    parts = [block for block in _blocks(page, "python") if not block.startswith("# ")]
    assert len(parts) == 2
    assert all(part in source for part in parts)


def _blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def _holds_what_it_says(folder: Path, monkeypatch) -> None:
    """What the page prints is looked at once more, by code that is not the page's."""
    monkeypatch.syspath_prepend(str(folder))
    digits, lenet5 = importlib.import_module("digits"), importlib.import_module("lenet5")
    for name in ("digits", "lenet5"):
        del sys.modules[name]  # of this folder only

    images, labels = digits.load()
    assert images.shape == (1797, 1, 32, 32)
    images, labels = images[1437:], labels[1437:]
    model = lenet5.Lenet5().eval()
    model.load_state_dict(load_file(folder / "trained.safetensors"))
    with torch.no_grad():
        expected = model(images)
    (got,) = open_session(folder / "digits.onnx").run(None, {"image": images.numpy()})
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-5)
    predictions = got.argmax(axis=1)
    assert np.array_equal(predictions, expected.argmax(dim=1).numpy())
    assert (predictions == labels.numpy()).mean() >= 0.97

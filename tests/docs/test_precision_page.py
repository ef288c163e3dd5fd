"""docs/precision.md is run as it stands, on a LeNet-5 trained as the tutorial does, but shorter."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from archc.runtime import open_model
from tests.docs.transcript import check_page, run_command

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGE = ROOT / "docs" / "precision.md"


def test_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    _train(tmp_path, monkeypatch)
    commands = check_page(PAGE, tmp_path, monkeypatch)
    assert [command.split()[1] for command in commands] == [
        "build",
        "build",
        "verify",
        "build",
        "samples.py",
        "quantize",
        "quantize",
    ]
    held_out = np.load(tmp_path / "held_out.npz")
    for name in ("digits.onnx", "digits.int8.onnx", "dynamic.onnx"):
        found = open_model(tmp_path / name).run({"image": held_out["image"]})["output"]
        assert (found.argmax(axis=1) == held_out["labels"]).mean() > 0.9


def _train(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tutorial's training, cut short: the figures of the page are those of all of it."""
    page = TUTORIAL.read_text(encoding="utf-8")
    for name in ("digits.py", "train.py"):
        (text,) = re.findall(rf"^```python\n(# {name}\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
        shortened = text.replace("EPOCHS = 20", "EPOCHS = 5")
        assert (shortened != text) == (name == "train.py")
        (folder / name).write_text(shortened, encoding="utf-8")
    monkeypatch.chdir(folder)
    run_command("archc build specs/lenet5.yaml --to torch", folder)
    run_command("python train.py", folder)

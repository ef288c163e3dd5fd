"""The guided fuzz, with a stand-in for atheris that chooses inputs without looking at coverage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

STAND_IN = """\
import contextlib, pathlib, sys

def instrument_imports(include):
    assert "archc.types" in include
    return contextlib.nullcontext()

def Mutate(data, max_size):
    return data[::-1]

def Setup(arguments, test_one_input, custom_mutator):
    global inputs, test, mutator
    inputs = sorted(pathlib.Path(arguments[1]).iterdir())
    test, mutator = test_one_input, custom_mutator

def Fuzz():
    test(b"\\xff\\xed\\xa0\\x80\\0: [")
    test(b"archc: 1")
    changed = set()
    for path in inputs:
        data = path.read_bytes()
        for seed in range(4):
            changed.add(data := mutator(data, 5000, seed))
            test(data)
    print(len(inputs), len(changed))
"""


def guided(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([*([path] if path else []), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def test_inputs_are_changed_and_checked(tmp_path: Path) -> None:
    (tmp_path / "atheris.py").write_text(STAND_IN)
    done = guided(str(tmp_path / "kept"), path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    inputs, changed = map(int, done.stdout.split())
    assert inputs > 30
    assert changed > 2 * inputs
    assert list((tmp_path / "kept" / "broken").iterdir()) == []


def test_without_atheris_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "atheris.py").write_text("raise ModuleNotFoundError('no atheris')\n")
    done = guided(str(tmp_path / "kept"), path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "the guided fuzz needs atheris: pip install atheris\n"

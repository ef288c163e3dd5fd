"""What `archc verify` leaves in the folder for temporary files: nothing, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from archc.cli import archc as program
from archc.parity import verify

SPEC = """\
archc: 1
name: small
inputs: {image: [N, 3, 8, 8]}
layers: [{conv: 4, kernel: 3}, relu, flatten, {linear: 4}]
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this test alone."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return str(path)


def run(*arguments: str) -> int:
    return CliRunner().invoke(program, ["verify", *arguments], prog_name="archc").exit_code


def scratch(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != ".ses"]  # onnxruntime's own


def spied(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path, then: Callable[[], Any]) -> Any:
    """Look at the folder when the function is called, and go on as told."""
    real, seen = getattr(verify, name), []

    def spy(*arguments: Any, **options: Any) -> Any:
        seen.append(scratch(folder))
        then()
        return real(*arguments, **options)

    monkeypatch.setattr(verify, name, spy)
    return seen


def interrupted() -> None:
    raise KeyboardInterrupt


def failing() -> None:
    raise RuntimeError("a fault of ours")


@pytest.mark.parametrize(("then", "code"), [(lambda: None, 0), (failing, 70), (interrupted, 130)])
@pytest.mark.parametrize("place", ["OnnxOther", "_compare"])
def test_nothing_is_left(
    spec: str,
    system: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    then: Callable[[], Any],
    code: int,
) -> None:
    seen = spied(monkeypatch, place, system, then)
    assert run(spec, "--batch", "1") == code
    assert len(seen[0]) == 1  # it was there, with the model in it
    assert scratch(system) == []


def test_nothing_is_left_of_what_is_refused(spec: str, system: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    for arguments in (["--opset", "2"], ["--against", str(tmp_path / "bad.onnx")]):
        assert run(spec, "--batch", "1", *arguments) == 1
        assert scratch(system) == []


SIGNALLED = """\
import os, signal, sys
from archc.cli import main
from archc.parity import verify

real = verify._compare

def told(*arguments, **options):
    os.kill(os.getpid(), int(sys.argv[1]))
    return real(*arguments, **options)

verify._compare = told
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
main(sys.argv[2:])
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals(spec: str, system: Path, number: signal.Signals) -> None:
    """Ctrl-C clears up; what SIGKILL leaves goes with the next run."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(int(number)), "verify", spec, "--batch", "1"],
        env={**os.environ, "TMPDIR": str(system)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    left = scratch(system)
    assert len(left) == (1 if number is signal.SIGKILL else 0)
    assert run(spec, "--batch", "1") == 0
    assert scratch(system) == []

"""The command line as its tests use it: in this process, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from archc.cli import archc

SPECS = Path(__file__).parents[2] / "specs"

SMALL = """\
archc: 1
name: small
params: {classes: 4}
inputs: {image: [N, 3, 8, 8]}
layers:
  conv: {conv: 6, kernel: 3, padding: 1}
  bn: batchnorm
  act: relu
  flat: flatten
  fc: {linear: classes}
"""

BROKEN = """\
archc: 1
name: broken
inputs: {x: [N, 3, 32, 32]}
layers:
  - {conv: 8, kernal: 3}
  - {maxpol: 2}
  - {linear: 10}
"""

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in an empty folder and hold it to an exit code; nothing may escape it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHC_TRACEBACK", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)  # test workers set it

    def run(*arguments: object, code: int = 0, input: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(archc, list(map(str, arguments)), input, prog_name="archc")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small spec."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A spec with two errors."""
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    return path


@pytest.fixture
def lenet5(tmp_path: Path) -> Path:
    """The zoo's LeNet-5, copied: a test may try to overwrite it."""
    return Path(shutil.copy(SPECS / "lenet5.yaml", tmp_path))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 as an ONNX file; not to be changed."""
    from archc import build

    path = tmp_path_factory.mktemp("model") / "lenet5.onnx"
    return build(SPECS / "lenet5.yaml", path)[0]

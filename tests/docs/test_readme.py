"""README.md is true: what it shows is run, what it names exists."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from archc.cli import COMMANDS
from tests.docs.transcript import check_page, run_command

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "README.md"


@pytest.fixture
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    return tmp_path


def test_spec_its_errors_and_what_becomes_of_it(folder, monkeypatch, page) -> None:
    assert check_page(PAGE, folder, monkeypatch) == ["archc check net.yaml"]
    spec = folder / "net.yaml"
    mended = spec.read_text(encoding="utf-8").replace("avgpol", "avgpool")
    mended = mended.replace(
        "conv2: {conv: out, kernel: 3}", "conv2: {conv: out, kernel: 3, padding: 1}"
    )
    spec.write_text(mended, encoding="utf-8")
    for target, name in (("onnx", "net.onnx"), ("torch", "net.py")):
        assert run_command(f"archc build net.yaml --to {target}", folder).startswith(
            f"wrote {name} ("
        )
    shown, code = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown in (folder / "net.py").read_text(encoding="utf-8")
    (folder / "net.onnx").unlink()
    exec(compile(code, "README.md", "exec"), {})
    assert (folder / "net.onnx").exists()


def test_first_command_does_what_it_says(folder, page) -> None:
    first, *_ = re.findall(r"^```sh\n(.*)\n```$", page, re.MULTILINE)
    parts = [part.removeprefix(".venv/bin/") for part in first.split(" && ")]
    assert [part.split()[0] for part in parts] == ["python3", "pip", "archc", "archc"]
    assert run_command(parts[2], folder).startswith("wrote lenet5.onnx (")
    assert run_command(parts[3], folder).startswith("output [1, 10] float32\n  [0] ")


def test_every_command_is_in_the_table_and_runs(folder, page) -> None:
    commands = re.findall(r"^\| `(archc [^`]*)` \|", page, re.MULTILINE)
    assert sorted(shlex.split(command)[1] for command in commands) == sorted(COMMANDS)
    shutil.copy(folder / "specs" / "lenet5.yaml", folder / "net.yaml")
    _draw(folder / "cat.png")
    for command in commands:
        line = command + (" -o net.onnx" if " --to onnx" in command else "")
        assert not run_command(line, folder).startswith("error["), line


def _draw(path: Path) -> None:
    import numpy as np
    from PIL import Image

    Image.fromarray(np.zeros((32, 32), np.uint8)).save(path)


def test_commands_within_the_text_run(folder, page) -> None:
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    prose = "\n".join(line for line in prose.splitlines() if not line.startswith("|"))
    commands = [" ".join(text.split()) for text in re.findall(r"`(archc [a-z][^`]*)`", prose)]
    (command,) = (command for command in commands if "resnet152" in command)
    assert run_command(f"{command} -o r.onnx", folder).startswith("wrote r.onnx (")


def test_resnets_take_the_lines_that_are_claimed(page) -> None:
    (number,) = re.findall(r"ten ResNets in\s+(\d+) lines", page)
    text = (ROOT / "specs" / "resnet.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) == int(number)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/tutorial.md"])
def test_links_lead_somewhere(name) -> None:
    path = ROOT / name
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert "://" in link or (path.parent / link).exists(), link

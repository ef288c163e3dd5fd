"""Pages that are run: their files are written, their commands executed, their output compared.

- A fenced block of `yaml` or `python` whose first line is `# NAME` is the file of that name.
- A block of `console` holds commands (`$ archc check net.yaml`) and what they print. Numbers that
  depend on the machine or the version (errors, probabilities, sizes of files) may differ.

`ARCHC_UPDATE_DOCS=1` rewrites the output that does not fit.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from archc.cli import archc

_BLOCK = re.compile(r"^```(yaml|python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w/]+\.(?:yaml|py))\n")
_COMMAND = re.compile(r"^\$ ([^\n]*)\n(.*?)(?=^\$ |\Z)", re.MULTILINE | re.DOTALL)

_VARYING = re.compile(r"\b\d\.\de-\d\d\b|\b0\.\d{2,}\b|\b\d+\.\d%|\b\d+\.\d [kM]B\b")


def check_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run a page in a folder.

    Returns:
        The commands that were run.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    commands: list[str] = []

    def block(match: re.Match[str]) -> str:
        kind, body = match[1], match[2]
        if kind == "console":
            return f"```console\n{_COMMAND.sub(command, body)}```"
        name = _FILE.match(body)
        if name is not None:
            path = folder / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(body, encoding="utf-8")
        return match[0]

    def command(match: re.Match[str]) -> str:
        commands.append(match[1])
        printed = run_command(match[1], folder)
        return match[0] if fits(match[2], printed) else f"$ {match[1]}\n{printed}"

    text = page.read_text(encoding="utf-8")
    fresh = _BLOCK.sub(block, text)
    if os.environ.get("ARCHC_UPDATE_DOCS"):
        page.write_text(fresh, encoding="utf-8")
    assert text == fresh
    return commands


def run_command(line: str, folder: Path) -> str:
    """What `archc ...` or `python FILE` prints, both streams as a terminal shows them."""
    program, *arguments = shlex.split(line)
    if program == "archc":
        result = CliRunner().invoke(archc, arguments, prog_name="archc")
        assert result.exit_code in (0, 1), result.output
        return result.output
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def fits(expected: str, printed: str) -> bool:
    """Whether the output is what the page shows."""
    return _VARYING.sub("#", expected) == _VARYING.sub("#", printed)

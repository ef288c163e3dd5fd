"""Hostile text in files, through the whole program: a terminal gets printable characters only."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from archc.cli import archc as program
from tests.fuzz.test_hostile_text import HOSTILE, filled

COMMANDS = [
    ["check", "net.yaml"],
    ["check", "net.yaml", "--output-format", "json"],
    ["check", "net.yaml", "--output-format", "sarif"],
    ["check", "net.yaml", "--output-format", "github"],
    ["show", "net.yaml"],
    ["show", "net.yaml", "--format", "csv"],
    ["show", "net.yaml", "--format", "json"],
    ["show", "net.yaml", "--format", "markdown"],
    ["expand", "net.yaml"],
    ["explain", "net.yaml", "one"],
    ["build", "net.yaml", "--to", "torch", "-o", "net.py"],
]


def printed(*arguments: str) -> str:
    """What the program prints; it must not fail otherwise than by refusing."""
    result = CliRunner().invoke(program, list(arguments), prog_name="archc")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 1, 2), result.output
    assert result.output.replace("\n", "").isprintable(), ascii(result.output[:500])
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_text_of_a_spec(tmp_path: Path, monkeypatch, command: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for text in HOSTILE:
        for field in ("DOC", "NAME", "LAYER", "PATTERN"):
            Path("net.yaml").write_text(filled(**{field: text}), encoding="utf-8")
            output = printed(*command)
            if command[-1] == "github":
                # A workflow command begins a line; what a spec says never does.
                for line in output.splitlines():
                    assert line.startswith(("::error file=", "::warning file=", "::notice file="))
                    assert line.count("::") >= 2
            if command[-1] in ("json", "sarif"):
                assert not output or json.loads(output)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_names_of_a_model(tmp_path: Path, monkeypatch, number: int) -> None:
    monkeypatch.chdir(tmp_path)
    name = HOSTILE[number]
    made = helper.make_graph(
        [helper.make_node("Relu", [name], [name + "y"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [name + "N", 4])],
        [helper.make_tensor_value_info(name + "y", TensorProto.FLOAT, [name + "N", 4])],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(made, opset_imports=opset, ir_version=9)
    helper.set_model_props(model, {"archc.sizes": name, "archc.preprocess": name})
    onnx.save(model, "net.onnx")
    assert printed("run", "net.onnx")
    printed("run", "net.onnx", "--at", "Q=2")
    printed("run", "net.onnx", "missing.npy")
    printed("quantize", "net.onnx", "--dynamic")


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_words_of_the_command_line(tmp_path: Path, monkeypatch, number: int) -> None:
    monkeypatch.chdir(tmp_path)
    word = HOSTILE[number][:200].replace("\0", "")
    for arguments in (
        ["check", word],
        ["explain", word],
        ["run", word],
        ["list", word],
        ["new", word],
    ):
        printed(*arguments)
    Path("net.yaml").write_text(filled(), encoding="utf-8")
    for option in ("--variant", "--set", "--plugin", "--weights"):
        printed("build", "net.yaml", "--to", "onnx", option, word)

"""Hostile text in files, through the whole program: a terminal gets printable characters only."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from archc.cli import archc as program
from tests.fuzz.bases import PLUGIN
from tests.fuzz.test_hostile_text import HOSTILE, RICH, RICH_PLAIN, filled

HIDDEN = [text for text in HOSTILE if not text.isprintable()]

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


@pytest.mark.parametrize(
    "command",
    [
        ["check", "net.yaml"],
        ["check", "net.yaml", "--output-format", "json"],
        ["check", "net.yaml", "--output-format", "github"],
        ["show", "net.yaml"],
        ["expand", "net.yaml"],
        ["build", "net.yaml", "--to", "torch", "-o", "net.py"],
    ],
    ids=" ".join,
)
def test_words_of_a_spec(tmp_path: Path, monkeypatch, command: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(filled(RICH, RICH_PLAIN), encoding="utf-8")
    assert not printed(*command, "--plugin", PLUGIN).startswith("error")
    for text in HIDDEN:
        for field in RICH_PLAIN:
            spec = filled(RICH, RICH_PLAIN, **{field: text})
            Path("net.yaml").write_text(spec, encoding="utf-8")
            printed(*command, "--plugin", PLUGIN)


HOSTILE_PLUGIN = """\
from archc.plugin import Activation, Refusal

class Evil(Activation):
    "{text}"
    def infer(self, cx, x):
        raise Refusal("bad-value", {text}, label={text}, help=[{text}], because=[(0, {text})])
    def to_torch(self, t, x):
        return x
    def to_onnx(self, g, x):
        return x

OPS = {{{name}: Evil}}
"""


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_names_and_messages_of_a_plugin(tmp_path: Path, monkeypatch, number: int) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    text = ascii(HOSTILE[number])
    spec = "archc: 1\ninputs: {x: [N, 3]}\nlayers: [evil]\n"
    Path("net.yaml").write_text(spec, encoding="utf-8")
    for name, word in ((text, "named"), ('"evil"', "saying")):
        module = f"hostile_{word}_{number}"
        code = HOSTILE_PLUGIN.format(text=text, name=name)
        Path(f"{module}.py").write_text(code, encoding="utf-8")
        for command in (["check", "net.yaml"], ["check", "net.yaml", "--output-format", "json"]):
            printed(*command, "--plugin", module)
        printed("explain", "net.yaml", "evil", "--plugin", module)
    Path("raises.py").write_text(f"raise ValueError({text})\n", encoding="utf-8")
    sys.modules.pop("raises", None)
    printed("check", "net.yaml", "--plugin", "raises")


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


def foreign(path: str, name: str, *, slope: float = 0.0, width: int = 4) -> None:
    """A model of a linear layer and an activation in which everything has a hostile name."""
    weight = numpy_helper.from_array(np.eye(width, 4, dtype=np.float32), name + "w")
    bias = numpy_helper.from_array(np.zeros(width, np.float32), name + "b")
    nodes = [
        helper.make_node(
            "Gemm", [name, name + "w", name + "b"], [name + "h"], name + "1", transB=1
        ),
        helper.make_node("LeakyRelu", [name + "h"], [name + "y"], name + "2", alpha=slope),
    ]
    shown = [
        helper.make_tensor_value_info(value, TensorProto.FLOAT, [name + "N", size])
        for value, size in ((name, 4), (name + "y", width))
    ]
    made = helper.make_graph(nodes, name + "g", shown[:1], shown[1:], [weight, bias])
    made.doc_string = name
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(made, opset_imports=opset, ir_version=9, producer_name=name)
    helper.set_model_props(model, {"archc.sizes": name, "archc.preprocess": name, name: name})
    onnx.save(model, path)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_names_of_a_model_to_verify_against(
    tmp_path: Path, monkeypatch, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    spec = "archc: 1\nname: net\ninputs: {x: [N, 4]}\nlayers: [{linear: 4}, relu]\n"
    Path("net.yaml").write_text(spec, encoding="utf-8")
    wrong = [{}, {"slope": 0.5}, {"width": 5}]
    for options in wrong:
        foreign("foreign.onnx", HOSTILE[number], **options)
        for form in ("text", "json"):
            command = ["verify", "net.yaml", "--against", "foreign.onnx", "--format", form]
            assert printed(*command, "--batch", "2") or form == "text"
    for command in (["run", "foreign.onnx"], ["quantize", "foreign.onnx", "--dynamic"]):
        printed(*command)
    # Libraries in C write past Python's streams.
    written = "".join(capfd.readouterr())
    assert written.replace("\n", "").isprintable(), ascii(written[:500])


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_names_of_files_with_tensors(tmp_path: Path, monkeypatch, number: int) -> None:
    monkeypatch.chdir(tmp_path)
    spec = "archc: 1\nname: net\ninputs: {x: [N, 4]}\nlayers: {fc: {linear: 4}}\n"
    Path("net.yaml").write_text(spec, encoding="utf-8")
    name = HOSTILE[number]
    eye = np.eye(4, dtype=np.float32)
    save_file({name: eye, f"{name}.weight": eye, "fc.weight": eye}, "names.safetensors")
    save_file({"fc.weight": eye, "fc.bias": eye[0]}, "said.safetensors", {name: name})
    printed("build", "net.yaml", "--weights", "said.safetensors")
    with zipfile.ZipFile("names.npz", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name[:200] + ".npy"), b"\x93NUMPY nothing")
    for weights in ("names.safetensors", "said.safetensors"):
        printed("build", "net.yaml", "--weights", weights)
        printed("build", "net.yaml", "--weights", weights, "--ignore-unexpected", name)
    printed("run", "net.onnx", "names.npz")
    printed("quantize", "net.onnx", "--static", "--calibration", "names.npz")


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

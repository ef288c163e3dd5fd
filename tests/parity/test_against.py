"""`archc verify --against`: files and modules of others, and what is said where they differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import archc
from tests.cli.conftest import cli  # noqa: F401  (a fixture)

SPEC = """\
archc: 1
name: net
inputs: {image: [N, 3, 8, 8]}
layers:
  stem: {conv: 6, kernel: 3, padding: 1}
  bn: batchnorm
  act: relu
  block:
    residual:
      conv: {conv: 6, kernel: 3, padding: 1}
      norm: {batchnorm: , eps: 1e-3}
  act2: relu
  pool: {adaptive_avgpool: 1}
  flat: flatten
  fc: {linear: 4}
"""

MODULE = """\
import torch
from torch import nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, eps=1e-3):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6, eps=eps)

    def forward(self, x):
        return x + self.norm(self.conv(x))


class Net(nn.Module):
    def __init__(self, eps=1e-3, act=F.relu, classes=4, scale=1.0):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.block = Block(eps)
        self.fc = nn.Linear(6, classes)
        self.activation = act
        self.scale = scale

    def forward(self, x):
        x = self.activation(self.bn(self.stem(x)))
        x = F.relu(self.block(self.scale * x))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(x)


def eps():
    return Net(eps=1e-5)


def gelu():
    return Net(act=F.gelu)


def classes():
    return Net(classes=5)


def scaled():
    return Net(scale=1.001)


def number():
    return 3


def broken():
    raise ValueError("no such network")


class Shifted(Net):
    def forward(self, x):
        return super().forward(x)[:, None]


built = Net()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "module.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def divergence(result) -> dict:
    """The only network's divergence in a JSON report."""
    (network,) = json.loads(result.stdout)["networks"]
    assert not network["ok"]
    assert network["diagnostics"][0]["code"] == "layer-diverges"
    return network


# -- ONNX files with archc's names --------------------------------------------------------------


def edited(folder: Path, node: str, edit) -> None:
    """Change one node of the exported model."""
    model = onnx.load(folder / "net.onnx")
    (found,) = (item for item in model.graph.node if item.name == node)
    edit(found)
    onnx.save(model, folder / "net.onnx")


def test_own_file_passes(cli, folder) -> None:  # noqa: F811
    cli("build", "net.yaml", "--no-optimize", "--to", "onnx", "--seed", 3)
    result = cli("verify", "net.yaml", "--against", "net.onnx")
    assert "FAILED" not in result.stdout
    assert "N=3  optimized" in result.stdout


def test_file_with_folded_norms(cli, folder) -> None:  # noqa: F811
    cli("build", "net.yaml", "--to", "onnx", "--seed", 1)
    cli("build", "net.yaml", "--to", "torch", "--seed", 1, "-o", "w.py")
    options = ["--against", "net.onnx", "--weights", "w.safetensors"]
    assert "FAILED" not in cli("verify", "net.yaml", "--against", "net.onnx").stdout
    assert "FAILED" not in cli("verify", "net.yaml", *options).stdout

    def edit(node: onnx.NodeProto) -> None:
        node.op_type = "Tanh"

    edited(folder, "act2", edit)
    for chosen in (options, options[:2]):
        found = divergence(cli("verify", "net.yaml", *chosen, "--format", "json", code=1))
        assert found["divergence"]["layer"]["path"] == "act2"
        assert found["divergence"]["also"] == []


def test_attribute_that_differs_is_named_at_its_place(cli, folder) -> None:  # noqa: F811
    cli("build", "net.yaml", "--no-optimize", "--to", "onnx")

    def edit(node: onnx.NodeProto) -> None:
        (epsilon,) = (item for item in node.attribute if item.name == "epsilon")
        epsilon.f = 1e-5

    edited(folder, "block.norm", edit)
    result = cli("verify", "net.yaml", "--against", "net.onnx", code=1)
    assert "error[layer-diverges]: `block.norm` (batchnorm) is the first layer" in result.stderr
    assert "--> net.yaml:11:27" in result.stderr
    assert "epsilon is 1e-05 in the file and 0.001 in the spec" in result.stderr
    assert "error[parity-failed]: `net`: output `output` differs" in result.stderr
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("  >"))
    assert "block.norm" in line
    assert line.count("FAILED") == 2
    data = divergence(
        cli("verify", "net.yaml", "--against", "net.onnx", "--format", "json", code=1)
    )["divergence"]
    assert data["layer"]["path"] == "block.norm"
    assert data["layer"]["line"] == 11
    assert [item["path"] for item in data["before"]] == ["act", "block.conv"]
    assert [item["path"] for item in data["after"]] == ["block.add", "act2"]
    assert all(item["local"]["ok"] for item in data["before"] + data["after"])
    assert all(item["propagated"]["ok"] for item in data["before"])
    assert not any(item["propagated"]["ok"] for item in data["after"])
    assert data["differences"] == [{"what": "epsilon", "spec": "0.001", "other": "1e-05"}]


def test_edge_that_differs_is_named(cli, folder) -> None:  # noqa: F811
    cli("build", "net.yaml", "--no-optimize", "--to", "onnx")

    def edit(node: onnx.NodeProto) -> None:
        node.input[list(node.input).index("act")] = "bn"

    edited(folder, "block.add", edit)
    data = divergence(
        cli("verify", "net.yaml", "--against", "net.onnx", "--format", "json", code=1)
    )["divergence"]
    assert data["layer"]["path"] == "block.add"
    assert data["differences"] == [{"what": "input B", "spec": "act", "other": "bn"}]


def test_every_layer_at_fault_is_listed(cli, folder) -> None:  # noqa: F811
    cli("build", "net.yaml", "--no-optimize", "--to", "onnx")

    def edit(node: onnx.NodeProto) -> None:
        node.op_type = "Tanh"

    for name in ("act", "act2"):
        edited(folder, name, edit)
    network = divergence(
        cli("verify", "net.yaml", "--against", "net.onnx", "--format", "json", code=1)
    )
    assert network["divergence"]["layer"]["path"] == "act"
    assert network["divergence"]["also"] == ["act2"]
    assert network["divergence"]["differences"][0]["other"] == "Tanh"


def test_weights_of_a_file_can_be_given(cli, folder) -> None:  # noqa: F811
    cli("build", "net.yaml", "--no-optimize", "--to", "onnx", "--seed", 1)
    cli("build", "net.yaml", "--to", "torch", "--seed", 1, "-o", "w.py")
    options = ["--against", "net.onnx", "--weights", "w.safetensors"]
    assert "FAILED" not in cli("verify", "net.yaml", *options).stdout
    model = onnx.load(folder / "net.onnx")
    (tensor,) = (item for item in model.graph.initializer if item.name == "block.norm.bias")
    array = numpy_helper.to_array(tensor) + np.float32(0.5)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, folder / "net.onnx")
    assert "FAILED" not in cli("verify", "net.yaml", "--against", "net.onnx").stdout
    result = cli("verify", "net.yaml", *options, code=1)
    assert "`block.norm` (batchnorm) is the first layer" in result.stderr
    assert "`block.norm.bias` at [" in result.stderr


# -- ONNX files of other programs -----------------------------------------------------------------


def exported(folder: Path, name: str) -> Path:
    """A module of `module.py` as torch's exporter writes it, and its weights."""
    space: dict = {}
    exec((folder / "module.py").read_text(encoding="utf-8"), space)
    torch.manual_seed(0)
    module = space[name]().eval()
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1)
    torch.save(module.state_dict(), folder / "weights.pth")
    path = folder / f"{name}.onnx"
    torch.onnx.export(
        module, (torch.zeros(2, 3, 8, 8),), str(path), dynamo=False, input_names=["pixels"]
    )
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "layer"),
    [("Net", None), ("eps", "block.norm"), ("gelu", "act"), ("scaled", "block.norm")],
)
def test_foreign_export(cli, folder, name, layer) -> None:  # noqa: F811
    path = exported(folder, name)
    options = ["--against", path, "--weights", "weights.pth"]
    if layer is None:
        result = cli("verify", "net.yaml", *options)
        assert "N=2" in result.stdout  # the batch that the file fixes
        return
    found = divergence(cli("verify", "net.yaml", *options, "--format", "json", code=1))
    # A batch norm is folded into its convolution: both are one node there.
    assert found["divergence"]["layer"]["path"] == layer
    assert "matched by their numbers" in found["divergence"]["note"]


@pytest.mark.filterwarnings("ignore")
def test_foreign_export_without_its_weights(cli, folder) -> None:  # noqa: F811
    path = exported(folder, "Net")
    result = cli("verify", "net.yaml", "--against", path, code=1)
    assert "error[weights-missing]" in result.stderr
    assert "--weights" in result.stderr


def test_initializers_of_other_names_are_taken_in_order(cli, folder) -> None:  # noqa: F811
    cli("build", "net.yaml", "--no-optimize", "--to", "onnx")
    model = onnx.load(folder / "net.onnx")
    names = {tensor.name: f"w{i}" for i, tensor in enumerate(model.graph.initializer)}
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    values = {name: f"v{i}" for i, name in enumerate(v.name for v in model.graph.value_info)}
    for node in model.graph.node:
        node.name = ""
        node.input[:] = [names.get(name, values.get(name, name)) for name in node.input]
        node.output[:] = [values.get(name, name) for name in node.output]
    del model.graph.value_info[:]
    onnx.save(model, folder / "net.onnx")
    assert "FAILED" not in cli("verify", "net.yaml", "--against", "net.onnx").stdout
    (relu,) = (node for node in model.graph.node if node.output[0] == values["act"])
    relu.op_type = "Sigmoid"
    onnx.save(model, folder / "net.onnx")
    found = divergence(
        cli("verify", "net.yaml", "--against", "net.onnx", "--format", "json", code=1)
    )
    assert found["divergence"]["layer"]["path"] == "act"
    assert found["divergence"]["differences"] == [
        {"what": "operator", "spec": "Relu", "other": "Sigmoid"}
    ]


def test_file_with_an_input_of_another_shape(cli, folder) -> None:  # noqa: F811
    other = SPEC.replace("[N, 3, 8, 8]", "[N, 3, 9, 9]")
    (folder / "other.yaml").write_text(other, encoding="utf-8")
    cli("build", "other.yaml", "--to", "onnx")
    result = cli("verify", "net.yaml", "--against", "net.onnx", code=1)
    assert "error[interface-mismatch]: input `image`" in result.stderr
    assert "--> net.yaml:3:10" in result.stderr


def test_file_that_is_no_model(cli, folder) -> None:  # noqa: F811
    assert "bad-model" in cli("verify", "net.yaml", "--against", "net.yaml", code=1).stderr
    assert "missing-file" in cli("verify", "net.yaml", "--against", "no.onnx", code=1).stderr


# -- torch modules --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Net", "built"])
def test_module_passes(cli, folder, name) -> None:  # noqa: F811
    result = cli("verify", "net.yaml", "--against", f"module.py:{name}")
    assert "eager  torch" in result.stdout
    assert f"module.py:{name}" in result.stdout


def test_setting_of_a_submodule_is_named(cli, folder) -> None:  # noqa: F811
    result = cli("verify", "net.yaml", "--against", "module.py:eps", code=1)
    assert "error[layer-diverges]: `block.norm` (batchnorm)" in result.stderr
    assert "--> net.yaml:11:27" in result.stderr
    assert "eps is 1e-05 in the module and 0.001 in the spec" in result.stderr


@pytest.mark.parametrize(
    ("name", "layer", "line"), [("gelu", "act", 27), ("scaled", "block.conv", 0)]
)
def test_function_is_named_by_its_line(cli, folder, name, layer, line) -> None:  # noqa: F811
    found = divergence(
        cli("verify", "net.yaml", "--against", f"module.py:{name}", "--format", "json", code=1)
    )["divergence"]
    assert found["layer"]["path"] == layer
    if line:
        assert f"module.py:{line}" in found["layer"]["counterpart"]
    else:
        assert "feeds it something else" in found["note"]


def test_module_with_other_weights_is_refused(cli, folder) -> None:  # noqa: F811
    result = cli("verify", "net.yaml", "--against", "module.py:classes", code=1)
    assert "error[weights-mismatch]" in result.stderr
    assert "--> net.yaml:15:7" in result.stderr


def test_module_that_returns_another_shape(cli, folder) -> None:  # noqa: F811
    result = cli("verify", "net.yaml", "--against", "module.py:Shifted", code=1)
    assert "shapes differ: torch [1, 4], module.py:Shifted [1, 1, 4]" in result.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("number", "makes a int, not a torch.nn.Module"),
        ("broken", "cannot be made: ValueError: no such network"),
        ("absent", "defines no `absent`"),
    ],
)
def test_file_that_makes_no_module(cli, folder, name, said) -> None:  # noqa: F811
    options = ["--against", f"module.py:{name}", "--format", "json"]
    (network,) = json.loads(cli("verify", "net.yaml", *options, code=1).stdout)["networks"]
    (finding,) = network["diagnostics"]
    assert finding["code"] == "bad-module"
    assert said in finding["message"]


def test_from_python(folder) -> None:
    module = f"{folder / 'module.py'}:eps"
    report = archc.verify(folder / "net.yaml", against=module, batches=[2])
    assert not report.ok
    assert report.divergence is not None
    assert report.divergence.layer.node.path == "block.norm"
    with pytest.raises(archc.SpecError, match="weights-mismatch"):
        archc.verify(folder / "net.yaml", against=module.replace(":eps", ":classes"))


def test_against_takes_one_spec(cli, folder) -> None:  # noqa: F811
    result = cli("verify", "net.yaml", "net.yaml", "--against", "module.py:Net", code=2)
    assert "--against takes one SPEC" in result.stderr

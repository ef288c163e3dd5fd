"""Where a network of fewer bits than float32 parts from its file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from archc.graph.precision import in_dtype
from archc.parity import verify_graph
from archc.parity.gate import GATES
from archc.parity.report import Report
from archc.targets.onnx import for_inference, write_onnx
from archc.types import DType
from archc.weights import RandomisedWeights
from tests.installed import HALVES
from tests.networks.check import compiled

SPEC = """
archc: 1
inputs: {image: [N, 3, 8, 8]}
layers:
  conv1: {conv: 6, kernel: 3, padding: 1}
  norm1: batchnorm
  act1: relu
  conv2: {conv: 8, kernel: 3}
  act2: tanh
  pool: {avgpool: 2}
  flat: flatten
  fc: {linear: 5}
"""


def broken(tmp_path: Path, dtype: DType, *, optimize: bool) -> Report:
    """The report on a file whose tanh is a sigmoid."""
    graph, weights = in_dtype(compiled(SPEC), dtype), RandomisedWeights(0)
    exported, stored, _ = for_inference(graph, weights, optimize=optimize)
    path = tmp_path / "net.onnx"
    write_onnx(exported, stored, path)
    model = onnx.load(path)
    (node,) = (node for node in model.graph.node if node.op_type == "Tanh")
    node.op_type = "Sigmoid"
    onnx.save(model, path)
    return verify_graph(graph, batches=[2], model=path, weights=weights)


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("dtype", HALVES)
def test_the_layer_is_named(tmp_path: Path, dtype: DType, optimize: bool) -> None:
    report = broken(tmp_path, dtype, optimize=optimize)
    assert not report.ok and report.divergence is not None
    found = report.divergence
    assert found.layer.node.path == "act2"
    assert found.layer.local is not None and not found.layer.local.ok
    assert found.layer.local.limit == pytest.approx(GATES[dtype].floor)
    assert all(item.local is not None and item.local.ok for item in found.before)
    assert found.also == ()
    assert [(item.ours, item.theirs) for item in found.differences] == [("Tanh", "Sigmoid")]

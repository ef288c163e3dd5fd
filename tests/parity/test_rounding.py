"""`archc verify` tells rounding that a network amplifies from mistakes, and names these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from archc.graph import Graph
from archc.graph.precision import in_dtype
from archc.parity import Report, report_data, report_lines, verify_graph
from archc.parity.explain import AMPLIFIED
from archc.targets.onnx import for_inference, write_onnx
from archc.types import DType
from archc.weights import RandomisedWeights
from tests.installed import HALVES
from tests.networks.check import compiled
from tests.networks.rounding import CANCELLING

RARE = """
archc: 1
name: rare
inputs: {x: [N, 1]}
layers:
  prior: {channel_affine: , mul: 0.1, add: -6}
  score: sigmoid
"""
NOTHING = """
archc: 1
name: nothing
inputs: {tokens: [N, 6, 12]}
layers:
  same: identity
  none: {sub: , from: [same, tokens]}
  norm: {batchnorm: , affine: false}
  again: instancenorm
"""
EDGES = """
archc: 1
name: edges
inputs: {image: [N, 3, 12, 12]}
layers:
  conv: {conv: 8, kernel: 3, padding: 1}
  norm: batchnorm
  act: {leaky_relu: 0.1}
  pool: {maxpool: 2}
  rest: {sub: , from: [pool, pool]}
  sum: {add: , from: [rest, pool]}
  flat: flatten
  fc: {linear: 5}
"""
SEEDS = range(0, 36, 3)


def written(graph: Graph, path: Path, seed: int, break_: Callable[[onnx.ModelProto], None]) -> Path:
    """The network as archc writes it for inference, and a mistake in it."""
    exported, weights, _ = for_inference(graph, RandomisedWeights(seed))
    result = write_onnx(exported, weights, path)
    assert not [finding for finding in result.diagnostics if finding.is_error]
    model = onnx.load(path)
    break_(model)
    onnx.save(model, path)
    return path


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(item for item in model.graph.node if item.name == name)


def by_rounding(graph: Graph) -> list[int]:
    """Seeds at which the network passes by that measure only; it passes at all of them."""
    reports: dict[int, Report] = {n: verify_graph(graph, batches=[1], seed=n) for n in SEEDS}
    assert all(report.ok for report in reports.values())
    assert {report.note for report in reports.values()} <= {"", AMPLIFIED}
    return [n for n, report in reports.items() if report.note]


@pytest.mark.parametrize(
    ("text", "dtype"),
    [(CANCELLING, DType.FLOAT32), (RARE, DType.FLOAT32), (NOTHING, DType.FLOAT16)],
    ids=["cancelling", "rare", "nothing"],
)
def test_amplified_rounding_passes_and_is_said(text, dtype) -> None:
    graph = in_dtype(compiled(text), dtype)
    report = verify_graph(graph, batches=[1], seed=by_rounding(graph)[0])
    assert f"{graph.name}: {AMPLIFIED}" in list(report_lines(report))
    assert report_data(report)["note"] == AMPLIFIED
    assert any(item.conditioning > item.torch_error for item in report.comparisons)


def test_a_mistake_is_named_whatever_the_network_amplifies(tmp_path) -> None:
    graph = compiled(CANCELLING)
    seed = by_rounding(graph)[0]

    def soften(model: onnx.ModelProto) -> None:
        node(model, "bent").op_type = "Softsign"

    def turn(model: onnx.ModelProto) -> None:
        names = node(model, "rest").input
        names[0], names[1] = names[1], names[0]

    for break_, layer in [(soften, "bent"), (turn, "rest")]:
        path = written(graph, tmp_path / "broken.onnx", seed, break_)
        report = verify_graph(graph, batches=[1], seed=seed, model=path)
        assert not report.ok
        assert report.divergence is not None
        assert report.divergence.layer.node.path == layer


def slope(model: onnx.ModelProto) -> None:
    node(model, "act").attribute[0].f = 0.9


def window(model: onnx.ModelProto) -> None:
    node(model, "pool").op_type = "AveragePool"


def operand(model: onnx.ModelProto) -> None:
    node(model, "sum").input[0] = node(model, "sum").input[1]


def weight(model: onnx.ModelProto) -> None:
    tensor = next(item for item in model.graph.initializer if item.name == "fc.bias")
    tensor.raw_data = bytes(len(tensor.raw_data))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    ("break_", "layer", "said"),
    [
        (slope, "act", "alpha is 0.9"),
        (window, "pool", "operator is AveragePool in the file and MaxPool in the spec"),
        (operand, "sum", "input A is pool"),
        (weight, "fc", "`fc.bias` at ["),
    ],
)
def test_the_layer_is_named_in_fewer_bits(tmp_path, dtype, break_, layer, said) -> None:
    graph = in_dtype(compiled(EDGES), dtype)
    path = written(graph, tmp_path / "net.onnx", 0, lambda model: None)
    assert verify_graph(graph, batches=[2], model=path).ok
    path = written(graph, tmp_path / "net.onnx", 0, break_)
    report = verify_graph(graph, batches=[2], model=path)
    assert not report.ok
    assert report.divergence is not None
    diagnostic = report.divergence.diagnostic()
    assert report.divergence.layer.node.path == layer
    assert any(said in line for line in diagnostic.help), diagnostic.help

"""Files whose values have names that say nothing."""

from __future__ import annotations

from pathlib import Path

import onnx

from archc.parity.draws import draw_inputs
from archc.parity.locate_onnx import locate_in_onnx
from archc.parity.situation import Situation
from archc.targets.onnx import onnx_bytes
from archc.weights import RandomisedWeights
from tests.networks.check import compiled

SPEC = """
archc: 1
inputs: {x: [N, 6]}
layers: {small: {channel_affine: , mul: 0.1, add: 0.01}, act: tanh, fc: {linear: 3}}
"""


def test_an_activation_is_compared_with_what_stands_in_its_place(tmp_path: Path) -> None:
    """tanh of small numbers is closer to these than to their sigmoid."""
    graph, weights = compiled(SPEC), RandomisedWeights(0)
    model = onnx.load_from_string(onnx_bytes(graph, weights, 20))
    inside = {name for node in model.graph.node for name in node.output}
    inside -= {value.name for value in model.graph.output}
    names = {name: f"v{i}" for i, name in enumerate(sorted(inside))}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        node.op_type = "Sigmoid" if node.op_type == "Tanh" else node.op_type
    del model.graph.value_info[:]
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    sizes = {"N": 4}
    situation = Situation(graph, weights, draw_inputs(graph, sizes, 0), sizes, False)
    found = locate_in_onnx(situation, path, None)
    assert found is not None
    assert found.layer.node.path == "act"
    assert found.layer.counterpart == names["act"]
    (difference,) = found.differences
    assert (difference.ours, difference.theirs) == ("Tanh", "Sigmoid")

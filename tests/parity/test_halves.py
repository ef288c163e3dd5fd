"""The search by halves: a runtime that rewrites two layers into one, and that one is wrong.

No layer is wrong alone then, and none where every value is asked for, which keeps the runtime from
merging. Such a runtime is made here: between a convolution and its ReLU, where nothing else asks
for what is between, negative values pass.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from archc.parity.draws import draw_inputs
from archc.parity.locate_onnx import locate_in_onnx
from archc.parity.segments import OnnxFile
from archc.parity.situation import Situation
from archc.targets.onnx import write_onnx
from archc.weights import RandomisedWeights
from tests.networks.check import compiled

LAYERS = 9
SPEC = "archc: 1\ninputs: {image: [N, 2, 6, 6]}\nlayers:\n" + "".join(
    f"  conv{i}: {{conv: 4, kernel: 3, padding: 1}}\n  act{i}: relu\n" for i in range(LAYERS)
)
SIZES = {"N": 2}


def merging(monkeypatch: pytest.MonkeyPatch, place: int) -> list[tuple[str, ...]]:
    """Have the ReLU number `place` merged wrongly; returns what values are asked for, in turn."""
    run, asked = OnnxFile.run, []

    def wrong(self, segment, feed, *, optimized):
        asked.append(segment.outputs)
        inside = {node.output[0] for node in segment.nodes} - set(segment.outputs)
        nodes = [
            onnx.helper.make_node("LeakyRelu", node.input, node.output, alpha=0.3)
            if optimized and node.name == f"act{place}" and node.input[0] in inside
            else node
            for node in segment.nodes
        ]
        return run(self, replace(segment, nodes=tuple(nodes)), feed, optimized=optimized)

    monkeypatch.setattr(OnnxFile, "run", wrong)
    return asked


def located(tmp_path: Path, *, optimized: bool = True):
    graph, weights = compiled(SPEC), RandomisedWeights(0)
    path = tmp_path / "net.onnx"
    write_onnx(graph, weights, path)
    situation = Situation(graph, weights, draw_inputs(graph, SIZES, 0), SIZES, optimized)
    return locate_in_onnx(situation, path, weights)


@pytest.mark.parametrize("place", [0, 4, LAYERS - 1])
def test_the_first_layer_behind_which_they_differ_is_found(tmp_path, monkeypatch, place) -> None:
    asked = merging(monkeypatch, place)
    found = located(tmp_path)
    assert found is not None
    assert found.layer.node.path == f"act{place}"
    assert found.layer.local is None
    assert found.layer.propagated is not None and not found.layer.propagated.ok
    assert "no layer is wrong on its own" in found.diagnostic().help[0]
    halvings = len(asked) - 2 * LAYERS  # each layer was run alone before
    assert 1 <= halvings <= math.ceil(math.log2(2 * LAYERS + 1))


def test_nothing_is_found_where_nothing_is_merged(tmp_path, monkeypatch) -> None:
    merging(monkeypatch, 4)
    assert located(tmp_path, optimized=False) is None

"""Every size from 1 to 512 for single layers, and onnxruntime's verdict on small networks."""

from __future__ import annotations

import pytest
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.runtime.model import open_session
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import evaluate
from archc.types.sizes import ALL_SIZES
from archc.weights import DrawnWeights
from tests.shapes.networks import random_spec
from tests.shapes.oracle import NoBroadcast

SIZES = range(1, 513)

LAYERS = [
    "{conv: 4, kernel: 7, stride: 2, padding: 3}",
    "{conv: 4, kernel: 5, stride: 3}",
    "{conv: 4, kernel: 3, dilation: 4}",
    "{conv: 4, kernel: 4, padding: [[1, 2], [0, 0]], stride: [2, 1]}",
    "{conv: 4, kernel: 3, padding: same, dilation: 2}",
    "{conv: 4, kernel: 5, padding: 2, padding_mode: reflect}",
    "{conv_transpose: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1}",
    "{conv_transpose: 4, kernel: 4, stride: 3, padding: 2}",
    "{maxpool: 3, stride: 2}",
    "{maxpool: 3, stride: 2, padding: 1}",
    "{maxpool: 3, stride: 2, ceil: true}",
    "{maxpool: 2, stride: 3, ceil: true}",
    "{maxpool: 3, stride: 4, padding: 1, ceil: true}",
    "{avgpool: 5, stride: 3}",
    "{avgpool: 3, stride: 2, padding: 1, ceil: true}",
    "{adaptive_avgpool: 7}",
    "{adaptive_avgpool: 1}",
    "{adaptive_maxpool: [3, 5]}",
    "global_avgpool",
    "{pad: [[1, 2], [3, 0]]}",
    "{pad: [[2, 2], [2, 2]], mode: reflect}",
    "{pad_to: 7, dims: [2, 3]}",
    "{resize: , scale: 2}",
    "{resize: , scale: [2.5, 0.75], mode: bilinear}",
    "{resize: [9, 11], mode: bilinear}",
    "{flatten: 2}",
    "{flatten: 1}",
    "{reshape: [N, 2, -1]}",
    "{permute: [0, 2, 3, 1]}",
    '{rearrange: "b c (h p) w -> b (c p) h w", p: 4}',
    "{concat: [[{conv: 4, kernel: 3, stride: 2, padding: 1}], [{maxpool: 2}]]}",
    "{residual: [{maxpool: 2}, {resize: , scale: 2}]}",
    "{split: [1, 3]}",
    "{chunk: 2, dim: 1}",
    "{slice: , start: 1, stop: 3}",
]


def compiled(layer: str) -> Graph:
    text = f"archc: 1\nname: t\ninputs: {{x: [N, 4, H, 12]}}\nlayers: [{layer}]\n"
    checked = check_source(Source("t.yaml", text))
    assert checked.graph is not None, [d.message for d in checked.diagnostics]
    assert not any(d.code == "unproved" for d in checked.diagnostics)
    return checked.graph


def predicted(graph: Graph, sizes: dict[str, int]) -> tuple[int, ...] | None:
    if any(size not in graph.sizes.get(name, ALL_SIZES) for name, size in sizes.items()):
        return None
    (output,) = graph.outputs.values()
    return tuple(evaluate(dim, sizes) for dim in output.type.shape)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_size_of_a_single_layer(layer: str) -> None:
    graph = compiled(layer)
    module = load_module(emit_torch(graph), None).eval().to("meta")
    for height in SIZES:
        expected = predicted(graph, {"N": 1, "H": height})
        try:
            with torch.no_grad(), NoBroadcast():
                result = module(torch.empty(1, 4, height, 12, device="meta"))
            actual = tuple(result.shape) if result.numel() else None
        except (RuntimeError, ValueError):
            actual = None
        assert actual == expected, height


@pytest.mark.parametrize("seed", range(12))
def test_onnxruntime_makes_the_predicted_shapes(seed: int, tmp_path) -> None:
    graph = check_source(Source("t.yaml", random_spec(seed))).graph
    if graph is None:
        pytest.skip("this network is refused for every size")
    path = tmp_path / "t.onnx"
    assert not write_onnx(graph, DrawnWeights(0), path).diagnostics
    session = open_session(path, optimized=False)
    for height in range(1, 65):
        sizes = {"N": 1, "H": height, "W": 24}
        expected = predicted(graph, sizes)
        if expected is not None:
            (result,) = session.run(None, {"x": torch.zeros(1, 4, height, 24).numpy()})
            assert result.shape == expected

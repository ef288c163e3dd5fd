"""Preprocessing compiled into a network: the same results from the pixels themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from archc.compile import check_source, with_images
from archc.diagnostics import Source
from archc.graph import Graph
from archc.parity import compare, run_torch, verify_graph
from archc.runtime import open_model, read_feed
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import format_shape
from archc.weights import RandomisedWeights

STEPS = "{resize: 40, crop: [32, 24], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
LAYERS = "[{conv: 8, kernel: 3, stride: 2}, relu, {adaptive_avgpool: 1}, flatten, {linear: 5}]"
WEIGHTS = RandomisedWeights(3)


def graph_of(
    steps: str = STEPS, inputs: str = "{image: [N, 3, 32, 24]}", layers: str = LAYERS
) -> Graph:
    text = f"archc: 1\ninputs: {inputs}\npreprocess: {steps}\nlayers: {layers}\n"
    graph = check_source(Source("spec.yaml", text)).graph
    assert graph is not None
    return graph


def compiled(graph: Graph) -> Graph:
    from archc.graph.images import with_preprocess

    result, problems = with_preprocess(graph)
    assert not problems
    return result


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "china.png"
    Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, 601, 427)).save(path)
    return str(path)


def test_layers_and_what_is_left(tmp_path) -> None:
    graph = compiled(graph_of())
    (image,) = graph.inputs
    assert f"{format_shape(image.type.shape)} {image.type.dtype.value}" == "[N, H, W, 3] uint8"
    assert [node.path for node in graph.nodes[:4]] == [
        f"preprocess.{name}" for name in ("layout", "crop", "values", "normalise")
    ]
    assert graph.nodes[4].inputs[0].name == "preprocess.normalise"
    (left,) = graph.preprocess.values()
    assert (left.resize, left.crop, left.layout) == (40, None, "NHWC")
    assert {name: sizes.first(1) for name, sizes in graph.sizes.items()} == {"H": [32], "W": [24]}


def test_both_targets_compute_the_same() -> None:
    report = verify_graph(compiled(graph_of()))
    assert report.ok and not report.diagnostics


def test_a_photograph_gives_what_the_plain_model_gives(tmp_path, photo) -> None:
    graph = graph_of()
    results = []
    for name, one in (("plain", graph), ("compiled", compiled(graph))):
        path = tmp_path / f"{name}.onnx"
        assert not write_onnx(one, WEIGHTS, path).diagnostics
        model = open_model(path)
        feed = read_feed(model, [photo])
        results.append((model.run(feed)["output"], feed["image"]))
    (plain, floats), (whole, pixels) = results
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1, 40, 56, 3))
    module = load_module(emit_torch(graph), WEIGHTS).eval()
    double = run_torch(graph, module.double(), {"image": floats.astype(np.float64)})["output"]
    result = compare("output", {}, False, plain, whole, double)
    assert result.ok, result


@pytest.mark.parametrize(
    ("steps", "inputs", "shape", "paths"),
    [
        ("{crop: 8}", "{image: [N, 3, H, W]}", "[N, H, W, 3]", 4),
        ("{resize: [8, 9]}", "{image: [N, 3, 8, 9]}", "[N, 8, 9, 3]", 3),
        ("{mean: 0.5}", "{image: [N, 3, H, W]}", "[N, H, W, 3]", 3),
        ("{scale: 1}", "{image: [2, 1, 8, 8]}", "[2, 8, 8, 1]", 3),
    ],
)
def test_sizes(steps, inputs, shape, paths) -> None:
    graph = compiled(graph_of(steps, inputs))
    assert format_shape(graph.inputs[0].type.shape) == shape
    assert sum(node.path.startswith("preprocess.") for node in graph.nodes) == paths
    assert verify_graph(graph).ok


def test_several_images_and_names_that_are_taken() -> None:
    inputs = "{left: [N, 3, 8, 8], right: [N, 3, 8, 8], other: [N, 3, 8, 8]}"
    layers = "{preprocess: {add: , from: [left, right]}, sum: {add: , from: [preprocess, other]}}"
    graph = compiled(graph_of("{left: {crop: 8}, right: {mean: 1}}", inputs, layers))
    assert [format_shape(value.type.shape) for value in graph.inputs] == [
        "[N, left_H, left_W, 3]",
        "[N, 8, 8, 3]",
        "[N, 3, 8, 8]",
    ]
    assert graph.nodes[0].path == "preprocess_1.left.layout"
    assert verify_graph(graph).ok


def test_a_size_that_is_no_symbol_cannot_be_set() -> None:
    text = (
        "archc: 1\ninputs: {y: [N, H], x: [N, 3, 2*H, 8]}\npreprocess: {crop: 8}\nlayers: [relu]\n"
    )
    checked = with_images(check_source(Source("spec.yaml", text)))
    assert checked.diagnostics[-1].code == "no-preprocess"
    assert "no single symbol" in checked.diagnostics[-1].message


def test_what_cannot_be_compiled() -> None:
    for steps, inputs in (("{}", "{x: [N, 3]}"), ("{crop: 8}", "{x: [N, 3, 8, 8]}")):
        text = f"archc: 1\ninputs: {inputs}\n" + (
            f"preprocess: {steps}\n" if "crop" in steps else ""
        )
        text = text.replace("[N, 3, 8, 8]", "{shape: [N, 3, 8, 8], dtype: float16}")
        checked = with_images(check_source(Source("spec.yaml", text + "layers: [relu]\n")))
        assert checked.graph is None
        assert checked.diagnostics[-1].code == "no-preprocess"
        assert checked.diagnostics[-1].primary is not None

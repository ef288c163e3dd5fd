"""Passes: what they fold, what they leave alone, and that the network computes the same."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from archc.graph import Graph
from archc.graph.invariants import BrokenGraphError, check_graph
from archc.graph.passes import Rewriting, optimised
from archc.graph.passes.deepen_masks import VANISHING
from archc.ops.window import APART
from archc.parity import compare
from archc.parity.draws import draw_inputs
from archc.parity.verify import run_torch
from archc.runtime import open_session
from archc.targets.onnx import onnx_bytes
from archc.targets.torch import emit_torch, load_module
from archc.weights import ComputedWeights, RandomisedWeights
from tests.graph.specs import graph_of
from tests.zoo.catalogue import SPECS

HEAD = "archc: 1\nname: net\ninputs: {x: [N, 4, 9, 9]}\nlayers:\n"


def operators(rewriting: Rewriting) -> Counter[str]:
    weights = ComputedWeights(RandomisedWeights(0), rewriting.recipes)
    model = onnx.load_from_string(onnx_bytes(rewriting.graph, weights))
    onnx.checker.check_model(model, full_check=True)
    return Counter(node.op_type for node in model.graph.node)


def assert_same(graph: Graph, sizes: dict[str, int], seed: int = 0) -> Rewriting:
    """The rewritten network, once it is known to compute the same in onnxruntime."""
    rewriting = optimised(graph)
    source = RandomisedWeights(seed)
    module = load_module(emit_torch(graph), source).eval()
    feed = draw_inputs(graph, sizes, seed)
    single = run_torch(graph, module, feed)
    module.double()
    double = run_torch(graph, module, {k: v.astype(np.float64) for k, v in feed.items()})
    model = onnx_bytes(rewriting.graph, ComputedWeights(source, rewriting.recipes))
    for is_optimized in (False, True):
        session = session_of(model, optimized=is_optimized)
        names = [output.name for output in session.get_outputs()]
        for name, theirs in zip(names, session.run(names, feed), strict=True):
            result = compare(name, sizes, is_optimized, single[name], theirs, double[name])
            assert result.ok, (rewriting.done, result)
    return rewriting


def session_of(model: bytes, *, optimized: bool):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        return open_session(path, optimized=optimized)


@pytest.mark.parametrize(
    "layers",
    [
        "  - {conv: 6, kernel: 3}\n  - batchnorm\n",
        "  - {conv: 6, kernel: 3, bias: false, groups: 2}\n  - {batchnorm: , eps: 0.1}\n",
        "  - {conv: 6, padding: 1, padding_mode: reflect}\n  - {batchnorm: , affine: false}\n",
        "  - {conv_transpose: 6, kernel: 3, stride: 2}\n  - batchnorm\n",
        "  - [flatten, {linear: 6}, batchnorm]\n",
        "  - [flatten, {linear: 6, bias: false}, batchnorm, batchnorm, relu]\n",
        "  - [flatten, {linear: 6, transposed: true}, batchnorm]\n",
    ],
)
def test_batch_norms_are_folded(layers: str) -> None:
    rewriting = assert_same(graph_of(HEAD + layers), {"N": 3})
    assert operators(rewriting)["BatchNormalization"] == 0
    assert "folded" in rewriting.done[0]


@pytest.mark.parametrize(
    "layers",
    [
        # read twice, or the network's own output
        "  c: {conv: 4}\n  b: batchnorm\n  a: {add: , from: [c, b]}\n",
        "  c: {conv: 4}\n  b: batchnorm\noutputs: [c, b]\n",
        # nothing to fold into
        "  - batchnorm\n",
        "  - [{conv: 4}, relu, batchnorm]\n",
        "  - [{avgpool: 2}, batchnorm]\n",
        # channels are spread over the groups of a transposed convolution
        "  - [{conv_transpose: 6, kernel: 2, groups: 2}, batchnorm]\n",
        # the norm's channels are not the features
        "  - [{rearrange: b c h w -> b (h w) c}, {linear: 8}, batchnorm]\n",
        # statistics of the batch itself
        "  - [{conv: 4}, {batchnorm: , track_running_stats: false}]\n",
        # a weight of two layers
        "  a: {conv: 4}\n  b: {conv: 4, tie: {weight: a.weight}}\n  n: batchnorm\n",
    ],
)
def test_batch_norms_that_cannot_be_folded_stay(layers: str) -> None:
    graph = graph_of(HEAD + layers)
    rewriting = assert_same(graph, {"N": 3})
    assert [n for n in rewriting.graph.nodes if n.op_name == "batchnorm"] == [
        n for n in graph.nodes if n.op_name == "batchnorm"
    ]
    assert not any("norm" in phrase for phrase in rewriting.done)


def test_a_folded_layer_keeps_its_path_and_its_norms_name() -> None:
    graph = graph_of(HEAD + "  conv: {conv: 6, bias: false}\n  bn: batchnorm\n  act: relu\n")
    folded = optimised(graph).graph
    assert [node.path for node in folded.nodes] == ["conv", "act"]
    assert folded.nodes[0].output.name == "bn"
    assert [ref.key for ref in folded.nodes[0].weights] == ["conv.weight", "conv.bias"]


def test_the_key_of_a_new_bias_is_free() -> None:
    layers = (
        "  conv: {conv: 6, bias: false}\n  bn: batchnorm\n"
        "  other: {linear: 9, keys: {weight: conv.bias}}\n"
    )
    keys = [ref.key for ref in optimised(graph_of(HEAD + layers)).graph.weights()]
    assert keys == ["conv.weight", "conv.bias_folded", "conv.bias", "other.bias"]


def test_folded_numbers_are_those_of_the_definition() -> None:
    graph = graph_of(HEAD + "  conv: {conv: 6, kernel: 3}\n  bn: {batchnorm: , eps: 0.5}\n")
    rewriting, source = optimised(graph), RandomisedWeights(3)
    stored = {ref.key: source.array(ref).astype(np.float64) for ref in graph.weights()}
    factor = stored["bn.weight"] / np.sqrt(stored["bn.running_var"] + 0.5)
    shift = (stored["conv.bias"] - stored["bn.running_mean"]) * factor + stored["bn.bias"]
    weights = ComputedWeights(source, rewriting.recipes)
    weight, bias = (weights.array(ref) for ref in rewriting.graph.weights())
    expected = stored["conv.weight"] * factor[:, None, None, None]
    np.testing.assert_array_equal(weight, expected.astype(np.float32))
    np.testing.assert_allclose(bias, shift, rtol=1e-6)
    for ref in rewriting.graph.weights():
        assert b"".join(weights.chunks(ref)) == weights.array(ref).tobytes()


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        ("  - {conv: 6, kernel: 3}\n  - {mul_param: [6, 1, 1]}\n", 1),
        ("  - {conv: 6, bias: false}\n  - batchnorm\n  - {mul_param: [1, 6, 1, 1]}\n", 1),
        ("  - {rearrange: b c h w -> b h w c}\n  - {linear: 5}\n  - {mul_param: [5]}\n", 1),
        (
            "  - {rearrange: b c h w -> b h w c}\n  - {linear: 5, transposed: true}\n"
            "  - {mul_param: [5]}\n",
            1,
        ),
        (
            "  - {rearrange: b c h w -> b h w c}\n  - {linear: 5}\n  - {dropout: 0.5}\n"
            "  - {permute: [0, 3, 1, 2]}\n  - {mul_param: [5, 1, 1]}\n",
            1,
        ),
        ("  - {conv: 6}\n  - {mul_param: [6, 1, 1]}\n  - {mul_param: [6, 1, 1]}\n", 2),
        # another axis, all elements, an activation between, read twice
        ("  - {conv: 6}\n  - {mul_param: [9, 1]}\n", 0),
        ("  - {conv: 6}\n  - {mul_param: [6, 9, 9]}\n", 0),
        ("  - {conv: 6}\n  - relu\n  - {mul_param: [6, 1, 1]}\n", 0),
        ("  c: {conv: 6}\n  s: {mul_param: [6, 1, 1]}\n  a: {add: , from: [c, s]}\n", 0),
        ("  - {conv: 6}\n  - {rearrange: b c h w -> b (c h) w}\n  - {mul_param: [54, 1]}\n", 0),
    ],
)
def test_scales_of_channels_are_folded(layers: str, count: int) -> None:
    rewriting = assert_same(graph_of(HEAD + layers), {"N": 2})
    assert operators(rewriting)["Mul"] == layers.count("mul_param") - count
    assert any("scale" in phrase for phrase in rewriting.done) == (count > 0)


@pytest.mark.parametrize(
    ("layers", "kept"),
    [
        ("  - {linear: 5}\n", "5, 9"),
        ("  - {linear: 5, transposed: true}\n", "9, 5"),
        ("  - [flatten, {linear: 5}]\n", "5, 324"),
        ("  a: {linear: 9}\n  b: {linear: 9, tie: {weight: a.weight}}\n", "9, 9"),
    ],
)
def test_weights_are_kept_as_they_are_read(layers: str, kept: str) -> None:
    rewriting = assert_same(graph_of(HEAD + layers), {"N": 2})
    is_flipped = kept == "5, 9"
    weight = next(ref for ref in rewriting.graph.weights() if ref.weight.name == "weight")
    wanted = [int(size) for size in kept.split(", ")]
    assert list(weight.weight.shape) == (wanted[::-1] if is_flipped else wanted)
    assert ("1 weight of linear layers transposed" in rewriting.done) == is_flipped
    if is_flipped:
        assert operators(rewriting)["Transpose"] == 0


def test_window_masks_lose_their_denormals() -> None:
    text = (
        "archc: 1\nname: net\ninputs: {x: [N, 8, 8, 6]}\nlayers:\n"
        "  mask: {window_mask: 4, shift: 2, from: x, side: true}\n"
        "  parts: {window_partition: 4, shift: 2, from: x}\n"
        "  qkv: {linear: 18}\n  core: {attention: 2, mask: mask}\n"
    )
    graph = graph_of(text)
    rewriting = assert_same(graph, {"N": 2})
    assert [n.op.apart for n in graph.nodes if n.path == "mask"] == [APART]
    assert [n.op.apart for n in rewriting.graph.nodes if n.path == "mask"] == [VANISHING]
    # What the usual score yields is what the pass is for.
    assert 0 < float(torch.exp(torch.tensor(APART))) < np.finfo(np.float32).tiny
    assert float(torch.exp(torch.tensor(VANISHING))) == 0.0


LAYERS = [
    "{conv: 8, kernel: 3, padding: 1}",
    "{conv: 8, kernel: 1, bias: false}",
    "{conv: 8, kernel: 3, padding: 1, groups: 4}",
    "{conv_transpose: 8, kernel: 3, padding: 1}",
    "batchnorm",
    "batchnorm",
    "{mul_param: [in_channels, 1, 1]}",
    "{mul_param: [in_channels, 1, in_width]}",
    "{dropout: 0.3}",
    "relu",
    "identity",
    "{seq: [{permute: [0, 2, 3, 1]}, {linear: 8}, {permute: [0, 3, 1, 2]}]}",
    "{residual: [{conv: in_channels, bias: false}, batchnorm, {mul_param: [in_channels, 1, 1]}]}",
]


def random_net(seed: int) -> str:
    rng = random.Random(seed)
    names = [f"l{i}" for i in range(rng.randint(3, 10))]
    lines = [f"  {name}: {rng.choice(LAYERS)}" for name in names]
    seen = rng.sample(names, rng.randint(0, 2))
    outputs = ", ".join(f"o{i}: {name}" for i, name in enumerate(dict.fromkeys([*seen, names[-1]])))
    return HEAD + "\n".join(lines) + f"\noutputs: {{{outputs}}}\n"


@pytest.mark.parametrize("seed", range(25))
def test_random_networks_compute_the_same(seed: int) -> None:
    assert_same(graph_of(random_net(seed)), {"N": 2}, seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 1100))
def test_many_random_networks_compute_the_same(seed: int) -> None:
    assert_same(graph_of(random_net(seed)), {"N": 1 + seed % 3}, seed)


@pytest.mark.parametrize(
    ("spec", "variant", "norms"),
    [("resnet", "resnet18", 0), ("mobilenet_v2", None, 0), ("densenet", "densenet121", 62)],
)
def test_the_zoo_has_no_norm_left_behind_a_convolution(spec, variant, norms) -> None:
    graph = graph_of((SPECS / f"{spec}.yaml").read_text(encoding="utf-8"), variant)
    assert operators(optimised(graph))["BatchNormalization"] == norms


def test_a_graph_that_is_none_is_found() -> None:
    graph = graph_of(HEAD + "  a: {conv: 6}\n  b: relu\n")
    check_graph(graph, graph.nodes)
    first, second = graph.nodes
    broken = {
        "not there yet": replace(graph, nodes=(second, first)),
        "there already": replace(graph, nodes=(first, second, replace(second, path="c"))),
        "are called": replace(graph, nodes=(first, replace(second, path="a"))),
        "no layer makes": replace(graph, nodes=(first,)),
    }
    for words, wrong in broken.items():
        with pytest.raises(BrokenGraphError, match=words):
            check_graph(wrong)
    wider = replace(first, op=first.op.model_copy(update={"out": 7}))
    with pytest.raises(BrokenGraphError, match="typed otherwise"):
        check_graph(graph, [wider])
    bare = replace(first, weights=first.weights[:1])
    with pytest.raises(BrokenGraphError, match="other weights"):
        check_graph(graph, [bare])

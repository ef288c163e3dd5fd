"""The zoo against torchvision: same keys, same numbers, weight for weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archc.compile import check_file
from archc.graph import Graph
from archc.graph.costs import total_macs
from archc.parity import compare
from archc.runtime.model import open_session
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import evaluate
from archc.weights import load_weights
from tests.zoo.catalogue import MODELS, REORDERED, SLICE, SPECS, VARIANTS, spec_path
from tests.zoo.oracle import meta_state, oracle_model, randomise, torchvision_models
from tests.zoo.test_text import NETWORKS

each_model = pytest.mark.parametrize(
    ("spec", "variant", "name"), [pytest.param(*row, id=row[2]) for row in MODELS]
)
slice_of_models = pytest.mark.parametrize(
    ("spec", "variant", "name"),
    [
        pytest.param(*row, id=row[2], marks=[] if row[2] in SLICE else pytest.mark.exhaustive)
        for row in MODELS
    ],
)


def graph_of(spec: str, variant: str | None) -> Graph:
    checked = check_file(spec_path(spec), variant)
    assert checked.graph is not None, [str(d) for d in checked.diagnostics]
    assert not checked.diagnostics
    return checked.graph


def published(name: str):
    return torchvision_models().get_model_weights(name).DEFAULT


def graph_at_published_size(spec: str, variant: str | None, name: str) -> Graph:
    """The network for images of the size that the published numbers are for."""
    graph = graph_of(spec, variant)
    size = published(name).transforms().crop_size[0]
    if graph.inputs[0].type.shape[2] == size:
        return graph
    checked = check_file(spec_path(spec), variant, {"size": str(size)})
    assert checked.graph is not None
    return checked.graph


def test_every_spec_of_the_zoo_is_accounted_for() -> None:
    compared = {spec for spec, _, _ in MODELS}
    assert {path.stem for path in SPECS.glob("*.yaml")} - compared == {
        *("lenet5", "zfnet"),
        *(network.spec for network in NETWORKS),
    }
    for spec, names in VARIANTS.items():
        checked = check_file(spec_path(spec), names[0])
        assert set(checked.spec.variants) - {"alexnet_2012"} == set(names)


@each_model
def test_keys_shapes_and_dtypes_are_torchvisions(spec, variant, name) -> None:
    graph = graph_of(spec, variant)
    ours = {ref.key: (ref.weight.shape, ref.weight.dtype.value) for ref in graph.weights()}
    assert ours == {
        key: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for key, tensor in meta_state(name).items()
    }


@each_model
def test_parameter_count_is_the_published_one(spec, variant, name) -> None:
    # Position embeddings have a number per position.
    graph = graph_at_published_size(spec, variant, name)
    # GoogLeNet is published without its auxiliary heads.
    left_out = ("aux1.", "aux2.") if name == "googlenet" else ()
    count = sum(
        ref.weight.numel
        for ref in graph.weights()
        if not ref.weight.buffer and not ref.key.startswith(left_out)
    )
    assert count == published(name).meta["num_params"]


@each_model
def test_macs_are_the_published_ones(spec, variant, name) -> None:
    total = total_macs(graph_at_published_size(spec, variant, name))
    assert evaluate(total, {"N": 1}) / 1e9 == pytest.approx(published(name).meta["_ops"], abs=1e-3)


@slice_of_models
def test_weights_load_unchanged_and_outputs_agree(spec, variant, name, tmp_path) -> None:
    graph = graph_of(spec, variant)
    oracle = randomise(oracle_model(name))
    checkpoint = tmp_path / "weights.pth"
    torch.save(oracle.state_dict(), checkpoint)
    weights, problems = load_weights(str(checkpoint), graph)
    assert not problems

    module = load_module(emit_torch(graph), weights).eval()
    _, *shape = graph.inputs[0].type.shape
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, got = oracle(x), module(x)
        reference = oracle.double()(x.double()).numpy()
    if spec in REORDERED:
        rounded = compare("output", {"N": 2}, False, expected.numpy(), got.numpy(), reference)
        assert rounded.ok, rounded
    else:  # the order of operations is torchvision's, so not even a bit may differ
        assert torch.equal(expected, got)

    path = tmp_path / "model.onnx"
    assert not write_onnx(graph, weights, path).diagnostics
    for optimized in (False, True):
        (theirs,) = open_session(path, optimized=optimized).run(None, {"image": x.numpy()})
        result = compare("output", {"N": 2}, optimized, got.numpy(), np.asarray(theirs), reference)
        assert result.ok, result

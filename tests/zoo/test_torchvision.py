"""The zoo against torchvision: same keys, same numbers, weight for weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archc.compile import check_file
from archc.graph.costs import total_macs
from archc.parity import compare
from archc.runtime.model import open_session
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import evaluate
from archc.weights import load_weights
from tests.zoo.catalogue import MODELS, SLICE, spec_path
from tests.zoo.oracle import oracle_model, randomise, torchvision_models


def graph_of(spec: str, variant: str):
    checked = check_file(spec_path(spec), variant)
    assert checked.ok, [str(d) for d in checked.diagnostics]
    return checked.graph


@pytest.mark.parametrize(("spec", "variant"), MODELS)
def test_keys_shapes_and_dtypes_are_torchvisions(spec: str, variant: str) -> None:
    graph = graph_of(spec, variant)
    with torch.device("meta"):
        theirs = torchvision_models().get_model(variant, weights=None).state_dict()
    ours = {ref.key: (ref.weight.shape, ref.weight.dtype.value) for ref in graph.weights()}
    assert ours == {
        key: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for key, tensor in theirs.items()
    }


@pytest.mark.parametrize(("spec", "variant"), MODELS)
def test_parameter_count_is_the_published_one(spec: str, variant: str) -> None:
    weights = torchvision_models().get_model_weights(variant).DEFAULT
    assert graph_of(spec, variant).parameter_count == weights.meta["num_params"]


@pytest.mark.parametrize(("spec", "variant"), MODELS)
def test_macs_are_the_published_ones(spec: str, variant: str) -> None:
    weights = torchvision_models().get_model_weights(variant).DEFAULT
    crop = weights.transforms().crop_size[0]
    assert crop == 224  # what the specs declare
    total = evaluate(total_macs(graph_of(spec, variant)), {"N": 1})
    assert total / 1e9 == pytest.approx(weights.meta["_ops"], abs=1e-3)


@pytest.mark.parametrize(
    ("spec", "variant"),
    [
        pytest.param(spec, variant, marks=[] if variant in SLICE else pytest.mark.exhaustive)
        for spec, variant in MODELS
    ],
)
def test_weights_load_unchanged_and_outputs_agree(spec: str, variant: str, tmp_path) -> None:
    graph = graph_of(spec, variant)
    oracle = randomise(oracle_model(variant))
    checkpoint = tmp_path / "weights.pth"
    torch.save(oracle.state_dict(), checkpoint)
    weights, problems = load_weights(str(checkpoint), graph)
    assert not problems

    module = load_module(emit_torch(graph), weights).eval()
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, got = oracle(x), module(x)
        reference = oracle.double()(x.double()).numpy()
    # The order of operations is torchvision's, so not even a bit may differ.
    assert torch.equal(expected, got)

    path = tmp_path / "model.onnx"
    assert not write_onnx(graph, weights, path).diagnostics
    for optimized in (False, True):
        (theirs,) = open_session(path, optimized=optimized).run(None, {"image": x.numpy()})
        result = compare("output", {"N": 2}, optimized, got.numpy(), np.asarray(theirs), reference)
        assert result.ok, result

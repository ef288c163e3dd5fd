"""GoogLeNet and Inception v3 with their published inputs rescaled, as their checkpoints need it."""

from __future__ import annotations

import pytest
import torch

from archc.compile import check_file
from archc.parity import compare
from archc.targets.torch import emit_torch, load_module
from archc.weights import load_weights
from tests.zoo.catalogue import spec_path
from tests.zoo.oracle import randomise, torchvision_models


@pytest.mark.parametrize(
    "name", ["googlenet", pytest.param("inception_v3", marks=pytest.mark.exhaustive)]
)
def test_transformed_inputs(name, tmp_path) -> None:
    graph = check_file(spec_path(name), None, {"transform_input": "true"}).graph
    assert graph is not None
    model = torchvision_models().get_model(name, init_weights=False, transform_input=True)
    oracle = randomise(model.eval())
    torch.save(oracle.state_dict(), tmp_path / "w.pth")
    weights, problems = load_weights(tmp_path / "w.pth", graph)
    assert not problems
    module = load_module(emit_torch(graph), weights).eval()
    _, *shape = graph.inputs[0].type.shape
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, got = oracle(x), module(x)
        reference = oracle.double()(x.double())
    result = compare("output", {}, False, expected.numpy(), got.numpy(), reference.numpy())
    assert result.ok, result

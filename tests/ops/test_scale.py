"""Products with a number, and linear layers of whose bias a part counts as zero."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from archc.graph import Graph
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.table import OPS
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, TensorType, symbol
from archc.weights import DrawnWeights
from tests.ops.harness import LAYER, Tensor, assert_parity, layer_graph

N = symbol("N")


def graph_of(name: str, attributes: dict[str, Any], type_: TensorType) -> Graph:
    return layer_graph(name, OPS[name].model_validate(attributes), [type_])


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([16, 0.5, -2.0, 1e-3, 0]),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 1000),
)
def test_products_are_torchs(by: float, shape: list[int], seed: int) -> None:
    graph = graph_of("scale", {"by": by}, TensorType(tuple(shape)))
    assert_parity(graph, lambda xs, _: xs[0] * by, seed=seed)


def test_a_scale_is_a_number_for_floats() -> None:
    with pytest.raises(ValidationError):
        OPS["scale"].model_validate({"by": "two"})
    with pytest.raises(Refusal):
        graph_of("scale", {"by": 2}, TensorType((2, 3), DType.INT64))


def linear(start: int, stop: int):
    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        bias = weights["bias"].clone()
        bias[start:stop] = 0.0
        return inputs[0] @ weights["weight"].T + bias

    return compute


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.data(), st.integers(1, 2), st.integers(0, 1000))
def test_a_part_of_the_bias_counts_as_zero(out: int, data, rank: int, seed: int) -> None:
    start = data.draw(st.integers(0, out - 1))
    stop = data.draw(st.integers(start + 1, out))
    shape = (N, *([3] * (rank - 1)), 4)
    graph = graph_of("linear", {"out": out, "zero_bias": [start, stop]}, TensorType(shape))
    assert_parity(graph, linear(start, stop), sizes={"N": 2}, seed=seed)
    # It is stored all the same, under the keys of any linear layer.
    module = load_module(emit_torch(graph), DrawnWeights(0))
    assert {k: tuple(v.shape) for k, v in module.state_dict().items()} == {
        f"{LAYER}.weight": (out, 4),
        f"{LAYER}.bias": (out,),
    }
    module(torch.ones(1, *shape[1:])).sum().backward()
    gradient = dict(module.named_parameters())[f"{LAYER}.bias"].grad
    kept = torch.ones(out, dtype=torch.bool)
    kept[start:stop] = False
    assert torch.equal(gradient != 0, kept)


@pytest.mark.parametrize(
    "attributes",
    [
        {"out": 6, "zero_bias": [4, 7]},
        {"out": 6, "zero_bias": [4, 4]},
        {"out": 6, "zero_bias": [2, 4], "bias": False},
    ],
)
def test_the_part_lies_within_the_bias(attributes: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        OPS["linear"].model_validate(attributes).infer(ShapeContext(), TensorType((N, 4)))
    assert (caught.value.code, caught.value.at) == ("bad-value", "zero_bias")


@pytest.mark.parametrize("part", [3, [1], [1, 2, 3], [-1, 2], [0.5, 2]])
def test_a_part_is_two_places(part: Any) -> None:
    with pytest.raises(ValidationError):
        OPS["linear"].model_validate({"out": 6, "zero_bias": part})

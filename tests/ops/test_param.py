"""Learned tensors: shapes, messages, and numbers against torch on every target."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.graph import Graph
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.table import OPS
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, TensorType, symbol
from archc.weights import DrawnWeights
from tests.installed import each_opset
from tests.ops.harness import LAYER, Tensor, assert_parity, layer_graph

N, T = symbol("N"), symbol("T")


def graph_of(name: str, attributes: dict[str, Any], *types: TensorType) -> Graph:
    return layer_graph(name, OPS[name].model_validate(attributes), types)


def reference(name: str, dim: int = 1):
    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        # The key of a bare tensor is the layer's path itself.
        (weight,) = weights.values()
        assert set(weights) == {LAYER}
        if name == "param":
            return weight
        x = inputs[0]
        if name == "add_param":
            return x + weight
        if name == "mul_param":
            return x * weight
        return torch.cat([weight.expand(x.shape[0], *weight.shape[1:]), x], dim)

    return compute


@st.composite
def sums_and_products(draw):
    name = draw(st.sampled_from(["add_param", "mul_param"]))
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    count = draw(st.integers(0, len(shape)))
    own = [size if draw(st.booleans()) else 1 for size in shape[len(shape) - count :]]
    return name, tuple(shape), own


@settings(max_examples=25, deadline=None)
@given(sums_and_products(), st.integers(0, 1000))
def test_sums_and_products_are_torchs(case, seed: int) -> None:
    name, shape, own = case
    graph = graph_of(name, {"shape": own}, TensorType(shape))
    assert graph.outputs["y0"].type.shape == shape
    assert_parity(graph, reference(name), seed=seed)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.integers(1, 3),
    st.data(),
    st.integers(0, 1000),
)
def test_positions_are_put_in_front(shape, count: int, data, seed: int) -> None:
    dim = data.draw(st.integers(1, len(shape) - 1))
    written = data.draw(st.sampled_from([dim, dim - len(shape)]))
    graph = graph_of("prepend_param", {"count": count, "dim": written}, TensorType((N, *shape[1:])))
    assert graph.outputs["y0"].type.shape[dim] == shape[dim] + count
    check = reference("prepend_param", dim)
    assert_parity(graph, check, sizes={"N": shape[0]}, seed=seed, exact=True)


@pytest.mark.parametrize("opset", each_opset(17, 18, 20, 23))
@pytest.mark.parametrize(
    ("name", "attributes", "shape"),
    [
        ("add_param", {"shape": [1, 5, 6]}, (N, 5, 6)),
        ("add_param", {"shape": []}, (N, T)),
        ("mul_param", {"shape": [6, 1, 1]}, (N, 6, T, T)),
        ("prepend_param", {}, (N, T, 6)),
        ("prepend_param", {"count": 2, "dim": 2}, (N, 3, T, 4)),
    ],
)
def test_symbolic_sizes_stay_free(name, attributes, shape, opset: int) -> None:
    dim = attributes.get("dim", 1)
    graph = graph_of(name, attributes, TensorType(shape))
    assert_parity(graph, reference(name, dim), sizes={"N": 2, "T": 3}, opset=opset)


def test_a_parameter_reads_nothing_and_keeps_the_layers_path_as_its_key() -> None:
    graph = graph_of("param", {"shape": [3, 2]})
    assert [ref.key for ref in graph.weights()] == [LAYER]
    module = load_module(emit_torch(graph), DrawnWeights(3))
    assert list(module.state_dict()) == [LAYER]
    assert dict(module.named_parameters()).keys() == {LAYER}


def test_a_parameter_may_be_a_single_number() -> None:
    graph = graph_of("param", {"shape": []})
    assert "nn.Parameter(torch.empty(()))" in emit_torch(graph).text
    assert_parity(graph, reference("param"), exact=True)


@pytest.mark.parametrize(
    ("name", "attributes", "start"),
    [("add_param", {"shape": [2]}, 0.0), ("mul_param", {"shape": [2]}, 1.0)],
)
def test_sums_and_products_change_nothing_at_first(name, attributes, start: float) -> None:
    graph = graph_of(name, attributes, TensorType((N, 2)))
    module = load_module(emit_torch(graph), DrawnWeights(0))
    assert torch.equal(module.state_dict()[LAYER], torch.full((2,), start))
    x = torch.randn(3, 2)
    assert torch.equal(module(x), x)


def refusal(name: str, attributes: dict[str, Any], type_: TensorType) -> Refusal:
    with pytest.raises(Refusal) as caught:
        OPS[name].model_validate(attributes).infer(ShapeContext(), type_)
    return caught.value


def test_what_does_not_fit_is_refused_at_the_shape() -> None:
    found = refusal("mul_param", {"shape": [8, 1, 1]}, TensorType((N, 6, 4, 4)))
    assert (found.code, found.at) == ("shape-mismatch", "shape")
    assert found.message == (
        "`mul_param` of shape [8, 1, 1] does not fit [N, 6, 4, 4]: axis 1 is 6, not 8"
    )
    assert refusal("add_param", {"shape": [1, 2, 3]}, TensorType((2, 3))).code == "wrong-rank"
    ints = TensorType((2, 3), DType.INT64)
    assert refusal("add_param", {"shape": [3]}, ints).code == "wrong-dtype"


def test_what_cannot_be_decided_is_a_condition() -> None:
    cx = ShapeContext()
    OPS["add_param"].model_validate({"shape": [1, 5, 6]}).infer(cx, TensorType((N, T, 6)))
    (found,) = cx.conditions
    assert (found.relation, found.left, found.right) == ("equal", T, 5)


def test_positions_need_fixed_sizes_and_no_batch() -> None:
    found = refusal("prepend_param", {}, TensorType((N, 4, T)))
    assert found.code == "symbolic-weight"
    assert refusal("prepend_param", {"dim": 0}, TensorType((N, 4, 6))).at == "dim"
    assert refusal("prepend_param", {"dim": 3}, TensorType((N, 4, 6))).code == "axis-out-of-range"

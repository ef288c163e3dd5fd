"""Embeddings and position tables: numbers on every target, shapes, messages, initial rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from archc.graph import Graph
from archc.graph.graph import WeightRef
from archc.ops.base import Op, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.initial import Normal
from archc.ops.table import OPS
from archc.parity.draws import draw_inputs
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, TensorType, symbol
from archc.weights import DrawnWeights, RandomisedWeights
from archc.weights.source import CHUNK
from tests.installed import opsets
from tests.ops.harness import Tensor, assert_parity, layer_graph

N, T = symbol("N"), symbol("T")
IDS = TensorType((N, T), DType.INT64)
SOME = settings(max_examples=20, deadline=None)


def op_of(name: str, **attributes: Any) -> Op:
    return OPS[name].model_validate(attributes)


def graph_of(name: str, type_: TensorType, **attributes: Any) -> Graph:
    return layer_graph(name, op_of(name, **attributes), [type_])


def refusal(name: str, type_: TensorType, **attributes: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        op_of(name, **attributes).infer(ShapeContext(), type_)
    return caught.value


# -- embedding --------------------------------------------------------------------------------


@SOME
@given(
    st.lists(st.integers(1, 4), max_size=3),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from([DType.INT64, DType.INT32]),
    st.sampled_from(opsets(17, 20, 23)),
    st.integers(0, 1000),
)
def test_an_embedding_is_rows_by_id(shape, rows, features, dtype, opset, seed) -> None:
    graph = graph_of("embedding", TensorType(tuple(shape), dtype), rows=rows, features=features)

    def reference(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        return weights["weight"][inputs[0].long()]

    assert_parity(graph, reference, opset=opset, seed=seed, exact=True)


def test_ids_may_be_of_any_number() -> None:
    graph = graph_of("embedding", IDS, rows=5, features=3, padding_idx=1)
    assert graph.nodes[0].output.type == TensorType((N, T, 3))

    def reference(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        return F.embedding(inputs[0], weights["weight"], padding_idx=1)

    for sizes in ({"N": 1, "T": 1}, {"N": 3, "T": 7}):
        assert_parity(graph, reference, sizes=sizes, exact=True)


def test_comparisons_read_every_row() -> None:
    graph = graph_of("embedding", IDS, rows=5, features=3)
    ids = draw_inputs(graph, {"N": 8, "T": 8}, 0)["x0"]
    assert set(ids.ravel()) == set(range(5))


def test_the_row_of_padding_starts_as_zeros_and_is_not_trained() -> None:
    graph = graph_of("embedding", IDS, rows=5, features=3, padding_idx=2)
    source = emit_torch(graph)
    assert "nn.Embedding(5, 3, padding_idx=2)" in source.text
    module = load_module(source, DrawnWeights(0))
    module(torch.tensor([[0, 2, 2, 4]])).sum().backward()
    (weight,) = module.parameters()
    assert torch.equal(weight.grad, torch.tensor([1.0, 0, 0, 0, 1]).unsqueeze(1).expand(5, 3))
    assert torch.equal((weight == 0).all(1), torch.tensor([False, False, True, False, False]))
    (fresh,) = load_module(source).parameters()
    assert torch.equal((fresh == 0).all(1), (weight == 0).all(1))


@pytest.mark.parametrize("row", [0, CHUNK // 4 - 1, CHUNK // 4, CHUNK // 4 + 1])
def test_a_row_of_zeros_is_found_in_every_chunk(row: int) -> None:
    # Rows of 5 numbers cross the border between two chunks.
    shape = (CHUNK // 4 + 2, 5)
    ref = WeightRef("table", Weight("", shape, Normal(0.0, 1.0), zero_row=row))
    array = DrawnWeights(0).array(ref)
    np.testing.assert_array_equal(np.flatnonzero((array == 0).all(1)), [row])
    assert b"".join(DrawnWeights(0).chunks(ref)) == array.tobytes()


def test_embeddings_start_as_in_torch() -> None:
    graph = graph_of("embedding", IDS, rows=400, features=50)
    (ref,) = graph.weights()
    assert (ref.key, ref.weight.shape, ref.weight.init) == (
        "layer.weight",
        (400, 50),
        Normal(0.0, 1.0),
    )
    assert abs(float(DrawnWeights(0).array(ref).std()) - 1.0) < 0.02


def test_what_an_embedding_refuses() -> None:
    found = refusal("embedding", TensorType((N, T)), rows=5, features=3)
    assert found.code == "wrong-dtype"
    assert found.message == "`embedding` needs ids of int64 or int32, not float32"
    found = refusal("embedding", IDS, rows=5, features=3, padding_idx=5)
    assert (found.code, found.at) == ("bad-value", "padding_idx")
    with pytest.raises(ValidationError):
        op_of("embedding", rows=5)


# -- positions --------------------------------------------------------------------------------


@SOME
@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.integers(1, 6),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(opsets(17, 20, 23)),
    st.integers(0, 1000),
)
def test_a_row_is_added_to_each_position(batch, length, more, is_open, opset, seed) -> None:
    type_ = TensorType((*batch, T if is_open else length, 4))
    graph = graph_of("add_positions", type_, length=length + more)

    def reference(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        return inputs[0] + weights["weight"][: inputs[0].shape[-2]]

    assert_parity(graph, reference, sizes={"T": length}, opset=opset, seed=seed)


def test_a_length_beyond_the_table_is_refused_or_demanded_against() -> None:
    found = refusal("add_positions", TensorType((N, 6, 4)), length=5)
    assert (found.code, found.at) == ("bad-value", "length")
    assert found.message == "`add_positions` has rows for 5 positions, and [N, 6, 4] has 6"
    cx = ShapeContext()
    op_of("add_positions", length=5).infer(cx, TensorType((N, T, 4)))
    assert [str(condition) for condition in cx.conditions] == ["T <= 5"]
    bounded = ShapeContext({"T": (1, 5)})
    op_of("add_positions", length=5).infer(bounded, TensorType((N, T, 4)))
    assert bounded.conditions == []
    with pytest.raises(Refusal):
        op_of("add_positions", length=5).infer(
            ShapeContext({"T": (6, None)}), TensorType((N, T, 4))
        )


def test_positions_need_fixed_features_of_float32() -> None:
    assert refusal("add_positions", TensorType((N, 4, T)), length=5).code == "symbolic-weight"
    assert refusal("add_positions", TensorType((4,)), length=5).code == "wrong-rank"
    assert refusal("add_positions", IDS, length=5).code == "wrong-dtype"


def test_tables_train_compile_and_export() -> None:
    graph = graph_of("add_positions", TensorType((N, T, 4)), length=9)
    source = emit_torch(graph)
    assert "x + self.layer(torch.arange(x.shape[1], device=x.device))" in source.text
    module = load_module(source, RandomisedWeights(0))
    x = torch.randn(2, 5, 4)
    module(x).sum().backward()
    (table,) = module.parameters()
    assert torch.equal(table.grad[:, 0], torch.tensor([2.0] * 5 + [0.0] * 4))
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), module(x))
    free = {0: torch.export.Dim("N"), 1: torch.export.Dim("T", max=9)}
    exported = torch.export.export(module, (x,), dynamic_shapes=(free,)).module()
    longer = torch.randn(3, 9, 4)
    assert torch.equal(exported(longer), module(longer))


# -- a linear layer whose weight lies the other way round -------------------------------------


@SOME
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(2, 5),
    st.booleans(),
    st.booleans(),
    st.sampled_from(opsets(17, 20, 23)),
    st.integers(0, 1000),
)
def test_transposed_linear_layers(batch, features, out, bias, zero, opset, seed) -> None:
    attributes: dict[str, Any] = {"out": out, "bias": bias, "transposed": True}
    if bias and zero:
        attributes["zero_bias"] = [0, 1]
    graph = graph_of("linear", TensorType((*batch, features)), **attributes)
    assert next(graph.weights()).weight.shape == (features, out)

    def reference(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        result = inputs[0] @ weights["weight"]
        if not bias:
            return result
        shift = weights["bias"].clone()
        shift[: int(zero)] = 0
        return result + shift

    assert_parity(graph, reference, opset=opset, seed=seed)


def test_a_transposed_weight_starts_as_the_other_one() -> None:
    plain, flipped = (
        graph_of("linear", TensorType((N, 64)), out=16, transposed=transposed)
        for transposed in (False, True)
    )
    bounds = [next(iter(graph.weights())).weight.init for graph in (plain, flipped)]
    assert bounds[0] == bounds[1]
    text = emit_torch(flipped).text
    assert 'nn.init.kaiming_uniform_(self.weight, mode="fan_out", a=math.sqrt(5))' in text
    weight = load_module(emit_torch(flipped)).state_dict()["layer.weight"]
    assert 0.115 < float(weight.abs().max()) <= 0.125

"""Rotary embedding: numbers on every target, far positions, messages."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.graph import Graph
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.rope import Rope
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, TensorType, symbol
from tests.installed import opsets
from tests.ops.harness import Tensor, assert_parity, layer_graph

N, T = symbol("N"), symbol("T")


def graph_of(type_: TensorType, **attributes: Any) -> Graph:
    return layer_graph("rope", Rope.model_validate(attributes), [type_])


def reference(heads: int, theta: float = 10000.0, interleaved: bool = False):
    """Pairs as complex numbers, times the number on the unit circle at their angle."""

    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        x = inputs[0].unflatten(-1, (heads, -1))
        size = x.shape[-1]
        first, second = (x[..., ::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
        speeds = torch.tensor(
            [theta ** (-2 * i / size) for i in range(size // 2)], dtype=torch.float64
        )
        angles = torch.arange(x.shape[-3], dtype=torch.float64)[:, None, None] * speeds
        unit = torch.polar(torch.ones_like(angles), angles)
        turned = torch.complex(first.double(), second.double()) * unit
        parts = (turned.real, turned.imag)
        joined = torch.stack(parts, -1).flatten(-2) if interleaved else torch.cat(parts, -1)
        return joined.flatten(-2).to(x.dtype)

    return compute


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([10000.0, 500000.0, 2.0]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(opsets(17, 18, 20, 23)),
    st.integers(0, 1000),
)
def test_pairs_turn(batch, length, heads, pairs, theta, interleaved, is_open, opset, seed) -> None:
    type_ = TensorType((*batch, T if is_open else length, heads * pairs * 2))
    graph = graph_of(type_, heads=heads, theta=theta, interleaved=interleaved)
    truth = reference(heads, theta, interleaved)
    assert_parity(graph, truth, sizes={"T": length}, opset=opset, seed=seed)


def huggingface(x: Tensor, heads: int, theta: float) -> Tensor:
    """The formula of Hugging Face's Llama, in the dtype of the input."""
    x = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    size = x.shape[-1]
    speeds = 1.0 / (theta ** (torch.arange(0, size, 2, dtype=torch.int64).to(x.dtype) / size))
    angles = torch.arange(x.shape[2]).to(x.dtype)[:, None] * speeds
    angles = torch.cat((angles, angles), dim=-1)
    first, second = x.chunk(2, dim=-1)
    turned = x * angles.cos() + torch.cat((-second, first), dim=-1) * angles.sin()
    return turned.transpose(1, 2).flatten(-2)


@pytest.mark.parametrize("length", [1, 7, 2048])
def test_it_is_the_formula_of_huggingface(length: int) -> None:
    graph = graph_of(TensorType((N, T, 16)), heads=2)
    assert_parity(
        graph,
        lambda inputs, weights: huggingface(inputs[0], 2, 10000.0),
        sizes={"N": 2, "T": length},
    )


@pytest.mark.parametrize("interleaved", [False, True])
def test_far_positions_turn_exactly(interleaved: bool) -> None:
    # In float32 angles like these would be off by about 1e-3.
    graph = graph_of(TensorType((N, T, 8)), heads=1, interleaved=interleaved)
    truth = reference(1, interleaved=interleaved)
    assert_parity(graph, truth, sizes={"N": 1, "T": 20000})


def test_scores_depend_on_distances_only() -> None:
    module = load_module(emit_torch(graph_of(TensorType((N, T, 8)), heads=1))).double()
    query, key = torch.randn(1, 1, 8).double(), torch.randn(1, 1, 8).double()
    turned = module(query.expand(1, 30, 8))[0] @ module(key.expand(1, 30, 8))[0].T
    torch.testing.assert_close(turned[5:, 5:], turned[:-5, :-5])
    assert not torch.allclose(turned[5:, 5:], turned[5:, :-5])


def test_modules_train_compile_and_export() -> None:
    module = load_module(emit_torch(graph_of(TensorType((N, T, 8)), heads=2)))
    x = torch.randn(2, 5, 8, requires_grad=True)
    module(x).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x)  # a turn keeps lengths
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), module(x))
    free = {0: torch.export.Dim("N"), 1: torch.export.Dim("T", max=2**20)}  # as torch 2.6 wants
    exported = torch.export.export(module, (x.detach(),), dynamic_shapes=(free,)).module()
    longer = torch.randn(3, 11, 8)
    torch.testing.assert_close(exported(longer), module(longer))


@pytest.mark.parametrize(
    ("type_", "heads", "code", "at"),
    [
        (TensorType((N, T, 10)), 3, "indivisible", "heads"),
        (TensorType((N, T, 6)), 2, "indivisible", "heads"),
        (TensorType((N, 4, T)), 2, "symbolic-weight", None),
        (TensorType((8,)), 2, "wrong-rank", None),
        (TensorType((N, T, 8), DType.INT64), 2, "wrong-dtype", None),
    ],
)
def test_what_cannot_turn_is_refused(type_: TensorType, heads: int, code: str, at) -> None:
    with pytest.raises(Refusal) as caught:
        Rope(heads=heads).infer(ShapeContext(), type_)
    assert (caught.value.code, caught.value.at) == (code, at)

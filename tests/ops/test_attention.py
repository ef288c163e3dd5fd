"""Attention: numbers against torch on every target, shapes, messages, work."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from archc.graph import Graph
from archc.graph.costs import total_cost
from archc.ops.attention import Attention
from archc.ops.conditions import Refusal, ShapeContext
from archc.targets.onnx import emit_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import Dim, DType, TensorType, symbol
from tests.ops.harness import Tensor, assert_parity, layer_graph

N, T, S = symbol("N"), symbol("T"), symbol("S")
Shape = tuple[Dim, ...]


def attention(**attributes: Any) -> Attention:
    return Attention.model_validate(attributes)


def graph_of(op: Attention, *shapes: Shape) -> Graph:
    return layer_graph("attention", op, [TensorType(shape) for shape in shapes])


def heads_of(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-3, -2)


def reference(op: Attention):
    """The formula, step by step; nothing of what the lowering calls."""

    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        count = len(inputs) - len(op.referenced)
        main = inputs[0].chunk(3, dim=-1) if count == 1 else inputs[:count]
        named = dict(zip(op.referenced, inputs[count:], strict=True))
        query, key, value = (heads_of(x, op.heads) for x in main)
        if op.cosine:
            query, key = (x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12) for x in (query, key))
            factor = named["cosine"].clamp(max=math.log(100.0)).exp()
        else:
            factor = 1 / math.sqrt(query.shape[-1]) if op.scale is None else op.scale
        scores = torch.einsum("...id,...jd->...ij", query, key) * factor
        if "bias" in named:
            scores = scores + named["bias"]
        if "mask" in named:
            mask = named["mask"]
            scores = scores + (mask.unsqueeze(-3) if mask.ndim > 2 else mask)
        if op.causal:
            rows, columns = scores.shape[-2:]
            later = torch.arange(columns) > torch.arange(rows)[:, None]
            scores = scores.masked_fill(later, -math.inf)
        scores = (scores - scores.amax(-1, keepdim=True)).exp()
        shares = scores / scores.sum(-1, keepdim=True)
        mixed = torch.einsum("...ij,...jd->...id", shares, value)
        return mixed.transpose(-3, -2).flatten(-2)

    return compute


@st.composite
def cases(draw):
    heads, size = draw(st.integers(1, 3)), draw(st.integers(2, 5))
    batch = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)))
    length = draw(st.integers(1, 5))
    attributes: dict[str, Any] = {"heads": heads}
    packed = draw(st.booleans())
    context = length
    if packed:
        shapes = [(*batch, length, 3 * heads * size)]
    else:
        context = draw(st.integers(1, 5))
        width = heads * draw(st.integers(1, 4))
        features = heads * size
        shapes = [(*batch, length, features), (*batch, context, features), (*batch, context, width)]
    if length == context:
        attributes["causal"] = draw(st.booleans())
    for name in ("bias", "mask", "cosine"):
        attributes[name] = draw(st.booleans())
    if attributes["bias"]:
        shapes.append((heads, length, context))
    if attributes["mask"]:
        kept = draw(st.integers(0, len(batch)))
        shapes.append((*batch[len(batch) - kept :], length, context))
    if attributes["cosine"]:
        shapes.append((heads, 1, 1))
    elif draw(st.booleans()):
        attributes["scale"] = draw(st.sampled_from([0.1, 1.0, 2.5]))
    return attention(**attributes), shapes


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_attention_is_the_formula(case, seed: int) -> None:
    op, shapes = case
    assert_parity(graph_of(op, *shapes), reference(op), seed=seed)


@pytest.mark.parametrize("opset", [17, 18, 20, 23])
@pytest.mark.parametrize(
    ("attributes", "shapes"),
    [
        ({}, [(N, T, 12)]),
        ({"causal": True}, [(N, T, 12)]),
        ({}, [(N, T, 8), (N, S, 8), (N, S, 6)]),
        ({"bias": True, "mask": True}, [(N, 3, 5, 12), (2, 5, 5), (3, 5, 5)]),
        ({"mask": True}, [(N, T, 12), (T, T)]),
        ({"mask": True, "causal": True}, [(N, T, 12), (N, T, T)]),
        ({"cosine": True, "bias": True}, [(N, 4, 12), (2, 4, 4), (2, 1, 1)]),
        ({"bias": True, "causal": True, "scale": 0.3}, [(N, 4, 12), (2, 4, 4)]),
    ],
)
def test_targets_agree_on_every_opset(attributes, shapes, opset: int) -> None:
    op = attention(heads=2, **attributes)
    sizes = {"N": 2, "T": 4, "S": 3}
    assert_parity(graph_of(op, *shapes), reference(op), sizes=sizes, opset=opset, scale=2.0)


def test_logit_scales_are_bounded() -> None:
    op = attention(heads=1, cosine=True)
    shapes = [(2, 3, 12), (1, 1, 1)]
    # Inputs this large put the logarithm beyond log(100) for one of the seeds at least.
    for seed in range(4):
        assert_parity(graph_of(op, *shapes), reference(op), seed=seed, scale=20.0)


def test_plain_attention_is_fused_and_a_bias_is_not() -> None:
    plain = emit_torch(graph_of(attention(heads=2), (N, T, 12))).text
    assert "F.scaled_dot_product_attention(" in plain
    assert "_attend" not in plain
    biased = emit_torch(graph_of(attention(heads=2, bias=True), (N, 4, 12), (2, 4, 4))).text
    assert biased.count("def _attend(") == 1
    assert "scaled_dot_product_attention" not in biased


@pytest.mark.parametrize("bias", [False, True])
def test_dropout_acts_in_training_only(bias: bool) -> None:
    shapes: list[Shape] = [(N, 4, 12), (2, 4, 4)] if bias else [(N, 4, 12)]
    graph = graph_of(attention(heads=2, dropout=0.5, bias=bias), *shapes)
    module = load_module(emit_torch(graph))
    inputs = [torch.randn(3, 4, 12), torch.randn(2, 4, 4)][: len(shapes)]
    torch.manual_seed(0)
    assert not torch.equal(module.train()(*inputs), module(*inputs))
    assert torch.equal(module.eval()(*inputs), module(*inputs))
    still = load_module(emit_torch(graph_of(attention(heads=2, bias=bias), *shapes))).eval()
    assert torch.equal(module(*inputs), still(*inputs))


@pytest.mark.parametrize("bias", [False, True])
def test_modules_compile_whole_and_export(bias: bool) -> None:
    shapes: list[Shape] = [(N, 4, 12), (2, 4, 4)] if bias else [(N, 4, 12)]
    module = load_module(emit_torch(graph_of(attention(heads=2, bias=bias), *shapes))).eval()
    inputs = (torch.randn(3, 4, 12), torch.randn(2, 4, 4))[: len(shapes)]
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), module(*inputs))
    free = ({0: torch.export.Dim("batch", min=2)}, {})[: len(shapes)]
    exported = torch.export.export(module, inputs, dynamic_shapes=free).module()
    more = (torch.randn(5, 4, 12), *inputs[1:])
    torch.testing.assert_close(exported(*more), module(*more))


def test_work_is_that_of_torchs_counter() -> None:
    graph = graph_of(attention(heads=2, bias=True), (3, 5, 24), (2, 5, 5))
    module = load_module(emit_torch(graph)).eval()
    with FlopCounterMode(display=False) as counter:
        module(torch.randn(3, 5, 24), torch.randn(2, 5, 5))
    assert total_cost(graph).flops == counter.get_total_flops() == 2 * 3 * 5 * 5 * (8 + 8)


def test_the_fused_form_is_torchs_own_function_and_softmax_runs_over_keys() -> None:
    graph = graph_of(attention(heads=2), (N, T, 12))
    assert list(graph.weights()) == []
    model, _ = emit_onnx(graph, 20)
    (softmax,) = [node for node in model.header.graph.node if node.op_type == "Softmax"]
    assert softmax.attribute[0].i == -1
    x = torch.randn(2, 3, 12)
    query, key, value = (heads_of(part, 2) for part in x.chunk(3, dim=-1))
    expected = (
        torch.nn.functional.scaled_dot_product_attention(query, key, value)
        .transpose(1, 2)
        .flatten(-2)
    )
    assert torch.equal(load_module(emit_torch(graph))(x), expected)


# -- refusals -----------------------------------------------------------------------------


def refusal(op: Attention, *inputs: TensorType | Shape) -> Refusal:
    types = [x if isinstance(x, TensorType) else TensorType(x) for x in inputs]
    with pytest.raises(Refusal) as caught:
        op.infer(ShapeContext(), *types)
    return caught.value


def test_features_must_share_out_among_heads() -> None:
    found = refusal(attention(heads=5), (N, T, 12))
    assert (found.code, found.at) == ("indivisible", "heads")
    assert found.message == (
        "12 features cannot be shared out among queries, keys and values of 5 heads: [N, T, 12]"
    )
    found = refusal(attention(heads=4), (N, T, 64))
    assert "{linear: 3 * in_features}" in found.help[0]
    assert refusal(attention(heads=3), (N, T, 8), (N, S, 8), (N, S, 8)).code == "indivisible"
    found = refusal(attention(heads=2), (N, T, 8), (N, S, 8), (N, S, 7))
    assert found.because[0][0] == 2


def test_features_must_be_fixed() -> None:
    assert refusal(attention(heads=2), (N, 4, T)).code == "symbolic-weight"


def test_keys_fit_queries_and_values_fit_keys() -> None:
    found = refusal(attention(heads=2), (N, T, 8), (N, S, 6), (N, S, 6))
    assert found.message == "queries [N, T, 8] and keys [N, S, 6] do not fit: axis 2 is 8 and 6"
    found = refusal(attention(heads=2), (N, 4, 8), (N, 5, 8), (N, 6, 8))
    assert found.message == "keys [N, 5, 8] and values [N, 6, 8] do not fit: axis 1 is 5 and 6"
    assert [index for index, _ in found.because] == [1, 2]
    found = refusal(attention(heads=2), (N, 4, 8), (4, 8, 2, 2), (N, 6, 8))
    assert "other numbers of axes" in found.message


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("bias", (3, 4, 4), "[2, 4, 4]"),
        ("bias", (4, 4), "[2, 4, 4]"),
        ("mask", (4, 5), "[4, 4]"),
        ("mask", (7, 4, 4), "[3, 4, 4]"),
        ("cosine", (1, 1, 1), "[2, 1, 1]"),
    ],
)
def test_what_is_referred_to_must_fit(name: str, shape: Shape, wanted: str) -> None:
    found = refusal(attention(heads=2, **{name: True}), (N, 3, 4, 12), shape)
    assert (found.code, found.at) == ("shape-mismatch", name)
    assert found.message.startswith(f"`{name}` must be {wanted}, not ")
    assert found.because[0][0] == 1


def test_other_refusals() -> None:
    assert refusal(attention(heads=2), (N, 12)).code == "wrong-rank"
    assert refusal(attention(heads=2), (N, T, 8), (N, S, 8)).code == "wrong-arity"
    assert refusal(attention(heads=2), TensorType((2, 3, 12), DType.INT64)).code == "wrong-dtype"
    found = refusal(attention(heads=2, causal=True), (N, 4, 8), (N, 5, 8), (N, 5, 8))
    assert found.at == "causal"
    found = refusal(attention(heads=2, cosine=True, scale=0.1), (N, 4, 12), (2, 1, 1))
    assert found.at == "scale"


def test_what_cannot_be_decided_is_a_condition() -> None:
    cx = ShapeContext()
    types = [TensorType((N, T, 12)), TensorType((2, 4, 4))]
    attention(heads=2, bias=True).infer(cx, *types)
    assert {(c.relation, str(c.left), str(c.right), c.at) for c in cx.conditions} == {
        ("equal", "4", "T", "bias")
    }

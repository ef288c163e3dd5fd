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
from tests.installed import each_opset, opsets
from tests.ops.harness import Tensor, assert_parity, layer_graph

N, T, S = symbol("N"), symbol("T"), symbol("S")
Shape = tuple[Dim, ...]


def attention(**attributes: Any) -> Attention:
    return Attention.model_validate(attributes)


def graph_of(op: Attention, *inputs: Shape | TensorType) -> Graph:
    types = [x if isinstance(x, TensorType) else TensorType(x) for x in inputs]
    return layer_graph("attention", op, types)


def heads_of(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-3, -2)


def reference(op: Attention):
    """The formula, step by step; nothing of what the lowering calls."""

    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
        count = len(inputs) - len(op.referenced)
        main = inputs[0].chunk(3, dim=-1) if count == 1 else inputs[:count]
        named = dict(zip(op.referenced, inputs[count:], strict=True))
        kv_heads = op.kv_heads or op.heads
        parts = zip(main, (op.heads, kv_heads, kv_heads), strict=True)
        query, key, value = (heads_of(x, heads) for x, heads in parts)
        share = [head * kv_heads // op.heads for head in range(op.heads)]
        key, value = key[..., share, :, :], value[..., share, :, :]
        if op.cosine:
            query, key = (x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12) for x in (query, key))
            factor = named["cosine"].clamp(max=math.log(100.0)).exp()
        else:
            factor = 1 / math.sqrt(query.shape[-1]) if op.scale is None else op.scale
        scores = torch.einsum("...id,...jd->...ij", query, key) * factor
        if "bias" in named:
            scores = scores + named["bias"]
        low = -1e38  # an infinity would be nan where everything is hidden
        seen = torch.ones(1, 1, dtype=torch.bool)
        if "visible" in named:
            seen = named["visible"].bool().unsqueeze(-2).unsqueeze(-2)
        if "mask" in named:
            mask = named["mask"]
            mask = mask.unsqueeze(-3) if mask.ndim > 2 else mask
            if mask.dtype is torch.bool:
                seen = seen & mask
            else:
                scores = scores + mask
        scores = scores.masked_fill(~seen, low)
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
    kv_heads, share = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    heads, size = kv_heads * share, draw(st.integers(2, 5))
    batch = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)))
    length = draw(st.integers(1, 5))
    attributes: dict[str, Any] = {"heads": heads}
    packed = share == 1 and draw(st.booleans())
    context = length
    if packed:
        shapes = [(*batch, length, 3 * heads * size)]
    else:
        context = draw(st.integers(1, 5))
        width = kv_heads * draw(st.integers(1, 4))
        shapes = [
            (*batch, length, heads * size),
            (*batch, context, kv_heads * size),
            (*batch, context, width),
        ]
    if share > 1:
        attributes["kv_heads"] = kv_heads
    if length == context:
        attributes["causal"] = draw(st.booleans())
    alone = draw(st.integers(0, 3)) == 0  # a mask with nothing else added to the scores
    for name in ("bias", "mask", "visible", "cosine"):
        attributes[name] = name == "mask" if alone else draw(st.booleans())
    if attributes["bias"]:
        shapes.append((heads, length, context))
    if attributes["mask"]:
        kept = draw(st.integers(0, len(batch)))
        dtype = draw(st.sampled_from([DType.FLOAT32, DType.BOOL]))
        shapes.append(TensorType((*batch[len(batch) - kept :], length, context), dtype))
    if attributes["visible"]:
        dtype = draw(st.sampled_from([DType.BOOL, DType.INT64, DType.INT32]))
        shapes.append(TensorType((*batch, context), dtype))
    if attributes["cosine"]:
        shapes.append((heads, 1, 1))
    elif draw(st.booleans()):
        attributes["scale"] = draw(st.sampled_from([0.1, 1.0, 2.5]))
    return attention(**attributes), shapes


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(opsets(20, 23, 24)), st.integers(0, 1000))
def test_attention_is_the_formula(case, opset: int, seed: int) -> None:
    op, shapes = case
    assert_parity(graph_of(op, *shapes), reference(op), opset=opset, seed=seed)


@pytest.mark.parametrize("opset", each_opset(17, 18, 20, 23))
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
        ({"kv_heads": 1}, [(N, T, 8), (N, S, 4), (N, S, 3)]),
        ({"kv_heads": 1, "causal": True}, [(N, T, 8), (N, T, 4), (N, T, 4)]),
        ({"kv_heads": 1, "bias": True}, [(N, 4, 8), (N, 4, 4), (N, 4, 4), (2, 4, 4)]),
        ({"visible": True}, [(N, T, 12), TensorType((N, T), DType.INT64)]),
        ({"visible": True, "causal": True}, [(N, T, 12), TensorType((N, T), DType.BOOL)]),
        ({"mask": True}, [(N, T, 12), TensorType((N, T, T), DType.BOOL)]),
        (
            {"mask": True, "visible": True},
            [(N, T, 12), TensorType((T, T), DType.BOOL), TensorType((N, T), DType.INT32)],
        ),
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


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_hidden_changes_nothing(causal: bool) -> None:
    visible = TensorType((N, T), DType.INT64)
    op = attention(heads=2, visible=True, causal=causal)
    module = load_module(emit_torch(graph_of(op, (N, T, 12), visible)))
    x, seen = torch.randn(2, 5, 12), torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0]])
    other = torch.where(seen[..., None] == 0, torch.randn_like(x), x)
    kept = seen.bool()
    assert torch.equal(module(x, seen)[kept], module(other, seen)[kept])
    assert not torch.equal(module(x, seen), module(other, seen))


def test_where_all_is_hidden_nothing_becomes_nan_and_no_query_looks_ahead() -> None:
    visible = TensorType((N, T), DType.INT64)
    op = attention(heads=2, visible=True, causal=True)
    module = load_module(emit_torch(graph_of(op, (N, T, 12), visible)))
    x, none = torch.randn(1, 4, 12), torch.zeros(1, 4, dtype=torch.int64)
    result = module(x, none)
    values = x[..., 8:]
    means = torch.stack([values[0, : t + 1].mean(0) for t in range(4)])
    torch.testing.assert_close(result[0], means)


def test_grouped_heads_and_masks_train_compile_and_export() -> None:
    op = attention(heads=4, kv_heads=2, visible=True)
    types = [(N, T, 8), (N, T, 4), (N, T, 4), TensorType((N, T), DType.INT64)]
    module = load_module(emit_torch(graph_of(op, *types))).eval()
    seen = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])
    main = [torch.randn(3, 5, width, requires_grad=True) for width in (8, 4, 4)]
    module(*main, seen).square().sum().backward()
    assert main[1].grad is not None
    assert torch.equal(main[1].grad.abs().sum(-1) > 0, seen.bool())
    inputs = (*(x.detach() for x in main), seen)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), module(*inputs))
    # torch 2.6 wants to be told that a length is below 2**63.
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=2**20)
    free = ([{0: batch, 1: length}] * 4,)
    exported = torch.export.export(module, inputs, dynamic_shapes=tuple(free[0])).module()
    more = (*(torch.randn(2, 9, width) for width in (8, 4, 4)), torch.ones(2, 9, dtype=torch.int64))
    torch.testing.assert_close(exported(*more), module(*more))


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
        ("visible", TensorType((N, 4), DType.INT64), "[N, 3, 4]"),
        ("cosine", (1, 1, 1), "[2, 1, 1]"),
    ],
)
def test_what_is_referred_to_must_fit(name: str, shape: Shape, wanted: str) -> None:
    found = refusal(attention(heads=2, **{name: True}), (N, 3, 4, 12), shape)
    assert (found.code, found.at) == ("shape-mismatch", name)
    assert found.message.startswith(f"`{name}` must be {wanted}, not ")
    assert found.because[0][0] == 1


def test_groups_of_heads_must_be_even() -> None:
    found = refusal(attention(heads=4, kv_heads=3), (N, T, 8), (N, T, 6), (N, T, 6))
    assert (found.code, found.at) == ("indivisible", "kv_heads")
    found = refusal(attention(heads=4, kv_heads=2), (N, T, 24))
    assert (found.code, found.at) == ("wrong-arity", "kv_heads")
    found = refusal(attention(heads=4, kv_heads=2), (N, T, 8), (N, T, 8), (N, T, 8))
    assert found.code == "shape-mismatch"
    assert "2 of 4 heads have 4 features, not 8" in found.message
    found = refusal(attention(heads=4, kv_heads=2), (N, T, 8), (N, T, 4), (N, T, 5))
    assert (found.code, found.at) == ("indivisible", "kv_heads")


def test_masks_have_the_dtypes_that_say_what_is_seen() -> None:
    found = refusal(attention(heads=2, visible=True), (N, T, 12), (N, T))
    assert (found.code, found.at) == ("wrong-dtype", "visible")
    assert found.message == "`visible` is bool or int64 or int32, not float32"
    integers = TensorType((T, T), DType.INT64)
    found = refusal(attention(heads=2, mask=True), (N, T, 12), integers)
    assert found.message == "`mask` is float32 or bool, not int64"


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

"""LSTM, GRU and RNN: the formulas of torch's documentation on every target, shapes, messages."""

from __future__ import annotations

import math
from typing import Any

import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.graph.costs import total_cost
from archc.ops.base import Op
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.initial import Uniform
from archc.ops.table import OPS
from archc.parity import verify_graph
from archc.targets.onnx import onnx_bytes
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, TensorType, evaluate, symbol
from archc.weights import RandomisedWeights
from tests.installed import opsets
from tests.ops.harness import Tensor, assert_parity, layer_graph

N, T = symbol("N"), symbol("T")
MODULES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
WEIGHTS = RandomisedWeights(0)


def op_of(name: str, **attributes: Any) -> Op:
    return OPS[name].model_validate(attributes)


def graph_of(name: str, shape=(N, T, 5), **attributes: Any) -> Graph:
    return layer_graph(name, op_of(name, **attributes), [TensorType(shape)])


def step(name: str, op: Any, x: Tensor, h: Tensor, c: Tensor, own: Any) -> tuple[Tensor, Tensor]:
    """The next hidden and cell state."""
    from_input = x @ own("weight_ih").T
    from_state = h @ own("weight_hh").T
    if op.bias:
        from_input, from_state = from_input + own("bias_ih"), from_state + own("bias_hh")
    if name == "rnn":
        total = from_input + from_state
        return (total.tanh() if op.nonlinearity == "tanh" else total.relu()), c
    if name == "gru":
        (r, z, n), (r_, z_, n_) = from_input.chunk(3, -1), from_state.chunk(3, -1)
        update = torch.sigmoid(z + z_)
        new = torch.tanh(n + torch.sigmoid(r + r_) * n_)
        return (1 - update) * new + update * h, c
    i, f, g, o = (from_input + from_state).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def reference(name: str, op: Any):
    """Position by position, layer by layer."""

    def compute(inputs: list[Tensor], weights: dict[str, Tensor]) -> Tensor | list[Tensor]:
        flow = inputs[0].transpose(0, 1) if op.batch_first else inputs[0]
        ends: list[tuple[Tensor, Tensor]] = []
        for layer in range(op.layers):
            sides = []
            for suffix in ["", "_reverse"][: 1 + op.bidirectional]:

                def own(kind: str, tail: str = f"_l{layer}{suffix}") -> Tensor:
                    return weights[kind + tail]

                h = c = flow.new_zeros(flow.shape[1], op.hidden)
                found = []
                for x in flow.flip(0) if suffix else flow:
                    h, c = step(name, op, x, h, c, own)
                    found.append(h)
                ends.append((h, c))
                side = torch.stack(found)
                sides.append(side.flip(0) if suffix else side)
            flow = torch.cat(sides, -1)
        flow = flow.transpose(0, 1) if op.batch_first else flow
        if not op.states:
            return flow
        hidden, cell = (torch.stack(part) for part in zip(*ends, strict=True))
        return [flow, hidden, cell][: 3 if name == "lstm" else 2]

    return compute


@st.composite
def cases(draw, name: str | None = None):
    name = name or draw(st.sampled_from(["lstm", "lstm", "gru", "rnn"]))
    # The RNN of onnxruntime is exact to 1e-7 absolutely: one result has to be of ordinary size.
    least = 2 if name == "rnn" else 1
    attributes: dict[str, Any] = {"hidden": draw(st.integers(2 * least - 1, 5))}
    attributes["layers"] = draw(st.integers(1, 3))
    for flag in ("bidirectional", "bias", "batch_first", "states"):
        attributes[flag] = draw(st.booleans())
    if name == "rnn":
        attributes["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if attributes["layers"] > 1 and draw(st.booleans()):
        attributes["dropout"] = 0.5
    sizes = (draw(st.integers(least, 3)), draw(st.integers(least, 4)))
    shape = (*(sizes if draw(st.booleans()) else (N, T)), draw(st.integers(1, 4)))
    return name, attributes, shape, dict(zip("NT", sizes, strict=True))


@settings(max_examples=50, deadline=None)
@given(cases(), st.sampled_from(opsets(17, 20, 22, 23)), st.integers(0, 1000))
def test_recurrent_layers_are_their_formulas(case, opset: int, seed: int) -> None:
    name, attributes, shape, sizes = case
    graph = graph_of(name, shape, **attributes)
    truth = reference(name, graph.nodes[0].op)
    assert_parity(graph, truth, sizes=sizes, opset=opset, seed=seed)


@pytest.mark.parametrize("name", MODULES)
def test_weights_are_torchs(name: str) -> None:
    attributes = {"layers": 2, "bidirectional": True}
    graph = graph_of(name, hidden=3, **attributes)
    theirs = MODULES[name](5, 3, 2, bidirectional=True).state_dict()
    ours = {ref.key.removeprefix("layer."): ref.weight for ref in graph.weights()}
    assert list(ours) == list(theirs)
    assert {key: weight.shape for key, weight in ours.items()} == {
        key: tuple(tensor.shape) for key, tensor in theirs.items()
    }
    bound = 1 / math.sqrt(3)
    assert {weight.init for weight in ours.values()} == {Uniform(-bound, bound)}
    model = onnx.load_from_string(onnx_bytes(graph, WEIGHTS))
    names = {tensor.name for tensor in model.graph.initializer}
    assert {ref.key for ref in graph.weights()} <= names


@pytest.mark.parametrize("name", MODULES)
def test_states_are_torchs(name: str) -> None:
    graph = graph_of(name, hidden=3, layers=2, states=True)
    module = load_module(emit_torch(graph), WEIGHTS).eval()
    twin = MODULES[name](5, 3, 2, batch_first=True)
    state = module.state_dict()
    twin.load_state_dict({key.removeprefix("layer."): x for key, x in state.items()})
    x = torch.randn(4, 6, 5)
    sequence, states = twin(x)
    expected = [sequence, *(states if name == "lstm" else [states])]
    found = module(x)
    assert [value.name for value in graph.nodes[0].outputs][1:] == [
        f"layer:{i}" for i in range(1, len(expected))
    ]
    for value, mine, theirs in zip(graph.outputs.values(), found.values(), expected, strict=True):
        assert torch.equal(mine, theirs)
        sizes = {"N": 4, "T": 6}
        assert tuple(evaluate(dim, sizes) for dim in value.type.shape) == tuple(theirs.shape)


def test_later_states_are_named_outputs_of_the_layer() -> None:
    text = """
archc: 1
inputs: {x: [N, T, 5]}
layers:
  lstm: {lstm: 4, bidirectional: true, states: true}
  last: {rearrange: d n h -> n (d h), from: lstm.1}
  fc: {linear: 3}
outputs: {score: fc, sequence: lstm}
"""
    checked = check_source(Source("net.yaml", text))
    assert checked.graph is not None, checked.diagnostics
    assert not checked.diagnostics
    assert verify_graph(checked.graph).ok


@pytest.mark.parametrize("name", MODULES)
def test_gradients_reach_everything(name: str) -> None:
    module = load_module(emit_torch(graph_of(name, hidden=3, bidirectional=True)), WEIGHTS)
    x = torch.randn(2, 4, 5, requires_grad=True)
    module(x).square().sum().backward()
    assert x.grad is not None and (x.grad != 0).all()
    assert all((weight.grad != 0).any() for weight in module.parameters())


def test_dropout_acts_between_layers_in_training_only() -> None:
    module = load_module(emit_torch(graph_of("lstm", hidden=3, layers=2, dropout=0.5)), WEIGHTS)
    x = torch.randn(2, 4, 5)
    torch.manual_seed(0)
    assert not torch.equal(module.train()(x), module(x))
    assert torch.equal(module.eval()(x), module(x))


def test_work_is_that_of_the_products() -> None:
    graph = graph_of("lstm", hidden=3, layers=2, bidirectional=True)
    macs = total_cost(graph).macs
    per_position = 2 * 4 * 3 * (5 + 3) + 2 * 4 * 3 * (6 + 3)
    assert macs == N * T * per_position


@pytest.mark.parametrize(
    ("shape", "attributes", "code", "at"),
    [
        ((N, 5), {}, "wrong-rank", None),
        ((N, T, 5, 1), {}, "wrong-rank", None),
        ((N, 5, T), {}, "symbolic-weight", None),
        ((N, T, 5), {"dropout": 0.5}, "bad-value", "dropout"),
    ],
)
def test_what_cannot_recur_is_refused(shape, attributes, code: str, at) -> None:
    for name in MODULES:
        with pytest.raises(Refusal) as caught:
            op_of(name, hidden=3, **attributes).infer(ShapeContext(), TensorType(shape))
        assert (caught.value.code, caught.value.at) == (code, at)
        assert f"`{name}`" in caught.value.message


def test_other_refusals() -> None:
    with pytest.raises(Refusal) as caught:
        op_of("lstm", hidden=3).infer(ShapeContext(), TensorType((N, T, 5), DType.INT64))
    assert caught.value.code == "wrong-dtype"
    with pytest.raises(ValidationError):
        op_of("rnn", hidden=3, nonlinearity="sigmoid")
    with pytest.raises(ValidationError):
        op_of("lstm", hidden=0)

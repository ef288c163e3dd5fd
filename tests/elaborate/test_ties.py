"""`tie:` makes one weight of several: in the graph, on both targets, in checkpoints."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.graph.costs import total_cost
from archc.parity import verify_graph
from archc.targets.expanded import expanded_spec
from archc.targets.onnx import onnx_bytes
from archc.targets.torch import emit_torch, load_module
from archc.weights import RandomisedWeights, load_weights, save_safetensors

TOKENS = "{x: [N, 5, 8]}"
WEIGHTS = RandomisedWeights(0)

AUTOENCODER = """
    layers:
      down: {linear: 8, init: {weight: normal(0.02)}}
      act: relu
      decoder:
        up: {linear: 8, tie: {weight: down.weight}}
    """


def test_a_tied_weight_is_counted_once_and_has_two_keys(compiled) -> None:
    graph = compiled(AUTOENCODER, TOKENS).graph
    assert [ref.key for ref in graph.weights()] == ["down.weight", "down.bias", "decoder.up.bias"]
    assert graph.ties() == {"decoder.up.weight": "down.weight"}
    assert graph.parameter_count == total_cost(graph).parameters == 8 * 8 + 8 + 8


def test_torch_holds_one_parameter_under_both_keys(compiled) -> None:
    source = emit_torch(compiled(AUTOENCODER, TOKENS).graph)
    assert "self.decoder.up.weight = self.down.weight" in source.text
    for module in (load_module(source), load_module(source, WEIGHTS)):
        state = module.state_dict()
        assert list(state) == ["down.weight", "down.bias", "decoder.up.weight", "decoder.up.bias"]
        assert module.get_parameter("decoder.up.weight") is module.get_parameter("down.weight")
        assert len(list(module.parameters())) == 3
        assert copy.deepcopy(module).load_state_dict(state).missing_keys == []


def test_gradients_of_both_uses_add_up(compiled) -> None:
    source = emit_torch(compiled(AUTOENCODER, TOKENS).graph)
    module = load_module(source, WEIGHTS)
    x = torch.randn(2, 5, 8)
    module(x).square().sum().backward()
    weight, *biases = (torch.from_numpy(WEIGHTS.array(ref)) for ref in source.weights)
    down, up = (weight.clone().requires_grad_() for _ in range(2))
    (torch.relu(x @ down.T + biases[0]) @ up.T + biases[1]).square().sum().backward()
    grad = module.get_parameter("down.weight").grad
    assert down.grad is not None and up.grad is not None and grad is not None
    torch.testing.assert_close(grad, down.grad + up.grad)


def test_onnx_has_one_initializer_and_the_same_numbers(compiled) -> None:
    graph = compiled(AUTOENCODER, TOKENS).graph
    model = onnx.load_from_string(onnx_bytes(graph, WEIGHTS))
    names = [tensor.name for tensor in model.graph.initializer]
    assert "down.weight" in names
    assert "decoder.up.weight" not in names
    assert verify_graph(graph).ok


def test_a_tied_weight_starts_as_the_one_it_is(compiled) -> None:
    graph = compiled(AUTOENCODER, TOKENS).graph
    init = {ref.key: ref.weight.init for ref in graph.weights()}["down.weight"]
    assert graph.node("decoder.up").weights[0].weight.init == init
    assert emit_torch(graph).text.count("nn.init.") == 1


def test_ties_lead_forwards_and_from_tie_to_tie(compiled) -> None:
    body = """
    layers:
      a: {linear: 8, bias: false, tie: b.weight}
      b: {linear: 8, bias: false, tie: c.weight}
      c: {linear: 8, bias: false}
    """
    graph = compiled(body, TOKENS).graph
    assert graph.ties() == {"a.weight": "c.weight", "b.weight": "c.weight"}
    assert graph.parameter_count == 64
    module = load_module(emit_torch(graph), WEIGHTS)
    assert len(list(module.parameters())) == 1
    assert verify_graph(graph).ok


def test_keys_are_looked_up_from_the_level_outwards(compiled) -> None:
    body = """
    blocks:
      twice:
        body:
          - {linear: 8, bias: false}
          - {linear: 8, bias: false, tie: 0.weight}
          - {linear: 8, tie: {bias: first.bias}}
    layers:
      first: {linear: 8}
      for i in range(2):
        tower{i}: twice
    """
    graph = compiled(body, TOKENS).graph
    assert graph.ties() == {
        f"tower{i}.{own}": key
        for i in range(2)
        for own, key in (("1.weight", f"tower{i}.0.weight"), ("2.bias", "first.bias"))
    }
    source = emit_torch(graph)
    assert source.text.count("class Twice") == 1
    assert verify_graph(graph).ok


def test_expanded_ties_compile_to_the_same_network(compiled) -> None:
    body = """
    layers:
      fc: {linear: 8}
      level:
        fc: {linear: 8}
        inner.fc: {linear: 8, tie: fc.weight}
      far: {linear: 8, tie: {weight: fc.weight, bias: level.fc.bias}}
    """
    graph = compiled(body, TOKENS).graph
    again = check_source(Source("expanded.yaml", expanded_spec(graph))).graph
    assert again is not None
    assert again.ties() == graph.ties()
    assert graph.ties()["level.inner.fc.weight"] == "level.fc.weight"


def test_bare_tensors_and_renamed_weights_can_be_tied(compiled) -> None:
    body = """
    layers:
      scale: {mul_param: [8], init: 0.5}
      fc: {linear: 8, keys: {weight: table}}
      again: {mul_param: [8], tie: scale}
      back: {linear: 8, keys: {weight: other}, tie: {weight: table}}
    """
    graph = compiled(body, TOKENS).graph
    assert graph.ties() == {"again": "scale", "other": "table"}
    state = load_module(emit_torch(graph), WEIGHTS).state_dict()
    assert set(state) == {"scale", "table", "fc.bias", "again", "other", "back.bias"}
    assert state["again"].data_ptr() == state["scale"].data_ptr()
    assert verify_graph(graph).ok


# -- checkpoints ------------------------------------------------------------------------------


@pytest.fixture
def graph(compiled) -> Graph:
    return compiled(AUTOENCODER, TOKENS).graph


def test_a_written_file_is_what_the_library_writes_for_shared_tensors(
    graph: Graph, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    assert save_safetensors(graph, WEIGHTS, ours) == []
    module = load_module(emit_torch(graph), WEIGHTS)
    safetensors.torch.save_model(module, str(theirs))
    with safetensors.safe_open(str(ours), "pt") as file:
        assert set(file.keys()) == {ref.key for ref in graph.weights()}
        assert file.metadata()["decoder.up.weight"] == "down.weight"
    fresh = load_module(emit_torch(graph))
    assert safetensors.torch.load_model(fresh, str(ours)) == (set(), [])
    for key, tensor in module.state_dict().items():
        assert torch.equal(fresh.state_dict()[key], tensor)
    source, findings = load_weights(theirs, graph)
    assert source is not None, findings
    for ref in graph.weights():
        np.testing.assert_array_equal(source.array(ref), WEIGHTS.array(ref))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize(
    "left_out", [(), ("down.weight",), ("decoder.up.weight",)], ids=["both", "further", "owner"]
)
def test_a_checkpoint_may_hold_either_key_or_both(
    graph: Graph, tmp_path: Path, suffix: str, left_out: tuple[str, ...]
) -> None:
    state = load_module(emit_torch(graph), WEIGHTS).state_dict()
    state = {key: tensor.clone() for key, tensor in state.items() if key not in left_out}
    path = tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save(state, path)
    else:
        safetensors.torch.save_file(state, path)
    source, findings = load_weights(path, graph)
    assert source is not None, findings
    for ref in graph.weights():
        np.testing.assert_array_equal(source.array(ref), WEIGHTS.array(ref))
        assert b"".join(source.chunks(ref)) == WEIGHTS.array(ref).tobytes()


def test_different_tensors_for_one_weight_are_refused(graph: Graph, tmp_path: Path) -> None:
    state = load_module(emit_torch(graph), WEIGHTS).state_dict()
    state = {key: tensor.clone() for key, tensor in state.items()}
    state["decoder.up.weight"][7, 7] += 1.0
    path = tmp_path / "w.pth"
    torch.save(state, path)
    source, (finding,) = load_weights(path, graph)
    assert source is None
    assert finding.code == "weights-mismatch"
    assert "`down.weight` and `decoder.up.weight`, which are one weight here" in finding.message
    del state["decoder.up.weight"], state["down.weight"]
    torch.save(state, path)
    source, (finding,) = load_weights(path, graph)
    assert source is None
    assert finding.code == "weights-missing"


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "code", "message"),
    [
        ("tie: fx.weight", "unknown-reference", "no weight with the key `fx.weight`"),
        ("tie: small.weight", "shape-mismatch", "`last.weight` is [8, 8] and cannot be"),
        ("tie: {weigth: fc.weight}", "unknown-attribute", "has no weight `weigth`"),
        ("tie: [fc.weight]", "wrong-kind", "`tie` makes weights those of other layers"),
        ("tie: {weight: [1]}", "wrong-kind", "this is no key"),
        ("tie: last.weight", "circular-definition", "`last.weight` -> `last.weight`"),
        ("tie: {bias: norm.running_mean}", "wrong-kind", "`norm.running_mean` is a buffer"),
        ("tie: fc.weight, init: zeros", "wrong-kind", "`init` draws the weight `weight`"),
    ],
)
def test_what_cannot_be_tied_is_said_where_it_is_written(
    findings, layer: str, code: str, message: str
) -> None:
    body = f"""
    layers:
      fc: {{linear: 8}}
      norm: {{batchnorm: }}
      small: {{linear: 4}}
      last: {{linear: 8, from: norm, {layer}}}
    """
    found = [one for one in findings(body, "{x: [N, 8]}") if one.code != "unused-layer"]
    assert [one.code for one in found] == [code]
    assert message in found[0].message


def test_circles_of_ties_are_shown(findings) -> None:
    body = """
    layers:
      a: {linear: 8, tie: b.weight}
      b: {linear: 8, tie: c.weight}
      c: {linear: 8, tie: b.weight}
    """
    (found,) = findings(body, TOKENS)
    assert found.code == "circular-definition"
    assert found.text == "c.weight"
    assert "`b.weight` -> `c.weight` -> `b.weight`" in found.message


def test_a_structure_and_a_weightless_layer_take_no_tie(faults) -> None:
    assert faults("layers: [{seq: [relu], tie: a.weight}]") == [("wrong-kind", "a.weight")]
    assert faults("layers: [{relu: , tie: a.weight}]") == [("wrong-kind", "a.weight")]

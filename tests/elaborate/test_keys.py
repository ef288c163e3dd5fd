"""`keys:` renames weights; layers that are one bare tensor; references to other layers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.ops.base import Op
from archc.ops.table import OPS
from archc.targets.expanded import expanded_spec
from archc.targets.torch import emit_torch, load_module
from archc.weights import DrawnWeights

TOKENS = "{x: [N, 5, 8]}"

SELF_ATTENTION = """
    layers:
      attention:
        qkv: {linear: 24, keys: {weight: in_proj_weight, bias: in_proj_bias}}
        core: {attention: 2}
        out_proj: {linear: 8}
"""


def test_keys_are_relative_to_the_level_of_the_layer(compiled) -> None:
    assert compiled(SELF_ATTENTION, TOKENS).keys == [
        "attention.in_proj_weight",
        "attention.in_proj_bias",
        "attention.out_proj.weight",
        "attention.out_proj.bias",
    ]
    top = "layers:\n  fc: {linear: 3, keys: {weight: table}}"
    assert compiled(top, TOKENS).keys == ["table", "fc.bias"]


def test_keys_can_lie_in_levels_of_their_own_and_hold_expressions(compiled) -> None:
    body = """
    layers:
      for i in range(2):
        fc{i}: {linear: 8, keys: {weight: "shared.weight{i}"}}
    """
    assert compiled(body, TOKENS).keys == [
        "shared.weight0",
        "fc0.bias",
        "shared.weight1",
        "fc1.bias",
    ]


def test_init_finds_weights_under_their_own_names(compiled) -> None:
    body = "layers:\n  fc: {linear: 3, keys: {bias: shift}, init: {bias: 2.5}}"
    graph = compiled(body, TOKENS).graph
    module = load_module(emit_torch(graph), DrawnWeights(0))
    assert torch.equal(module.state_dict()["shift"], torch.full((3,), 2.5))


def test_keys_name_parameters_of_the_module_around(compiled) -> None:
    graph = compiled(SELF_ATTENTION, TOKENS).graph
    module = load_module(emit_torch(graph), DrawnWeights(1)).eval()
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    theirs.load_state_dict(module.attention.state_dict())
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(module(x), theirs(x, x, x, need_weights=False)[0])
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(x), module(x))
    compiled_module = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled_module(x), module(x))
    free = ({0: torch.export.Dim("batch", min=2)},)
    exported = torch.export.export(module, (x,), dynamic_shapes=free).module()
    torch.testing.assert_close(exported(x[:2]), module(x[:2]))


@pytest.mark.parametrize(
    ("layer", "code", "text"),
    [
        ("{linear: 3, keys: {wieght: w}}", "unknown-attribute", "wieght"),
        ("{linear: 3, bias: false, keys: {bias: b}}", "unknown-attribute", "bias"),
        ("{linear: 3, keys: weight}", "wrong-kind", "weight"),
        ("{linear: 3, keys: {weight: [w]}}", "wrong-kind", "[w]"),
        ("{linear: 3, keys: {weight: 'a b'}}", "bad-name", "a b"),
        ("{add_param: [8], keys: {weight: w}}", "unknown-attribute", "weight"),
        ("{mlp: 4, keys: {weight: w}}", "wrong-kind", "{weight: w}"),
        ("{residual: [relu], keys: {weight: w}}", "wrong-kind", "{weight: w}"),
    ],
)
def test_what_keys_cannot_be(faults, layer: str, code: str, text: str) -> None:
    ((found, place),) = faults(f"layers:\n  fc: {layer}", TOKENS)
    assert found == code
    assert text in place or place in text


WITH_WEIGHTS = {
    "linear": "linear: 8",
    "conv": "conv: 4, kernel: 3",
    "layernorm": "layernorm: ",
    "layernorm2d": "layernorm2d: ",
    "embedding": "embedding: 9, features: 4",
    "add_positions": "add_positions: 8",
    "conv_transpose": "conv_transpose: 4, kernel: 3",
    "batchnorm": "batchnorm: ",
    "groupnorm": "groupnorm: 2",
    "instancenorm": "instancenorm: , affine: true",
    "rmsnorm": "rmsnorm: ",
    "prelu": "prelu: ",
    "lstm": "lstm: 3",
    "gru": "gru: 3",
    "rnn": "rnn: 3",
}


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_what_pytorch_cannot_keep_is_said_of_the_spec(name: str) -> None:
    """Exactly what a build refuses is warned of, at the word; ONNX can be built all the same."""
    shape = {"layernorm2d": "[N, 8, 8, 8]"}.get(name, "[N, 8, 8]")
    inputs = f"{{x: {{shape: {shape}, dtype: {'int64' if name == 'embedding' else 'float32'}}}}}"
    text = f"archc: 1\nname: net\ninputs: {inputs}\nlayers: {{a: {{{WITH_WEIGHTS[name]}KEYS}}}}\n"
    plain = check_source(Source("net.yaml", text.replace("KEYS", ""))).graph
    assert plain is not None
    names = [ref.weight.name for ref in plain.nodes[0].weights if ref.weight.name]
    assert names or name == "add_positions"
    for weight in names:
        for key in ("other", f"a.{weight}"):
            written = text.replace("KEYS", f", keys: {{{weight}: {key}}}")
            checked = check_source(Source("net.yaml", written))
            graph = checked.graph
            assert checked.ok and graph is not None
            assert [node.op_name for node in graph.nodes] == [name]
            refused = [found.code for found in emit_torch(graph).diagnostics]
            assert refused in ([], ["unsupported-by-target"])
            assert [found.code for found in checked.diagnostics] == ["onnx-only-key"] * len(refused)
            for label in [found.primary for found in checked.diagnostics]:
                assert label is not None
                assert written[label.span.start : label.span.end] == weight


def test_every_op_with_named_weights_is_tried() -> None:
    """Those left out keep one tensor, whose key is the layer's own path, or are never built."""
    owning = {name for name, op in OPS.items() if op.weights is not Op.weights}
    bare = {"add_param", "mul_param", "param", "prepend_param", "relative_coords", "relative_index"}
    assert owning - bare == set(WITH_WEIGHTS)


def test_a_block_used_often_is_warned_of_once(findings) -> None:
    body = """
    layers:
      for i in range(3):
        b{i}: {groupnorm: 2, keys: {weight: "scales{i}"}}
    """
    (found,) = findings(body, "{x: [N, 4, 8]}")
    assert found.code == "onnx-only-key"


def test_misspelt_weights_are_suggested(findings) -> None:
    (found,) = findings("layers:\n  fc: {linear: 3, keys: {wieght: w}}", TOKENS)
    assert found.help == ("did you mean `weight`?",)


def test_two_weights_cannot_have_one_key(findings) -> None:
    body = """
    layers:
      a: {linear: 8, keys: {weight: w}}
      b: {linear: 8, keys: {weight: w}}
    """
    (found,) = findings(body, TOKENS)
    assert (found.code, found.message) == ("name-taken", "two weights have the key `w`")
    body = """
    layers:
      a: {linear: 8, keys: {weight: b.weight}}
      b: {linear: 8}
    """
    assert [f.code for f in findings(body, TOKENS)] == ["name-taken"]
    (found,) = findings("layers:\n  fc: {linear: 3, keys: {weight: w, bias: w}}", TOKENS)
    assert found.code == "name-taken"


TABLE = """
    layers:
      scores: {linear: 8}
      bias: {param: [2, 5, 5], init: zeros}
      core: {attention: 2, bias: bias, from: [scores, scores, scores]}
"""


def test_a_parameter_stands_anywhere_and_is_referred_to_by_name(compiled) -> None:
    found = compiled(TABLE, TOKENS)
    assert found.wiring["bias"] == []
    assert found.wiring["core"] == ["scores", "scores", "scores", "bias"]
    assert "bias" in found.keys


def test_a_parameter_reads_nothing(findings) -> None:
    found = findings("layers:\n  a: relu\n  p: {param: [2], from: a}", TOKENS)
    assert [(f.code, f.message) for f in found] == [
        ("wrong-arity", "`param` takes 0 inputs, not 1")
    ]


def test_references_name_layers(faults) -> None:
    body = "layers:\n  fc: {linear: 24}\n  core: {attention: 2, bias: bais}"
    assert faults(body, TOKENS) == [("unknown-reference", "bais")]


def test_references_keep_their_order_however_they_are_written(compiled) -> None:
    body = """
    layers:
      mask: {param: [5, 5]}
      bias: {param: [2, 5, 5]}
      fc: {linear: 24, from: x}
      core: {attention: 2, mask: mask, bias: bias}
    """
    assert compiled(body, TOKENS).wiring["core"] == ["fc", "bias", "mask"]


@pytest.mark.parametrize("body", [SELF_ATTENTION, TABLE])
def test_expanded_text_is_the_same_network(compiled, body: str) -> None:
    graph = compiled(body, TOKENS).graph
    again = check_source(Source("again.yaml", expanded_spec(graph))).graph
    assert again is not None
    assert [ref.key for ref in again.weights()] == [ref.key for ref in graph.weights()]
    assert [n.op for n in again.nodes] == [n.op for n in graph.nodes]
    assert [[v.name for v in n.inputs] for n in again.nodes] == [
        [v.name for v in n.inputs] for n in graph.nodes
    ]
    assert expanded_spec(again) == expanded_spec(graph)

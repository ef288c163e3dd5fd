"""What enters and leaves a model."""

from __future__ import annotations

import pytest

from archc.types import symbol


def test_symbols_numbers_and_expressions_as_sizes(compiled):
    net = compiled(
        "params: {size: 8, frames: 2}\nlayers: [identity]",
        "{x: [N, size, size * 2 + 1, T, 2 * T, 4]}",
    )
    assert net.shapes["0"] == "[N, 8, 17, T, 2*T, 4]"


def test_a_param_in_a_shape_may_have_a_capital(compiled):
    net = compiled("params: {S: 5}\nlayers: [identity]", "{x: [N, S, T]}", overrides={"S": "6"})
    assert net.shapes["0"] == "[N, 6, T]"


def test_symbols_are_names_in_expressions(compiled):
    net = compiled(
        "layers: [{reshape: [N, T * 4]}, {relu: , expect: [N, 4 * T]}]", "{x: [N, T, 4]}"
    )
    assert net.shapes["1"] == "[N, 4*T]"


def test_dtypes(compiled):
    net = compiled("layers: [identity]", "{x: {shape: [N, 4], dtype: int64}}")
    assert net.graph.inputs[0].type.dtype.value == "int64"


def test_several_inputs_in_order(compiled):
    net = compiled(
        "layers: {a: relu, b: {concat: , from: [a, mask]}}",
        "{image: [N, 3, 8, 8], mask: {shape: [N, 1, 8, 8]}}",
    )
    assert [value.name for value in net.graph.inputs] == ["image", "mask"]
    assert net.shapes["b"] == "[N, 4, 8, 8]"


def test_the_last_layer_is_the_output(compiled):
    assert compiled("layers: {a: relu, b: [tanh]}").outputs == {"output": "b.0"}


@pytest.mark.parametrize(
    ("outputs", "values"),
    [
        ("[a, body]", {"a": "a", "body": "body.1"}),
        ("[body.1, a]", {"body.1": "body.1", "a": "a"}),
        ("{logits: body, raw: x}", {"logits": "body.1", "raw": "x"}),
        ("body", {"body": "body.1"}),
        ("{last: prev, first: input}", {"last": "body.1", "first": "x"}),
        ("{second: split.1, body: body}", {"second": "split:1", "body": "body.1"}),
    ],
)
def test_outputs_by_name_or_renamed(compiled, outputs, values):
    net = compiled(
        f"""
        layers:
          a: relu
          split: {{chunk: 3}}
          body: [{{tanh: , from: a}}, sigmoid]
        outputs: {outputs}
        """
    )
    assert net.outputs == values


def test_what_is_not_used(findings):
    found = findings(
        """
        params: {width: 8, depth: 3}
        blocks: {unit: {params: {out: 1, more: 2}, body: [{conv: out}]}, other: {body: [relu]}}
        layers:
          a: relu
          b: tanh
          c: {conv: width, from: a}
          d: unit
        """,
        "{x: [N, 3, 8, 8], y: [N, 3, 8, 8]}",
    )
    assert [(f.code, f.text) for f in found] == [
        ("unused-input", "y"),
        ("unused-param", "depth"),
        ("unused-param", "more"),
        ("unused-block", "other"),
        ("unused-layer", "tanh"),
    ]


def test_only_the_last_of_unused_layers_is_named(faults):
    assert faults("layers: {a: relu, b: tanh, c: sigmoid, d: {relu: , from: x}}") == [
        ("unused-layer", "sigmoid")
    ]


def test_side_layers_and_outputs_are_used(faults):
    body = "layers: {a: relu, b: {tanh: , side: true}, c: relu, d: {relu: , from: a}}\n"
    assert faults(f"{body}outputs: [c, d]") == []


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ("{}", ("missing-key", "inputs")),
        ("[N, 3, 8, 8]", ("wrong-kind", "[N, 3, 8, 8]")),
        ("{x: 3}", ("wrong-kind", "3")),
        ("{x: {dtype: int64}}", ("missing-key", "x")),
        ("{x: {shape: 3}}", ("wrong-kind", "3")),
        ("{x: {shape: [N, 3, 8, 8], dtyp: int64}}", ("unknown-key", "dtyp")),
        ("{x: {shape: [N], dtype: int46}}", ("bad-value", "int46")),
        ("{x: []}", ("bad-value", "[]")),
        ("{x: [N, 0]}", ("bad-value", "0")),
        ("{x: [N, -1]}", ("bad-value", "-1")),
        ("{x: [N, 1.5]}", ("bad-value", "1.5")),
        ("{x: [n, 3]}", ("unknown-name", "n")),
        ("{x: [N, [3]]}", ("bad-value", "[3]")),
        ("{in: [N]}", ("bad-name", "in")),
        ("{prev: [N]}", ("bad-name", "prev")),
        ("{x-y: [N]}", ("bad-name", "x-y")),
    ],
)
def test_what_is_no_input(faults, inputs, fault):
    # Whatever the input is, the layers are looked into, and not blamed.
    assert faults("layers: [{conv: 8}, rellu]", inputs) == [fault, ("unknown-op", "rellu")]


@pytest.mark.parametrize(
    ("outputs", "fault"),
    [
        ("[]", ("missing-key", "[]")),
        ("", ("missing-key", "")),
        ("{}", ("missing-key", "{}")),
        ("[b]", ("unknown-reference", "b")),
        ("{y: b}", ("unknown-reference", "b")),
        ("[a, a]", ("name-taken", "a")),
        ("[[a]]", ("wrong-kind", "[a]")),
        ("{a b: a}", ("bad-name", "a b")),
        ("{y: [a]}", ("wrong-kind", "[a]")),
    ],
)
def test_what_is_no_output(faults, outputs, fault):
    assert faults(f"layers: {{a: relu}}\noutputs: {outputs}") == [fault]


def test_a_network_without_layers(faults):
    assert faults("layers: []") == [("no-layers", "layers")]
    assert faults("layers: ") == [("no-layers", "layers")]
    assert faults("layers: relu") == [("wrong-kind", "relu")]
    assert faults("layers: [{relu: , when: false}]") == [("no-layers", "[{relu: , when: false}]")]
    assert faults("params: {}") == [("no-layers", "archc")]


def test_the_input_form_of_other_tools(findings):
    # `input:` without a batch axis: one finding that says what to write.
    (found,) = findings("input: [3, 8, 8]\nlayers: [{conv: 8}]", "{x: [N, 3, 8, 8]}")
    assert (found.code, found.text) == ("unknown-key", "input")
    assert "inputs: {image: [N, 3, 224, 224]}" in found.help[0]


def test_shapes_are_exact(compiled):
    net = compiled("layers: [{conv: 8, kernel: 3, stride: 2}, {maxpool: 2}]", "{x: [N, 3, H, W]}")
    shape = net.graph.node("1").output.type.shape
    assert shape == (symbol("N"), 8, (symbol("H") - 1) // 4, (symbol("W") - 1) // 4)


@pytest.mark.parametrize(
    ("shape", "noted"),
    [
        ("[N, 3, 8, 8]", False),
        ("[3, 8, 8]", True),
        ("[1, 8, 8]", True),
        ("[1, 3, 8, 8]", False),
        ("[16, 3, 8, 8]", True),
        ("[1, 8]", False),
    ],
)
def test_a_batch_that_may_be_missing(findings, shape, noted):
    found = findings("layers: [identity]", f"{{x: {shape}}}")
    assert [f.code for f in found] == ["fixed-batch"] * noted

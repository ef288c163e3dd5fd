"""Blocks: params by position and name, structures as bodies, blocks in blocks."""

from __future__ import annotations

import pytest

UNIT = """
    blocks:
      unit:
        params: {out: int, kernel: 1, more: 0, act: relu}
        body: [{conv: out + more, kernel: kernel}, act]
    layers: [%s]
    """


@pytest.mark.parametrize(
    ("call", "out", "kernel", "act"),
    [
        ("{unit: 8}", 8, 1, "relu"),
        ("{unit: 8, kernel: 3}", 8, 3, "relu"),
        ("{unit: [8, 3]}", 8, 3, "relu"),
        ("{unit: [8, 3, 1], act: tanh}", 9, 3, "tanh"),
        ("{unit: '[8, 3]'}", 8, 3, "relu"),
        ("{op: unit, act: tanh, out: 8}", 8, 1, "tanh"),
        ("{unit: , out: 8}", 8, 1, "relu"),
        ("{unit: [8, 1, 2, tanh]}", 10, 1, "tanh"),
    ],
)
def test_params_by_position_and_by_name(compiled, call, out, kernel, act):
    net = compiled(UNIT % call)
    assert (net.attribute("0.0", "out"), net.attribute("0.0", "kernel")) == (out, kernel)
    assert net.ops["0.1"] == act


def test_rows_of_a_table_are_positions(compiled):
    net = compiled(
        UNIT
        % "for row in [[8, 3], [4, 1]]: {unit: row}".join(("'", "")).replace(": {unit", "': {unit")
    )
    assert [(n.op.out, n.op.kernel) for n in net.graph.nodes if n.op_name == "conv"] == [
        (8, 3),
        (4, 1),
    ]


def test_a_list_is_one_value_where_the_param_takes_a_list(compiled):
    body = """
        blocks:
          stack: {params: {widths: list}, body: [for w in widths: {conv: w}]}
          more: {params: {widths: [1], last: 5}, body: [for w in widths: {conv: w}, {conv: last}]}
        layers: [{stack: [2, 3]}, {more: [6]}, more]
        """
    assert [n.op.out for n in compiled(body).graph.nodes] == [2, 3, 6, 5, 1, 5]


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("unit", ("missing-attribute", "unit")),
        ("{unit: , kernel: 3}", ("missing-attribute", "unit")),
        ("{unit: 8, kernal: 3}", ("unknown-attribute", "kernal")),
        ("{unit: [8, 3, 1, relu, 5]}", ("unknown-attribute", "[8, 3, 1, relu, 5]")),
        ("{unit: [8, 3], kernel: 1}", ("duplicate-key", "kernel")),
        ("{unit: 8, out: 1}", ("duplicate-key", "out")),
        ("{unit: 8.5}", ("not-an-integer", "8.5")),
        ("{unit: [relu, 3]}", ("wrong-type", "relu")),
        ("{unit: wide}", ("unknown-name", "wide")),
        ("{unit: 8, act: 3}", ("unknown-op", "act")),
        ("{unit: 8, act: }", ("unknown-op", "act")),
    ],
)
def test_wrong_calls(faults, call, fault):
    assert faults(UNIT % call) == [fault]


def test_a_block_without_params_takes_no_value(faults):
    body = "blocks: {unit: {body: [relu]}}\nlayers: [{unit: 3}]"
    assert faults(body) == [("unknown-attribute", "3")]


def test_a_structure_is_a_body(compiled):
    net = compiled(
        """
        blocks:
          res:
            params: {out: int}
            residual: [{conv: out}, relu]
            shortcut:
              if in_channels != out: {proj: {conv: out}}
            then: relu
          gate: {mul: [[], sigmoid], then: relu}
          chain: {seq: {a: relu, b: tanh}}
        layers: {one: {res: 8}, two: {res: 8}, three: gate, four: chain}
        """
    )
    assert net.wiring["one.add"] == ["one.1", "one.proj"]
    assert net.wiring["two.add"] == ["two.1", "one.relu"]
    assert net.wiring["three.mul"] == ["two.relu", "three.0"]
    assert list(net.ops)[-2:] == ["four.a", "four.b"]


def test_blocks_use_blocks_and_file_params(compiled):
    net = compiled(
        """
        params: {width: 4}
        let: {twice: width * 2}
        blocks:
          inner: {params: {out: twice}, body: [{conv: out}, relu]}
          outer: {body: {a: inner, b: {inner: width}}}
        layers: {x1: outer}
        """
    )
    assert net.ops == {
        "x1.a.0": "conv",
        "x1.a.1": "relu",
        "x1.b.0": "conv",
        "x1.b.1": "relu",
    }
    assert [net.attribute(f"x1.{n}.0", "out") for n in "ab"] == [8, 4]
    assert [len(n.calls) for n in net.graph.nodes] == [2, 2, 2, 2]


def test_a_block_does_not_see_the_names_of_who_uses_it(faults):
    body = """
        blocks: {unit: {body: [{conv: c}]}}
        layers: [for c in range(3): unit]
        """
    assert faults(body) == [("unknown-name", "c")]


def test_an_empty_block_passes_its_input_on(compiled):
    net = compiled("blocks: {nothing: {body: []}}\nlayers: {a: relu, b: nothing, c: tanh}")
    assert net.wiring["c"] == ["a"]


def test_standard_blocks_can_be_used_and_replaced(ops):
    assert list(ops("layers: [{conv_norm_act: 8}]").values()) == ["conv", "batchnorm", "relu"]
    body = """
        blocks: {conv_norm_act: {params: {out: int}, body: [{conv: out}, tanh]}}
        layers: [{conv_norm_act: 8}]
        """
    assert list(ops(body).values()) == ["conv", "tanh"]


def test_a_replaced_block_is_not_the_one_that_it_replaces(ops):
    # The own `squeeze_excite` is used inside a block of the same name of nobody else.
    body = """
        blocks: {mlp: {params: {hidden: int}, body: [{conv_norm_act: hidden, kernel: 1}]}}
        layers: [{mlp: 8}]
        """
    assert list(ops(body).values()) == ["conv", "batchnorm", "relu"]


def test_recursion(findings):
    (found,) = findings("blocks: {a: {body: [b]}, b: {body: [a]}}\nlayers: [a]")
    assert found.code == "block-recursion"
    assert found.message == "block `a` uses itself: `a` > `b` > `a`"


def test_depth_is_bounded(faults):
    blocks = ", ".join(f"b{i}: {{body: [b{i + 1}]}}" for i in range(70))
    ((code, text),) = faults(f"blocks: {{{blocks}, b70: {{body: [relu]}}}}\nlayers: [b0]")
    assert (code, text) == ("too-deep", "b64")


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("[relu]", ("wrong-kind", "[relu]")),
        ("{}", ("missing-key", "u")),
        ("{body: }", ("missing-key", "body")),
        ("{params: {a: 1}}", ("missing-key", "u")),
        ("{bodyy: [relu]}", ("unknown-key", "bodyy")),
        ("{body: [relu], then: [relu]}", ("unknown-key", "then")),
        ("{residual: [relu], concat: [[], relu]}", ("wrong-kind", "concat")),
        ("{residual: [relu], split: true}", ("unknown-key", "split")),
        ("{add: , then: relu}", ("wrong-kind", "")),
        ("{params: [a], body: [relu]}", ("wrong-kind", "[a]")),
        ("{inputs: a, body: [relu]}", ("wrong-kind", "a")),
        ("{inputs: [a, a], body: [relu]}", ("name-taken", "a")),
        ("{inputs: [input], body: [relu]}", ("bad-name", "input")),
    ],
)
def test_what_is_no_block(faults, block, fault):
    found = faults(f"blocks: {{u: {block}}}\nlayers: [{{u: , from: x}}, {{conv: 1}}]")
    assert found[0] == fault
    # What uses it is not to blame.
    assert {code for code, _ in found[1:]} <= {"wrong-arity"}


def test_a_block_cannot_have_the_name_of_an_op(faults):
    assert faults("blocks: {relu: {body: [tanh]}}\nlayers: [relu]") == [("name-taken", "relu")]

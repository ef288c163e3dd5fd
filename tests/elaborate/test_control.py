"""`for`, `if`, `when`: what they splice in, and how it is named."""

from __future__ import annotations

import pytest


def test_for_in_a_list_goes_on_counting(compiled):
    net = compiled(
        """
        layers:
          - {conv: 4}
          - for c in [8, 16]:
              - {conv: c}
              - relu
          - {conv: 2}
        """
    )
    assert list(net.ops) == ["0", "1", "2", "3", "4", "5"]
    assert [net.attribute(path, "out") for path in "0135"] == [4, 8, 16, 2]


def test_for_in_a_mapping_names_by_its_variable(ops):
    body = """
        layers:
          for i in range(2):
            conv{i}: {conv: 8}
            act{i}: relu
          last: tanh
        """
    assert list(ops(body)) == ["conv0", "act0", "conv1", "act1", "last"]


def test_loops_nest_and_take_items_apart(compiled):
    net = compiled(
        """
        let: {stages: [[1, [8, 3]], [2, [16, 5]]]}
        layers:
          for i, (n, (c, k)) in enumerate(stages):
            for j in range(n):
              s{i}.l{j}: {conv: c, kernel: k, padding: half}
        """
    )
    assert [(p, net.attribute(p, "out"), net.attribute(p, "kernel")) for p in net.ops] == [
        ("s0.l0", 8, 3),
        ("s1.l0", 16, 5),
        ("s1.l1", 16, 5),
    ]


def test_an_inner_loop_sees_the_outer_variable_and_hides_it(compiled):
    net = compiled(
        """
        layers:
          - for c in [2, 3]:
              - for d in [c, c + 10]: {conv: d}
              - for c in [7]: {conv: c}
              - {conv: c}
        """
    )
    assert [node.op.out for node in net.graph.nodes] == [2, 12, 7, 2, 3, 13, 7, 3]


def test_a_list_in_a_named_loop_counts_on(ops):
    body = """
        layers:
          body:
            for i in range(2):
              - relu
              - tanh
            named: relu
        """
    assert list(ops(body)) == ["body.0", "body.1", "body.2", "body.3", "body.named"]


def test_several_loops_stand_in_one_mapping(ops):
    body = """
        layers:
          for i in range(2):
            a{i}: relu
          for i in range(2):
            b{i}: relu
          if true:
            c: relu
          if true:
            d: relu
        """
    assert list(ops(body)) == ["a0", "a1", "b0", "b1", "c", "d"]


def test_an_empty_loop_leaves_nothing(ops):
    assert ops("layers: [relu, for i in range(0): tanh, relu]") == {"0": "relu", "1": "relu"}


CHAIN = """
    params: {kind: %s}
    layers:
      - if kind == 1: relu
        elif kind == 2: [tanh, sigmoid]
        elif kind == 3: {conv: 8}
        else: identity
      - {conv: 2}
    """


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [(1, ["relu"]), (2, ["tanh", "sigmoid"]), (3, ["conv"]), (4, ["identity"])],
)
def test_if_takes_the_first_that_holds(ops, kind, chosen):
    assert list(ops(CHAIN % kind).values()) == [*chosen, "conv"]


def test_a_false_if_takes_no_number(ops):
    assert ops("layers: [relu, {if false: tanh}, tanh]") == {"0": "relu", "1": "tanh"}


def test_an_if_in_a_loop_among_numbered_layers(ops):
    body = """
        layers:
          - for i in range(4):
              if i % 2: {conv: i}
              else: relu
          - for i in range(2):
              for j in range(2): tanh
          - for i in range(1):
              if i: relu
              named: sigmoid
        """
    assert ops(body) == {
        "0": "relu",
        "1": "conv",
        "2": "relu",
        "3": "conv",
        "4": "tanh",
        "5": "tanh",
        "6": "tanh",
        "7": "tanh",
        "named": "sigmoid",
    }


def test_if_in_a_mapping(ops):
    body = """
        params: {deep: true}
        layers:
          stem: relu
          if deep:
            mid: tanh
          else:
            shallow: sigmoid
          if not deep: {none: relu}
          last: relu
        """
    assert list(ops(body)) == ["stem", "mid", "last"]


def test_if_holds_for_words_and_lists_that_are_there(ops):
    body = """
        blocks:
          unit:
            params: {act: none, norm: batchnorm, extra: [], layer: {gelu: tanh}}
            body:
              - if act: act
              - if norm: norm
              - if extra: relu
              - if layer: layer
        layers: [unit]
        """
    assert ops(body) == {"0.0": "batchnorm", "0.1": "gelu"}


def test_conditions_may_ask_for_sizes(ops):
    body = """
        layers:
          - if in_channels != 3: {conv: 3}
          - if in_height > 16: {maxpool: 2}
          - if in_height > 16: {maxpool: 2}
        """
    assert ops(body) == {"0": "maxpool"}


def test_when_leaves_one_layer_out(ops):
    body = """
        params: {noisy: false}
        layers:
          a: {dropout: 0.5, when: noisy}
          b: {seq: [relu, relu], when: noisy}
          c: {residual: [relu], when: not noisy}
        """
    assert list(ops(body)) == ["c.0", "c.add"]


def test_a_layer_left_out_has_no_name(findings):
    (found,) = findings("layers:\n  a: {relu: , when: false}\n  b: {add: , from: [a, x]}")
    assert (found.code, found.text) == ("unknown-reference", "a")
    assert found.message == "`a` comes after this layer, or is left out"


# -- the machine form -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "machine"),
    [
        ("[{conv: 8, kernel: 3}]", "[{op: conv, out: 8, kernel: 3}]"),
        ("[{conv: 8, kernel: 3}]", "[{kernel: 3, op: conv, out: 8}]"),
        ("[relu]", "[{op: relu}]"),
        ("{a: {conv: 8}}", "{a: {out: 8, op: conv}}"),
        ("[{'for c in [1, 2]': {conv: c}}]", "[{for: 'c in [1, 2]', do: {conv: c}}]"),
        (
            "{'for c in [2, 3]': {'c{c}': {conv: c}}}",
            "{for: 'c in [2, 3]', do: {'c{c}': {conv: c}}}",
        ),
        ("[{if true: relu, else: tanh}]", "[{if: true, then: relu, else: tanh}]"),
        ("[{if false: relu, else: [tanh]}]", "[{if: false, then: relu, else: [tanh]}]"),
        ("{if true: {a: relu}}", "{if: true, then: {a: relu}}"),
        ("{b: [{residual: {conv: 3}}]}", "{b: [{residual: {out: 3, op: conv}}]}"),
    ],
)
def test_machine_forms_mean_the_same(compiled, short, machine):
    one, other = compiled(f"layers: {short}"), compiled(f"layers: {machine}")
    assert one.ops == other.ops
    assert one.wiring == other.wiring
    assert [n.op for n in one.graph.nodes] == [n.op for n in other.graph.nodes]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("[{for: i in range(2)}]", ("missing-key", "for")),
        ("[{if: true, else: relu}]", ("missing-key", "if")),
        ("[{for: i in range(2), do: relu, then: relu}]", ("unknown-key", "then")),
        ("[{for i in range(2): relu, x: tanh}]", ("unknown-key", "x")),
        ("[{else: relu}]", ("wrong-kind", "else")),
        ("[{if true: relu, else: tanh, elif false: relu}]", ("wrong-kind", "elif false")),
        ("[{if true: relu, else if false: relu}]", ("wrong-kind", "else if false")),
        ("[{if true: relu, tanh: relu}]", ("wrong-kind", "tanh")),
        ("{if true: {a: relu}, else if false: {b: relu}}", ("bad-name", "else if false")),
        ("[for i in 3: relu]", ("expression-type", "3")),
        ("[for i range(3): relu]", ("bad-expression", "i range(3)")),
        ("['for i, j in [1]': relu]", ("expression-type", "i, j")),
        ("[if batch: relu]", ("unknown-name", "batch")),
        ("[{op: [relu]}]", ("wrong-kind", "[relu]")),
        ("[{op: }]", ("wrong-kind", "")),
        ("[{}]", ("wrong-kind", "{}")),
        ("[~, relu]", ("wrong-kind", "~")),
        ("{a: }", ("wrong-kind", "")),
    ],
)
def test_what_is_no_control(faults, body, fault):
    assert faults(f"layers: {body}") == [fault]


def test_conditions_on_open_sizes(faults):
    inputs = "{x: [N, 3, H, W]}"
    assert faults("layers: [if in_height: relu]", inputs) == [("symbolic-condition", "in_height")]
    assert faults("layers: [if in_height > 9: relu]", inputs) == [
        ("symbolic-condition", "in_height > 9")
    ]
    assert faults("layers: [for i in range(in_width): relu]", inputs) == [
        ("expression-type", "in_width")
    ]


def test_unfolding_is_bounded(faults):
    ((code, text),) = faults("layers: [for i in range(1000): [for j in range(1000): []]]")
    assert (code, text) == ("expansion-limit", "j in range(1000)")

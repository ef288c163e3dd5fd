"""`residual`, `concat`, `add`, `mul`, `seq`: branches, what they are fed and how they meet."""

from __future__ import annotations

import pytest


def test_a_residual_adds_its_input(compiled):
    net = compiled("layers: {a: relu, b: {residual: [{conv: 3}, relu]}}")
    assert net.wiring["b.add"] == ["b.1", "a"]


def test_a_shortcut_is_the_other_side(compiled):
    net = compiled(
        """
        layers:
          b:
            residual: {main: {conv: 8, stride: 2}}
            shortcut: {proj: [{conv: 8, stride: 2}, batchnorm]}
            then: [relu, tanh]
        """
    )
    assert net.wiring == {
        "b.main": ["x"],
        "b.proj.0": ["x"],
        "b.proj.1": ["b.proj.0"],
        "b.add": ["b.main", "b.proj.1"],
        "b.0": ["b.add"],
        "b.1": ["b.0"],
    }


def test_a_shortcut_that_is_left_out_is_the_identity(compiled):
    net = compiled(
        """
        layers:
          b:
            residual: {main: {conv: 3}}
            shortcut:
              if in_channels != 3: {proj: {conv: 3}}
        """
    )
    assert net.wiring["b.add"] == ["b.main", "x"]


def test_skip_decides_whether_there_is_a_shortcut(compiled):
    body = """
        blocks:
          unit:
            params: {out: int}
            residual: {main: {conv: out}}
            skip: in_channels == out
            drop_path: 0.1
        layers: {a: {unit: 3}, b: {unit: 8}}
        """
    assert compiled(body).wiring == {
        "a.main": ["x"],
        "a.drop_path": ["a.main"],
        "a.add": ["a.drop_path", "x"],
        "b.main": ["a.add"],
    }


def test_drop_path_of_nothing_is_left_out(compiled):
    body = "layers: {{a: {{residual: {{main: relu}}, drop_path: {}}}}}"
    assert list(compiled(body.format("0.0")).ops) == ["a.main", "a.add"]
    net = compiled(body.format("0.25"))
    assert list(net.ops) == ["a.main", "a.drop_path", "a.add"]
    assert net.attribute("a.drop_path", "p") == 0.25


@pytest.mark.parametrize("kind", ["concat", "add", "mul"])
def test_branches_are_fed_the_same_value(compiled, kind):
    net = compiled(f"layers: {{s: relu, j: {{{kind}: {{a: tanh, b: [relu, relu], c: []}}}}}}")
    assert net.wiring == {
        "s": ["x"],
        "j.a": ["s"],
        "j.b.0": ["s"],
        "j.b.1": ["j.b.0"],
        f"j.{kind}": ["j.a", "j.b.1", "s"],
    }
    assert net.ops[f"j.{kind}"] == kind


def test_branches_of_a_list_are_bodies(compiled):
    net = compiled(
        """
        layers:
          j:
            concat:
              - []
              - {conv: 4}
              - {left: relu, right: tanh}
              - [relu, {conv: 2}]
              - relu
        """
    )
    # Bodies of a list add no level: their unnamed layers share the numbers of the structure.
    assert net.wiring == {
        "j.0": ["x"],
        "j.left": ["x"],
        "j.right": ["j.left"],
        "j.1": ["x"],
        "j.2": ["j.1"],
        "j.3": ["x"],
        "j.concat": ["x", "j.0", "j.right", "j.2", "j.3"],
    }
    assert net.shapes["j.concat"] == "[N, 15, 32, 32]"


def test_loops_and_alternatives_among_branches(compiled):
    net = compiled(
        """
        params: {wide: true}
        layers:
          j:
            concat:
              - for k in [1, 3]: [{conv: 2, kernel: k, padding: half}, relu]
              - if wide: []
              - if not wide: relu
              - for i in range(2):
                  in{i}: relu
                  out{i}: {conv: 1}
              - for i in range(3):
                  if i > 0: {conv: i}
        """
    )
    assert net.wiring["j.concat"] == ["j.1", "j.3", "x", "j.out0", "j.out1", "j.4", "j.5"]


def test_loops_among_named_branches(compiled):
    net = compiled(
        """
        layers:
          j:
            concat:
              first: []
              for i in range(2):
                branch{i}: {conv: 1}
              if false: {never: relu}
              if true:
                last: relu
        """
    )
    assert net.wiring["j.concat"] == ["x", "j.branch0", "j.branch1", "j.last"]


def test_in_a_mapping_of_branches_each_entry_of_a_loop_is_one(compiled):
    net = compiled(
        """
        layers:
          j:
            add:
              for i in range(2):
                a{i}: relu
                b{i}: tanh
        """
    )
    assert net.wiring["j.add"] == ["j.a0", "j.b0", "j.a1", "j.b1"]


def test_one_branch_is_no_join(ops):
    assert list(ops("layers: {j: {concat: {a: relu}}}")) == ["j.a"]


def test_concat_along_another_axis(compiled):
    net = compiled("layers: [{concat: [[], relu], dim: 2}]")
    assert net.shapes["concat"] == "[N, 3, 64, 32]"


def test_split_gives_each_branch_its_share(compiled):
    net = compiled(
        "layers: {j: {concat: {left: [], right: {conv: 8}}, split: in_channels == 4}}",
        "{x: [N, 4, 8, 8]}",
    )
    assert net.wiring == {
        "j.split": ["x"],
        "j.right": ["j.split:1"],
        "j.concat": ["j.split", "j.right"],
    }
    assert net.shapes["j.concat"] == "[N, 10, 8, 8]"


def test_a_gate_splits_what_it_multiplies(compiled):
    net = compiled("layers: {glu: {mul: [[], sigmoid], split: true}}", "{x: [N, 8]}")
    assert net.wiring["glu.mul"] == ["glu.split", "glu.0"]
    assert net.shapes["glu.mul"] == "[N, 4]"


def test_joins_nest(compiled):
    net = compiled(
        """
        layers:
          - concat:
              - - seq: {pre: {conv: 4}}
                - concat:
                    - {a: {conv: 2}}
                    - {b: {conv: 3}}
              - []
            then: relu
        """
    )
    assert net.wiring == {
        "pre": ["x"],
        "a": ["pre"],
        "b": ["pre"],
        "concat": ["a", "b"],
        "concat_1": ["concat", "x"],
        "0": ["concat_1"],
    }


def test_joins_of_references(compiled):
    net = compiled(
        """
        layers:
          a: relu
          b: tanh
          c: {add: , from: [a, b, input]}
          d: {concat: 1, from: [c, a]}
        """
    )
    assert net.wiring["c"] == ["a", "b", "x"]
    assert net.wiring["d"] == ["c", "a"]


def test_an_op_with_a_word_is_a_layer_not_a_name(compiled):
    # `gelu` takes the word `tanh`, which names an op, too.
    net = compiled("layers: [{residual: {gelu: tanh}}, {concat: [{gelu: tanh}, {relu: tanh}]}]")
    assert net.ops == {"0": "gelu", "add": "add", "1": "gelu", "relu": "tanh", "concat": "concat"}
    assert net.attribute("0", "approximate") == "tanh"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("[{concat: []}]", ("branch-empty", "concat")),
        ("[{add: [if false: relu]}]", ("branch-empty", "add")),
        ("[{residual: []}]", ("branch-empty", "residual")),
        ("[{residual: [if false: relu]}]", ("branch-empty", "residual")),
        ("[{residual: relu, shortcutt: tanh}]", ("unknown-key", "shortcutt")),
        ("[{seq: [relu], then: tanh}]", ("unknown-key", "then")),
        ("[{concat: [relu, {}]}]", ("wrong-kind", "{}")),
        ("[{residual: [relu], skip: [1]}]", ("wrong-kind", "[1]")),
        ("[{residual: [relu], drop_path: 2}]", ("bad-value", "2")),
        ("[{mul: [[], relu], split: true}]", ("indivisible", "true")),
        ("[{residual: relu, from: [x, x]}]", ("wrong-arity", "{residual: relu, from: [x, x]}")),
    ],
)
def test_what_is_no_structure(faults, body, fault):
    assert faults(f"layers: {body}") == [fault]


def test_a_structure_with_a_misspelt_key_is_still_looked_into(faults):
    body = """
        layers:
          - residual: {a: {conv: 8, stride: 2}, b: rellu}
            shortcutt: {c: {conv: 8, kernal: 2}}
          - {conv: 8, kernel: 99}
        """
    # No mismatch of the sum, and nothing about the layer after it.
    assert faults(body) == [("unknown-op", "rellu"), ("unknown-key", "shortcutt")]

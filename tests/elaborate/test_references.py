"""`from`: which layers a name reaches, from where."""

from __future__ import annotations

import pytest


def test_the_chain_goes_on_from_the_layer_before(compiled):
    net = compiled("layers: {a: relu, b: tanh, c: {sigmoid: , from: a}, d: {add: , from: [b, c]}}")
    assert net.wiring == {"a": ["x"], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_words_that_are_always_there(compiled):
    net = compiled(
        """
        blocks:
          unit:
            body:
              a: relu
              b: {concat: , from: [in, prev, input]}
        layers: {s: tanh, u: unit, l: {add: , from: [prev, prev]}}
        """
    )
    assert net.wiring["u.b"] == ["s", "u.a", "x"]
    assert net.wiring["l"] == ["u.b", "u.b"]


def test_the_nearest_level_comes_first(compiled):
    net = compiled(
        """
        layers:
          a: relu
          outer:
            b: relu
            inner:
              a: tanh
              c: {add: , from: [a, b]}
            d: {add: , from: [a, inner.a]}
          e: {concat: , from: [a, outer.b, outer.inner.c, outer]}
        """
    )
    assert net.wiring["outer.inner.c"] == ["outer.inner.a", "outer.b"]
    assert net.wiring["outer.d"] == ["a", "outer.inner.a"]
    assert net.wiring["e"] == ["a", "outer.b", "outer.inner.c", "outer.d"]


def test_a_level_yields_what_its_last_layer_yields(compiled):
    net = compiled(
        """
        blocks: {unit: {body: [relu, tanh]}}
        layers:
          s: [relu, relu]
          u: unit
          j: {residual: {m: relu}, then: {t: relu}}
          out: {concat: , from: [s, u, j]}
        """
    )
    assert net.wiring["out"] == ["s.1", "u.1", "j.t"]


def test_references_may_hold_expressions(compiled):
    net = compiled(
        """
        layers:
          for i in range(3):
            f{i}: {relu: , from: input}
          for i in range(2):
            add{i}: {add: , from: ["f{i}", "f{i + 1}"]}
          out: {concat: , from: [add0, add1]}
        """
    )
    assert net.wiring["add1"] == ["f1", "f2"]


def test_a_whole_structure_starts_elsewhere(compiled):
    net = compiled(
        """
        layers:
          a: relu
          b: tanh
          c: {residual: {m: relu}, from: a}
          d: {seq: {n: relu}, from: b}
          e: {add: , from: [c, d]}
        """
    )
    assert net.wiring["c.m"] == ["a"]
    assert net.wiring["c.add"] == ["c.m", "a"]
    assert net.wiring["d.n"] == ["b"]


def test_further_outputs_of_a_layer(compiled):
    net = compiled(
        "layers: {p: {chunk: 3}, l: {add: , from: [p, p.2]}, m: {add: , from: [l, p.1]}}"
    )
    assert net.wiring["l"] == ["p", "p:2"]
    assert net.wiring["m"] == ["l", "p:1"]


def test_inputs_by_name(compiled):
    net = compiled(
        """
        layers:
          a: relu
          b: {add: , from: [a, y]}
          c: {relu: , from: y}
          d: {add: , from: [b, c]}
        """,
        "{x: [N, 4], y: [N, 4]}",
    )
    assert net.wiring == {"a": ["x"], "b": ["a", "y"], "c": ["y"], "d": ["b", "c"]}


def test_an_input_may_be_called_input(compiled):
    net = compiled("layers: {a: relu, b: {add: , from: [a, input]}}", "{x: [N, 4], input: [N, 4]}")
    assert net.wiring["b"] == ["a", "input"]


def test_a_block_does_not_see_its_surroundings(findings):
    (found,) = findings(
        """
        blocks: {unit: {body: [{add: , from: [in, skip]}]}}
        layers: {skip: relu, s: {u: unit}}
        """
    )
    assert (found.code, found.text) == ("unknown-reference", "skip")
    assert found.message == "`skip` lies outside of this block"


def test_a_block_sees_inputs_of_the_model(compiled):
    net = compiled(
        "blocks: {unit: {body: [{add: , from: [in, y]}]}}\nlayers: {a: relu, u: unit}",
        "{x: [N, 4], y: [N, 4]}",
    )
    assert net.wiring["u.0"] == ["a", "y"]


def test_blocks_have_inputs_of_their_own(compiled):
    net = compiled(
        """
        blocks:
          join:
            inputs: [left, right]
            body:
              a: relu
              b: {add: , from: [a, right]}
              c: {add: , from: [b, left]}
              d: {add: , from: [c, in]}
        layers:
          p: relu
          q: tanh
          r: {join: , from: [p, q]}
        """
    )
    assert net.wiring == {
        "p": ["x"],
        "q": ["p"],
        "r.a": ["p"],
        "r.b": ["r.a", "q"],
        "r.c": ["r.b", "p"],
        "r.d": ["r.c", "p"],
    }


def test_side_layers_run_beside_the_chain(compiled):
    net = compiled(
        """
        blocks: {head: {body: [flatten, {linear: 2}]}}
        layers:
          a: relu
          aux: {head: , side: training}
          b: tanh
          probe: {sigmoid: , side: true}
          c: relu
        """
    )
    assert net.wiring["b"] == ["a"]
    assert net.wiring["c"] == ["b"]
    assert [(n.path, n.side) for n in net.graph.nodes if n.side] == [
        ("aux.0", "training"),
        ("aux.1", "training"),
        ("probe", "always"),
    ]


@pytest.mark.parametrize(
    ("layers", "text", "message"),
    [
        ("{a: {relu: , from: b}}", "b", "no layer before this one is named `b`"),
        ("{a: {relu: , from: b}, b: relu}", "b", "`b` comes after this layer, or is left out"),
        ("{a: {b: {relu: , from: a}}}", "a", "`a` cannot be used inside itself"),
        ("{f: [relu, tanh], g: {add: , from: [f, f.0]}}", "f.0", None),
        ("{f: {residual: {m: relu}}, g: {add: , from: [f, f.add]}}", "f.add", None),
        ("[relu, {add: , from: [prev, 0]}]", "0", None),
    ],
)
def test_what_a_reference_does_not_reach(findings, layers, text, message):
    (found,) = findings(f"layers: {layers}")
    assert (found.code, found.text) == ("unknown-reference", text)
    expected = f"`{text.rpartition('.')[2]}` is not a name that a layer was given"
    assert found.message == (message or expected)


def test_a_misspelt_reference(findings):
    (found,) = findings("layers: {stem: relu, act: tanh, j: {add: , from: [stemm, act]}}")
    assert found.help == ("did you mean `stem`?",)


def test_what_is_no_reference(faults):
    assert faults("layers: {a: {relu: , from: [[x]]}}") == [("wrong-kind", "[x]")]
    assert faults("layers: {a: {relu: , from: b c}}") == [("bad-name", " ")]
    assert faults("layers: {a: {relu: , side: maybe}}") == [("bad-value", "maybe")]
    assert faults("layers: {a: {add: , from: []}}") == [("wrong-arity", "[]")]


def test_wrong_number_of_inputs(faults):
    assert faults("layers: {a: {relu: , from: [x, x]}}") == [
        ("wrong-arity", "{relu: , from: [x, x]}")
    ]
    block = "blocks: {two: {inputs: [p, q], body: [{add: , from: [p, q]}]}}\n"
    assert faults(block + "layers: [two]") == [("wrong-arity", "two")]
    one = "blocks: {one: {body: [relu]}}\n"
    assert faults(one + "layers: [{one: , from: [x, x]}]") == [
        ("wrong-arity", "{one: , from: [x, x]}")
    ]

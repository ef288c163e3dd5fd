"""Params, `let`, variants, overrides, defaults: what names stand for."""

from __future__ import annotations

import pytest

WIDE = """
    params: {width: 8, deep: width * 2, kind: relu, size: int}
    variants:
      small: {width: 4, size: 1}
      large: {width: 16, size: deep + 1}
    layers: {a: {conv: width}, b: {conv: deep}, c: kind, d: {conv: size}}
    """


def widths(net):
    return [node.op.out for node in net.graph.nodes if node.op_name == "conv"]


def test_a_variant_gives_params(compiled):
    assert widths(compiled(WIDE, variant="small")) == [4, 8, 1]
    assert widths(compiled(WIDE, variant="large")) == [16, 32, 33]
    assert compiled(WIDE, variant="large").graph.name == "large"


def test_overrides_win_over_the_variant(compiled):
    net = compiled(WIDE, variant="small", overrides={"width": "6", "kind": "tanh"})
    assert widths(net) == [6, 12, 1]
    assert net.ops["c"] == "tanh"
    net = compiled(WIDE, overrides={"size": "width + 1"})
    assert widths(net) == [8, 16, 9]


def test_a_required_param(findings):
    (found,) = findings(WIDE)
    assert (found.code, found.text) == ("missing-param", "size")
    assert found.help == ("choose a variant: small, large", "--set size=...")


def test_definitions_stand_in_any_order(compiled):
    net = compiled(
        """
        params: {a: b + 1, b: 2}
        let: {c: a + d, d: b * 10}
        layers: [{conv: c}]
        """
    )
    assert widths(net) == [23]


def test_values_of_all_kinds(compiled):
    net = compiled(
        """
        params: {list: [1, [2, 3]], yes: true, ratio: 0.5, word: same, nothing: none}
        layers:
          - if yes and nothing == none: {conv: "list[1][1]", kernel: 3, padding: word}
          - {dropout: ratio}
        """
    )
    assert net.attribute("0", "out") == 3
    assert net.attribute("0", "padding") == "same"
    assert net.attribute("1", "p") == 0.5


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        ("int", "1.5", "not-an-integer"),
        ("int", "true", "wrong-type"),
        ("int", "relu", "wrong-type"),
        ("float", "[1]", "wrong-type"),
        ("float", "false", "wrong-type"),
        ("bool", "1", "wrong-type"),
        ("list", "3", "wrong-type"),
        ("op", "3", "wrong-type"),
        ("op", "rellu", "unknown-name"),
        ("text", "3", "wrong-type"),
    ],
)
def test_kinds_are_held(faults, kind, value, fault):
    body = f"""
        params: {{p: {kind}}}
        variants: {{v: {{p: {value}}}}}
        blocks: {{unit: {{params: {{q: {kind}}}, body: [if q: relu]}}}}
        layers: [if p: relu, identity]
        """
    assert faults(body, variant="v")[0] == (fault, value)
    used = body.replace("[if p: relu, identity]", f"[{{unit: , q: {value}}}, if p: relu]")
    assert faults(used, overrides={"p": "0"})[-1] == (fault, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "3"),
        ("float", "3"),
        ("float", "0.5"),
        ("bool", "true"),
        ("list", "[1, 2]"),
        ("op", "relu"),
        ("op", "{gelu: tanh}"),
        ("op", "none"),
        ("text", "anything"),
        ("text", "relu"),
    ],
)
def test_kinds_are_met(ops, kind, value):
    body = f"""
        params: {{p: {kind}}}
        variants: {{v: {{p: {value}}}}}
        blocks: {{unit: {{params: {{q: {kind}}}, body: [if q: relu, identity]}}}}
        layers: [if p: relu, {{unit: , q: {value}}}, {{unit: {value}}}]
        """
    assert "identity" in ops(body, variant="v").values()


def test_a_block_param_holds_an_op(ops):
    body = """
        params: {block: wide}
        blocks:
          narrow: {params: {out: int}, body: [{conv: out}]}
          wide: {params: {out: int}, body: [{conv: 2 * out}, relu]}
          pair: {params: {kind: op, act: relu}, body: [{kind: 4}, act, {act: }]}
        layers:
          - {block: 8}
          - {pair: narrow}
          - {pair: wide, act: {gelu: tanh}}
        """
    assert list(ops(body).values()) == [
        *("conv", "relu"),
        *("conv", "relu", "relu"),
        *("conv", "relu", "gelu", "gelu"),
    ]


def test_a_layer_may_be_an_expression(ops):
    body = """
        params: {kinds: [relu, tanh], rows: [[conv, 4], [linear, 2]], soft: true}
        layers:
          - kinds[1]
          - sigmoid if soft else relu
          - for kind, n in rows: {kind: n}
          - for act in kinds: act
          - {"rows[0][0]": 9}
        """
    assert list(ops(body).values()) == ["tanh", "sigmoid", "conv", "linear", "relu", "tanh", "conv"]


def test_a_param_may_have_the_name_of_an_op(compiled):
    # In value position the param counts, as the first word of a layer the op does.
    net = compiled("params: {dropout: 0.25, relu: 3}\nlayers: [{dropout: dropout}, relu]")
    assert net.attribute("0", "p") == 0.25
    assert net.ops["1"] == "relu"


def test_sizes_of_the_entering_tensor(compiled):
    net = compiled(
        """
        layers:
          - {conv: in_channels * 2, kernel: in_height // 5, padding: half}
          - flatten
          - {linear: in_features // 64}
          - {linear: "in_shape[1] + 1"}
        """,
        "{x: [2, 3, 16, 24]}",
    )
    assert net.attribute("0", "out") == 6
    assert net.attribute("0", "kernel") == 3
    assert net.attribute("2", "out") == 36
    assert net.attribute("3", "out") == 37


def test_sizes_in_let_are_those_at_the_block(compiled):
    net = compiled(
        """
        blocks:
          unit:
            params: {out: in_channels + 1}
            let: {entering: in_channels}
            body: [{conv: 10}, {conv: entering}, {conv: in_channels * 2}, {conv: out}]
        layers: [unit]
        """
    )
    assert widths(net) == [10, 3, 6, 4]


def test_sizes_that_are_not_there(findings):
    (found,) = findings("layers: [{linear: in_height}]", "{x: [N, 8]}")
    assert found.code == "unknown-name"
    assert found.message == "there is no `in_height` here: the tensor that enters is [N, 8]"
    (found,) = findings("params: {p: in_channels}\nlayers: [{conv: p}]")
    assert found.message == "there is no `in_channels` here: no tensor enters here"


# -- defaults ---------------------------------------------------------------------------------


def test_defaults_of_ops_hold_everywhere(compiled):
    net = compiled(
        """
        params: {eps: 1e-3}
        defaults:
          conv: {bias: false, padding: half}
          batchnorm: {eps: eps}
          conv_norm_act: {act: tanh}
        blocks: {unit: {params: {eps: 5}, body: [{conv: 4, kernel: 3}, {batchnorm: , eps: 0.1}]}}
        layers: [unit, {conv_norm_act: 8}, {conv: 2, bias: true}]
        """
    )
    assert not net.attribute("0.0", "bias")
    assert net.attribute("0.0", "padding") == "half"
    assert net.attribute("0.1", "eps") == 0.1
    # Inside a standard block, too; its own arguments win.
    assert net.attribute("1.1", "eps") == 1e-3
    assert net.ops["1.2"] == "tanh"
    assert net.attribute("2", "bias")


def test_defaults_may_ask_for_sizes(compiled):
    net = compiled("defaults: {conv: {groups: in_channels}}\nlayers: [{conv: 6}, {conv: 12}]")
    assert net.attribute("0", "groups") == 3
    assert net.attribute("1", "groups") == 6


def test_defaults_give_the_principal_attribute_too(compiled):
    net = compiled(
        """
        defaults: {maxpool: {kernel: 2}, unit: {out: 5, more: 2}}
        blocks: {unit: {params: {out: int, more: int}, body: [{conv: out + more}]}}
        layers: [maxpool, unit, {unit: 1}, {unit: [1, 1]}]
        """
    )
    assert net.attribute("0", "kernel") == 2
    assert widths(net) == [7, 3, 2]


def test_wrong_defaults(faults):
    assert faults("defaults: {conv: {kernal: 3}}\nlayers: [{conv: 8}, {conv: 8}]") == [
        ("unknown-attribute", "kernal")
    ]
    assert faults("defaults: {cnov: {kernel: 3}}\nlayers: [{conv: 8}]") == [("unknown-op", "cnov")]


# -- faults -----------------------------------------------------------------------------------


def test_circles(findings):
    (found,) = findings("let: {a: b, b: c + 1, c: a}\nlayers: [{conv: a}, {conv: b}, {conv: c}]")
    assert found.code == "circular-definition"
    assert found.message == "`a` is defined by itself: `a` needs `b` needs `c` needs `a`"
    (found,) = findings("params: {w: 4}\nlayers: [{conv: w}]", overrides={"w": "w * 2"})
    assert found.message == "`w` is defined by itself"


def test_a_long_row_of_definitions(faults):
    lets = ", ".join(f"a{i}: a{i + 1}" for i in range(40))
    ((code, text),) = faults(f"let: {{{lets}, a40: 1}}\nlayers: [{{conv: a0}}]")
    assert (code, text) == ("expression-limit", "a32")


def test_a_wrong_definition_is_reported_where_it_stands_and_once(faults):
    body = """
        params: {width: wdth, wdht: 3}
        let: {twice: width * 2}
        layers: [{conv: width}, {conv: twice}, {conv: wdht}, {conv: 2}]
        """
    assert faults(body) == [("unknown-name", "wdth")]


def test_unknown_params(faults):
    body = """
        params: {width: 4}
        variants: {a: {widht: 5}, b: {width: 6}}
        layers: [{conv: width}]
        """
    assert faults(body) == [("unknown-param", "widht")]
    assert faults(body, overrides={"depth": "3"}) == [
        ("unknown-param", "3"),
        ("unknown-param", "widht"),
    ]


def test_unknown_variant(findings):
    (found,) = findings(WIDE, variant="smal")
    assert (found.code, found.help) == ("unknown-variant", ("did you mean `small`?",))


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("params: {if: 3}", "if"),
        ("params: {a-b: 3}", "a-b"),
        ("params: {residual: 3}", "residual"),
        ("params: {none: 3}", "none"),
        ("let: {2d: 3}", "2d"),
        ("let: {true: 3}", "true"),
        ("blocks: {concat: {body: [relu]}}", "concat"),
        ("blocks: {u: {params: {when: 3}, body: [{conv: 3}]}}", "when"),
        ("variants: {a b: {}}", "a b"),
    ],
)
def test_names_that_expressions_cannot_use(faults, section, fault):
    assert ("bad-name", fault) in faults(f"{section}\nlayers: [relu]")


def test_a_let_is_no_param(faults):
    assert faults("params: {a: 1}\nlet: {a: 2}\nlayers: [{conv: a}]") == [("name-taken", "a")]
    block = "blocks: {u: {params: {a: 1}, let: {a: 2}, body: [{conv: a}]}}\nlayers: [u]"
    assert faults(block) == [("name-taken", "a")]


@pytest.mark.parametrize("key", ["init: zeros", "keys: {weight: w}"])
def test_keys_for_weights_are_for_ops(faults, key):
    block = (
        "blocks: {unit: {params: {act: relu}, body: [{conv: 8}, {act: , KEY}]}}\nlayers: [LAYER]"
    )
    text = key.partition(": ")[2]
    for layer in (f"{{unit: , {key}}}", f"{{residual: [relu], {key}}}", f"{{seq: [relu], {key}}}"):
        body = block.replace(", KEY", "").replace("LAYER", f"unit, {layer}")
        assert faults(body) == [("wrong-kind", text)]
    body = block.replace("KEY", key).replace("LAYER", "{unit: , act: {gelu: tanh}}")
    assert faults(body) == [("wrong-kind", text)]


def test_init_may_be_an_expression(compiled):
    net = compiled("layers: [{conv: 8, init: log(10) / 2}]")
    assert net.graph.node("0").weights[0].weight.init.value == pytest.approx(1.151, abs=1e-3)

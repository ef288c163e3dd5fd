"""Paths: lists number, mappings name, sections nest, names hold expressions."""

from __future__ import annotations


def test_a_list_numbers_its_layers(ops):
    assert ops("layers: [relu, {conv: 8}, tanh]") == {"0": "relu", "1": "conv", "2": "tanh"}


def test_a_mapping_names_its_layers(ops):
    body = """
        layers:
          act: relu
          conv: {conv: 8}
          relu: relu
        """
    assert ops(body) == {"act": "relu", "conv": "conv", "relu": "relu"}


def test_a_layer_may_have_the_name_of_an_op_everywhere(ops):
    body = """
        blocks:
          unit:
            body:
              conv: {conv: 8}
              norm: batchnorm
              relu: relu
        layers: [unit]
        """
    assert ops(body) == {"0.conv": "conv", "0.norm": "batchnorm", "0.relu": "relu"}


def test_sections_nest_and_number_for_themselves(ops):
    body = """
        layers:
          features:
            - {conv: 8}
            - [relu, tanh]
            - act: relu
              more: {deep: tanh}
            - relu
          head: [relu]
        """
    assert ops(body) == {
        "features.0": "conv",
        "features.1.0": "relu",
        "features.1.1": "tanh",
        "features.2.act": "relu",
        "features.2.more.deep": "tanh",
        "features.3": "relu",
        "head.0": "relu",
    }


def test_dotted_names_make_levels_without_sections(compiled):
    net = compiled(
        """
        layers:
          encoder.stem: {conv: 8}
          encoder.act: relu
          head.fc.conv: {conv: 4}
        """
    )
    assert list(net.ops) == ["encoder.stem", "encoder.act", "head.fc.conv"]
    assert net.keys[0] == "encoder.stem.weight"
    assert net.wiring["head.fc.conv"] == ["encoder.act"]


def test_names_hold_expressions(ops):
    body = """
        params: {kind: half}
        layers:
          for i, n in enumerate([2, 1]):
            for j in range(n):
              stage{i + 1}.block{j}-{n}_{kind}: relu
        """
    assert list(ops(body)) == [
        "stage1.block0-2_half",
        "stage1.block1-2_half",
        "stage2.block0-1_half",
    ]


def test_names_may_be_numbers_and_hold_hyphens(ops):
    body = """
        layers:
          0: relu
          1: relu
          a-b: relu
        """
    assert list(ops(body)) == ["0", "1", "a-b"]


def test_a_block_is_a_level(compiled):
    net = compiled(
        """
        blocks:
          unit: {params: {out: int}, body: [{conv: out}, relu]}
        layers:
          stem: {unit: 8}
          body: [{unit: 4}, {unit: 2}]
        """
    )
    assert list(net.ops) == ["stem.0", "stem.1", "body.0.0", "body.0.1", "body.1.0", "body.1.1"]
    assert {path: scope.block for path, scope in net.graph.scopes.items()} == {
        "": None,
        "stem": "unit",
        "body": None,
        "body.0": "unit",
        "body.1": "unit",
    }


def test_structures_without_a_name_add_no_level(compiled):
    net = compiled(
        """
        layers:
          - {conv: 8}
          - residual: [{conv: 8}, relu]
          - residual:
              main: {conv: 8}
          - relu
        """
    )
    # Layers listed in the structure take numbers of the list; the join itself takes none.
    assert net.ops == {
        "0": "conv",
        "1": "conv",
        "2": "relu",
        "add": "add",
        "main": "conv",
        "add_1": "add",
        "3": "relu",
    }


def test_structures_with_a_name_are_a_level(ops):
    body = """
        layers:
          unit: {residual: [{conv: 3}, relu]}
          both:
            concat:
              left: relu
              right: [tanh, relu]
        """
    assert list(ops(body)) == [
        "unit.0",
        "unit.1",
        "unit.add",
        "both.left",
        "both.right.0",
        "both.right.1",
        "both.concat",
    ]


def test_implied_names_make_way_for_written_ones(compiled):
    # The join of the residual comes first, but `add` is written further down.
    net = compiled(
        """
        blocks:
          unit:
            body:
              if true:
                residual: [relu]
                then: {first: tanh}
              add: relu
              last:
                residual: {relu: relu, add_1: relu}
                then: relu
        layers: [unit]
        """
    )
    assert net.ops == {
        "0.0": "relu",
        "0.add_1": "add",
        "0.first": "tanh",
        "0.add": "relu",
        "0.last.relu": "relu",
        "0.last.add_1": "relu",
        "0.last.add": "add",
        "0.last.relu_1": "relu",
    }
    assert [n.path for n in net.graph.nodes if n.implied] == ["0.add_1", "0.last.add"]


def test_an_unnamed_layer_among_numbered_ones_takes_a_number(ops):
    assert ops("layers: [{residual: relu, then: tanh}, relu]") == {
        "0": "relu",
        "add": "add",
        "1": "tanh",
        "2": "relu",
    }


def test_a_bare_layer_in_a_block_is_named_by_its_word(ops):
    assert ops("blocks: {unit: {body: relu}}\nlayers: [unit]") == {"0.relu": "relu"}


def test_one_name_twice(faults):
    body = """
        layers:
          for i in range(3):
            act: relu
        """
    assert faults(body) == [("name-taken", "act")]


def test_a_layer_has_nothing_inside(findings):
    (found,) = findings("layers:\n  a: relu\n  a.b: relu")
    assert (found.code, found.text) == ("name-taken", "a.b")
    assert found.message == "`a` is a layer, so `a.b` cannot lie inside it"
    (found,) = findings("layers:\n  a.b: relu\n  a: relu")
    assert (found.code, found.text) == ("name-taken", "relu")
    assert found.message == "`a` cannot be a layer: another one lies inside it"


def test_dotted_names_may_go_into_a_section(ops):
    body = """
        layers:
          a: [relu]
          a.b: tanh
          c.d: relu
          c: {e: relu}
        """
    assert list(ops(body)) == ["a.0", "a.b", "c.d", "c.e"]


def test_an_input_has_its_name_for_itself(faults):
    assert faults("layers: {x: relu}") == [("name-taken", "x")]


def test_names_that_references_use(faults):
    for name in ("in", "input", "prev"):
        assert faults(f"layers: {{{name}: relu}}") == [("bad-name", name)]


def test_names_that_are_none(faults):
    assert faults("layers: {first act: relu}") == [("bad-name", " ")]
    assert faults("layers: {a..b: relu}") == [("bad-name", "a..b")]
    assert faults('layers: {"a{i": relu}') == [("bad-name", "{")]
    assert faults("layers: {ä: relu}") == [("bad-name", "ä")]
    assert faults('layers: {"a{0.5}": relu}') == [("bad-name", "0.5")]
    assert faults('layers: {"a{in_channels + h}": relu}') == [("unknown-name", "h")]
    assert faults("layers: {op: relu}") == [("bad-name", "op")]


def test_a_level_may_start_with_the_name_of_an_op(ops):
    body = """
        layers:
          features: [relu, {relu: relu, conv: {conv: 8}}]
          head: {flatten: flatten, fc: {linear: 4}}
          for i in range(1):
            tail{i}: {relu: relu, if true: {dropout: {dropout: 0.1}}}
        """
    assert list(ops(body)) == [
        "features.0",
        "features.1.relu",
        "features.1.conv",
        "head.flatten",
        "head.fc",
        "tail0.relu",
        "tail0.dropout",
    ]


def test_one_entry_with_the_name_of_an_op_is_a_call(faults):
    assert faults("layers: [{conv: relu}]") == [("wrong-type", "relu")]
    assert faults("layers: [{conv: relu, kernel: 3}]") == [("wrong-type", "relu")]
    assert faults("layers: {a: {relu: relu}}") == [("unknown-attribute", "relu")]


def test_a_number_may_have_the_name_of_an_op(ops):
    # `squeeze` and `select` are ops, but here they are numbers, and no layers.
    body = """
        params: {select: 4}
        blocks:
          unit:
            let: {squeeze: in_channels}
            residual: {squeeze_excite: squeeze, act: silu}
            then: {squeeze_excite: select}
        layers: [{unit: }, {squeeze_excite: select, act: tanh}]
        """
    assert "squeeze" not in ops(body).values()
    assert list(ops(body).values()).count("silu") == 1

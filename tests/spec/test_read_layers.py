"""Reading layers: what is a call, a level, a structure, a loop; nothing is evaluated."""

from __future__ import annotations

import pytest

from archc.diagnostics import Diagnostics, Source
from archc.spec.read_chain import ChainReader, Vocabulary
from archc.spec.syntax import Broken, Call, Chain, ForItem, Group, IfItem, Join, LayerItem, Section
from archc.spec.tree import Mapping, Scalar, Sequence
from archc.spec.yaml import parse_yaml

OPS = frozenset({"relu", "tanh", "gelu", "conv", "linear", "flatten", "concat", "add", "mul"})
WORDS = Vocabulary(OPS, OPS, lambda op, word: (op, word) == ("gelu", "tanh")).extended(
    {"unit", "pair", "act"}, {"pair"}, {"squeeze"}
)


def read(text: str, *, named: bool = False) -> tuple[Chain, Diagnostics]:
    sink = Diagnostics()
    tree = parse_yaml(Source("t.yaml", text), sink)
    assert tree is not None and not sink.items
    return ChainReader(sink, WORDS).chain(tree, named=named), sink


def plain(value: object) -> object:
    """What was read, without places."""
    if isinstance(value, Chain):
        return [plain(item) for item in value.items]
    if isinstance(value, LayerItem):
        layer = plain(value.layer)
        return layer if value.name is None else {value.name.text: layer}
    if isinstance(value, ForItem):
        return ("for", value.header.text, plain(value.chain))
    if isinstance(value, IfItem):
        return ("if", *((plain(condition), plain(body)) for condition, body in value.arms))
    if isinstance(value, Section):
        return ("level", *plain(value.chain))
    if isinstance(value, Call):
        arguments = {key: plain(argument.value) for key, argument in value.arguments.items()}
        return (value.head.text, plain(value.primary), arguments)
    if isinstance(value, Group):
        return ("group", *plain(value.chain))
    if isinstance(value, Join):
        return (value.kind, plain(value.body), plain(value.shortcut), plain(value.then))
    return _tree(value)


def _tree(value: object) -> object:
    if isinstance(value, Broken):
        return "broken"
    if isinstance(value, Scalar):
        return value.text
    if isinstance(value, Sequence):
        return [_tree(item) for item in value.items]
    if isinstance(value, Mapping):
        return {entry.key.text: _tree(entry.value) for entry in value.entries}
    assert value is None
    return None


RELU, TANH = ("relu", None, {}), ("tanh", None, {})


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("relu", "single", [RELU]),
        ("[relu, tanh]", "list", [RELU, TANH]),
        ("[]", "list", []),
        ("~", "single", []),
        ("{a: relu, b: tanh}", "mapping", [{"a": RELU}, {"b": TANH}]),
        ("{relu: relu, tanh: tanh}", "mapping", [{"relu": RELU}, {"tanh": TANH}]),
        ("{relu: tanh}", "mapping", [{"relu": TANH}]),
        ("{gelu: tanh}", "single", [("gelu", "tanh", {})]),
        ("{pair: relu}", "single", [("pair", "relu", {})]),
        ("{conv: 8, kernel: 3}", "single", [("conv", "8", {"kernel": "3"})]),
        ("{conv: , out: 8}", "single", [("conv", None, {"out": "8"})]),
        ("{op: conv, out: 8}", "single", [("conv", None, {"out": "8"})]),
        ("{out: 8, op: conv}", "single", [("conv", None, {"out": "8"})]),
        ("{unit: squeeze, act: 3}", "single", [("unit", "squeeze", {"act": "3"})]),
        ("{act: 3}", "single", [("act", "3", {})]),
        ("{cnov: 8, kernel: 3}", "single", [("cnov", "8", {"kernel": "3"})]),
        ("{a: {cnov: 8}}", "mapping", [{"a": ("cnov", "8", {})}]),
        ("{a: cnov}", "mapping", [{"a": ("cnov", None, {})}]),
        ("{conv1: [relu]}", "mapping", [{"conv1": ("level", RELU)}]),
        ("{conv: {conv: 8}, act: relu}", "mapping", [{"conv": ("conv", "8", {})}, {"act": RELU}]),
    ],
)
def test_a_body(text, style, expected) -> None:
    chain, sink = read(text)
    assert (chain.style, plain(chain), sink.items) == (style, expected, [])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("{conv: 8}", ("conv", "8", {})),
        ("{relu: }", RELU),
        ("{relu: tanh}", ("relu", "tanh", {})),
        ("{first: relu}", ("level", {"first": RELU})),
        ("{first: {conv: 8}, relu: relu}", ("level", {"first": ("conv", "8", {})}, {"relu": RELU})),
        ("{relu: relu, tanh: tanh}", ("level", {"relu": RELU}, {"tanh": TANH})),
        ("{relu: relu, from: tanh}", ("relu", "relu", {})),
        ("{unit: relu, act: tanh}", ("unit", "relu", {"act": "tanh"})),
        ("{pair: relu, act: tanh}", ("pair", "relu", {"act": "tanh"})),
        ("{unit: [8, 3], more: [1]}", ("unit", ["8", "3"], {"more": ["1"]})),
        ("[relu, [tanh]]", ("level", RELU, ("level", TANH))),
        ("{seq: [relu]}", ("group", RELU)),
        ("{seq: {a: relu}}", ("group", {"a": RELU})),
        ("{concat: 1, dim: 2}", ("concat", "1", {"dim": "2"})),
        ("{add: }", ("add", None, {})),
        ("{act: }", ("act", None, {})),
    ],
)
def test_a_list_item(item, expected) -> None:
    chain, sink = read(f"[{item}]")
    assert (plain(chain), sink.items) == ([expected], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{residual: [relu]}", ("residual", [RELU], None, None)),
        (
            "{residual: {a: relu}, shortcut: tanh, then: [relu]}",
            ("residual", [{"a": RELU}], [TANH], [RELU]),
        ),
        ("{concat: {a: relu, b: []}}", ("concat", [{"a": RELU}, {"b": ("level",)}], None, None)),
        ("{add: [relu, []]}", ("add", [("group", RELU), ("group",)], None, None)),
        ("{mul: [{a: relu}, {conv: 8}]}", None),
    ],
)
def test_structures(text, expected) -> None:
    chain, sink = read(f"[{text}]")
    expected = expected or (
        "mul",
        [("group", {"a": RELU}), ("group", ("conv", "8", {}))],
        None,
        None,
    )
    assert (plain(chain), sink.items) == ([expected], [])


LOOP = ("for", "i in x", [RELU])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[for i in x: relu]", [LOOP]),
        ("[{for: i in x, do: relu}]", [LOOP]),
        ("{for i in x: relu}", [LOOP]),
        ("{for: i in x, do: relu}", [LOOP]),
        ("[if c: relu]", [("if", ("c", [RELU]))]),
        ("[{if: c, then: relu}]", [("if", ("c", [RELU]))]),
        ("[{if c: relu, else: tanh}]", [("if", ("c", [RELU]), (None, [TANH]))]),
        ("[{if: c, then: relu, else: tanh}]", [("if", ("c", [RELU]), (None, [TANH]))]),
        ("[{if c: [], elif d: tanh}]", [("if", ("c", []), ("d", [TANH]))]),
        ("{if c: {a: relu}, b: tanh}", [("if", ("c", [{"a": RELU}])), {"b": TANH}]),
        ("[for i in x: {if c: relu}]", [("for", "i in x", [("if", ("c", [RELU]))])]),
        ("[for kind in x: {kind: 8}]", [("for", "kind in x", [("kind", "8", {})])]),
        ("[for i in x: {conv: i}]", [("for", "i in x", [("conv", "i", {})])]),
        ("[for i in x: {cnov: i}]", [("for", "i in x", [("cnov", "i", {})])]),
        ("[for i in x: {a: relu}]", [("for", "i in x", [{"a": RELU}])]),
    ],
)
def test_loops_and_alternatives(text, expected) -> None:
    chain, sink = read(text)
    assert (plain(chain), sink.items) == (expected, [])


def test_common_keys_are_told_from_attributes() -> None:
    keys = "from: a, side: training, when: c, expect: [N], init: zeros, doc: text"
    chain, _ = read(f"[{{conv: 8, {keys}, kernel: 3}}]")
    (item,) = chain.items
    assert isinstance(item, LayerItem) and isinstance(item.layer, Call)
    assert list(item.layer.arguments) == ["kernel"]
    common = item.layer.common
    found = (common.origin, common.side, common.when, common.expect, common.init)
    assert [_tree(node) for node in found] == ["a", "training", "c", ["N"], "zeros"]
    assert common.doc == "text"


def test_places() -> None:
    text = "- {conv: 8, kernel: 3}\n- residual: [relu]\n  then: tanh\n- for i in  x: [relu]\n"
    chain, _ = read(text)
    call, join, loop = chain.items
    assert text[call.layer.span.start : call.layer.span.end] == "{conv: 8, kernel: 3}"
    argument = call.layer.arguments["kernel"]
    assert text[argument.span.start : argument.span.end] == "kernel: 3"
    assert text[join.layer.head.span.start : join.layer.head.span.end] == "residual"
    assert text[loop.header.span.start : loop.header.span.end] == "i in  x"


@pytest.mark.parametrize(
    ("text", "code", "rest"),
    [
        ("[~, relu]", "wrong-kind", ["broken", RELU]),
        ("[{}, relu]", "wrong-kind", ["broken", RELU]),
        ("[{else: relu}, relu]", "wrong-kind", ["broken", RELU]),
        ("[{for: i in x}, relu]", "missing-key", ["broken", RELU]),
        ("[{if: c}, relu]", "missing-key", ["broken", RELU]),
        ("[{op: [relu]}, relu]", "wrong-kind", ["broken", RELU]),
        ("{a: , b: relu}", "wrong-kind", [{"a": "broken"}, {"b": RELU}]),
        ("{op: relu, b: relu}", None, [("relu", None, {"b": "relu"})]),
    ],
)
def test_what_cannot_be_read_keeps_its_place(text, code, rest) -> None:
    chain, sink = read(text)
    assert plain(chain) == rest
    assert [d.code for d in sink.items] == ([code] if code else [])


def test_a_structure_with_a_wrong_key_is_flawed() -> None:
    chain, sink = read("[{residual: [relu], shortcutt: tanh}]")
    (item,) = chain.items
    assert isinstance(item, LayerItem) and isinstance(item.layer, Join)
    assert item.layer.flawed
    assert [d.code for d in sink.items] == ["unknown-key"]


def test_a_mapping_that_is_named_is_a_chain_of_names() -> None:
    chain, _ = read("{conv: {conv: 8}}", named=True)
    assert plain(chain) == [{"conv": ("conv", "8", {})}]
    chain, _ = read("{gelu: tanh}", named=True)
    assert plain(chain) == [{"gelu": TANH}]

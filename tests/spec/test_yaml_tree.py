from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from archc.diagnostics import Diagnostics, Source
from archc.spec.tree import Mapping, Node, Scalar, Sequence
from archc.spec.yaml import parse_yaml

Compose = Callable[[str], Any]


def plain_data(node: Node) -> object:
    """The tree as nested lists; entries are pairs."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain_data(item) for item in node.items]
    return [(entry.key.text, plain_data(entry.value)) for entry in node.entries]


def spans(node: Node) -> list[str]:
    """The text under every span, depth first."""
    own = [node.span.source.text[node.span.start : node.span.end]]
    if isinstance(node, Sequence):
        return own + [text for item in node.items for text in spans(item)]
    if isinstance(node, Mapping):
        for entry in node.entries:
            own += spans(entry.key) + spans(entry.value)
    return own


def test_values_and_structure(compose: Compose) -> None:
    parsed = compose(
        """
        archc: 1
        eps: 1e-3
        flag: no
        depths: [2, 010, ~]
        layers:
          conv1: {conv: 64, name: "7"}
          for i in range(3):
            - relu
            - {pool: 2}
        """
    )
    assert parsed.found == []
    assert plain_data(parsed.root) == [
        ("archc", 1),
        ("eps", 1e-3),
        ("flag", "no"),
        ("depths", [2, 10, None]),
        (
            "layers",
            [
                ("conv1", [("conv", 64), ("name", "7")]),
                ("for i in range(3)", ["relu", [("pool", 2)]]),
            ],
        ),
    ]


def test_spans(compose: Compose) -> None:
    parsed = compose("a: [1, 'b']\nc:\n  d: {e: }\n  f: g  # no\n\nh: \"i\"\n")
    assert spans(parsed.root) == [
        "a: [1, 'b']\nc:\n  d: {e: }\n  f: g  # no\n\nh: \"i\"",
        *("a", "[1, 'b']", "1", "'b'"),
        *("c", "d: {e: }\n  f: g", "d", "{e: }", "e", "", "f", "g"),
        *("h", '"i"'),
    ]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("é😀: [ü, '😀']\n", ["é😀", "[ü, '😀']", "ü", "'😀'"]),
        ("\ufeffé: ü\n", ["é", "ü"]),
        ("a: é\r\nb: 1\r\n", ["a", "é", "b", "1"]),
    ],
)
def test_spans_count_code_points(compose: Compose, text: str, texts: list[str]) -> None:
    assert spans(compose(text).root)[1:] == texts


@pytest.mark.parametrize(
    ("written", "text", "exact"),
    [
        ("a b", "a b", True),
        ("'a b'", "a b", True),
        ('"a b"', "a b", True),
        ("'it''s'", "it's", False),
        (r'"a\tb"', "a\tb", False),
        ("a\n  b", "a b", False),
        ("'a\n  b'", "a b", False),
        ("|\n  a\n  b\n", "a\nb\n", False),
        (">-\n  a\n  b\n", "a b", False),
        ("&x a b", "a b", True),
        ("&x 'a b'", "a b", True),
    ],
)
def test_exactness_of_offsets(compose: Compose, written: str, text: str, exact: bool) -> None:
    parsed = compose(f"k: {written}\nz: 0\n")
    assert parsed.found == []
    value = parsed.root.entries[0].value
    assert (value.text, value.offsets_exact) == (text, exact)
    span = value.sub_span(0, 1)
    if exact:
        assert span.source.text[span.start : span.end] == text[0]
    assert not value.span.source.text[value.span.start : value.span.end].endswith("\n")


def test_structural_keys_repeat(compose: Compose) -> None:
    text = (
        "if a: x\nelif b: y\nelif b: y\nelse: z\nif a: x\nelse: z\nfor i in n: v\nfor i in n: v\n"
    )
    parsed = compose(text)
    assert parsed.found == []
    assert len(parsed.root.entries) == 8


@pytest.mark.parametrize("key", ["iffy", "format", "forest x", "elsewhere", "else x"])
def test_other_keys_do_not_repeat(compose: Compose, key: str) -> None:
    assert compose(f"{key}: 1\n{key}: 2\n").codes == ["duplicate-key"]


def test_duplicate_keys_point_at_both_and_keep_the_first(compose: Compose) -> None:
    parsed = compose("a: 1\n'b': 2\nb: 3\nc: {x: 1, x: 2}\n")
    assert parsed.codes == ["duplicate-key", "duplicate-key"]
    first, second = parsed.found
    assert str(first.primary.span) == "t.yaml:3:1"
    assert str(first.secondary[0].span) == "t.yaml:2:1"
    assert str(second.primary.span) == "t.yaml:4:11"
    assert str(second.secondary[0].span) == "t.yaml:4:5"
    assert plain_data(parsed.root) == [("a", 1), ("b", 2), ("c", [("x", 1)])]


def test_aliases_share_nodes(compose: Compose) -> None:
    parsed = compose("a: &one {b: 1}\nc: *one\nd: [*one, &two x, *two]\n*two : e\n")
    assert parsed.found == []
    a, c, d, x = parsed.root.entries
    assert a.value is c.value is d.value.items[0]
    assert d.value.items[2] is d.value.items[1] is x.key


def test_an_anchor_can_be_set_again(compose: Compose) -> None:
    parsed = compose("- &a 1\n- *a\n- &a 2\n- *a\n- &a [*a]\n")
    assert parsed.codes == ["yaml-feature"]  # only the last one contains itself
    assert plain_data(parsed.root)[:4] == [1, 1, 2, 2]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("text", ["- x\n" * 40_000, "- x\n" * 40_000 + "- ["])
def test_garbage_collection_is_left_as_it_was(enabled: bool, text: str) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        parse_yaml(Source("t.yaml", text), Diagnostics())
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize(
    ("text", "root"), [("hello", "hello"), ("~", None), ("[]", []), ("{}", []), ("--- 1\n...", 1)]
)
def test_any_document_has_a_root(compose: Compose, text: str, root: object) -> None:
    parsed = compose(text)
    assert parsed.found == []
    assert plain_data(parsed.root) == root


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("{conv: max(1, 8), k: 3}", [("conv", "max(1, 8)"), ("k", 3)]),
        ("[zip(a, b, c), 1]", ["zip(a, b, c)", 1]),
        ("{a: f(1, [2], 3)}", [("a", "f(1, [2], 3)")]),
        ("{a: f(g(1, 2), 3), b: f(1, 3)}", [("a", "f(g(1, 2), 3)"), ("b", "f(1, 3)")]),
        ("{a: f(1,\n   2), b: 1}", [("a", "f(1, 2)"), ("b", 1)]),
    ],
)
def test_values_cut_by_a_comma_are_mended(compose: Compose, text: str, data: object) -> None:
    parsed = compose(text)
    assert set(parsed.codes) == {"bad-yaml"}
    assert plain_data(parsed.root) == data
    for diagnostic in parsed.found:
        assert "comma" in diagnostic.message
        written = " ".join(parsed.shown(parsed.found.index(diagnostic)).split())
        assert diagnostic.help == (f'quote it: "{written}"',)


@pytest.mark.parametrize(
    "text", ["{a: f(x), b: 1}", "[a (b, c]", "{a: 'f(', b: ')'}", "a: f(x, y)"]
)
def test_other_brackets_are_left_alone(compose: Compose, text: str) -> None:
    assert compose(text).found == []


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.spec.yaml.CParser", None)
    sink = Diagnostics()
    root = parse_yaml(Source("t.yaml", "a: [1]"), sink)
    assert root is not None
    assert (plain_data(root), len(sink)) == ([("a", [1])], 0)

"""Reading a file: its keys, params, blocks, inputs, imports."""

from __future__ import annotations

from textwrap import dedent

import pytest

from archc.diagnostics import Diagnostics, Source
from archc.spec.read import TOP_KEYS, read_imports, read_spec
from archc.spec.read_chain import Vocabulary
from archc.spec.syntax import Spec
from archc.spec.yaml import parse_yaml

OPS = frozenset({"relu", "tanh", "conv", "concat", "add"})


def read(text: str, *, library: bool = False) -> tuple[Spec | None, Diagnostics]:
    source = Source("t.yaml", dedent(text))
    sink = Diagnostics()
    tree = parse_yaml(source, sink)
    assert tree is not None
    words = Vocabulary(OPS, OPS)
    imports = read_imports(tree, sink)
    return read_spec(tree, source, words, sink, imports=imports, library=library), sink


def findings(text: str, **options: bool) -> list[tuple[str, str]]:
    _, sink = read(text, **options)
    found = []
    for item in sink.sorted():
        assert item.primary is not None
        span = item.primary.span
        found.append((item.code, span.source.text[span.start : span.end]))
    return found


WHOLE = """
    archc: 1
    name: net-1.5
    doc: All of it.
    params: {width: 8, size: int, act: relu, rows: [1, 2]}
    let: {twice: width * 2}
    variants: {small: {width: 4}, plain: {}}
    import: {a.yaml: [one, two], b/c.yaml: [three]}
    inputs:
      image: [N, 3, size, size]
      tokens: {shape: [N, T], dtype: int64, sizes: {T: {max: 512}}}
    preprocess: {image: {crop: size}}
    defaults: {conv: {bias: false}}
    blocks:
      unit: {doc: A part., params: {out: int}, let: {x: out}, inputs: [p, q], body: [relu]}
      sum: {residual: [relu], then: tanh}
    layers: [relu]
    outputs: {y: "0"}
    checkpoint: {rename: {"**.old.*": "**.new.*"}}
    expect: {parameters: 0}
    """


def test_a_whole_spec() -> None:
    spec, sink = read(WHOLE)
    assert spec is not None and not sink.items
    assert (spec.name, spec.doc) == ("net-1.5", "All of it.")
    assert [(p.name, p.kind) for p in spec.params.values()] == [
        ("width", None),
        ("size", "int"),
        ("act", None),
        ("rows", None),
    ]
    assert list(spec.lets) == ["twice"]
    assert {name: list(given) for name, given in spec.variants.items()} == {
        "small": ["width"],
        "plain": [],
    }
    assert [(i.path.text, [n.text for n in i.names]) for i in spec.imports] == [
        ("a.yaml", ["one", "two"]),
        ("b/c.yaml", ["three"]),
    ]
    assert [(i.name.text, i.dtype and i.dtype.text, list(i.sizes)) for i in spec.inputs] == [
        ("image", None, []),
        ("tokens", "int64", ["T"]),
    ]
    assert spec.preprocess is not None
    assert list(spec.defaults["conv"][1]) == ["bias"]
    unit = spec.blocks["unit"]
    assert (unit.doc, list(unit.params), list(unit.lets)) == ("A part.", ["out"], ["x"])
    assert [name.text for name in unit.inputs] == ["p", "q"]
    assert spec.layers is not None and len(spec.layers.items) == 1
    assert list(spec.checkpoint) == ["rename"]
    assert list(spec.expect) == ["parameters"]


def test_the_order_of_keys_does_not_matter() -> None:
    lines = dedent(WHOLE).strip().split("\n")
    starts = [i for i, line in enumerate(lines) if not line.startswith(" ")]
    parts = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    backwards = "\n".join(line for part in reversed(parts) for line in part)
    (one, _), (other, sink) = read(WHOLE), read(backwards)
    assert one is not None and other is not None and not sink.items
    assert list(one.blocks) == list(other.blocks)
    assert set(TOP_KEYS) == {part[0].partition(":")[0] for part in parts}


REST = "\ninputs: {x: [N]}\nlayers: [relu]\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[relu]", [("wrong-kind", "[relu]")]),
        ("{}", [("missing-version", "{}")]),
        ("name: x" + REST, [("missing-version", "name")]),
        ("archc: 2" + REST, [("unsupported-version", "2")]),
        ("archc: '1'" + REST, [("unsupported-version", "'1'")]),
        ("archc: true" + REST, [("unsupported-version", "true")]),
        ("archc: 1.0" + REST, [("unsupported-version", "1.0")]),
        ("archc: [1]" + REST, [("unsupported-version", "[1]")]),
        ("archc: 1", [("missing-key", "archc"), ("no-layers", "archc")]),
        ("archc: 1\nname: a b" + REST, [("bad-name", "a b")]),
        ("archc: 1\nname: [a]" + REST, [("wrong-kind", "[a]")]),
        ("archc: 1\nname: " + "x" * 101 + REST, [("bad-name", "x" * 101)]),
        (
            "archc: 1\nlayer: [relu]\ninput: {x: [N]}",
            [("unknown-key", "layer"), ("unknown-key", "input")],
        ),
        ("archc: 1\nlet: {a: 1}\nparams: {a: 2}" + REST, [("name-taken", "a")]),
        ("archc: 1\nvariants: {v: 3}" + REST, [("wrong-kind", "3")]),
        ("archc: 1\ndefaults: {conv: 3}" + REST, [("wrong-kind", "3")]),
        ("archc: 1\nblocks: [a]" + REST, [("wrong-kind", "[a]")]),
        ("archc: 1\nimport: [[a]]" + REST, [("wrong-kind", "[a]")]),
        ("archc: 1\ndoc: {a: b}" + REST, [("wrong-kind", "{a: b}")]),
        ("archc: 1\nexpect: 3" + REST, [("wrong-kind", "3")]),
    ],
)
def test_what_is_wrong_with_a_file(text, found) -> None:
    assert findings(text) == found


def test_a_library_needs_neither_inputs_nor_layers() -> None:
    assert findings("archc: 1\nblocks: {u: {body: [relu]}}", library=True) == []


def test_all_faults_of_a_file_are_found() -> None:
    text = """
        archc: 1
        author: me
        params: {if: 3}
        inputs: {x: 3}
        blocks: {a: {}, b: [relu]}
        layers: [~]
        """
    assert findings(text) == [
        ("unknown-key", "author"),
        ("bad-name", "if"),
        ("wrong-kind", "3"),
        ("missing-key", "a"),
        ("wrong-kind", "[relu]"),
        ("wrong-kind", "~"),
    ]


def test_a_block_of_the_file_is_known_before_it_is_read() -> None:
    spec, _ = read(
        """
        archc: 1
        inputs: {x: [N]}
        layers: {a: {residual: {late: 3}}}
        blocks: {late: {params: {n: int}, body: [relu]}}
        """
    )
    assert spec is not None and spec.layers is not None
    (item,) = spec.layers.items
    assert item.layer.body.style == "single"

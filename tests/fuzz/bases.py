"""The valid specs that are mutated, and where in them there is something to mutate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from archc.compile import check_source
from archc.diagnostics import Diagnostics, Source, Span
from archc.extensions import Plugin, extended
from archc.ops.table import OPS, OpTable
from archc.spec.tree import Entry, Mapping, Node, Scalar, Sequence
from archc.spec.yaml import parse_yaml

CORPUS = Path(__file__).parent / "corpus"
ZOO = Path(__file__).parents[2] / "specs"

PLUGIN = "tests.fuzz.plugin_ops"
PLUGGED = "plugins.yaml"
"""The base that uses the ops of the plugin."""

_STRUCTURES = {"residual", "concat", "add", "mul", "seq", "op"}


@dataclass(frozen=True)
class Call:
    """A layer that uses an op or block.

    Attributes:
        node: the whole layer: a bare word, or a mapping.
        head: the entry that names the op; None for a bare word.
        arguments: the entries behind it.
    """

    node: Node
    head: Entry | None
    arguments: tuple[Entry, ...]


@dataclass
class Base:
    """A valid spec with its mutable places.

    Attributes:
        name: the file.
        text: its text.
        ops: the table that it is checked with.
        variants: what may be chosen.
        params: what may be set.
        scalars: every leaf that is no key.
        keys: every key.
        entries: every `key: value`.
        items: every item of a list.
        calls: every layer that uses an op or block.
        references: every leaf that names another layer.
        on_one_line: nodes that can be moved anywhere.
    """

    name: str
    text: str
    ops: OpTable = field(default_factory=lambda: OPS)
    variants: list[str | None] = field(default_factory=lambda: [None])
    params: list[str] = field(default_factory=list)
    scalars: list[Scalar] = field(default_factory=list)
    keys: list[Scalar] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    references: list[Scalar] = field(default_factory=list)
    on_one_line: list[Node] = field(default_factory=list)


@cache
def plugged() -> OpTable:
    """The ops of archc with those of a plugin."""
    made = extended([Plugin(PLUGIN)])
    assert not made.diagnostics, made.diagnostics
    return made.ops


@cache
def small_bases() -> tuple[Base, ...]:
    """Those of the corpus: every op and feature, in networks of a few layers."""
    return _read(CORPUS)


@cache
def bases() -> tuple[Base, ...]:
    """All of them, the small ones first."""
    return (*small_bases(), *_read(ZOO))


def _read(folder: Path) -> tuple[Base, ...]:
    return tuple(
        base_of(path.name, path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.yaml"))
    )


def base_of(name: str, text: str) -> Base:
    """Find the places of a valid spec."""
    ops = plugged() if name == PLUGGED else OPS
    checked = check_source(Source(name, text), ops=ops)
    assert checked.spec is not None, name
    base = places(name, text, ops, checked.spec.blocks)
    assert base is not None, name
    required = any(param.kind is not None for param in checked.spec.params.values())
    # A param without a value is a fault of its own, and would be the first to be told.
    base.variants = [*([] if required else [None]), *checked.spec.variants]
    base.params += checked.spec.params
    return base


def places(name: str, text: str, ops: OpTable, blocks: Iterable[str] = ()) -> Base | None:
    """Find the places of a text; None when it is no mapping of YAML.

    Args:
        name: the file.
        text: its text.
        ops: the table of ops.
        blocks: names of its blocks, which make layers as ops do.
    """
    sink = Diagnostics()
    root = parse_yaml(Source(name, text), sink)
    if not isinstance(root, Mapping) or not root.entries or sink.has_errors:
        return None
    base = Base(name, text, ops)
    words = {*ops, *blocks}
    _collect(base, root, words)
    for entry in root.entries:
        if entry.key.text == "layers":
            base.calls += _calls(entry.value, words)
        elif entry.key.text == "blocks" and isinstance(entry.value, Mapping):
            for block in entry.value.entries:
                base.calls += _calls(block.value, words)
    return base


def _collect(base: Base, root: Node, words: set[str]) -> None:
    stack: list[Node] = [root]
    while stack:
        node = stack.pop()
        if node is not root and "\n" not in span_text(node.span):
            base.on_one_line.append(node)
        if isinstance(node, Scalar):
            base.scalars.append(node)
        elif isinstance(node, Sequence):
            base.items += node.items
            stack += node.items
        else:
            for entry in node.entries:
                base.entries.append(entry)
                base.keys.append(entry.key)
                if entry.key.text in ("from", "outputs"):
                    base.references += _leaves(entry.value)
                stack.append(entry.value)


def _leaves(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _leaves(item)
    else:
        for entry in node.entries:
            yield from _leaves(entry.value)


def _calls(root: Node, words: set[str]) -> Iterator[Call]:
    """Layers below a node, found by their words."""
    stack: list[Node] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, Scalar):
            if node.text in words:
                yield Call(node, None, ())
        elif isinstance(node, Sequence):
            stack += node.items
        else:
            stack += _inside(node, words)
            first = node.entries[0] if node.entries else None
            if first is not None and first.key.text in words - _STRUCTURES:
                yield Call(node, first, node.entries[1:])


def _inside(node: Mapping, words: set[str]) -> Iterator[Node]:
    """Parts of a mapping that may hold layers: not the arguments of a call."""
    for entry in node.entries:
        if entry.key.text in ("params", "let", "from", "doc", "inputs"):
            continue
        if isinstance(entry.value, Scalar) and node.entries[0].key.text in words:
            continue
        yield entry.value


def span_text(span: Span) -> str:
    """What stands at a place."""
    return span.source.text[span.start : span.end]

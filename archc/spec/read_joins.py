"""Reading structures: `residual`, `concat`, `add`, `mul` with their branches, and `seq`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from archc.diagnostics import Label, Span
from archc.diagnostics.closest import closest
from archc.spec.read_control import is_structural, read_control
from archc.spec.syntax import (
    NO_COMMON,
    Argument,
    Broken,
    Chain,
    Group,
    Item,
    Join,
    JoinKind,
    LayerItem,
)
from archc.spec.tree import Entry, Node, Scalar, Sequence, is_number
from archc.spec.tree import Mapping as MappingNode

if TYPE_CHECKING:
    from archc.spec.read_chain import ChainReader

JOIN_KINDS: Mapping[str, JoinKind] = {
    "residual": "residual",
    "concat": "concat",
    "add": "add",
    "mul": "mul",
}
STRUCTURES = frozenset({*JOIN_KINDS, "seq"})
"""Words that open a structure when they hold a body."""

_JOIN_KEYS: Mapping[JoinKind, tuple[str, ...]] = {
    "residual": ("shortcut", "skip", "drop_path", "then"),
    "concat": ("dim", "split", "then"),
    "add": ("split", "then"),
    "mul": ("split", "then"),
}


def is_structure(first: Entry) -> bool:
    """Whether a key opens a structure; `{concat: , from: [a, b]}` is a call of the op."""
    word = first.key.text
    return word in STRUCTURES and (
        not isinstance(first.value, Scalar) or word in {"residual", "seq"}
    )


def read_structure(reader: ChainReader, entries: tuple[Entry, ...], span: Span) -> Group | Join:
    """A structure: its first entry holds the branches, the rest its keys."""
    head = entries[0].key
    kind = JOIN_KINDS.get(head.text)
    if kind is not None:
        return _join(reader, kind, entries, span)
    arguments, common = reader.split_common(entries[1:])
    _stray(reader, head, arguments, ())
    return Group(reader.chain(entries[0].value), common, span)


def _join(reader: ChainReader, kind: JoinKind, entries: tuple[Entry, ...], span: Span) -> Join:
    head = entries[0].key
    arguments, common = reader.split_common(entries[1:])
    own = {name: arguments.pop(name) for name in _JOIN_KEYS[kind] if name in arguments}
    _stray(reader, head, arguments, _JOIN_KEYS[kind])

    def value(name: str) -> Scalar | None:
        argument = own.get(name)
        return reader.scalar(Entry(argument.key, argument.value)) if argument else None

    def chain(name: str) -> Chain | None:
        argument = own.get(name)
        return reader.chain(argument.value) if argument else None

    return Join(
        kind=kind,
        body=_branches(reader, kind, entries[0].value),
        common=common,
        span=span,
        head=head,
        shortcut=chain("shortcut"),
        skip=value("skip"),
        drop_path=value("drop_path"),
        dim=value("dim"),
        split=value("split"),
        then=chain("then"),
        flawed=bool(arguments),
    )


def _branches(reader: ChainReader, kind: JoinKind, node: Node) -> Chain:
    if kind == "residual":
        return reader.chain(node)
    if isinstance(node, MappingNode):
        nested = next((entry for entry in node.entries if _is_argument(kind, entry)), None)
        if nested is None:
            return reader.mapping(node)
        word = nested.key.text
        message = f"`{word}` of `{kind}` stands beside it, not inside its value"
        help_ = [f"write `{{{kind}: ..., {word}: ...}}`"]
        return Chain(
            (LayerItem(None, reader.broken(message, nested.key.span, help_)),), "list", node.span
        )
    assert isinstance(node, Sequence)  # a scalar is a call of the op, not a structure
    items: list[Item] = []
    for child in node.items:
        entries = child.entries if isinstance(child, MappingNode) else ()
        if entries and is_structural(entries[0].key):
            items.extend(read_control(reader, entries, True))
        elif isinstance(child, MappingNode) and not entries:
            items.append(LayerItem(None, Broken(child.span)))
            reader.broken("an empty mapping is no branch", child.span, ["write [] for the input"])
        else:
            items.append(LayerItem(None, Group(reader.chain(child), NO_COMMON, child.span)))
    return Chain(tuple(items), "list", node.span)


def _is_argument(kind: JoinKind, entry: Entry) -> bool:
    """Whether what stands among branches is an argument: `{concat: {dim: 1}}`."""
    word = entry.key.text
    return word == "from" or (word in _JOIN_KEYS[kind] and is_number(entry.value))


def _stray(
    reader: ChainReader,
    head: Scalar,
    arguments: Mapping[str, Argument],
    options: Collection[str],
) -> None:
    for argument in arguments.values():
        close = closest(argument.key.text, options)
        listing = ", ".join(f"`{option}`" for option in options)
        help_ = f"it takes {listing}, and the keys of every layer"
        if not options:
            help_ = "it takes only the keys of every layer, such as `from` and `when`"
        reader.sink.error(
            "unknown-key",
            f"`{head.text}` does not take `{argument.key.text}`",
            argument.key.span,
            secondary=[Label(head.span, "this structure")],
            help=[f"did you mean `{close}`?" if close else help_],
        )

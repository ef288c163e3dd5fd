"""Reading the body of a spec: chains of layers, calls, sections, joins, loops, alternatives."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from archc.diagnostics import Diagnostics, Label, Span
from archc.spec.syntax import (
    NO_COMMON,
    Argument,
    Call,
    Chain,
    Common,
    ForItem,
    Group,
    IfItem,
    Item,
    Join,
    JoinKind,
    Layer,
    LayerItem,
    Section,
)
from archc.spec.tree import Entry, Node, Scalar, Sequence
from archc.spec.tree import Mapping as MappingNode

COMMON_KEYS = frozenset({"from", "side", "when", "expect", "init", "doc"})
JOIN_KINDS: Mapping[str, JoinKind] = {
    "residual": "residual",
    "concat": "concat",
    "add": "add",
    "mul": "mul",
}
STRUCTURES = frozenset({*JOIN_KINDS, "seq"})
_JOIN_KEYS: Mapping[JoinKind, frozenset[str]] = {
    "residual": frozenset({"shortcut", "skip", "drop_path", "then"}),
    "concat": frozenset({"dim", "split", "then"}),
    "add": frozenset({"then"}),
    "mul": frozenset({"then"}),
}


def is_structural(key: Scalar) -> bool:
    """Whether a mapping key is `for ...`, `if ...`, `elif ...` or `else`."""
    text = key.text.strip()
    return text in {"else", "for", "if"} or text.startswith(("for ", "if ", "elif "))


@dataclass(slots=True)
class ChainReader:
    """Turns tree nodes into chains.

    Attributes:
        sink: where findings go.
        known: words that name an op, a block or a param: they start a call.
    """

    sink: Diagnostics
    known: Collection[str]

    # -- chains ---------------------------------------------------------------------------

    def chain(self, node: Node, *, named: bool = False, listed: bool = False) -> Chain:
        """A body: a list, a mapping of named layers, or one bare layer.

        Args:
            node: the tree.
            named: whether a mapping is always a chain of named layers (`layers:`, `body:` of
                named children), even when its first key is the name of an op.
            listed: whether it is the body of a loop or alternative among list items, where a
                mapping that starts with an op is one layer, as any list item is.
        """
        if isinstance(node, Sequence):
            items: list[Item] = []
            for child in node.items:
                items.extend(self._list_item(child))
            return Chain(tuple(items), "list", node.span)
        if isinstance(node, MappingNode) and (named or self._is_named_chain(node, listed)):
            return Chain(tuple(self._mapping_items(node)), "mapping", node.span)
        if isinstance(node, Scalar) and is_empty(node):
            return Chain((), "single", node.span)
        layer = self.layer(node)
        items = [] if layer is None else [LayerItem(None, layer)]
        return Chain(tuple(items), "single", node.span)

    def _list_item(self, node: Node) -> list[Item]:
        if isinstance(node, MappingNode) and node.entries:
            first = node.entries[0].key
            if is_structural(first):
                return self._structural(node.entries, listed=True)
        if isinstance(node, Scalar) and is_empty(node):
            self.sink.error(
                "wrong-kind",
                "an empty list item is no layer",
                node.span,
                help=["write `identity`, or remove the line"],
            )
            return []
        layer = self.layer(node)
        return [] if layer is None else [LayerItem(None, layer)]

    def _mapping_items(self, node: MappingNode) -> list[Item]:
        items: list[Item] = []
        run: list[Entry] = []
        for entry in node.entries:
            if is_structural(entry.key):
                starts_new = not entry.key.text.startswith(("elif", "else"))
                if starts_new and run:
                    items.extend(self._structural(tuple(run), listed=False))
                    run = []
                run.append(entry)
                continue
            if run:
                items.extend(self._structural(tuple(run), listed=False))
                run = []
            layer = self.layer(entry.value)
            if layer is not None:
                items.append(LayerItem(entry.key, layer))
        if run:
            items.extend(self._structural(tuple(run), listed=False))
        return items

    # -- for and if -----------------------------------------------------------------------

    def _structural(self, entries: tuple[Entry, ...], *, listed: bool) -> list[Item]:
        first = entries[0]
        word = first.key.text.split(None, 1)[0]
        if word == "for":
            return self._loop(entries, listed)
        if word == "if":
            return self._alternatives(entries, listed)
        self.sink.error("wrong-kind", f"`{word}` without an `if` before it", first.key.span)
        return []

    def _loop(self, entries: tuple[Entry, ...], listed: bool) -> list[Item]:
        first, rest = entries[0], entries[1:]
        if first.key.text.strip() == "for":
            keyed = {entry.key.text: entry for entry in rest}
            body = keyed.pop("do", None)
            self._stray(keyed.values(), "`for` takes `do`")
            if body is None or not isinstance(first.value, Scalar):
                self.sink.error(
                    "missing-key",
                    "`for` needs a header and `do:`",
                    first.key.span,
                    help=["write {for: i in range(3), do: [...]}"],
                )
                return []
            header = first.value
            return [ForItem(header, self.chain(body.value, listed=listed))]
        self._stray(rest, "a `for` holds nothing beside its body")
        header = tail(first.key, len(first.key.text) - len(first.key.text[3:].lstrip()))
        return [ForItem(header, self.chain(first.value, listed=listed))]

    def _alternatives(self, entries: tuple[Entry, ...], listed: bool) -> list[Item]:
        first = entries[0]
        if first.key.text.strip() == "if":
            return self._machine_if(entries, listed)
        arms: list[tuple[Scalar | None, Chain]] = []
        for index, entry in enumerate(entries):
            word = entry.key.text.split(None, 1)[0]
            expected = word == "if" if index == 0 else word in {"elif", "else"}
            closed = bool(arms) and arms[-1][0] is None
            if not expected or closed:
                self.sink.error(
                    "wrong-kind",
                    f"`{entry.key.text}` cannot stand here",
                    entry.key.span,
                    help=["each list item holds one `if`, then `elif` and at last `else`"],
                )
                continue
            condition = None
            if word != "else":
                condition = tail(
                    entry.key, len(entry.key.text) - len(entry.key.text[len(word) :].lstrip())
                )
            arms.append((condition, self.chain(entry.value, listed=listed)))
        return [IfItem(tuple(arms))]

    def _machine_if(self, entries: tuple[Entry, ...], listed: bool) -> list[Item]:
        first = entries[0]
        keyed = {entry.key.text: entry for entry in entries[1:]}
        then, orelse = keyed.pop("then", None), keyed.pop("else", None)
        self._stray(keyed.values(), "`if` takes `then` and `else`")
        if then is None or not isinstance(first.value, Scalar):
            self.sink.error(
                "missing-key",
                "`if` needs a condition and `then:`",
                first.key.span,
                help=["write {if: COND, then: [...], else: [...]}"],
            )
            return []
        arms: list[tuple[Scalar | None, Chain]] = [
            (first.value, self.chain(then.value, listed=listed))
        ]
        if orelse is not None:
            arms.append((None, self.chain(orelse.value, listed=listed)))
        return [IfItem(tuple(arms))]

    def _stray(self, entries: Collection[Entry], why: str) -> None:
        for entry in entries:
            self.sink.error("unknown-key", f"`{entry.key.text}`: {why}", entry.key.span)

    # -- layers ---------------------------------------------------------------------------

    def layer(self, node: Node) -> Layer | None:
        """What stands in layer position; None after an error."""
        if isinstance(node, Sequence):
            return Section(self.chain(node), node.span)
        if isinstance(node, Scalar):
            return self._word(node)
        if not node.entries:
            self.sink.error("wrong-kind", "an empty mapping is no layer", node.span)
            return None
        first = node.entries[0]
        if any(entry.key.text == "op" for entry in node.entries) and "op" not in self.known:
            return self._machine_call(node)
        if self._is_structure(first):
            return self.structure(node.entries, node.span)
        if first.key.text in self.known:
            return self._call(first.key, first.value, node.entries[1:], node.span)
        if is_structural(first.key) or self._is_layer_like(first.value):
            return Section(self.chain(node, named=True), node.span)
        return self._unknown(node)

    def _word(self, node: Scalar) -> Layer | None:
        if is_empty(node):
            self.sink.error(
                "wrong-kind",
                "a layer is missing here",
                node.span,
                help=["write an op such as `relu`, or `identity`"],
            )
            return None
        return Call(node, None, {}, NO_COMMON, node.span)

    def _unknown(self, node: MappingNode) -> Layer | None:
        """A mapping that starts with an unknown word: keep it as a call, elaboration names it."""
        first = node.entries[0]
        return self._call(first.key, first.value, node.entries[1:], node.span)

    def _machine_call(self, node: MappingNode) -> Layer | None:
        head = next(entry for entry in node.entries if entry.key.text == "op")
        if not isinstance(head.value, Scalar):
            self.sink.error("wrong-kind", "`op` names an op or a block", head.value.span)
            return None
        rest = tuple(entry for entry in node.entries if entry is not head)
        return self._call(head.value, None, rest, node.span)

    def _call(
        self, head: Scalar, primary: Node | None, rest: tuple[Entry, ...], span: Span
    ) -> Call:
        arguments, common = self._split_common(rest)
        if isinstance(primary, Scalar) and is_empty(primary):
            primary = None
        return Call(head, primary, arguments, common, span)

    def _split_common(self, entries: tuple[Entry, ...]) -> tuple[dict[str, Argument], Common]:
        arguments: dict[str, Argument] = {}
        common: dict[str, Entry] = {}
        for entry in entries:
            if entry.key.text in COMMON_KEYS:
                common[entry.key.text] = entry
            else:
                arguments[entry.key.text] = Argument(entry.key, entry.value)
        return arguments, self._common(common) if common else NO_COMMON

    def _common(self, entries: Mapping[str, Entry]) -> Common:
        def node(key: str) -> Node | None:
            return entries[key].value if key in entries else None

        doc = self.scalar(entries.get("doc"))
        return Common(
            origin=node("from"),
            side=self.scalar(entries.get("side")),
            when=self.scalar(entries.get("when")),
            expect=node("expect"),
            init=node("init"),
            doc=doc.text if doc is not None else "",
        )

    def scalar(self, entry: Entry | None) -> Scalar | None:
        """The scalar value of an entry; an error when it is something else."""
        if entry is None:
            return None
        if not isinstance(entry.value, Scalar):
            self.sink.error("wrong-kind", f"`{entry.key.text}` takes one value", entry.value.span)
            return None
        return entry.value

    # -- joins ----------------------------------------------------------------------------

    @staticmethod
    def _is_structure(first: Entry) -> bool:
        """Whether a key opens a structure; `{concat: , from: [a, b]}` is a call of the op."""
        word = first.key.text
        return word in STRUCTURES and (
            not isinstance(first.value, Scalar) or word in {"residual", "seq"}
        )

    def structure(self, entries: tuple[Entry, ...], span: Span) -> Layer:
        """A structure: its first entry holds the branches, the rest its keys."""
        kind = JOIN_KINDS.get(entries[0].key.text)
        if kind is not None:
            return self._join(kind, entries, span)
        arguments, common = self._split_common(entries[1:])
        self._stray_arguments("seq", arguments, COMMON_KEYS, entries[0].key)
        return Group(self.chain(entries[0].value), common, span)

    def _join(self, kind: JoinKind, entries: tuple[Entry, ...], span: Span) -> Join:
        first = entries[0]
        arguments, common = self._split_common(entries[1:])
        extra = {name: arguments.pop(name) for name in list(arguments) if name in _JOIN_KEYS[kind]}
        self._stray_arguments(kind, arguments, _JOIN_KEYS[kind] | COMMON_KEYS, first.key)

        def value(name: str) -> Scalar | None:
            argument = extra.get(name)
            return self.scalar(Entry(argument.key, argument.value)) if argument else None

        def chain(name: str) -> Chain | None:
            argument = extra.get(name)
            return self.chain(argument.value) if argument else None

        return Join(
            kind=kind,
            body=self._branches(kind, first.value),
            common=common,
            span=span,
            head=first.key,
            shortcut=chain("shortcut"),
            skip=value("skip"),
            drop_path=value("drop_path"),
            dim=value("dim"),
            split=value("split"),
            then=chain("then"),
        )

    def _branches(self, kind: JoinKind, node: Node) -> Chain:
        if kind == "residual":
            return self.chain(node)
        if isinstance(node, MappingNode):
            return Chain(tuple(self._mapping_items(node)), "mapping", node.span)
        assert isinstance(node, Sequence)  # a scalar is a call of the op, not a structure
        items: list[Item] = []
        for child in node.items:
            entries = child.entries if isinstance(child, MappingNode) else ()
            if entries and is_structural(entries[0].key):
                items.extend(self._structural(entries, listed=True))
                continue
            items.append(LayerItem(None, Group(self.chain(child), NO_COMMON, child.span)))
        return Chain(tuple(items), "list", node.span)

    def _stray_arguments(
        self,
        structure: str,
        arguments: Mapping[str, Argument],
        options: Collection[str],
        head: Scalar,
    ) -> None:
        for argument in arguments.values():
            close = difflib.get_close_matches(argument.key.text, options, 1)
            self.sink.error(
                "unknown-key",
                f"`{structure}` does not take `{argument.key.text}`",
                argument.key.span,
                secondary=[Label(head.span, "this structure")],
                help=[f"did you mean `{close[0]}`?" if close else f"it takes {_words(options)}"],
            )

    # -- telling a call from a level ------------------------------------------------------

    def _is_named_chain(self, node: MappingNode, listed: bool) -> bool:
        """Whether a mapping in chain position names its layers (or is one bare layer)."""
        if not node.entries:
            return True
        first = node.entries[0]
        if is_structural(first.key):
            return True
        if self._is_structure(first) or first.key.text == "op":
            return False
        if first.key.text not in self.known:
            return True
        return not listed and self._is_layer_like(first.value)

    def _is_layer_like(self, node: Node) -> bool:
        """Whether a value can only be a layer, not an argument."""
        if isinstance(node, Scalar):
            return node.text in self.known
        if isinstance(node, Sequence):
            return bool(node.items) and (
                isinstance(node.items[0], (MappingNode, Sequence))
                or (isinstance(node.items[0], Scalar) and node.items[0].text in self.known)
            )
        if not node.entries:
            return False
        first = node.entries[0]
        return (
            is_structural(first.key)
            or first.key.text in STRUCTURES
            or first.key.text in self.known
            or first.key.text == "op"
            or self._is_layer_like(first.value)
        )


def _words(options: Collection[str]) -> str:
    return ", ".join(f"`{option}`" for option in sorted(options))


def is_empty(node: Node | None) -> bool:
    """Whether nothing is written here (`key:` alone, `~`, `null`)."""
    return node is None or (isinstance(node, Scalar) and node.value is None)


def tail(scalar: Scalar, start: int) -> Scalar:
    """The rest of a scalar's text from an offset, with its own place."""
    span = scalar.sub_span(start, len(scalar.text))
    return Scalar(scalar.text[start:], True, span, scalar.offsets_exact)

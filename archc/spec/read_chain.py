"""Reading the body of a spec: chains of layers, calls and sections.

Loops and alternatives are read by `read_control`, structures by `read_joins`; both come back here
for the bodies they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from archc.diagnostics import Diagnostics, Span
from archc.records import dataclass, replace
from archc.spec.read_control import is_machine, is_structural, misspelt, read_control
from archc.spec.read_joins import STRUCTURES, is_structure, read_structure
from archc.spec.syntax import (
    NO_COMMON,
    Argument,
    Broken,
    Call,
    Chain,
    ChainStyle,
    Common,
    Item,
    Layer,
    LayerItem,
    Section,
)
from archc.spec.tree import Entry, Node, Scalar, Sequence, is_empty, is_number
from archc.spec.tree import Mapping as MappingNode

COMMON_KEYS = frozenset({"from", "side", "when", "expect", "init", "keys", "tie", "doc"})
"""Keys that every layer takes."""

MACHINE = "op"
"""The key of the machine form `{op: conv, out: 64}`."""

A_LAYER = "a layer is a word, or a mapping that begins with one: `{conv: 64, kernel: 3}`"
"""What to write instead of something that is no layer."""

_TYPES = frozenset({"type", "layer_type", "class_name"})  # what it is called elsewhere


def _takes_no_word(head: str, word: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words that tell a layer from a level of named layers.

    Attributes:
        ops: words that name ops.
        known: words that name an op, a block or a param that holds one: they start a call.
        op_takes_word: whether an op may have a word as its value, as in `{gelu: tanh}`.
        op_takers: blocks whose first param holds an op.
        values: params and `let` that are no ops, whatever op has the same name.
        variables: of loops; they may hold an op, too, but rarely do.
    """

    ops: Collection[str]
    known: Collection[str]
    op_takes_word: Callable[[str, str], bool] = _takes_no_word
    op_takers: Collection[str] = frozenset()
    values: Collection[str] = frozenset()
    variables: Collection[str] = frozenset()

    def extended(
        self,
        known: Collection[str],
        op_takers: Collection[str] = (),
        values: Collection[str] = (),
    ) -> Vocabulary:
        """The same with more words."""
        if not (known or op_takers or values):
            return self
        return replace(
            self,
            known=frozenset({*self.known, *known}),
            op_takers=frozenset({*self.op_takers, *op_takers}),
            values=frozenset({*self.values, *values}) - frozenset(known),
        )

    def names_layer(self, word: str) -> bool:
        """Whether a word alone is a layer."""
        return word in self.known and word not in self.values

    def with_variables(self, variables: Collection[str]) -> Vocabulary:
        """The same inside a loop."""
        return replace(self, variables=frozenset({*self.variables, *variables}))

    def starts_call(self, word: str) -> bool:
        """Whether a mapping in layer position that starts with this word is a call."""
        return word in self.known or word in self.variables

    def takes_word(self, head: str, word: str) -> bool:
        """Whether `{head: word}` can be a call though both are known."""
        if head in self.op_takers:
            return self.names_layer(word)
        return self.op_takes_word(head, word)


@dataclass(frozen=True, slots=True)
class ChainReader:
    """Turns tree nodes into chains.

    Attributes:
        sink: where findings go.
        words: what starts a call.
    """

    sink: Diagnostics
    words: Vocabulary

    # -- chains ---------------------------------------------------------------------------

    def chain(self, node: Node, *, named: bool = False, listed: bool = False) -> Chain:
        """A body: a list, a mapping of named layers, or one bare layer.

        Args:
            node: the tree.
            named: whether a mapping is always a chain of named layers (`layers:`, a section),
                even when its first key is the name of an op.
            listed: whether it is the body of a loop or alternative among list items, where a
                mapping that starts with an op is one layer, as any list item is.
        """
        if isinstance(node, Sequence):
            items: list[Item] = []
            for child in node.items:
                items.extend(self._list_item(child))
            return Chain(tuple(items), "list", node.span)
        if isinstance(node, MappingNode) and (named or self._is_named_chain(node, listed)):
            return self.mapping(node, listed)
        if isinstance(node, Scalar) and is_empty(node):
            return Chain((), "single", node.span)
        return Chain((LayerItem(None, self.layer(node)),), "single", node.span)

    def mapping(self, node: MappingNode, listed: bool = False) -> Chain:
        """A mapping of named layers, loops and alternatives.

        Args:
            node: the tree.
            listed: see `chain`; what holds only loops and alternatives then names nothing, and
                what they splice in is numbered like the items around it.
        """
        machine = is_machine(node.entries)
        listed = listed and (machine or all(is_structural(entry.key) for entry in node.entries))
        style: ChainStyle = "single" if listed else "mapping"
        if machine:
            return Chain(tuple(read_control(self, node.entries, listed)), style, node.span)
        items: list[Item] = []
        run: list[Entry] = []
        for entry in node.entries:
            structural = is_structural(entry.key)
            # An `elif` or `else` belongs to the `if` before it; everything else begins anew.
            if run and not (structural and entry.key.text.startswith(("elif", "else"))):
                items.extend(read_control(self, tuple(run), listed))
                run = []
            if structural:
                run.append(entry)
            else:
                items.append(self._named(entry))
        if run:
            items.extend(read_control(self, tuple(run), listed))
        return Chain(tuple(items), style, node.span)

    def _named(self, entry: Entry) -> LayerItem:
        problem = misspelt(entry.key)
        if entry.key.text == MACHINE:
            problem = f"`{MACHINE}` is no name: it opens the form {{{MACHINE}: conv, out: 64}}"
        if problem is not None:
            self.sink.error("bad-name", problem, entry.key.span)
            return LayerItem(None, Broken(entry.key.span))
        return LayerItem(entry.key, self.layer(entry.value))

    def _list_item(self, node: Node) -> list[Item]:
        if isinstance(node, MappingNode) and node.entries and is_structural(node.entries[0].key):
            return read_control(self, node.entries, True)
        return [LayerItem(None, self.layer(node))]

    def broken(self, message: str, span: Span, help: Collection[str] = ()) -> Broken:
        """Report something that is no layer; it keeps its place in the chain."""
        self.sink.error("wrong-kind", message, span, help=tuple(help))
        return Broken(span)

    def inside_loop(self, variables: Collection[str]) -> ChainReader:
        """Reads the body of a loop."""
        return replace(self, words=self.words.with_variables(variables))

    # -- layers ---------------------------------------------------------------------------

    def layer(self, node: Node) -> Layer:
        """What stands in layer position."""
        if isinstance(node, Sequence):
            if node.items and is_number(node.items[0]):
                return self.broken("a list of values is no layer", node.span, [A_LAYER])
            return Section(self.chain(node), node.span)
        if isinstance(node, Scalar):
            if is_empty(node):
                return self.broken(
                    "a layer is missing here",
                    node.span,
                    ["write an op such as `relu`; `identity` does nothing"],
                )
            return Call(node, None, {}, NO_COMMON, node.span)
        if not node.entries:
            return self.broken("an empty mapping is no layer", node.span)
        first = node.entries[0]
        machine = self._machine_head(node)
        if machine is not None:
            return self._machine_call(machine, node)
        if is_structure(first):
            return read_structure(self, node.entries, node.span)
        if self.words.starts_call(first.key.text) and not self._is_all_layers(node):
            return self._call(first.key, first.value, node.entries[1:], node.span)
        typed = _typed(node)
        if typed is not None:
            key, word = typed
            message = f"the op of a layer stands under `{MACHINE}`"
            return self.broken(message, key.span, [f"write `{MACHINE}: {word.text}`"])
        if (
            is_structural(first.key)
            or self._is_layer_like(first.value)
            or self.words.starts_call(first.key.text)
        ):
            return Section(self.chain(node, named=True), node.span)
        # An unknown word: read as a call, so that elaboration says what it does not know.
        return self._call(first.key, first.value, node.entries[1:], node.span)

    def _machine_head(self, node: MappingNode) -> Entry | None:
        """The `op:` entry, wherever it stands."""
        if MACHINE in self.words.known:
            return None
        return next((entry for entry in node.entries if entry.key.text == MACHINE), None)

    def _machine_call(self, head: Entry, node: MappingNode) -> Layer:
        if not isinstance(head.value, Scalar) or is_empty(head.value):
            return self.broken(f"`{MACHINE}` names an op or a block", head.value.span)
        rest = tuple(entry for entry in node.entries if entry is not head)
        return self._call(head.value, None, rest, node.span)

    def _call(
        self, head: Scalar, primary: Node | None, rest: tuple[Entry, ...], span: Span
    ) -> Call:
        arguments, common = self.split_common(rest)
        if isinstance(primary, Scalar) and is_empty(primary):
            primary = None
        return Call(head, primary, arguments, common, span)

    def split_common(self, entries: tuple[Entry, ...]) -> tuple[dict[str, Argument], Common]:
        """Arguments, and keys that every layer takes."""
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
            keys=node("keys"),
            tie=node("tie"),
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

    # -- telling a call from a level ------------------------------------------------------

    def _is_named_chain(self, node: MappingNode, listed: bool) -> bool:
        """Whether a mapping in the place of a body names its layers (or is one bare layer)."""
        if not node.entries or is_structural(node.entries[0].key):
            return True
        first = node.entries[0]
        if self._machine_head(node) is not None or is_structure(first):
            return False
        if not self.words.starts_call(first.key.text):
            number = isinstance(first.value, Scalar) and not isinstance(first.value.value, str)
            return (
                self._is_layer_like(first.value) if listed else is_empty(first.value) or not number
            )
        if listed or self._is_bare_call(node):
            return self._is_all_layers(node)
        return self._is_layer_like(first.value)

    def _is_all_layers(self, node: MappingNode) -> bool:
        """Whether a mapping that starts with an op can only be a level of named layers.

        Its entries are several, and each is a layer, which no attribute of an op is:
        `{flatten: flatten, fc: {linear: 10}}`. Of one entry alone (`{conv: relu}`) it is likelier
        that the value is wrong.
        """
        if len(node.entries) < 2 or node.entries[0].key.text not in self.words.ops:
            return False
        return all(
            is_structural(entry.key)
            or (entry.key.text not in COMMON_KEYS and self._is_surely_layer(entry.value))
            for entry in node.entries
        )

    def _is_surely_layer(self, node: Node) -> bool:
        """Whether a value names a layer that is known, so that it is no list of values."""
        if isinstance(node, Sequence):
            return bool(node.items) and self._is_surely_layer(node.items[0])
        return self._is_layer_like(node)

    def _is_bare_call(self, node: MappingNode) -> bool:
        """Whether a mapping is one op with a word as its value, as `{gelu: tanh}`."""
        first = node.entries[0]
        return (
            len(node.entries) == 1
            and isinstance(first.value, Scalar)
            and self.words.takes_word(first.key.text, first.value.text)
        )

    def _is_layer_like(self, node: Node) -> bool:
        """Whether a value can only be a layer, not an argument."""
        if isinstance(node, Scalar):
            return self.words.names_layer(node.text)
        if isinstance(node, Sequence):
            return bool(node.items) and (
                isinstance(node.items[0], (MappingNode, Sequence))
                or (
                    isinstance(node.items[0], Scalar) and self.words.names_layer(node.items[0].text)
                )
            )
        if not node.entries:
            return False
        first = node.entries[0]
        return (
            is_structural(first.key)
            or first.key.text in STRUCTURES
            or first.key.text in self.words.known
            or self._machine_head(node) is not None
            or self._is_layer_like(first.value)
        )


def _typed(node: MappingNode) -> tuple[Scalar, Scalar] | None:
    """`type: conv` as other formats write it, told by numbers beside it, which are no layers."""
    if not any(is_number(entry.value) for entry in node.entries):
        return None
    for entry in node.entries:
        if entry.key.text in _TYPES and isinstance(entry.value, Scalar):
            return entry.key, entry.value
    return None

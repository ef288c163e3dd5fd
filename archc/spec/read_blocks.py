"""Reading blocks: params, let, inputs, and a body or one structure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from archc.diagnostics import Label
from archc.records import dataclass
from archc.spec.read_chain import COMMON_KEYS, ChainReader, Vocabulary
from archc.spec.read_entries import EntryReader
from archc.spec.read_joins import STRUCTURES, read_structure
from archc.spec.syntax import KINDS, Block, Broken, Chain, LayerItem, Param
from archc.spec.tree import Entry, Node, Scalar, Sequence, is_empty
from archc.spec.tree import Mapping as MappingNode

BLOCK_KEYS = ("doc", "params", "let", "inputs", "body")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def may_hold_op(default: Node) -> bool:
    """Whether a param of this default may stand for a layer: a word, a layer, or kind `op`."""
    if isinstance(default, MappingNode):
        return True
    if not isinstance(default, Scalar) or not isinstance(default.value, str):
        return False
    return default.text not in set(KINDS) - {"op"} and _WORD.fullmatch(default.text) is not None


@dataclass(frozen=True, slots=True)
class BlockReader:
    """Reads blocks and params.

    Attributes:
        reader: reads their entries.
        words: what starts a call in this file.
    """

    reader: EntryReader
    words: Vocabulary

    def params(self, entry: Entry | None, *, of_block: bool = False) -> dict[str, Param]:
        """Declared params: kinds of the required ones, defaults of the others."""
        taken = COMMON_KEYS if of_block else frozenset[str]()
        params: dict[str, Param] = {}
        for child in self.reader.entries(entry, "write {width: 64, depth: int}"):
            if not self.reader.identifier(child.key, "a param", taken):
                continue
            kind = None
            if isinstance(child.value, Scalar) and child.value.text in KINDS:
                kind = child.value.text
            params[child.key.text] = Param(child.key.text, child.key.span, kind, child.value)
        return params

    def blocks(self, entry: Entry | None) -> dict[str, Block]:
        """All blocks of a file."""
        blocks = {}
        for child in self.reader.entries(entry, "write {unit: {body: [relu]}}"):
            if self.reader.identifier(child.key, "a block"):
                blocks[child.key.text] = self._block(child)
        return blocks

    def _block(self, entry: Entry) -> Block:
        keys: dict[str, Entry] = {}
        if isinstance(entry.value, MappingNode):
            keys = {child.key.text: child for child in entry.value.entries}
        params = self.params(keys.get("params"), of_block=True)
        # Within a block its own params may stand for layers, too.
        own = {name for name, param in params.items() if may_hold_op(param.default)}
        lets = self.reader.arguments(keys.get("let"), identifiers="a value of `let`")
        values = {*params, *lets} - own
        chains = ChainReader(self.reader.sink, self.words.extended(own, values=values))
        self.reader.distinct(params, keys.get("let"))
        return Block(
            name=entry.key.text,
            span=entry.key.span,
            params=params,
            lets=lets,
            inputs=self._inputs(keys.get("inputs")),
            chain=self._body(entry, keys, chains),
            doc=self.reader.text(keys.get("doc")),
        )

    def _inputs(self, entry: Entry | None) -> tuple[Scalar, ...]:
        if entry is None:
            return ()
        names: list[Scalar] = []
        if not isinstance(entry.value, Sequence):
            self.reader.sink.error(
                "wrong-kind",
                "`inputs` of a block is a list of names",
                entry.value.span,
                help=["write `inputs: [query, memory]`; shapes follow from where it is used"],
            )
            return ()
        for item in entry.value.items:
            if not isinstance(item, Scalar):
                self.reader.sink.error("wrong-kind", "an input of a block is a name", item.span)
            elif self.reader.identifier(item, "an input", ("input",)):
                if item.text in [name.text for name in names]:
                    self.reader.sink.error(
                        "name-taken", f"the input `{item.text}` is named twice", item.span
                    )
                names.append(item)
        return tuple(names)

    def _body(self, entry: Entry, keys: Mapping[str, Entry], chains: ChainReader) -> Chain:
        """A block holds `body`, or one structure with its keys."""
        sink = self.reader.sink
        name, span = entry.key.text, entry.value.span
        if not isinstance(entry.value, MappingNode):
            sink.error(
                "wrong-kind",
                f"block `{name}` is a mapping with a `body`",
                span,
                help=["write {body: [...]}, or one structure such as {residual: [...]}"],
            )
            return _broken(entry)
        own = [child for child in keys.values() if child.key.text not in BLOCK_KEYS]
        if "body" in keys:
            for child in own:
                self.reader.unknown_key(child.key, BLOCK_KEYS, "a block with a `body`")
            return self._whole_body(keys["body"], chains)
        heads = [child for child in own if child.key.text in STRUCTURES]
        if not heads:
            for child in own:
                named = child.key.text == "layers"
                help_ = "the layers of a block stand under `body`" if named else None
                options = (*BLOCK_KEYS, *sorted(STRUCTURES))
                self.reader.unknown_key(child.key, options, "a block", help_)
            if not own:
                sink.error("missing-key", f"block `{name}` has no `body`", entry.key.span)
            return _broken(entry)
        if len(heads) > 1:
            sink.error(
                "wrong-kind",
                "a block holds one structure",
                heads[1].key.span,
                secondary=[Label(heads[0].key.span, "the first one")],
                help=["put both in a `body:` list"],
            )
            return _broken(entry)
        if isinstance(heads[0].value, Scalar) and heads[0].key.text not in {"residual", "seq"}:
            sink.error(
                "wrong-kind",
                f"`{heads[0].key.text}` needs its branches here",
                heads[0].value.span,
                help=[f"write `body: {heads[0].key.text}` for the op of that name"],
            )
            return _broken(entry)
        rest = tuple(child for child in own if child is not heads[0])
        layer = read_structure(chains, (heads[0], *rest), span)
        return Chain((LayerItem(None, layer),), "single", span)

    def _whole_body(self, body: Entry, chains: ChainReader) -> Chain:
        if is_empty(body.value):
            self.reader.sink.error(
                "missing-key",
                "the `body` is empty",
                body.key.span,
                help=["`body: []` passes the input on"],
            )
            return Chain((LayerItem(None, Broken(body.key.span)),), "single", body.key.span)
        return chains.chain(body.value)


def _broken(entry: Entry) -> Chain:
    return Chain((LayerItem(None, Broken(entry.key.span)),), "single", entry.key.span)

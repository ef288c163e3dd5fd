"""Reading a tree into a `Spec`: header, params, blocks, inputs, layers. Nothing is evaluated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

from archc.diagnostics import Diagnostics, Label, Source, Span
from archc.spec.read_chain import STRUCTURES, ChainReader, is_empty
from archc.spec.syntax import (
    KINDS,
    Argument,
    Block,
    Chain,
    Import,
    Input,
    LayerItem,
    Param,
    Spec,
)
from archc.spec.tree import Entry, Node, Scalar, Sequence
from archc.spec.tree import Mapping as MappingNode

FORMAT_VERSION = 1
TOP_KEYS = frozenset(
    {
        "archc",
        "name",
        "doc",
        "params",
        "let",
        "variants",
        "import",
        "inputs",
        "defaults",
        "blocks",
        "layers",
        "outputs",
        "expect",
    }
)
_INPUT_KEYS = frozenset({"shape", "dtype", "sizes"})
_BLOCK_KEYS = frozenset({"doc", "params", "let", "inputs", "body"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


def read_spec(
    tree: Node, source: Source, op_names: Collection[str], sink: Diagnostics, *, library: bool
) -> Spec | None:
    """Read one file.

    Args:
        tree: its root.
        source: its text.
        op_names: words that name ops, standard blocks included.
        sink: where findings go.
        library: whether the file only has to hold blocks (it is imported).

    Returns:
        The spec, or None when the file is no spec at all.
    """
    if not isinstance(tree, MappingNode):
        sink.error(
            "wrong-kind",
            "a spec is a mapping that starts with `archc: 1`",
            tree.span,
            help=["see docs/language.md for a first spec"],
        )
        return None
    return _Reader(tree, source, op_names, sink).read(library)


class _Reader:
    def __init__(
        self, tree: MappingNode, source: Source, op_names: Collection[str], sink: Diagnostics
    ) -> None:
        self.tree = tree
        self.source = source
        self.sink = sink
        self.entries = {entry.key.text: entry for entry in tree.entries}
        known = {*op_names, *self._imported_names()}
        known |= {child.key.text for child in self._entries_of("blocks")}
        known |= {
            child.key.text for child in self._entries_of("params") if _may_hold_op(child.value)
        }
        self.chains = ChainReader(sink, known)

    # -- names known before anything is read ----------------------------------------------

    def _entries_of(self, section: str) -> tuple[Entry, ...]:
        entry = self.entries.get(section)
        if entry is None or not isinstance(entry.value, MappingNode):
            return ()
        return entry.value.entries

    def _imported_names(self) -> list[str]:
        return [
            item.text
            for child in self._entries_of("import")
            if isinstance(child.value, Sequence)
            for item in child.value.items
            if isinstance(item, Scalar)
        ]

    # -- the file -------------------------------------------------------------------------

    def read(self, library: bool) -> Spec | None:
        if not self._version():
            return None
        for entry in self.tree.entries:
            if entry.key.text not in TOP_KEYS:
                self._unknown_key(entry.key, TOP_KEYS, "a spec")
        layers = self.entries.get("layers")
        if layers is None and not library:
            self.sink.error("no-layers", "the spec has no `layers`", self.tree.entries[0].key.span)
        return Spec(
            source=self.source,
            span=self.tree.entries[0].key.span,
            name=self._name(),
            doc=self._text("doc"),
            params=self._params(self.entries.get("params")),
            lets=self._arguments(self.entries.get("let")),
            variants=self._variants(),
            variant_spans=self._variant_spans(),
            imports=self._imports(),
            inputs=self._inputs(library),
            defaults=self._defaults(),
            blocks=self._blocks(),
            layers=None if layers is None else self._layers(layers),
            outputs=None if "outputs" not in self.entries else self.entries["outputs"].value,
            expect=self._arguments(self.entries.get("expect")),
        )

    def _version(self) -> bool:
        entry = self.entries.get("archc")
        if entry is None:
            first = self.tree.entries[0].key.span if self.tree.entries else self.tree.span
            self.sink.error(
                "missing-version",
                "the format version is missing",
                first,
                help=["start the spec with `archc: 1`"],
            )
            return False
        version = entry.value.value if isinstance(entry.value, Scalar) else None
        if version != FORMAT_VERSION or isinstance(version, bool):
            self.sink.error(
                "unsupported-version",
                f"this archc reads format version {FORMAT_VERSION}",
                entry.value.span,
                help=[f"write `archc: {FORMAT_VERSION}`, or install a newer archc"],
            )
            return False
        return True

    def _name(self) -> str:
        entry = self.entries.get("name")
        if entry is None:
            return "model"
        scalar = self.chains.scalar(entry)
        if scalar is None:
            return "model"
        if not _MODEL_NAME.fullmatch(scalar.text) or len(scalar.text) > 100:
            self.sink.error(
                "bad-name",
                "a model name is made of letters, digits, `_`, `-` and `.`",
                scalar.span,
            )
            return "model"
        return scalar.text

    def _text(self, key: str) -> str:
        scalar = self.chains.scalar(self.entries.get(key))
        return "" if scalar is None or is_empty(scalar) else scalar.text

    def _layers(self, entry: Entry) -> Chain:
        chain = self.chains.chain(entry.value, named=True)
        if not chain.items:
            self.sink.error("no-layers", "`layers` is empty", entry.key.span)
        return chain

    # -- params, lets, variants -----------------------------------------------------------

    def _mapping(self, entry: Entry | None) -> tuple[Entry, ...]:
        if entry is None or is_empty(entry.value):
            return ()
        if not isinstance(entry.value, MappingNode):
            self.sink.error("wrong-kind", f"`{entry.key.text}` is a mapping", entry.value.span)
            return ()
        return entry.value.entries

    def _identifier(self, key: Scalar, what: str) -> bool:
        if _IDENTIFIER.fullmatch(key.text) and key.text not in STRUCTURES:
            return True
        self.sink.error(
            "bad-name",
            f"`{key.text}` cannot name {what}",
            key.span,
            help=["a name is letters, digits and `_`, and no word of the language"],
        )
        return False

    def _params(self, entry: Entry | None) -> dict[str, Param]:
        params: dict[str, Param] = {}
        for child in self._mapping(entry):
            if not self._identifier(child.key, "a param"):
                continue
            kind = None
            if isinstance(child.value, Scalar) and child.value.text in KINDS:
                kind = child.value.text
            params[child.key.text] = Param(child.key.text, child.key.span, kind, child.value)
        return params

    def _arguments(self, entry: Entry | None) -> dict[str, Argument]:
        return {child.key.text: Argument(child.key, child.value) for child in self._mapping(entry)}

    def _variants(self) -> dict[str, Mapping[str, Argument]]:
        return {
            child.key.text: self._arguments(child)
            for child in self._mapping(self.entries.get("variants"))
        }

    def _variant_spans(self) -> dict[str, Span]:
        return {child.key.text: child.key.span for child in self._entries_of("variants")}

    def _imports(self) -> tuple[Import, ...]:
        entry = self.entries.get("import")
        if entry is None:
            return ()
        if isinstance(entry.value, Sequence):
            paths = [item for item in entry.value.items if isinstance(item, Scalar)]
            return tuple(Import(path, ()) for path in paths)
        imports = []
        for child in self._mapping(entry):
            if not isinstance(child.value, Sequence):
                self.sink.error(
                    "wrong-kind",
                    "name the blocks to import in a list",
                    child.value.span,
                    help=["write {blocks/common.yaml: [conv_bn]}, or a list of paths for all"],
                )
                continue
            names = tuple(item for item in child.value.items if isinstance(item, Scalar))
            imports.append(Import(child.key, names))
        return tuple(imports)

    # -- inputs, defaults, blocks ---------------------------------------------------------

    def _inputs(self, library: bool) -> tuple[Input, ...]:
        entry = self.entries.get("inputs")
        if entry is None:
            if not library:
                self.sink.error(
                    "missing-key",
                    "the spec has no `inputs`",
                    self.tree.entries[0].key.span,
                    help=["for example `inputs: {image: [N, 3, 224, 224]}`"],
                )
            return ()
        inputs = []
        for child in self._mapping(entry):
            if not self._identifier(child.key, "an input"):
                continue
            declared = self._input(child)
            if declared is not None:
                inputs.append(declared)
        return tuple(inputs)

    def _input(self, entry: Entry) -> Input | None:
        if isinstance(entry.value, Sequence):
            return Input(entry.key, entry.value)
        keys = {child.key.text: child for child in self._mapping(entry)}
        for key in keys.values():
            if key.key.text not in _INPUT_KEYS:
                self._unknown_key(key.key, _INPUT_KEYS, "an input")
        if "shape" not in keys:
            self.sink.error(
                "missing-key",
                f"input `{entry.key.text}` has no shape",
                entry.key.span,
                help=["write [N, 3, 224, 224], or {shape: [N, T], dtype: int64}"],
            )
            return None
        sizes = {
            child.key.text: (child.key, self._arguments(child))
            for child in self._mapping(keys.get("sizes"))
        }
        dtype = self.chains.scalar(keys.get("dtype"))
        return Input(entry.key, keys["shape"].value, dtype, sizes)

    def _defaults(self) -> dict[str, tuple[Scalar, Mapping[str, Argument]]]:
        return {
            child.key.text: (child.key, self._arguments(child))
            for child in self._mapping(self.entries.get("defaults"))
        }

    def _blocks(self) -> dict[str, Block]:
        blocks = {}
        for child in self._mapping(self.entries.get("blocks")):
            if not self._identifier(child.key, "a block"):
                continue
            block = self._block(child)
            if block is not None:
                blocks[block.name] = block
        return blocks

    def _block(self, entry: Entry) -> Block | None:
        if not isinstance(entry.value, MappingNode):
            self.sink.error(
                "wrong-kind",
                f"block `{entry.key.text}` is a mapping with `params` and `body`",
                entry.value.span,
            )
            return None
        keys = {child.key.text: child for child in entry.value.entries}
        params = self._params(keys.get("params"))
        outer = self.chains
        # Within a block its own params may stand for layers, too.
        own = {name for name, param in params.items() if _may_hold_op(param.default)}
        self.chains = ChainReader(self.sink, {*outer.known, *own})
        try:
            chain = self._block_body(entry, keys)
        finally:
            self.chains = outer
        doc = self.chains.scalar(keys.get("doc"))
        return Block(
            name=entry.key.text,
            span=entry.key.span,
            params=params,
            lets=self._arguments(keys.get("let")),
            inputs=self._block_inputs(keys.get("inputs")),
            chain=chain,
            doc=doc.text if doc is not None else "",
        )

    def _block_inputs(self, entry: Entry | None) -> tuple[Scalar, ...]:
        if entry is None:
            return ()
        if not isinstance(entry.value, Sequence):
            self.sink.error("wrong-kind", "`inputs` of a block is a list of names", entry.key.span)
            return ()
        names = [item for item in entry.value.items if isinstance(item, Scalar)]
        return tuple(name for name in names if self._identifier(name, "an input"))

    def _block_body(self, entry: Entry, keys: Mapping[str, Entry]) -> Chain:
        """A block holds `body`, or one structure with its keys."""
        own = [child for child in keys.values() if child.key.text not in _BLOCK_KEYS]
        if "body" in keys:
            for child in own:
                self._unknown_key(child.key, _BLOCK_KEYS, "a block with a `body`")
            return self.chains.chain(keys["body"].value)
        heads = [child for child in own if child.key.text in STRUCTURES]
        if not heads:
            for child in own:
                self._unknown_key(child.key, _BLOCK_KEYS | STRUCTURES, "a block")
            if not own:
                self.sink.error(
                    "missing-key", f"block `{entry.key.text}` has no `body`", entry.key.span
                )
            return Chain((), "single", entry.value.span)
        if len(heads) > 1:
            self.sink.error(
                "wrong-kind",
                "a block holds one structure",
                heads[1].key.span,
                secondary=[Label(heads[0].key.span, "the first one")],
                help=["put both in a `body:` list"],
            )
        rest = tuple(child for child in own if child is not heads[0])
        layer = self.chains.structure((heads[0], *rest), entry.value.span)
        return Chain((LayerItem(None, layer),), "single", entry.value.span)

    def _unknown_key(self, key: Scalar, options: Collection[str], where: str) -> None:
        close = difflib.get_close_matches(key.text, options, 1)
        listing = ", ".join(f"`{option}`" for option in sorted(options))
        self.sink.error(
            "unknown-key",
            f"{where} has no key `{key.text}`",
            key.span,
            help=[f"did you mean `{close[0]}`?" if close else f"known keys: {listing}"],
        )


def _may_hold_op(default: Node) -> bool:
    """A param whose default is a word or a layer, or whose kind is `op`, may stand for a layer."""
    if isinstance(default, MappingNode):
        return True
    if not isinstance(default, Scalar):
        return False
    return default.text not in set(KINDS) - {"op"} and isinstance(default.value, str)

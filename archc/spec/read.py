"""Reading a tree into a `Spec`: header, params, inputs, layers. Nothing is evaluated.

`read_blocks` reads the blocks, `read_chain` the layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from archc.diagnostics import Diagnostics, Source, Span
from archc.spec.read_blocks import BlockReader, may_hold_op
from archc.spec.read_chain import ChainReader, Vocabulary
from archc.spec.read_entries import EntryReader
from archc.spec.syntax import Argument, Chain, Import, Input, Spec
from archc.spec.tree import Entry, Node, Scalar, Sequence, is_empty
from archc.spec.tree import Mapping as MappingNode

FORMAT_VERSION = 1
TOP_KEYS = (
    "archc",
    "name",
    "doc",
    "params",
    "let",
    "variants",
    "import",
    "inputs",
    "preprocess",
    "defaults",
    "blocks",
    "layers",
    "outputs",
    "checkpoint",
    "expect",
)
"""Keys of a spec, in the order in which they are usually written."""

MAX_NAME = 100
"""Characters of a model's name."""

_INPUT_KEYS = ("shape", "dtype", "sizes")
_MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


def read_imports(tree: Node, sink: Diagnostics) -> tuple[Import, ...]:
    """The imports of a file; they are read first, because they name blocks."""
    if not isinstance(tree, MappingNode):
        return ()
    entry = next((entry for entry in tree.entries if entry.key.text == "import"), None)
    if entry is None:
        return ()
    if isinstance(entry.value, Sequence):
        return tuple(
            Import(item, ()) for item in _scalars(entry.value, "a path", sink) if item.text
        )
    if isinstance(entry.value, Scalar) and entry.value.value is not None:
        sink.error(
            "wrong-kind",
            "`import` is a list of files, or a mapping of files to lists of blocks",
            entry.value.span,
            help=[f"write `import: [{entry.value.text}]`"],
        )
        return ()
    imports = []
    for child in EntryReader(sink).entries(entry):
        if isinstance(child.value, Sequence):
            names = _scalars(child.value, "the name of a block", sink)
            imports.append(Import(child.key, names))
            continue
        sink.error(
            "wrong-kind",
            "the blocks to import are named in a list",
            child.value.span,
            help=["write {blocks/common.yaml: [conv_bn]}; [blocks/common.yaml] takes all"],
        )
    return tuple(imports)


def read_spec(
    tree: Node,
    source: Source,
    words: Vocabulary,
    sink: Diagnostics,
    *,
    imports: tuple[Import, ...] = (),
    library: bool = False,
) -> Spec | None:
    """Read one file.

    Args:
        tree: its root.
        source: its text.
        words: words that name ops and blocks from elsewhere.
        sink: where findings go.
        imports: its imports, read before.
        library: whether the file only has to hold blocks (it is imported).

    Returns:
        The spec, or None when the file is no spec at all.
    """
    if not isinstance(tree, MappingNode):
        sink.error(
            "wrong-kind",
            "a spec is a mapping that starts with `archc: 1`",
            tree.span,
            help=["write `archc: 1`, `inputs:` and `layers:`, each with its value"],
        )
        return None
    return _Reader(tree, source, words, sink, library).read(imports)


def _scalars(node: Sequence, what: str, sink: Diagnostics) -> tuple[Scalar, ...]:
    for item in node.items:
        if not isinstance(item, Scalar):
            sink.error("wrong-kind", f"this is not {what}", item.span)
    return tuple(item for item in node.items if isinstance(item, Scalar))


class _Reader:
    def __init__(
        self,
        tree: MappingNode,
        source: Source,
        words: Vocabulary,
        sink: Diagnostics,
        library: bool,
    ) -> None:
        self.tree = tree
        self.source = source
        self.sink = sink
        self.library = library
        self.top = {entry.key.text: entry for entry in tree.entries}
        self.reader = EntryReader(sink)
        self.blocks = BlockReader(self.reader, self._own_words(words))
        self.chains = ChainReader(sink, self.blocks.words)

    def _own_words(self, words: Vocabulary) -> Vocabulary:
        """With the file's own blocks, and params that hold one."""
        blocks = self._children("blocks")
        params = [child for child in self._children("params") if may_hold_op(child.value)]
        names = {child.key.text for child in (*blocks, *params)}
        takers = {child.key.text for child in blocks if _takes_op(child.value)}
        values = {child.key.text for child in (*self._children("params"), *self._children("let"))}
        return words.extended(names, takers, values - names)

    def _children(self, section: str) -> tuple[Entry, ...]:
        entry = self.top.get(section)
        if entry is None or not isinstance(entry.value, MappingNode):
            return ()
        return entry.value.entries

    @property
    def _first(self) -> Span:
        return self.tree.entries[0].key.span if self.tree.entries else self.tree.span

    def read(self, imports: tuple[Import, ...]) -> Spec | None:
        if not self._version():
            return None
        unknown = [entry.key for entry in self.tree.entries if entry.key.text not in TOP_KEYS]
        meant = {self._unknown_key(key) for key in unknown}
        params = self.blocks.params(self.top.get("params"))
        self.reader.distinct(params, self.top.get("let"))
        return Spec(
            source=self.source,
            span=self._first,
            name=self._name(),
            doc=self.reader.text(self.top.get("doc")),
            params=params,
            lets=self.reader.arguments(self.top.get("let"), identifiers="a value of `let`"),
            variants=self._variants(),
            imports=imports,
            inputs=self._inputs("inputs" in meant),
            preprocess=self.top["preprocess"].value if "preprocess" in self.top else None,
            checkpoint=self.reader.arguments(self.top.get("checkpoint")),
            defaults=self._defaults(),
            blocks=self.blocks.blocks(self.top.get("blocks")),
            layers=self._layers("layers" in meant),
            outputs=self.top["outputs"].value if "outputs" in self.top else None,
            expect=self.reader.arguments(self.top.get("expect")),
        )

    def _unknown_key(self, key: Scalar) -> str | None:
        """Report a key and return the one that was meant."""
        help_ = None
        if key.text == "input":
            help_ = "name each input and write its batch axis: `inputs: {image: [N, 3, 224, 224]}`"
        meant = self.reader.unknown_key(key, TOP_KEYS, "a spec", help_)
        return "inputs" if key.text == "input" else meant

    def _version(self) -> bool:
        entry = self.top.get("archc")
        if entry is None:
            self.sink.error(
                "missing-version",
                "the format version is missing",
                self._first,
                help=["start the spec with `archc: 1`"],
            )
            return False
        version = entry.value.value if isinstance(entry.value, Scalar) else None
        if version != FORMAT_VERSION or not isinstance(version, int) or version is True:
            self.sink.error(
                "unsupported-version",
                f"this archc reads format version {FORMAT_VERSION}",
                entry.value.span,
                help=[f"write `archc: {FORMAT_VERSION}`, or install a newer archc"],
            )
            return False
        return True

    def _name(self) -> str:
        scalar = self.reader.scalar(self.top.get("name"))
        if scalar is None:
            return "model"
        if _MODEL_NAME.fullmatch(scalar.text) and len(scalar.text) <= MAX_NAME:
            return scalar.text
        self.sink.error(
            "bad-name",
            f"`{scalar.text}` cannot name a model",
            scalar.span,
            help=["a name is made of letters, digits, `_`, `-` and `.`, at most 100 of them"],
        )
        return "model"

    def _layers(self, misspelt: bool) -> Chain | None:
        entry = self.top.get("layers")
        if entry is None:
            if not self.library and not misspelt:
                self.sink.error(
                    "no-layers",
                    "the spec has no `layers`",
                    self._first,
                    help=["for example `layers: [flatten, {linear: 10}]`"],
                )
            return None
        if isinstance(entry.value, Scalar) and entry.value.value is not None:
            self.sink.error(
                "wrong-kind",
                "`layers` is a list or a mapping of layers",
                entry.value.span,
                help=[f"write `layers: [{entry.value.text}]`"],
            )
            return None
        chain = self.chains.chain(entry.value, named=True)
        if not chain.items:
            self.sink.error("no-layers", "`layers` is empty", entry.key.span)
            return None
        return chain

    def _variants(self) -> dict[str, Mapping[str, Argument]]:
        variants: dict[str, Mapping[str, Argument]] = {}
        for child in self.reader.entries(self.top.get("variants")):
            if _MODEL_NAME.fullmatch(child.key.text):
                variants[child.key.text] = self.reader.arguments(child)
                continue
            self.sink.error(
                "bad-name",
                f"`{child.key.text}` cannot name a variant",
                child.key.span,
                help=["a name is made of letters, digits, `_`, `-` and `.`"],
            )
        return variants

    def _defaults(self) -> dict[str, tuple[Scalar, Mapping[str, Argument]]]:
        return {
            child.key.text: (child.key, self.reader.arguments(child))
            for child in self.reader.entries(self.top.get("defaults"))
        }

    # -- inputs ---------------------------------------------------------------------------

    def _inputs(self, misspelt: bool) -> tuple[Input, ...]:
        entry = self.top.get("inputs")
        example = "for example `inputs: {image: [N, 3, 224, 224]}`"
        if entry is None:
            if not self.library and not misspelt:
                self.sink.error(
                    "missing-key", "the spec has no `inputs`", self._first, help=[example]
                )
            return ()
        children = self.reader.entries(entry, example)
        if not children and (is_empty(entry.value) or isinstance(entry.value, MappingNode)):
            self.sink.error(
                "missing-key", "a network has at least one input", entry.key.span, help=[example]
            )
        declared = [
            self._input(child)
            for child in children
            if self.reader.identifier(child.key, "an input")
        ]
        return tuple(one for one in declared if one is not None)

    def _input(self, entry: Entry) -> Input | None:
        if isinstance(entry.value, Sequence):
            return Input(entry.key, entry.value)
        example = "write [N, 3, 224, 224], or {shape: [N, T], dtype: int64}"
        if not isinstance(entry.value, MappingNode):
            self.sink.error(
                "wrong-kind",
                f"input `{entry.key.text}` needs a shape",
                entry.value.span,
                help=[example],
            )
            return None
        keys = {child.key.text: child for child in entry.value.entries}
        for child in keys.values():
            if child.key.text not in _INPUT_KEYS:
                self.reader.unknown_key(child.key, _INPUT_KEYS, "an input")
        if "shape" not in keys:
            self.sink.error(
                "missing-key",
                f"input `{entry.key.text}` has no `shape`",
                entry.key.span,
                help=[example],
            )
            return None
        sizes = {
            child.key.text: (child.key, self.reader.arguments(child))
            for child in self.reader.entries(keys.get("sizes"))
        }
        dtype = self.reader.scalar(keys.get("dtype"))
        return Input(entry.key, keys["shape"].value, dtype, sizes)


def _takes_op(block: Node) -> bool:
    """Whether the first param of a block may hold an op."""
    if not isinstance(block, MappingNode):
        return False
    params = next((e.value for e in block.entries if e.key.text == "params"), None)
    if not isinstance(params, MappingNode) or not params.entries:
        return False
    return may_hold_op(params.entries[0].value)

"""The pipeline, step by step: every command is one of these functions plus a printer."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from archc.diagnostics import Diagnostic, Diagnostics, Source
from archc.elaborate import Choice, Sources, elaborate
from archc.elaborate.arguments import takes_word
from archc.elaborate.builder import MAX_LAYERS
from archc.elaborate.imports import Importer, standard_blocks, with_blocks
from archc.graph import Graph
from archc.graph.specialise import specialised
from archc.ops.table import OPS, OpTable
from archc.records import dataclass, field, replace
from archc.spec.expressions.fault import steps_in_all
from archc.spec.files import MAX_FILE_SIZE, read_source
from archc.spec.read_chain import Vocabulary
from archc.spec.shipped import Shipped, find_spec, unknown_spec
from archc.spec.syntax import Spec
from archc.spec.tree import Node
from archc.spec.yaml import parse_yaml


@dataclass(frozen=True, slots=True)
class Budgets:
    """What a spec may ask for; only who checks it can raise them, never the spec.

    Attributes:
        max_layers: layers and turns of loops that it may unfold to.
        max_file_size: bytes of the spec, and of every file that it imports.
    """

    max_layers: int = MAX_LAYERS
    max_file_size: int = MAX_FILE_SIZE


BUDGETS = Budgets()
"""Those by default: with them, checking takes about 2 s at most."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a spec after its static check.

    Attributes:
        source: the text; None when the file could not be read.
        spec: the file, read; None when it is no spec.
        graph: the typed graph; None when there are errors.
        diagnostics: every finding, in reading order.
        files: every file that was read: the spec, unless it is no file, and what it imports.
        partial: the layers that could be typed, also when there are errors; None without inputs.
        ops: the table of ops that it was checked with.
        budgets: what it was allowed to ask for.
    """

    source: Source | None
    spec: Spec | None
    graph: Graph | None
    diagnostics: tuple[Diagnostic, ...] = field(default=())
    files: tuple[Path, ...] = field(default=())
    partial: Graph | None = None
    ops: OpTable = field(default_factory=lambda: OPS)
    budgets: Budgets = BUDGETS

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return self.graph is not None and not any(d.is_error for d in self.diagnostics)


class VariantError(ValueError):
    """A variant was named twice, by the name in the zoo and apart from it."""


def check_file(
    path: str,
    variant: str | None = None,
    overrides: Mapping[str, str] | None = None,
    ops: OpTable = OPS,
    budgets: Budgets = BUDGETS,
) -> Checked:
    """Check a spec.

    Args:
        path: a file, a name of the zoo, or `-` for standard input. A file goes before a name.
        variant: which variant.
        overrides: param name -> value as text (`{"num_classes": "10"}`).
        ops: the table of ops.
        budgets: what the spec may ask for.

    Raises:
        VariantError: `path` names a variant of the zoo, and `variant` is given too.
    """
    shipped = find_spec(path)
    if shipped is not None:
        variant = _only_variant(shipped, variant)
        path = str(shipped.path)
    source, findings = read_source(path, max_size=budgets.max_file_size)
    if source is None:
        return Checked(None, None, None, tuple(map(unknown_spec, findings)))
    if path == "-":
        return check_source(source, Path(), variant, overrides, findings, ops, budgets)
    folder = Path(path).parent
    checked = check_source(source, folder, variant, overrides, findings, ops, budgets)
    return replace(checked, files=(Path(path), *checked.files))


def _only_variant(shipped: Shipped, variant: str | None) -> str | None:
    if shipped.variant is not None and variant is not None:
        raise VariantError(
            f"`{shipped.name}` is itself a variant of `{shipped.path.stem}`: "
            f"name one of the two, `{shipped.name}` or `{variant}`"
        )
    return shipped.variant or variant


def check_source(
    source: Source,
    folder: Path | None = None,
    variant: str | None = None,
    overrides: Mapping[str, str] | None = None,
    findings: list[Diagnostic] | None = None,
    ops: OpTable = OPS,
    budgets: Budgets = BUDGETS,
) -> Checked:
    """Check a spec that is already text.

    Args:
        source: the text and its name.
        folder: where relative imports start; the working folder by default.
        variant: which variant.
        overrides: param name -> value as text.
        findings: what was found before.
        ops: the table of ops.
        budgets: what the spec may ask for.
    """
    with _paused_collection():
        sink = Diagnostics()
        sink.extend(findings or [])
        choice = Choice(variant, _overrides(overrides or {}, sink), budgets.max_layers)
        return _checked(source, folder or Path(), choice, sink, ops, budgets)


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """A spec, read but not elaborated.

    Attributes:
        spec: the file; None when it is no spec.
        sources: what it is elaborated against.
        files: what it imports.
    """

    spec: Spec | None
    sources: Sources
    files: tuple[Path, ...]


def read_with_imports(
    source: Source,
    folder: Path,
    sink: Diagnostics,
    ops: OpTable = OPS,
    max_file_size: int = MAX_FILE_SIZE,
) -> ReadSpec:
    """Read a spec and what it imports.

    Args:
        source: the text and its name.
        folder: where relative imports start.
        sink: where findings go.
        ops: the table of ops.
        max_file_size: bytes that every imported file may have.
    """

    def takes(op: str, word: str) -> bool:
        return op in ops and takes_word(ops[op], word)

    names = frozenset(ops)
    builtin = frozenset(OPS)
    standard = standard_blocks(builtin)
    words = with_blocks(Vocabulary(names, names, takes), standard)
    # A block may have the name of a plugin's op: what a spec means does not hang on plugins.
    importer = Importer(words, builtin, sink, max_file_size)
    spec = importer.read(source, folder)
    sources = Sources(ops, words, importer.libraries, standard, importer.incomplete)
    return ReadSpec(spec, sources, importer.files)


@contextmanager
def _paused_collection() -> Iterator[None]:
    """Keep the cycle collector from walking the growing graph over and over: half the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _checked(
    source: Source,
    folder: Path,
    choice: Choice,
    sink: Diagnostics,
    ops: OpTable,
    budgets: Budgets,
) -> Checked:
    read = read_with_imports(source, folder, sink, ops, budgets.max_file_size)
    partial = None
    if read.spec is not None:
        with steps_in_all():
            partial = elaborate(read.spec, choice, read.sources, sink)
    whole = partial is not None and bool(partial.outputs) and not sink.has_errors
    graph = partial if whole else None
    found = tuple(sink.sorted())
    return Checked(source, read.spec, graph, found, read.files, partial, ops, budgets)


def at_sizes(checked: Checked, sizes: Mapping[str, int]) -> Checked:
    """The same network at given sizes of its symbolic dims.

    Args:
        checked: the network.
        sizes: symbol -> size.

    Returns:
        What is known of it at these sizes; a layer that does not work at them is an error.
    """
    if checked.partial is None:
        return checked
    partial, problems = specialised(checked.partial, sizes)
    sink = Diagnostics()
    sink.extend((*checked.diagnostics, *problems))
    graph = None if problems or checked.graph is None else partial
    return replace(checked, graph=graph, diagnostics=tuple(sink.sorted()), partial=partial)


def with_images(checked: Checked) -> Checked:
    """The same network with its preprocessing before it (`archc.graph.images`).

    Args:
        checked: the network.
    """
    if checked.graph is None:
        return checked
    from archc.graph.images import with_preprocess

    graph, problems = with_preprocess(checked.graph)
    found = (*checked.diagnostics, *problems)
    return replace(checked, graph=None if problems else graph, diagnostics=found)


def _overrides(overrides: Mapping[str, str], sink: Diagnostics) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for name, text in overrides.items():
        tree = parse_yaml(Source(f"--set {name}", text), sink)
        if tree is not None:
            nodes[name] = tree
    return nodes

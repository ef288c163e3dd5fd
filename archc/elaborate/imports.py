"""Reading a spec with the blocks it takes from other files, each file once.

Imports are read before the file that names them: a block from elsewhere starts a call, and the
reader has to know the words that do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from archc.diagnostics import Diagnostics, Label, Source, Span
from archc.diagnostics.closest import closest
from archc.records import dataclass, field
from archc.spec.files import MAX_FILE_SIZE, read_source
from archc.spec.read import read_imports, read_spec
from archc.spec.read_blocks import may_hold_op
from archc.spec.read_chain import Vocabulary
from archc.spec.syntax import Block, Import, Spec
from archc.spec.yaml import parse_yaml

_STANDARD = Path(__file__).parents[1] / "blocks" / "standard.yaml"

PROJECT_MARKS = (".git", "pyproject.toml")

Library = Mapping[str, tuple[Block, Spec]]
"""Blocks by name, each with the file that defines it."""


def project_root(folder: Path) -> Path:
    """The nearest folder upwards that holds a project, else the folder itself."""
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in PROJECT_MARKS):
            return candidate
    return folder


@cache
def standard_blocks(op_names: frozenset[str]) -> Library:
    """The blocks that ship with archc."""
    text = _STANDARD.read_text("utf-8")
    sink = Diagnostics()
    source = Source("<standard blocks>", text)
    tree = parse_yaml(source, sink)
    words = Vocabulary(op_names, op_names)
    spec = None if tree is None else read_spec(tree, source, words, sink, library=True)
    assert spec is not None and not sink.items, [str(item) for item in sink.items]
    return {name: (block, spec) for name, block in spec.blocks.items()}


def with_blocks(words: Vocabulary, library: Library) -> Vocabulary:
    """A vocabulary that knows the blocks of a library, too."""
    takers = {
        name
        for name, (block, _) in library.items()
        if any(may_hold_op(param.default) for param in list(block.params.values())[:1])
    }
    return words.extended(library.keys(), takers)


@dataclass(slots=True)
class Importer:
    """Reads specs and the files that they import.

    Attributes:
        words: what starts a call in every file: ops and standard blocks.
        op_names: words that name ops; no block can have one.
        sink: where findings go.
        max_file_size: bytes that every one of them may have.
        libraries: id of a spec -> the blocks it imports.
        incomplete: ids of specs of which an import could not be read.
    """

    words: Vocabulary
    op_names: frozenset[str]
    sink: Diagnostics
    max_file_size: int = MAX_FILE_SIZE
    libraries: dict[int, Library] = field(default_factory=dict)
    incomplete: set[int] = field(default_factory=set)
    _files: dict[Path, Spec | None] = field(default_factory=dict)
    _opening: list[Path] = field(default_factory=list)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that was opened, as an absolute path."""
        return tuple(self._files)

    def read(self, source: Source, folder: Path, *, library: bool = False) -> Spec | None:
        """Read a text and everything it imports.

        Args:
            source: the text.
            folder: where its relative imports start.
            library: whether it only has to hold blocks.

        Returns:
            The spec, or None when it is none.
        """
        tree = parse_yaml(source, self.sink)
        if tree is None:
            return None
        imports = read_imports(tree, self.sink)
        errors = len(self.sink)
        found = self._load(imports, folder)
        complete = len(self.sink) == errors
        spec = read_spec(
            tree,
            source,
            with_blocks(self.words, found),
            self.sink,
            imports=imports,
            library=library,
        )
        if spec is not None:
            self.libraries[id(spec)] = found
            if not complete:
                self.incomplete.add(id(spec))
            self._check_names(spec, found, imports)
        return spec

    def _load(self, imports: tuple[Import, ...], folder: Path) -> Library:
        """The blocks that a file in `folder` imports."""
        found: dict[str, tuple[Block, Spec]] = {}
        root = project_root(folder.resolve())
        for wanted in imports:
            library = self._file(wanted, folder, root)
            if library is None:
                continue
            for name, span, block in self._wanted(wanted, library):
                first = found.setdefault(name, (block, library))
                if first[0] is not block:
                    self.sink.error(
                        "name-taken",
                        f"a block `{name}` is imported already",
                        span,
                        secondary=[Label(first[0].span, "the first one")],
                        help=["name the blocks to import: {common.yaml: [conv_bn]}"],
                    )
        return found

    def _wanted(self, wanted: Import, library: Spec) -> list[tuple[str, Span, Block]]:
        """The blocks that an import names; all of the file's, when it names none."""
        if not wanted.names:
            return [(name, wanted.path.span, block) for name, block in library.blocks.items()]
        blocks = []
        for name in wanted.names:
            block = library.blocks.get(name.text)
            if block is not None:
                blocks.append((name.text, name.span, block))
                continue
            close = closest(name.text, list(library.blocks))
            listing = ", ".join(f"`{block}`" for block in library.blocks) or "none"
            self.sink.error(
                "bad-import",
                f"`{wanted.path.text}` has no block `{name.text}`",
                name.span,
                help=[f"did you mean `{close}`?" if close else f"its blocks: {listing}"],
            )
        return blocks

    def _check_names(self, spec: Spec, found: Library, imports: tuple[Import, ...]) -> None:
        """A block has its name for itself; only standard blocks can be replaced."""
        for name, block in spec.blocks.items():
            if name in self.op_names:
                self.sink.error(
                    "name-taken", f"`{name}` is an op; a block needs another name", block.span
                )
            elif name in found:
                named = [word.span for wanted in imports for word in wanted.names]
                places = [span for span in named if span.source.text[span.start : span.end] == name]
                paths = [wanted.path.span for wanted in imports]
                self.sink.error(
                    "name-taken",
                    f"a block `{name}` is imported already",
                    block.span,
                    secondary=[Label((places or paths)[0], "imported here")],
                )

    def _file(self, wanted: Import, folder: Path, root: Path) -> Spec | None:
        span = wanted.path.span
        text = wanted.path.text
        if Path(text).is_absolute() or "\0" in text:
            self.sink.error(
                "import-outside-root",
                "an import is a relative path",
                span,
                help=["it starts at the folder of the file that imports"],
            )
            return None
        try:
            path = (folder / text).resolve()
        except (OSError, RuntimeError) as error:  # links in a circle
            self.sink.error("bad-import", f"`{text}` cannot be imported: {error}", span)
            return None
        if not path.is_relative_to(root):
            self.sink.error(
                "import-outside-root",
                f"`{text}` lies outside the project",
                span,
                help=["the project is the nearest folder with .git or pyproject.toml"],
            )
            return None
        if path in self._opening:
            self.sink.error("bad-import", f"`{text}` imports itself", span)
            return None
        if path not in self._files:
            self._opening.append(path)
            self._files[path] = self._open(wanted, folder / text, path)
            self._opening.pop()
        return self._files[path]

    def _open(self, wanted: Import, shown: Path, path: Path) -> Spec | None:
        source, findings = read_source(str(shown), max_size=self.max_file_size)
        if source is not None:
            return self.read(source, path.parent, library=True)
        reason = findings[0].message.replace(str(shown), "it")
        self.sink.error(
            "bad-import",
            f"`{wanted.path.text}` cannot be imported: {reason}",
            wanted.path.span,
            help=[help_ for finding in findings for help_ in finding.help],
        )
        return None

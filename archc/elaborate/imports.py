"""Blocks from other files: found beside the spec, inside the project, read once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from archc.diagnostics import Diagnostics, Label, Source
from archc.elaborate.env import closest
from archc.spec.files import read_source
from archc.spec.read import read_spec
from archc.spec.syntax import Block, Import, Spec
from archc.spec.yaml import parse_yaml

PROJECT_MARKS = (".git", "pyproject.toml")

Library = Mapping[str, tuple[Block, Spec]]


def project_root(folder: Path) -> Path:
    """The nearest folder upwards that holds a project, else the folder itself."""
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in PROJECT_MARKS):
            return candidate
    return folder


@cache
def standard_blocks(op_names: frozenset[str]) -> Library:
    """The blocks that ship with archc."""
    text = resources.files("archc.blocks").joinpath("standard.yaml").read_text("utf-8")
    sink = Diagnostics()
    source = Source("<standard blocks>", text)
    tree = parse_yaml(source, sink)
    spec = None if tree is None else read_spec(tree, source, op_names, sink, library=True)
    assert spec is not None and not sink.items, [str(item) for item in sink.items]
    return {name: (block, spec) for name, block in spec.blocks.items()}


@dataclass(slots=True)
class Importer:
    """Reads the files that a spec imports, and those that they import.

    Attributes:
        op_names: words that name ops and standard blocks.
        sink: where findings go.
        libraries: id of a spec -> the blocks it imports.
    """

    op_names: Collection[str]
    sink: Diagnostics
    libraries: dict[int, Library] = field(default_factory=dict)
    _files: dict[Path, Spec | None] = field(default_factory=dict)
    _opening: list[Path] = field(default_factory=list)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that was opened, as an absolute path."""
        return tuple(self._files)

    def load(self, spec: Spec, folder: Path) -> None:
        """Read everything `spec`, a file in `folder`, imports."""
        found: dict[str, tuple[Block, Spec]] = {}
        self.libraries[id(spec)] = found
        root = project_root(folder.resolve())
        for wanted in spec.imports:
            library = self._file(wanted, folder, root)
            if library is not None:
                self._take(wanted, library, found)

    def _take(self, wanted: Import, library: Spec, found: dict[str, tuple[Block, Spec]]) -> None:
        if not wanted.names:
            found.update({name: (block, library) for name, block in library.blocks.items()})
            return
        for name in wanted.names:
            block = library.blocks.get(name.text)
            if block is not None:
                found[name.text] = (block, library)
                continue
            close = closest(name.text, list(library.blocks))
            listing = ", ".join(f"`{block}`" for block in library.blocks) or "none"
            self.sink.error(
                "bad-import",
                f"`{wanted.path.text}` has no block `{name.text}`",
                name.span,
                help=[f"did you mean `{close}`?" if close else f"its blocks: {listing}"],
            )

    def _file(self, wanted: Import, folder: Path, root: Path) -> Spec | None:
        span = wanted.path.span
        text = wanted.path.text
        if Path(text).is_absolute() or "\0" in text:
            self.sink.error("import-outside-root", "an import is a relative path", span)
            return None
        path = (folder / text).resolve()
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
            self._files[path] = self._read(wanted, folder / text, path)
            self._opening.pop()
        return self._files[path]

    def _read(self, wanted: Import, shown: Path, path: Path) -> Spec | None:
        source, findings = read_source(str(shown))
        if source is None:
            reason = findings[0].message if findings else "it cannot be read"
            self.sink.error(
                "bad-import",
                f"`{wanted.path.text}` cannot be imported: {reason}",
                wanted.path.span,
                help=[help_ for finding in findings for help_ in finding.help],
            )
            return None
        tree = parse_yaml(source, self.sink)
        if tree is None:
            return None
        spec = read_spec(tree, source, self.op_names, self.sink, library=True)
        if spec is None:
            return None
        for name, block in spec.blocks.items():
            if name in self.op_names:
                self.sink.error(
                    "name-taken",
                    f"`{name}` is an op; a block needs another name",
                    block.span,
                    secondary=[Label(wanted.path.span, "imported here")],
                )
        self.load(spec, path.parent)
        return spec

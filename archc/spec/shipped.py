"""The specs that ship with archc, found by name: a family's, or that of one of its variants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from archc.diagnostics import Diagnostic, Diagnostics, Source
from archc.diagnostics.closest import closest
from archc.records import dataclass, replace
from archc.spec.tree import Mapping
from archc.spec.yaml import parse_yaml

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_MEANT = 3


@dataclass(frozen=True, slots=True)
class Shipped:
    """A spec of the zoo, and which variant of it a name stands for.

    Attributes:
        name: the name.
        path: the file, as a person in the working folder writes it.
        variant: the variant; None for the family as it is.
    """

    name: str
    path: Path
    variant: str | None = None


def find_spec(name: str) -> Shipped | None:
    """The network of the zoo that the name of a spec stands for; None where a file has the name."""
    # The name is looked at first: it may be nothing that a system takes for a path.
    if not _NAME.fullmatch(name):
        return None
    path = Path(name)
    try:
        is_file = path.exists() and not path.is_dir()
    except OSError:  # too long for a file
        is_file = False
    return None if is_file else find_shipped(name)


def find_shipped(name: str) -> Shipped | None:
    """The network of the zoo that has a name.

    A name with a suffix or a separator is never one of the zoo. One file at most is parsed.
    """
    if not _NAME.fullmatch(name):
        return None
    files = shipped_files()
    if name in files:
        return Shipped(name, files[name])
    word = re.compile(rf"^\s.*\b{name}\b", re.MULTILINE)
    for path in files.values():
        text = path.read_text("utf-8")
        if word.search(text) and name in variant_names(path, text):
            return Shipped(name, path, name)
    return None


def shipped_files() -> dict[str, Path]:
    """Every family of the zoo -> its file; beside the package in a clone, inside it in a wheel."""
    package = Path(__file__).parents[1]
    files = sorted((package / "zoo").glob("*.yaml")) or sorted(package.parent.glob("specs/*.yaml"))
    here = Path.cwd()
    return {
        path.stem: path.relative_to(here) if path.is_relative_to(here) else path for path in files
    }


def shipped_names() -> list[str]:
    """Every name of the zoo: the families, and all their variants."""
    files = shipped_files()
    texts = ((path, path.read_text("utf-8")) for path in files.values())
    return sorted({*files, *(name for path, text in texts for name in variant_names(path, text))})


def unknown_name(name: str) -> Diagnostic:
    """That the zoo has no network of a name."""
    message = f"the zoo has no network `{name}`"
    return Diagnostic("missing-file", message, help=_hints(name), path=name)


def unknown_spec(problem: Diagnostic) -> Diagnostic:
    """A finding about a missing file, with the names of the zoo that may have been meant."""
    name = problem.path or ""
    if problem.code != "missing-file" or not re.fullmatch(r"[\w-]+", name):
        return problem
    message = f"there is no file {name}, and the zoo has no network of that name"
    return replace(problem, message=message, help=(*problem.help, *_hints(name)))


def _hints(name: str) -> tuple[str, ...]:
    known = shipped_names()
    meant = [other for other in known if other.startswith(name)][:_MAX_MEANT]
    if not meant and (close := closest(name, known)):
        meant = [close]
    hint = (f"did you mean {' or '.join(meant)}?",) if meant else ()
    return (*hint, "`archc list` shows the zoo")


def variant_names(path: Path, text: str) -> Iterator[str]:
    """The names of a spec's variants; nothing else of it is read."""
    tree = parse_yaml(Source(str(path), text), Diagnostics())
    top = tree.entries if isinstance(tree, Mapping) else ()
    for entry in top:
        if entry.key.text == "variants" and isinstance(entry.value, Mapping):
            for child in entry.value.entries:
                yield child.key.text

"""Where two sets of keys differ, seen as trees of levels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

_LISTED = 6

Tree: TypeAlias = "dict[str, Tree]"


def first_difference(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """The outermost, first level whose parts differ, in words.

    Args:
        ours: keys of the network, in its order.
        theirs: keys of the checkpoint; they are not the same.
    """
    path, mine, yours = _differing("", _tree(ours), _tree(theirs))
    where = f"in `{path}`" if path else "at the top"
    rows = _row(yours), _row(mine)
    if all(rows):
        return f"the first difference is {where}: {rows[0]} in the file, {rows[1]} here"
    alone = (
        f"only the {owner} has {_names(names)}"
        for owner, names in (
            ("file", [name for name in yours if name not in mine]),
            ("network", [name for name in mine if name not in yours]),
        )
        if names
    )
    return f"the first difference is {where}: {'; '.join(alone)}"


def whole_levels(keys: Sequence[str], among: Iterable[str]) -> list[str]:
    """Patterns that match these keys and no others of a set: the outermost levels, then keys."""
    chosen = set(keys)
    counts: dict[str, list[int]] = {}
    for key in among:
        for level in _prefixes(key):
            counts.setdefault(level, [0, 0])[key in chosen] += 1
    patterns: dict[str, None] = {}
    for key in keys:
        whole = (level for level in _prefixes(key) if counts[level][0] == 0)
        outermost = next(whole, None)
        patterns[key if outermost is None else f"{outermost}.*"] = None
    return list(patterns)


def _prefixes(key: str) -> Iterable[str]:
    parts = key.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts)))


def _tree(keys: Iterable[str]) -> Tree:
    root: Tree = {}
    for key in keys:
        level = root
        for part in key.split("."):
            level = level.setdefault(part, {})
    return root


def _differing(path: str, ours: Tree, theirs: Tree) -> tuple[str, Tree, Tree]:
    while ours.keys() == theirs.keys():
        name = next(name for name in ours if ours[name] != theirs[name])
        path = f"{path}.{name}" if path else name
        ours, theirs = ours[name], theirs[name]
    return path, ours, theirs


def _row(level: Mapping[str, Tree]) -> str:
    """The parts of a level that are a row of numbers: `0 to 22`; empty where they are not."""
    count = len(level)
    return f"0 to {count - 1}" if list(level) == [str(i) for i in range(count)] and count else ""


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_LISTED])
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown

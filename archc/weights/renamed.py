"""A checkpoint under the keys that a spec's `checkpoint:` gives its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph
from archc.graph.renames import Rename
from archc.weights.files import Checkpoint, Stored

if TYPE_CHECKING:
    from archc.weights.source import Array


class RenamedCheckpoint:
    """A checkpoint seen under other keys.

    Args:
        checkpoint: the open file.
        stored: key -> key in the file, for every tensor.
    """

    def __init__(self, checkpoint: Checkpoint, stored: Mapping[str, str]) -> None:
        self._checkpoint = checkpoint
        self._stored = stored
        self.tensors: Mapping[str, Stored] = {
            key: checkpoint.tensors[old] for key, old in stored.items()
        }

    def rows(self, key: str, start: int, stop: int) -> Array:
        """See `Checkpoint.rows`."""
        return self._checkpoint.rows(self._stored[key], start, stop)


def renamed(
    graph: Graph, checkpoint: Checkpoint, path: Path
) -> tuple[Checkpoint, list[Diagnostic]]:
    """The checkpoint under the network's keys, as far as the spec's rules lead there.

    A key that the network has stays. Any other is given the key that a rule makes of it, if the
    network has that one.

    Args:
        graph: the network, with the rules.
        checkpoint: the open file.
        path: the file, for the messages.

    Returns:
        The checkpoint, and where rules contradict each other or the file.
    """
    if not graph.renames:
        return checkpoint, []
    known = {ref.key for ref in graph.weights()} | graph.ties().keys()
    stored = {key: key for key in checkpoint.tensors if key in known}
    findings: list[Diagnostic] = []
    for key in checkpoint.tensors:
        if key in known:
            continue
        made = [(new, rule) for rule in graph.renames if (new := rule.apply(key)) in known and new]
        if not made:
            stored[key] = key
            continue
        new, rule = made[0]
        other = next((pair for pair in made if pair[0] != new), None)
        if other is not None:
            findings.append(_ambiguous(path, key, (new, rule), other))
        elif new in stored:
            findings.append(_taken(path, key, stored[new], new, rule))
        else:
            stored[new] = key
    return RenamedCheckpoint(checkpoint, stored), findings


def _ambiguous(
    path: Path, key: str, one: tuple[str, Rename], other: tuple[str, Rename]
) -> Diagnostic:
    return Diagnostic(
        "rename-conflict",
        f"`{key}` in `{path}` would become `{one[0]}` and `{other[0]}`",
        Label(other[1].span, f"`{other[0]}` by this rule"),
        (Label(one[1].span, f"`{one[0]}` by this one"),),
        ("make one of the patterns narrower",),
    )


def _taken(path: Path, key: str, holder: str, new: str, rule: Rename) -> Diagnostic:
    by = "stands there too" if holder == new else f"is what `{holder}` becomes"
    return Diagnostic(
        "rename-conflict",
        f"`{key}` in `{path}` would become `{new}`, which {by}",
        Label(rule.span, f"two tensors would be `{new}`"),
        help=("make the pattern narrower, or remove one of the tensors from the file",),
    )

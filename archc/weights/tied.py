"""Tied weights in checkpoints, which hold them under one of their keys or under several."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph
from archc.types import DType
from archc.weights.files import Checkpoint, Stored
from archc.weights.source import CHUNK


def untied(
    graph: Graph, checkpoint: Checkpoint, path: Path
) -> tuple[dict[str, Stored], dict[str, str], list[Diagnostic]]:
    """What a checkpoint holds, each tied weight under the key that counts.

    Args:
        graph: the network.
        checkpoint: the open file.
        path: the file, for the messages.

    Returns:
        The tensors by the network's keys; the file's key of those that it holds under a further
        key alone; and where it holds different tensors for what is one weight.
    """
    tensors = dict(checkpoint.tensors)
    stored: dict[str, str] = {}
    findings: list[Diagnostic] = []
    for alias, key in graph.ties().items():
        if alias not in tensors:
            continue
        held = stored.get(key, key)
        if held not in tensors:
            stored[key] = alias
        elif not _equal(checkpoint, held, alias):
            findings.append(_differing(graph, key, held, alias, path))
    for alias, key in graph.ties().items():
        found = tensors.pop(alias, None)
        if found is not None:
            tensors.setdefault(key, found)
    return tensors, stored, findings


def _equal(checkpoint: Checkpoint, one: str, other: str) -> bool:
    """Whether two tensors of a file hold the same numbers, a few MiB at a time."""
    stored = checkpoint.tensors[one]
    if stored != checkpoint.tensors[other]:
        return False
    if stored.dtype is not DType.FLOAT32:
        return True  # parameters are float32: it is refused for that, whatever it holds
    rows = stored.shape[0] if stored.shape else 1
    step = max(1, CHUNK * rows // max(1, int(np.prod(stored.shape))))
    parts = ((start, min(rows, start + step)) for start in range(0, rows, step))
    return all(
        np.array_equal(checkpoint.rows(one, *part), checkpoint.rows(other, *part), equal_nan=True)
        for part in parts
    )


def _differing(graph: Graph, key: str, held: str, alias: str, path: Path) -> Diagnostic:
    node = next(n for n in graph.nodes for ref in n.weights if ref.alias == alias)
    return Diagnostic(
        "weights-mismatch",
        f"`{path}` holds different tensors under `{held}` and `{alias}`, which are one weight here",
        Label(node.span, f"`{alias}` is tied to `{key}`"),
        help=("leave out `tie` if they were trained apart",),
    )

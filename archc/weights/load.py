"""Weights from a checkpoint, once it is known to fit the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from archc.diagnostics import Diagnostic
from archc.graph.graph import Graph, WeightRef
from archc.weights.drawn import DrawnWeights, little_endian
from archc.weights.files import BadFileError, Checkpoint, Stored, open_checkpoint
from archc.weights.fit import fit_findings
from archc.weights.source import CHUNK, WeightSource
from archc.weights.tied import untied

if TYPE_CHECKING:
    from archc.weights.source import Array

_COUNTER = "num_batches_tracked"  # checkpoints of before PyTorch 0.4.1 have none


def load_weights(path: str | Path, graph: Graph) -> tuple[WeightSource | None, list[Diagnostic]]:
    """Open a checkpoint for a network: `.safetensors`, `.pth` or `.pt`.

    Keys, shapes and dtypes must be the network's. Batch-norm counters may be absent, as torch
    allows, and count from zero then. A tied weight may stand under any of its keys, or under
    several. Tensors are read when they are asked for.

    Args:
        path: the file.
        graph: the network.

    Returns:
        The weights, or None when the file does not fit, and what was found.
    """
    path = Path(path)
    try:
        checkpoint = open_checkpoint(path)
    except BadFileError as error:
        return None, [error.diagnostic]
    tensors, stored, differing = untied(graph, checkpoint, path)
    for ref in graph.weights():
        if ref.weight.name == _COUNTER and ref.key not in tensors:
            tensors[ref.key] = Stored(ref.weight.shape, ref.weight.dtype)
    findings = [*fit_findings(graph, tensors, path), *differing]
    return (None, findings) if findings else (CheckpointWeights(checkpoint, stored), [])


class CheckpointWeights:
    """Weights read from a file when they are asked for.

    Args:
        checkpoint: the open file, known to fit the network.
        stored: keys in the file of weights that have another key there.
    """

    def __init__(self, checkpoint: Checkpoint, stored: Mapping[str, str] | None = None) -> None:
        self._checkpoint = checkpoint
        self._stored = stored or {}
        self._initial = DrawnWeights()

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        key = self._stored.get(ref.key, ref.key)
        if key not in self._checkpoint.tensors:
            return self._initial.array(ref)
        return np.array(self._checkpoint.rows(key, 0, _rows(ref)))

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        key = self._stored.get(ref.key, ref.key)
        if key not in self._checkpoint.tensors:
            yield from self._initial.chunks(ref)
            return
        step = max(1, CHUNK * _rows(ref) // ref.weight.numel)
        for start in range(0, _rows(ref), step):
            part = self._checkpoint.rows(key, start, min(_rows(ref), start + step))
            yield little_endian(part).reshape(-1).data.cast("B")


def _rows(ref: WeightRef) -> int:
    return ref.weight.shape[0] if ref.weight.shape else 1

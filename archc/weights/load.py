"""Weights from a checkpoint, once it is known to fit the network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archc.diagnostics import Diagnostic
from archc.graph.graph import Graph, WeightRef
from archc.weights.cast import CastWeights, WideWeights, overflows
from archc.weights.drawn import DrawnWeights, little_endian
from archc.weights.files import BadFileError, Checkpoint, Stored, open_checkpoint
from archc.weights.fit import fit_findings
from archc.weights.likely import Alternatives, likely_help
from archc.weights.partial import NO_EXCEPTIONS, Exceptions, excepted
from archc.weights.renamed import renamed
from archc.weights.source import CHUNK, WeightSource
from archc.weights.tied import untied

if TYPE_CHECKING:
    from archc.weights.source import Array

_COUNTER = "num_batches_tracked"  # checkpoints of before PyTorch 0.4.1 have none


class _View(NamedTuple):
    """A checkpoint as a network sees it.

    Attributes:
        checkpoint: under the keys that the spec's rules give.
        tensors: what it holds, by the network's keys.
        stored: keys of tied weights that it holds under a further key alone.
        findings: where rules or tied weights contradict the file.
    """

    checkpoint: Checkpoint
    tensors: dict[str, Stored]
    stored: Mapping[str, str]
    findings: list[Diagnostic]


def _view(graph: Graph, checkpoint: Checkpoint, path: Path) -> _View:
    checkpoint, conflicts = renamed(graph, checkpoint, path)
    tensors, stored, differing = untied(graph, checkpoint, path)
    for node in graph.nodes:
        held = any(ref.key in tensors for ref in node.weights)
        for ref in node.weights if held else ():
            if ref.weight.name == _COUNTER:
                tensors.setdefault(ref.key, Stored(ref.weight.shape, ref.weight.dtype))
    return _View(checkpoint, tensors, stored, [*conflicts, *differing])


def load_weights(
    path: str | Path,
    graph: Graph,
    *,
    exceptions: Exceptions = NO_EXCEPTIONS,
    alternatives: Alternatives | None = None,
    seed: int = 0,
) -> tuple[WeightSource | None, list[Diagnostic]]:
    """Open a checkpoint for a network: `.safetensors`, `.pth` or `.pt`.

    Keys, shapes and dtypes must be the network's, but for the exceptions and for what the spec
    renames. Batch-norm counters may be absent, as torch allows, and count from zero then. A tied
    weight may stand under any of its keys, or under several. Tensors are read when they are asked
    for. A network of fewer bits takes a checkpoint of float32, which is rounded, or of its own
    dtype.

    Args:
        path: the file.
        graph: the network.
        exceptions: what may be missing and what may be left out.
        alternatives: networks that the file may have been made for instead, for advice.
        seed: of weights that may be missing and are.

    Returns:
        The weights, or None when the file does not fit, and what was found.
    """
    declared = graph.declared or graph
    loaded, findings = _load(path, declared, exceptions, alternatives, seed)
    if declared is graph:
        return loaded, findings
    if loaded is None:
        own, others = _load(path, graph, exceptions, None, seed)
        return (None, findings) if own is None else (CastWeights(WideWeights(own, graph)), others)
    too_large = overflows(graph, loaded)
    return (None, too_large) if too_large else (CastWeights(loaded), findings)


def _load(
    path: str | Path,
    graph: Graph,
    exceptions: Exceptions,
    alternatives: Alternatives | None,
    seed: int,
) -> tuple[WeightSource | None, list[Diagnostic]]:
    """The weights as a file holds them."""
    path = Path(path)
    try:
        opened = open_checkpoint(path)
    except BadFileError as error:
        return None, [error.diagnostic]
    view = _view(graph, opened, path)
    tensors, drawn, chosen = excepted(graph, view.tensors, exceptions, path)
    findings = [*fit_findings(graph, tensors, path), *chosen, *view.findings]
    if not any(finding.is_error for finding in findings):
        return CheckpointWeights(view.checkpoint, view.stored, drawn, seed), findings
    if alternatives is not None:
        help = likely_help(graph, lambda one: _view(one, opened, path).tensors, alternatives)
        findings[0] = replace(findings[0], help=(*help, *findings[0].help))
        if help:  # what it is made for is known: how each layer differs tells nothing more
            whole = [one for one in findings if one.code != "weights-mismatch"]
            findings = whole or findings[:1]
    return None, [finding for finding in findings if finding.is_error]


class CheckpointWeights:
    """Weights read from a file when they are asked for.

    Args:
        checkpoint: the open file, known to fit the network.
        stored: keys in the file of weights that have another key there.
        drawn: keys of weights that are drawn, whatever the file holds.
        seed: of these.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        stored: Mapping[str, str],
        drawn: Collection[str],
        seed: int,
    ) -> None:
        self._checkpoint = checkpoint
        self._stored = stored
        self._drawn = drawn
        self._initial = CastWeights(DrawnWeights(seed))

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        key = self._stored.get(ref.key, ref.key)
        if ref.key in self._drawn or key not in self._checkpoint.tensors:
            return self._initial.array(ref)
        return np.array(self._checkpoint.rows(key, 0, _rows(ref)))

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        key = self._stored.get(ref.key, ref.key)
        if ref.key in self._drawn or key not in self._checkpoint.tensors:
            yield from self._initial.chunks(ref)
            return
        step = max(1, CHUNK * _rows(ref) // ref.weight.numel)
        for start in range(0, _rows(ref), step):
            part = self._checkpoint.rows(key, start, min(_rows(ref), start + step))
            # Viewed as bytes: memory cannot be exported as bfloat16, which is no type of numpy.
            yield little_endian(part).reshape(-1).view(np.uint8).data


def _rows(ref: WeightRef) -> int:
    return ref.weight.shape[0] if ref.weight.shape else 1

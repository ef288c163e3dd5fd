"""Peak memory of the values that flow, by their lifetimes.

The layers run one after another in the order of the graph, and every layer writes its results to
memory of its own: nothing is done in place, and a view (`flatten`, `identity`, `dropout` in
inference) counts as a copy. A value lives from the layer that makes it until the last layer that
reads it has run; the network's inputs live from the start until then, its outputs to the end. A
result that nothing reads lives while its layer runs. Weights and scratch memory inside a layer
are not counted. Layers on the side do not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archc.graph.costs import byte_size, values_bytes
from archc.graph.graph import Graph, Node, Value
from archc.records import dataclass
from archc.types import Dim, dim_max, evaluate, provably_at_least, symbols_of

MAX_CANDIDATES = 12
"""Sizes, none provably the largest, of which a maximum is still formed."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The most bytes that are alive at a time.

    Attributes:
        bytes: the maximum; None when too many sums could be the largest, depending on the sizes.
        path: a layer while which it is reached; None when that depends on the sizes, or before
            any layer runs.
    """

    bytes: Dim | None
    path: str | None


def peak_memory(graph: Graph) -> Peak:
    """The most bytes of values that are alive while one layer runs."""
    nodes = [node for node in graph.nodes if node.side is None]
    start = values_bytes(graph.inputs)
    candidates: dict[Dim, str | None] = {start: None}
    for node, alive in zip(nodes, _alive(graph, nodes, start), strict=True):
        candidates.setdefault(alive, node.path)
    largest = _largest(candidates)
    if len(largest) == 1:
        return Peak(largest[0], candidates[largest[0]])
    return Peak(dim_max(*largest) if len(largest) <= MAX_CANDIDATES else None, None)


def _alive(graph: Graph, nodes: list[Node], start: Dim) -> Iterable[Dim]:
    """Bytes alive while each node runs."""
    last = _last_reads(graph, nodes)
    sizes = {value.name: byte_size(value.type) for value in _values(graph, nodes)}
    alive = start
    for name, read in last.items():
        if read < 0:  # an input that nothing reads
            alive = alive - sizes[name]
    dying: dict[int, list[str]] = {}
    for name, read in last.items():
        dying.setdefault(read, []).append(name)
    for index, node in enumerate(nodes):
        alive = alive + values_bytes(node.outputs)
        yield alive
        for name in dying.get(index, ()):
            alive = alive - sizes[name]


def _values(graph: Graph, nodes: list[Node]) -> Iterable[Value]:
    yield from graph.inputs
    for node in nodes:
        yield from node.outputs


def _last_reads(graph: Graph, nodes: list[Node]) -> dict[str, int]:
    """Value -> index of the node after which it is gone; -1 for an input that nothing reads."""
    last = {value.name: -1 for value in graph.inputs}
    for index, node in enumerate(nodes):
        last.update((value.name, index) for value in (*node.outputs, *node.inputs))
    last.update((value.name, len(nodes)) for value in graph.outputs.values())
    return last


def _largest(candidates: Iterable[Dim]) -> list[Dim]:
    """Candidates of which none is provably at most another."""
    measured = {dim: _measures(dim) for dim in candidates}
    kept: list[Dim] = []
    # From the largest image down: what dominates is mostly met before what it dominates.
    for dim in sorted(measured, key=lambda dim: measured[dim][-1], reverse=True):
        if any(_covers(other, dim, measured) for other in kept):
            continue
        kept = [other for other in kept if not _covers(dim, other, measured)]
        kept.append(dim)
    return kept


def _measures(dim: Dim) -> tuple[int, ...]:
    """Values at some sizes, which refute most comparisons before a proof is tried."""
    names = sorted(symbols_of(dim))
    uneven = {name: 3 + 40 * place for place, name in enumerate(names)}
    return (
        *(evaluate(dim, dict.fromkeys(names, size)) for size in (1, 2, 7, 33)),
        evaluate(dim, uneven),
        evaluate(dim, dict.fromkeys(names, 512)),
    )


def _covers(a: Dim, b: Dim, measured: Mapping[Dim, tuple[int, ...]]) -> bool:
    pairs = zip(measured[a], measured[b], strict=True)
    return all(ours >= theirs for ours, theirs in pairs) and provably_at_least(a, b)

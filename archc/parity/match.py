"""Values of two networks matched by their numbers, where names say nothing.

A value of the spec and one of the other network are the same when they hold as many elements that
agree by the gate on the same input. Up to the first mistake every value of the spec has such a
counterpart, unless the other network never computes it alone (a folded batch norm, a fused
activation); behind it nothing has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from archc.graph import Node, Value
from archc.parity.gate import USUAL, Comparison, Gate, compare, scaled_error
from archc.parity.layers import LayerRun
from archc.records import dataclass, field

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_SAMPLE = 1 << 16
_GLANCE = 512
_CLOSE = 0.25
"""How much closer a layer's closest counterpart is than that of a layer that has none."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value of the other network.

    Attributes:
        name: what a person finds it by.
        order: when it was computed.
        shape: there.
        count: how many elements it has.
        sample: some of them, in the order of memory.
    """

    name: str
    order: int
    shape: tuple[int, ...]
    count: int
    sample: Array


@dataclass(slots=True)
class Matching:
    """Which value of the spec is which of the other network.

    Attributes:
        matched: name of a value of the spec -> its counterpart.
        errors: name of a value -> how it compares with its counterpart, or with the closest
            that there is.
        closest: name of a value without counterpart -> the closest.
        nodes: the layers, in the order they ran.
    """

    matched: dict[str, Candidate] = field(default_factory=dict)
    errors: dict[str, Comparison] = field(default_factory=dict)
    closest: dict[str, Candidate] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def first_unmatched(self) -> Node | None:
        """The first layer whose value has no counterpart though its inputs have.

        A layer without counterpart is no mistake where everything computed from it has one.
        Among layers in a row, that one is taken whose value comes close to one of the other
        network: those before it are then not computed there at all.
        """
        good = self._good()
        for index, node in enumerate(self.nodes):
            if node.output.name in good:
                continue
            return self._closest_in_row(index, good)
        return None

    def good_before(self, node: Node) -> dict[str, Candidate]:
        """The counterparts of the values up to a layer."""
        names: set[str] = set()
        for other in self.nodes:
            if other.path == node.path:
                break
            names.update(value.name for value in other.outputs)
        made = {value.name for other in self.nodes for value in other.outputs}
        return {
            name: item for name, item in self.matched.items() if name in names or name not in made
        }

    def _good(self) -> set[str]:
        good = set(self.matched)
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                readers.setdefault(value.name, []).append(node)
        for node in reversed(self.nodes):
            for value in node.outputs:
                behind = readers.get(value.name, [])
                if behind and all(reader.output.name in good for reader in behind):
                    good.add(value.name)
        return good

    def _closest_in_row(self, index: int, good: set[str]) -> Node:
        first = self.nodes[index]
        best, error = first, self._distance(first)
        last = first
        for node in self.nodes[index + 1 :]:
            inputs = {value.name for value in node.inputs}
            if last.output.name not in inputs or not inputs - {last.output.name} <= good:
                break
            last = node
            if self._distance(node) < _CLOSE * error:
                best, error = node, self._distance(node)
        return best

    def _distance(self, node: Node) -> float:
        item = self.errors.get(node.output.name)
        return float("inf") if item is None else item.ort_error


def candidate(name: str, order: int, array: Array) -> Candidate:
    """What is kept of a value to find it again: copies, as what follows may write over it."""
    flat = array.reshape(-1)
    return Candidate(name, order, array.shape, flat.size, flat[_positions(flat.size)])


def match(
    inputs: Mapping[str, Candidate],
    layers: Iterable[LayerRun],
    candidates: Sequence[Candidate],
    named: Mapping[str, Sequence[Candidate]] | None = None,
    gate: Gate = USUAL,
) -> Matching:
    """Find the counterparts of all values of a spec.

    Args:
        inputs: counterparts of the network's inputs, by name.
        layers: the spec's layers, run one by one.
        candidates: the values of the other network.
        named: those that have the path of a layer; a layer's value is one of them, or none.
        gate: what counts as the same.
    """
    by_count: dict[int, list[Candidate]] = {}
    for item in candidates:
        by_count.setdefault(item.count, []).append(item)
    result = Matching(dict(inputs))
    for run in layers:
        result.nodes.append(run.node)
        known = [result.matched[v.name] for v in run.node.inputs if v.name in result.matched]
        since = max((item.order for item in known), default=-1)
        own = (named or {}).get(run.node.path)
        for index, value in enumerate(run.node.outputs):
            later = by_count.get(run.single[index].size, ())
            choice = [*known, *(item for item in later if item.order >= since)]
            _match(result, value, run, index, choice if own is None else own, gate)
    return result


def _match(
    result: Matching,
    value: Value,
    run: LayerRun,
    index: int,
    choice: Sequence[Candidate],
    gate: Gate,
) -> None:
    count = run.single[index].size
    positions = _positions(count)
    single = run.single[index].reshape(-1)[positions]
    exact = run.exact[index].reshape(-1)[positions]
    best = float("inf")
    for item in choice:
        if item.count != count or item.sample.dtype != single.dtype:
            continue
        glance = scaled_error(item.sample[:_GLANCE], exact[:_GLANCE])
        if glance >= best and glance > _CLOSE:
            continue
        compared = compare(value.name, {}, None, single, item.sample, exact, gate)
        if compared.ok:
            result.matched[value.name] = item
            result.errors[value.name] = compared
            return
        if glance < best:
            best = glance
            result.errors[value.name] = compared
            result.closest[value.name] = item


@lru_cache(maxsize=256)
def _positions(count: int) -> Array:
    """The elements that are kept of an array of this size; always the same."""
    import numpy as np

    if count <= _SAMPLE:
        return np.arange(count)
    return np.random.default_rng(count).choice(count, _SAMPLE, replace=False)

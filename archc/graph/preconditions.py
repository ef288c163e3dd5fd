"""What a network demands of its symbolic sizes: derived from the conditions of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import lcm

from archc.graph.graph import Node
from archc.ops.conditions import Condition
from archc.records import dataclass
from archc.types import symbols_of
from archc.types.dims import dim_period
from archc.types.sizes import ALL_SIZES, MAX_PERIOD, Effort, SizeSet, solve


@dataclass(frozen=True, slots=True)
class Demand:
    """A condition of one layer on one symbol, solved.

    Attributes:
        node: the layer.
        condition: as its shape rule stated it.
        symbol: the one size it depends on.
        sizes: for which of its values the condition holds.
    """

    node: Node
    condition: Condition
    symbol: str
    sizes: SizeSet


@dataclass(frozen=True, slots=True)
class Preconditions:
    """All that a network demands of its symbolic sizes.

    Attributes:
        sizes: symbol -> the sizes for which every demand on it holds.
        demands: demands that together imply all others, none of them implied by the rest.
        conflict: a demand that leaves no size, if there is one.
        unproved: conditions that were neither proved nor solved (several symbols, products).
    """

    sizes: Mapping[str, SizeSet]
    demands: tuple[Demand, ...]
    conflict: Demand | None
    unproved: tuple[tuple[Node, Condition], ...]


def derive_preconditions(
    nodes: Sequence[Node], declared: Mapping[str, SizeSet] | None = None
) -> Preconditions:
    """Collect and solve the conditions of all layers.

    Args:
        nodes: layers in dataflow order.
        declared: what the spec promises of a symbol; demands that follow from it are left out.

    What would take too long to solve counts as unproved.
    """
    effort = Effort()
    demands: list[Demand] = []
    unproved: list[tuple[Node, Condition]] = []
    promised = declared or {}
    sizes: dict[str, SizeSet] = {}
    periods = {name: promise.period for name, promise in promised.items()}
    conflict = None
    for node, condition in _distinct(nodes):
        demand = _solved(node, condition, effort)
        if demand is None:
            unproved.append((node, condition))
            continue
        name = demand.symbol
        promise = promised.get(name, ALL_SIZES)
        before = sizes.get(name, promise)
        period = lcm(periods.get(name, 1), demand.sizes.period)
        if period > MAX_PERIOD or not effort.spend(2 * before.cost(demand.sizes)):
            unproved.append((node, condition))
            continue
        if promise <= demand.sizes:
            continue
        demands.append(demand)
        periods[name] = period
        after = before & demand.sizes
        if after.is_empty and conflict is None and not before.is_empty:
            conflict = demand
        sizes[name] = after
    minimal = tuple(_minimal(demands, promised, effort))
    return Preconditions(sizes, minimal, conflict, tuple(unproved))


def _distinct(nodes: Sequence[Node]) -> Iterator[tuple[Node, Condition]]:
    """Conditions with the first layer that states each."""
    seen: set[tuple[object, ...]] = set()
    for node in nodes:
        if node.side == "training":  # not part of what is exported and run
            continue
        for condition in node.conditions:
            key = (condition.relation, condition.left, condition.right)
            if key not in seen:
                seen.add(key)
                yield node, condition


def _solved(node: Node, condition: Condition, effort: Effort) -> Demand | None:
    names = symbols_of(condition.left) | symbols_of(condition.right)
    if len(names) != 1:
        return None
    (name,) = names
    periods = [dim_period(dim, name) for dim in (condition.left, condition.right)]
    if condition.relation == "divisible":
        if not isinstance(condition.right, int):
            return None
        periods.append(dim_period(condition.left % condition.right, name))
    known = [period for period in periods if period is not None]
    if len(known) < len(periods) or lcm(*known) > MAX_PERIOD:
        return None
    period = lcm(*known)
    sizes = solve(condition.relation, condition.left, condition.right, name, period, effort)
    return None if sizes is None else Demand(node, condition, name, sizes)


def _minimal(
    demands: Sequence[Demand], promised: Mapping[str, SizeSet], effort: Effort
) -> Iterator[Demand]:
    """Demands that are not implied by the others and what is promised.

    Where there are so many that this takes too long, some that are implied stay.

    The strongest ones are kept: a demand is dropped when the demands kept so far (and those that
    are still to be looked at) imply it, the weakest being looked at first.
    """
    kept = list(demands)
    for demand in sorted(demands, key=lambda one: _strength(one.sizes)):
        rest = promised.get(demand.symbol, ALL_SIZES)
        for other in kept:
            if other is not demand and other.symbol == demand.symbol:
                if not effort.spend(rest.cost(other.sizes)):
                    yield from kept
                    return
                rest = rest & other.sizes
        if not effort.spend(rest.cost(demand.sizes)):
            break
        if rest <= demand.sizes:
            kept.remove(demand)
    yield from kept


def _strength(sizes: SizeSet) -> tuple[int, int]:
    """How much a set leaves out, roughly: its period, then its smallest member."""
    first = sizes.first(1)
    return sizes.period // max(1, len(sizes.residues)), first[0] if first else 0

"""Repeats folded: consecutive levels of the layer tree whose rows are the same are shown once."""

from __future__ import annotations

from collections.abc import Sequence

from archc.graph import Graph
from archc.graph.costs import dim_sum
from archc.records import dataclass
from archc.targets.report.rows import Row
from archc.types import Dim

MAX_PERIOD = 4
"""Levels that may take turns within a repeat (plain and shifted windows: 2)."""

LEAST_LEAVES = 3
"""Repeats of bare layers that are folded; two would save a line and cost one."""


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the layer tree as one line.

    Attributes:
        path: its path.
        kind: the block it is an instance of, or `section`.
        rows: its layers.
    """

    path: str
    kind: str
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Trainable elements of its layers."""
        return sum(row.cost.parameters for row in self.rows)

    @property
    def macs(self) -> Dim:
        """Multiply-accumulates of its layers."""
        return dim_sum(row.cost.macs for row in self.rows)

    @property
    def activation_bytes(self) -> Dim:
        """Size of its layers' results."""
        return dim_sum(row.cost.activation_bytes for row in self.rows)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Layers that come several times.

    Attributes:
        times: how often.
        first: path of the first of them.
        last: path of the last of them.
        body: lines of the first time.
        end: the last row of the last time.
    """

    times: int
    first: str
    last: str
    body: tuple[Line, ...]
    end: Row


Line = Row | Level | Repeat


@dataclass(frozen=True, slots=True)
class _Unit:
    """A layer, or a level with what it holds; `key` is equal for units with the same rows."""

    path: str
    key: int
    rows: Sequence[Row]
    children: Sequence[_Unit]


def folded(
    graph: Graph, rows: Sequence[Row], *, depth: int | None = None, unfold: bool = False
) -> tuple[Line, ...]:
    """The lines that stand for the rows.

    Args:
        graph: the network.
        rows: its rows.
        depth: levels below this depth are shown as one line; None shows all layers.
        unfold: whether repeats are written out.
    """
    keys: dict[object, int] = {}
    return _lines(graph, _units(rows, 0, keys), depth, unfold)


def _units(rows: Sequence[Row], level: int, keys: dict[object, int]) -> list[_Unit]:
    """Rows grouped by the name at one level of their paths."""
    units: list[_Unit] = []
    paths = [row.node.path.split(".") for row in rows]
    start = 0
    while start < len(rows):
        names = paths[start]
        end = start + 1
        if len(names) == level + 1:
            own = _key(rows[start])
            units.append(_Unit(rows[start].node.path, _number(own, keys), rows[start:end], ()))
        else:
            while (
                end < len(rows)
                and len(paths[end]) > level + 1
                and paths[end][level] == names[level]
            ):
                end += 1
            inner = _units(rows[start:end], level + 1, keys)
            key = tuple((unit.path.rpartition(".")[2], unit.key) for unit in inner)
            path = ".".join(names[: level + 1])
            units.append(_Unit(path, _number(key, keys), rows[start:end], inner))
        start = end
    return units


def _number(key: object, keys: dict[object, int]) -> int:
    return keys.setdefault(key, len(keys))


def _key(row: Row) -> object:
    """Equal for rows that say the same, names and receptive fields aside.

    Attributes that no column shows may differ: drop rates that rise from block to block are no
    reason to show all blocks.
    """
    node = row.node
    types = (tuple(v.type for v in node.inputs), tuple(v.type for v in node.outputs))
    return node.op_name, row.derivation, types, row.cost, node.side


def _lines(
    graph: Graph, units: Sequence[_Unit], depth: int | None, unfold: bool
) -> tuple[Line, ...]:
    lines: list[Line] = []
    at = 0
    while at < len(units):
        period, times = (1, 1) if unfold else _repeat(units, at)
        part = units[at : at + period]
        body = tuple(line for unit in part for line in _unit_lines(graph, unit, depth, unfold))
        if times == 1:
            lines += body
        else:
            last = units[at + period * times - 1]
            lines.append(Repeat(times, part[0].path, last.path, body, last.rows[-1]))
        at += period * times
    return tuple(lines)


def _unit_lines(graph: Graph, unit: _Unit, depth: int | None, unfold: bool) -> tuple[Line, ...]:
    if not unit.children:
        return (unit.rows[0],)
    if depth is not None and unit.path.count(".") + 1 >= depth:
        scope = graph.scopes.get(unit.path)
        kind = scope.block if scope is not None and scope.block is not None else "section"
        return (Level(unit.path, kind, tuple(unit.rows)),)
    return _lines(graph, unit.children, depth, unfold)


def _repeat(units: Sequence[_Unit], at: int) -> tuple[int, int]:
    """How many units from here on repeat, and how often: the choice that covers most."""
    best = (1, 1)
    for period in range(1, MAX_PERIOD + 1):
        part = [unit.key for unit in units[at : at + period]]
        times = 1
        while _same(units, at + times * period, part):
            times += 1
        leaves = not any(unit.children for unit in units[at : at + period])
        if times < (LEAST_LEAVES if leaves else 2):
            continue
        if period * times > best[0] * best[1]:
            best = (period, times)
    return best


def _same(units: Sequence[_Unit], at: int, part: Sequence[int]) -> bool:
    return at + len(part) <= len(units) and all(
        units[at + i].key == key for i, key in enumerate(part)
    )

"""Parameters found: which literals go together, and which follow from others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archc.targets.torch.code import ABSENT, distinct
from archc.targets.torch.columns import (
    PARAM,
    PER,
    ROOT,
    SAME,
    TIMES,
    UNNAMED,
    Column,
    Given,
    Parameter,
    Text,
    known_parameters,
)
from archc.targets.torch.signatures import CHANNELS


class Finder:
    """Gives each literal that differs a parameter, or an expression of some.

    Args:
        given: what is known of each instance.
        axis: axis of the input that holds features.
    """

    def __init__(self, given: Sequence[Given], axis: int) -> None:
        self.parameters = known_parameters(given, axis)
        self._expressions: list[Text] = []

    def text(self, column: Column) -> Text:
        """What to write for a column; the parameters it takes are noted."""
        text = self._same(column, lets=False) or self._derived(column)
        text = text or self._same(column, lets=True) or self._new(column)
        for parameter in text.parameters():
            parameter.use(_rows(column))
        return text

    def echo(self, column: Column) -> Text | None:
        """A parameter of the same role for a column that is constant where it is present.

        A projection that is only there when the stride is 2 strides as its block does.
        """
        sample = column.sample
        if ABSENT not in column.literals or sample.is_default or not sample.role:
            return None
        for parameter in self.parameters:
            if parameter.rows and parameter.has_role(sample.role) and _accepts(parameter, column):
                parameter.use(_rows(column))
                return Text(SAME, (parameter,))
        return None

    def _new(self, column: Column) -> Text:
        rank = (UNNAMED, column.position)
        parameter = Parameter(column.values, column.sample.kind, rank, columns=[column])
        self.parameters.append(parameter)
        return Text(SAME, (parameter,))

    # -- the same -------------------------------------------------------------------------

    def _same(self, column: Column, *, lets: bool) -> Text | None:
        """A parameter that has the column's value wherever that has one."""
        sample = column.sample

        def unlike(parameter: Parameter) -> bool:
            return not parameter.has_role(sample.role) and parameter.name != sample.role

        for parameter in sorted(self.parameters, key=unlike):
            open_let = parameter.is_let and not parameter.columns
            if open_let == lets and _accepts(parameter, column):
                _merge(parameter, column)
                return Text(SAME, (parameter,))
        return None

    # -- what follows ---------------------------------------------------------------------

    def _derived(self, column: Column) -> Text | None:
        """An expression that gives every instance its value."""
        if column.sample.role == "padding":
            return self._half_kernel(column)
        if column.sample.role == "scale":
            return self._root(column)
        if column.sample.kind not in ("channels", "size"):
            return None
        sizes = [p for p in self.parameters if not p.is_let or p.columns]
        sizes = [p for p in sizes if p.kind in ("channels", "")]
        ratios = (_ratio(parameter, column) for parameter in sizes)
        text = self._written_before(column) or _product(sizes, column)
        text = text or next((ratio for ratio in ratios if ratio is not None), None)
        if text is not None:
            self._expressions.append(text)
        return text

    def _written_before(self, column: Column) -> Text | None:
        """An expression that other columns have; where few instances tell, chance is likely."""
        for text in self._expressions:
            pairs = zip(text.values(len(column.literals)), column.values, strict=True)
            if all(value in (ABSENT, size) for size, value in pairs):
                return text
        return None

    def _half_kernel(self, column: Column) -> Text | None:
        for parameter in self.parameters:
            pairs = _integer_pairs(parameter, column)
            fits = bool(pairs) and all(value == size // 2 for size, value in pairs)
            if fits and parameter.has_role("kernel_size"):
                return Text(PER, (parameter, 2))
        return None

    def _root(self, column: Column) -> Text | None:
        """A scale that is one by the root of a number of features."""
        for parameter in self.parameters:
            pairs = list(zip(parameter.values, column.values, strict=True))
            known = [(a, b) for a, b in pairs if b is not ABSENT]
            sizes = parameter.kind == "channels" and all(type(a) is int for a, _ in known)
            if sizes and all(a**-0.5 == b for a, b in known):
                return Text(ROOT, (parameter,))
        return None


def _rows(column: Column) -> list[int]:
    """Instances that have the column."""
    return [row for row, value in enumerate(column.literals) if value is not ABSENT]


def _accepts(parameter: Parameter, column: Column) -> bool:
    if parameter.kind:
        if not _may_be(parameter.kind, column.sample.kind):
            return False
    elif not _could_mean(parameter, column):
        return False
    pairs = zip(parameter.values, column.values, strict=True)
    known = [(a, b) for a, b in pairs if ABSENT not in (a, b)]
    # What is absent may be filled in, but not on the strength of nothing.
    return bool(known) and all(distinct(a) == distinct(b) for a, b in known)


def _may_be(kind: str, wanted: str) -> bool:
    """Whether a parameter of a kind may fill a column of another: features are sizes."""
    return kind == wanted or (kind == "channels" and wanted == "size")


def _merge(parameter: Parameter, column: Column) -> None:
    parameter.columns.append(column)
    if not parameter.kind:
        parameter.kind = "channels" if column.sample.kind == "size" else column.sample.kind
    parameter.values = [
        b if a is ABSENT else a for a, b in zip(parameter.values, column.values, strict=True)
    ]


def _could_mean(parameter: Parameter, column: Column) -> bool:
    """Whether a name from the spec fits an argument; equal numbers alone may be chance."""
    sample = column.sample
    if sample.kind in ("channels", "size", "flag"):
        return True
    name = parameter.name
    words = ["drop" if sample.role == "p" else sample.role, column.context]
    return any(len(w) > 1 and (w.startswith(name) or name.startswith(w)) for w in words)


def _integer_pairs(parameter: Parameter, column: Column) -> list[tuple[int, int]]:
    """(parameter, column) of each instance that has the column; empty if one is no integer."""
    pairs = [
        (base, value)
        for base, value in zip(parameter.values, column.values, strict=True)
        if value is not ABSENT
    ]
    return pairs if all(type(a) is int and type(b) is int for a, b in pairs) else []


def _ratio(parameter: Parameter, column: Column) -> Text | None:
    """A multiple or a part of a parameter, if more than one size shows it."""
    pairs = _integer_pairs(parameter, column)
    if len({base for base, _ in pairs}) < 2 or any(base < 1 or value < 1 for base, value in pairs):
        return None
    base, value = pairs[0]
    factor, divisor = value // base, base // value
    if factor > 1 and all(v == b * factor for b, v in pairs):
        return Text(TIMES, (parameter, factor))
    if divisor > 1 and all(v * divisor == b for b, v in pairs):
        return Text(PER, (parameter, divisor))
    return None


def _product(sizes: Sequence[Parameter], column: Column) -> Text | None:
    """A size times a factor of the spec: `in_channels * expand`."""
    for factor in sizes:
        if factor.kind or factor.rank[0] != PARAM or _NO_FACTOR.search(factor.name):
            continue
        for size in sizes:
            rows = list(zip(size.values, factor.values, column.values, strict=True))
            known = [row for row in rows if row[2] is not ABSENT]
            whole = all(type(value) is int for row in known for value in row)
            if size is not factor and whole and all(a * b == c for a, b, c in known):
                return Text(TIMES, (size, factor))
    return None


_NO_FACTOR = re.compile("stride|kernel|dilation|padding|groups")
"""Params of these names multiply sizes by chance only."""


def features_axis(columns: Sequence[Column], given: Sequence[Given]) -> int:
    """The axis of a block's input that holds its features, by what reads it first.

    Where no argument says, it is the one that sizes in the block are multiples of.
    """
    role = next((c.sample.role for c in columns if c.sample.role in CHANNELS), None)
    if role is not None:
        return -1 if role in _LAST_AXIS else 1
    sizes = [c for c in columns if c.sample.kind == "channels" and not c.is_constant]
    for axis in (-1, 1):
        if all(len(g.input) > 1 for g in given):
            entering = Parameter([g.input[axis] for g in given])
            if any(_ratio(entering, column) is not None for column in sizes):
                return axis
    return 1


_LAST_AXIS = ("in_features", "out_features", "normalized_shape")
"""Arguments that count the features of the last axis."""

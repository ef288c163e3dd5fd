"""Sets of sizes that are periodic from some size on: what conditions on one symbol amount to.

`{n >= least : n mod period in residues}` without a few exceptions covers every condition that
shapes give rise to: "H >= 63", "H even", "H a multiple of 32, at least 64".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from itertools import islice
from math import lcm
from typing import Any, Literal

from archc.records import dataclass
from archc.types.dims import (
    Dim,
    Expr,
    evaluate,
    provably_at_least,
    provably_differ,
    provably_equal,
    substitute,
    symbol,
)

Relation = Literal["equal", "at-least", "divisible"]

MAX_PERIOD = 4096
MAX_START = 8192
MAX_LISTED = 16
"""Sizes that a message lists one by one."""

_PROOF, _TRIAL = 2000, 400  # steps that a proof and an evaluation take, see `Effort`
_FIRST_PROBES = (1, 2, 4, 8, 16, 64, 256, 1024, 4096)


@dataclass(frozen=True, slots=True)
class SizeSet:
    """A set of positive sizes.

    Attributes:
        early: the members below `start`.
        start: from here on membership depends on the residue alone.
        period: of the residues.
        residues: those of members from `start` on.
    """

    early: frozenset[int]
    start: int
    period: int
    residues: frozenset[int]

    def __contains__(self, size: int) -> bool:
        if size < self.start:
            return size in self.early
        return size % self.period in self.residues

    def members(self) -> Iterator[int]:
        """Members, the smallest first."""
        yield from sorted(self.early)
        if not self.residues:
            return
        size = self.start
        while True:
            if size % self.period in self.residues:
                yield size
            size += 1

    def first(self, count: int) -> list[int]:
        """The smallest members."""
        return list(islice(self.members(), count))

    @property
    def is_empty(self) -> bool:
        """Whether no size is a member."""
        return not self.early and not self.residues

    @property
    def is_everything(self) -> bool:
        """Whether every positive size is a member."""
        return len(self.early) == self.start - 1 and len(self.residues) == self.period

    def as_data(self) -> dict[str, int | list[int]]:
        """Plain data, as a model's metadata carry it; `from_data` reads it back."""
        return {
            "early": sorted(self.early),
            "start": self.start,
            "period": self.period,
            "residues": sorted(self.residues),
        }

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> SizeSet:
        """The set that `as_data` described.

        Raises:
            KeyError: a part is missing.
            TypeError: a part is of the wrong type.
            ValueError: the period or the start is not positive.
        """
        start, period = data["start"], data["period"]
        if not isinstance(start, int) or not isinstance(period, int):
            raise TypeError("start and period are integers")
        if start < 1 or not 1 <= period <= MAX_PERIOD**2:
            raise ValueError("start and period are positive")
        return SizeSet(frozenset(data["early"]), start, period, frozenset(data["residues"]))

    def __and__(self, other: SizeSet) -> SizeSet:
        start = max(self.start, other.start)
        period = lcm(self.period, other.period)
        early = frozenset(self._before(start)) & other._before(start)
        return _canonical(early, start, period, self._modulo(period) & other._modulo(period))

    def _before(self, limit: int) -> Set[int]:
        """The members below a limit that is `start` or more."""
        if limit == self.start or not self.residues:
            return self.early
        found = set(self.early)
        for residue in self.residues:
            first = self.start + (residue - self.start) % self.period
            found.update(range(first, limit, self.period))
        return found

    def _modulo(self, period: int) -> Set[int]:
        """The residues of a multiple of the period."""
        if period == self.period:
            return self.residues
        return {part + r for part in range(0, period, self.period) for r in self.residues}

    def cost(self, other: SizeSet) -> int:
        """How many steps their intersection takes, roughly (see `Effort`)."""
        return 100 + 2 * max(self.start, other.start) + lcm(self.period, other.period)

    def __le__(self, other: SizeSet) -> bool:
        return (self & other) == self


ALL_SIZES = SizeSet(frozenset(), 1, 1, frozenset({0}))


def at_least(least: int) -> SizeSet:
    """Sizes from `least` on."""
    return SizeSet(frozenset(), max(least, 1), 1, frozenset({0}))


def multiple_of(step: int) -> SizeSet:
    """Multiples of `step`."""
    return SizeSet(frozenset(), 1, step, frozenset({0}))


def at_most(most: int) -> SizeSet:
    """Sizes up to `most`."""
    return SizeSet(frozenset(range(1, most + 1)), most + 1, 1, frozenset())


def _canonical(early: Set[int], start: int, period: int, residues: Set[int]) -> SizeSet:
    """The set with the smallest period and start; equal sets become equal objects."""
    for divisor in range(1, period + 1):
        if period % divisor == 0:
            fewer = {residue % divisor for residue in residues}
            if len(fewer) * (period // divisor) == len(residues):
                period, residues = divisor, fewer
                break
    if not residues:
        start = max(early, default=0) + 1
    steady = start
    while start > 1 and (start - 1 in early) == ((start - 1) % period in residues):
        start -= 1
    if start < steady:
        early = {size for size in early if size < start}
    return SizeSet(frozenset(early), start, period, frozenset(residues))


class Effort:
    """What solving and comparing may cost, in steps of about 50 ns; then it is given up.

    A few layers can state conditions with periods of thousands, and many of them; a network has
    few, with periods of a few dozen.
    """

    def __init__(self, steps: int = 16_000_000) -> None:
        self._left = steps

    def spend(self, steps: int) -> bool:
        """Take steps; whether there were as many left."""
        enough = steps <= self._left
        self._left -= steps if enough else 0
        return enough


def solve(
    relation: Relation, left: Dim, right: Dim, name: str, period: int, effort: Effort
) -> SizeSet | None:
    """The sizes of one symbol for which a condition holds; None when that is not settled.

    Every residue class of the period is settled by proof from some size on; what lies before is
    tried size by size.

    Args:
        relation: `left == right`, `left >= right` or `left % right == 0`.
        left: a dim over the one symbol.
        right: likewise.
        name: the symbol.
        period: a common period of both sides (`dim_period`).
        effort: what it may cost.
    """
    gap = left - right if relation != "divisible" else left % right
    if isinstance(gap, int):
        holds = gap >= 0 if relation == "at-least" else gap == 0
        return ALL_SIZES if holds else SizeSet(frozenset(), 1, 1, frozenset())
    if period > MAX_PERIOD:
        return None
    verdicts: list[bool] = []
    start = 1
    for residue in range(period):
        settled = _settle(relation, gap, name, period, residue, effort)
        if settled is None:
            return None
        verdict, since = settled
        verdicts.append(verdict)
        start = max(start, since)
    if start > MAX_START or not effort.spend(_TRIAL * start):
        return None
    early = {n for n in range(1, start) if _holds(relation, evaluate(gap, {name: n}))}
    residues = {residue for residue, verdict in enumerate(verdicts) if verdict}
    return _canonical(early, start, period, residues)


def _holds(relation: Relation, gap: int) -> bool:
    return gap >= 0 if relation == "at-least" else gap == 0


def _settle(
    relation: Relation, gap: Expr, name: str, period: int, residue: int, effort: Effort
) -> tuple[bool, int] | None:
    """Whether the condition holds for `n = residue (mod period)` from some n on, and from which."""
    step = symbol(name)
    for probe in _FIRST_PROBES:
        if not effort.spend(_PROOF):
            return None
        # n = period*(t + probe - 1) + residue with t >= 1, which keeps n positive.
        first = period * probe + residue
        here = substitute(gap, {name: period * step + (first - period)})
        if _always(relation, here):
            return True, first
        if _never(relation, here):
            return False, first
    return None


def _always(relation: Relation, gap: Dim) -> bool:
    return provably_at_least(gap, 0) if relation == "at-least" else provably_equal(gap, 0)


def _never(relation: Relation, gap: Dim) -> bool:
    return provably_at_least(-1, gap) if relation == "at-least" else provably_differ(gap, 0)


def describe_sizes(name: str, sizes: SizeSet) -> str:
    """The set in words: `H is a multiple of 32, at least 64`."""
    if sizes.is_everything:
        return f"{name} is any size"
    if sizes.is_empty:
        return f"{name} has no size that works"
    if not sizes.residues:
        count, least, most = len(sizes.early), min(sizes.early), max(sizes.early)
        if count > 2 and count == most - least + 1:
            lower = "" if least == 1 else f"{least} <= "
            return f"{lower}{name} <= {most}"
        if count > MAX_LISTED:
            shown = ", ".join(map(str, sizes.first(6)))
            return f"{name} is one of {shown}, ..., {most} ({count} sizes)"
        return f"{name} is " + " or ".join(map(str, sorted(sizes.early)))
    least = sizes.first(1)[0]
    steady = [size for size in range(least, sizes.start) if size not in sizes.early]
    if len(sizes.residues) == sizes.period:
        rule = f"{name} >= {least}"
        return rule if not steady else f"{rule} but not {', '.join(map(str, steady))}"
    regular = all(size % sizes.period in sizes.residues for size in sizes.early) and all(
        (size in sizes) == (size % sizes.period in sizes.residues)
        for size in range(least, sizes.start)
    )
    if not regular:
        shown = ", ".join(map(str, sizes.first(6)))
        return f"{name} is one of {shown}, ... (every {sizes.period})"
    rule = _residue_rule(name, sizes)
    natural = min(
        size for size in range(1, sizes.period + 1) if size % sizes.period in sizes.residues
    )
    return rule if least == natural else f"{rule}, at least {least}"


def _residue_rule(name: str, sizes: SizeSet) -> str:
    residues = sorted(sizes.residues)
    if sizes.period == 2:
        return f"{name} is {'even' if residues == [0] else 'odd'}"
    if residues == [0]:
        return f"{name} is a multiple of {sizes.period}"
    if len(residues) == 1:
        return f"{name} is {residues[0]} more than a multiple of {sizes.period}"
    listed = ", ".join(map(str, residues[:8])) + (", ..." if len(residues) > 8 else "")
    return f"{name} modulo {sizes.period} is one of {listed}"

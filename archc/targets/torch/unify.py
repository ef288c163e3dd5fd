"""Fitting the code of one instance of a block into the code of another.

The larger code may have children and statements that the smaller one lacks: a ResNet block with a
downsampling shortcut holds one without. A statement can be missing if leaving it out means that
its result is one of the values it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Any

from archc.records import dataclass, field, fields, replace
from archc.targets.torch.code import (
    ABSENT,
    Body,
    Literal,
    Member,
    Sequential,
    Statement,
    Var,
    code_fields,
    literals,
    rewrite,
    values_of,
)

Values = list[Any]

MAX_STEPS = 2_000
"""Comparisons of statements after which two codes count as different."""

MAX_LENGTH = 150
"""Statements or children beyond which codes that differ are not compared in detail."""

MAX_WAYS = 8
"""Ways to fit that are considered."""


@dataclass(slots=True)
class Fit:
    """How code fits.

    Attributes:
        values: for each literal of the larger code, in order, the value that makes it the
            smaller one: a literal of that, ABSENT in what it lacks, or a boolean for `present`.
        bypasses: output of a missing statement -> the value it stands for.
    """

    values: Values
    bypasses: dict[str, str] = field(default_factory=dict)


def fit_bodies(large: Body, small: Body) -> list[Fit]:
    """Ways to make `small` out of `large`, at most MAX_WAYS."""
    if (large.inputs, large.keys, large.ties) != (small.inputs, small.keys, small.ties):
        return []
    if max(len(large.statements), len(large.members)) > MAX_LENGTH:
        return []
    members = _fit_members(large.members, small.members)
    base = _fit(large.base, small.base)
    if not members or not base:
        return []
    found = _Search(large, small).run()
    parts = islice(product(members, found, base), MAX_WAYS)
    return [Fit([*m, *s.values, *b], s.bypasses) for m, s, b in parts]


def _fit(large: Any, small: Any) -> list[Values]:
    """Values of the literals of `large` that make it `small`, in every way found."""
    if isinstance(large, Literal) and isinstance(small, Literal):
        same = (large.role, large.kind) == (small.role, small.kind)
        return [[small]] if same else []
    if isinstance(large, tuple) and isinstance(small, tuple):
        if len(large) != len(small):
            return []
        return _combine(map(_fit, large, small))
    if isinstance(large, Sequential) and isinstance(small, Sequential):
        if large.named != small.named:
            return []
        if large.named:
            return _fit(large.items, small.items)
        return _fit_items(large.items, small.items)
    names = code_fields(large)
    if names is None or type(large) is not type(small):
        return [[]] if large == small else []
    if _shell(large) != _shell(small):
        return []
    return _combine(_fit(getattr(large, name), getattr(small, name)) for name in names)


def _shell(part: Any) -> tuple[Any, ...]:
    """What is compared of a part besides the code in it."""
    held = code_fields(part) or ()
    return tuple(getattr(part, f.name) for f in fields(part) if f.compare and f.name not in held)


def _combine(parts: Iterable[list[Values]]) -> list[Values]:
    """Every choice of one way for each part."""
    ways: list[Values] = [[]]
    for part in parts:
        ways = [way + more for way in ways for more in part][:MAX_WAYS]
        if not ways:
            break
    return ways


def _missing(member: Member) -> Values:
    """Values for a child that is not there (`present` is its last literal)."""
    return [*(ABSENT for _ in literals(member.code)), False]


def _fit_members(large: Sequence[Member], small: Sequence[Member]) -> list[Values]:
    """Children by name; those that only `large` has are missing."""
    rest = {member.name: member for member in small}
    parts: list[list[Values]] = []
    for member in large:
        other = rest.pop(member.name, None)
        parts.append([_missing(member)] if other is None else _fit(member, other))
    return [] if rest else _combine(parts)


def _fit_items(large: Sequence[Member], small: Sequence[Member]) -> list[Values]:
    """Numbered children in order, as many as `small` has; the others are missing."""
    if len(small) > len(large):
        return []
    if not large:
        return [[]]
    first, ways = large[0], []
    if small:
        renamed = replace(small[0], name=first.name)
        ways = _combine([_fit(first, renamed), _fit_items(large[1:], small[1:])])
    if len(small) < len(large) and len(ways) < MAX_WAYS:
        ways += _combine([[_missing(first)], _fit_items(large[1:], small)])
    return ways[:MAX_WAYS]


class _Search:
    """Aligns statements: each of `large` is the next one of `small`, or missing there."""

    def __init__(self, large: Body, small: Body) -> None:
        self.large = large
        self.small = small
        self.steps = 0

    def run(self) -> list[Fit]:
        """Every alignment found."""
        same = dict(zip(self.small.inputs, self.large.inputs, strict=True))
        return list(islice(self._align(0, 0, same, {}), MAX_WAYS))

    def _align(
        self, i: int, j: int, same: dict[str, str], aliases: dict[str, str]
    ) -> Iterator[Fit]:
        """Alignments from statement `i` on, `same` naming small's values as large's."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            return
        if i == len(self.large.statements):
            if self._is_complete(j, same, aliases):
                yield Fit([])
            return
        statement = self.large.statements[i]
        if j < len(self.small.statements):
            other = self.small.statements[j]
            for values in self._match(statement, other, same, aliases):
                pairs = zip(other.outputs, statement.outputs, strict=True)
                for rest in self._align(i + 1, j + 1, {**same, **dict(pairs)}, aliases):
                    yield Fit(values + rest.values, rest.bypasses)
        if len(statement.outputs) == 1:
            yield from self._skip(i, j, same, aliases)

    def _skip(self, i: int, j: int, same: dict[str, str], aliases: dict[str, str]) -> Iterator[Fit]:
        statement = self.large.statements[i]
        output = statement.outputs[0]
        missing: Values = [*(ABSENT for _ in literals(statement.expr)), False]
        for bypass in dict.fromkeys(values_of(statement.expr)):
            if statement.bypass not in ("", bypass):
                continue
            renamed = {**aliases, output: aliases.get(bypass, bypass)}
            for rest in self._align(i + 1, j, same, renamed):
                yield Fit(missing + rest.values, {**rest.bypasses, output: bypass})

    def _match(
        self, large: Statement, small: Statement, same: dict[str, str], aliases: dict[str, str]
    ) -> list[Values]:
        if large.training != small.training or len(large.outputs) != len(small.outputs):
            return []
        found = _fit(_rename(large.expr, aliases), _rename(small.expr, same))
        return [[*values, small.present] for values in found]

    def _is_complete(self, j: int, same: dict[str, str], aliases: dict[str, str]) -> bool:
        results = tuple(aliases.get(name, name) for name in self.large.outputs)
        wanted = tuple(same.get(name, name) for name in self.small.outputs)
        return j == len(self.small.statements) and results == wanted


def _rename(expr: Any, names: dict[str, str]) -> Any:
    def change(part: Any) -> Any:
        return Var(names.get(part.value, part.value)) if isinstance(part, Var) else part

    return rewrite(expr, change) if names else expr

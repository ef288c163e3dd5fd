"""Fitting the code of one instance of a block into the code of another.

The larger code may have children and statements that the smaller one lacks: a ResNet block with a
downsampling shortcut holds one without. A statement can be missing if leaving it out means that
its result is one of the values it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
)

Values = list[Any]

MAX_STEPS = 2_000
"""Comparisons of statements after which two codes count as different."""


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


def fit_bodies(large: Body, small: Body) -> Fit | None:
    """How to make `small` out of `large`, or None."""
    if (large.inputs, large.keys) != (small.inputs, small.keys):
        return None
    members = _fit_members(large.members, small.members)
    base = _fit(large.base, small.base)
    if members is None or base is None:
        return None
    search = _Search(large, small)
    statements = search.run()
    if statements is None:
        return None
    return Fit([*members, *statements, *base], search.bypasses)


def _fit(large: Any, small: Any) -> Values | None:
    """Values of the literals of `large` that make it `small`."""
    if isinstance(large, Literal) and isinstance(small, Literal):
        same = (large.role, large.kind) == (small.role, small.kind)
        return [small] if same else None
    if isinstance(large, tuple) and isinstance(small, tuple):
        if len(large) != len(small):
            return None
        return _join(map(_fit, large, small))
    if isinstance(large, Sequential) and isinstance(small, Sequential):
        return _fit_sequential(large, small)
    names = code_fields(large)
    if names is None or type(large) is not type(small):
        return [] if large == small else None
    if _shell(large) != _shell(small):
        return None
    return _join(_fit(getattr(large, name), getattr(small, name)) for name in names)


def _shell(part: Any) -> tuple[Any, ...]:
    """What is compared of a part besides the code in it."""
    held = code_fields(part) or ()
    return tuple(
        getattr(part, f.name)
        for f in part.__dataclass_fields__.values()
        if f.compare and f.name not in held and not isinstance(part, Statement)
    )


def _join(parts: Any) -> Values | None:
    values: Values = []
    for part in parts:
        if part is None:
            return None
        values += part
    return values


def _missing(member: Member) -> Values:
    """Values for a child that is not there (`present` is its last literal)."""
    return [*(ABSENT for _ in literals(member.code)), False]


def _fit_sequential(large: Sequential, small: Sequential) -> Values | None:
    if large.named != small.named:
        return None
    if large.named:
        return _fit(large.items, small.items)
    return _fit_items(large.items, small.items)


def _fit_members(large: Sequence[Member], small: Sequence[Member]) -> Values | None:
    """Children by name; those that only `large` has are missing."""
    values: Values = []
    rest = {member.name: member for member in small}
    for member in large:
        other = rest.pop(member.name, None)
        found = _missing(member) if other is None else _fit(member, other)
        if found is None:
            return None
        values += found
    return None if rest else values


def _fit_items(large: Sequence[Member], small: Sequence[Member]) -> Values | None:
    """Numbered children in order: the first fitting one each, what is left over missing."""
    values: Values = []
    position = 0
    for member in large:
        found = None
        if position < len(small):
            renamed = replace(small[position], name=member.name)
            found = _fit(member, renamed)
        if found is None:
            found = _missing(member)
        else:
            position += 1
        values += found
    return values if position == len(small) else None


class _Search:
    """Aligns statements: each of `large` is the next one of `small`, or missing there."""

    def __init__(self, large: Body, small: Body) -> None:
        self.large = large
        self.small = small
        self.bypasses: dict[str, str] = {}
        self.steps = 0

    def run(self) -> Values | None:
        same = dict(zip(self.small.inputs, self.large.inputs, strict=True))
        return self._align(0, 0, same, {})

    def _align(
        self, i: int, j: int, same: dict[str, str], aliases: dict[str, str]
    ) -> Values | None:
        """Values for statements from `i` on, `same` naming small's values as large's."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            return None
        if i == len(self.large.statements):
            return self._finish(j, same, aliases)
        statement = self.large.statements[i]
        if j < len(self.small.statements):
            other = self.small.statements[j]
            found = self._match(statement, other, same, aliases)
            if found is not None:
                pairs = zip(other.outputs, statement.outputs, strict=True)
                rest = self._align(i + 1, j + 1, {**same, **dict(pairs)}, aliases)
                if rest is not None:
                    return found + rest
        return self._skip(i, j, same, aliases)

    def _skip(self, i: int, j: int, same: dict[str, str], aliases: dict[str, str]) -> Values | None:
        statement = self.large.statements[i]
        if len(statement.outputs) != 1:
            return None
        output = statement.outputs[0]
        missing: Values = [*(ABSENT for _ in literals(statement.expr)), False]
        for bypass in _reads(statement):
            if statement.bypass not in ("", bypass):
                continue
            rest = self._align(i + 1, j, same, {**aliases, output: aliases.get(bypass, bypass)})
            if rest is not None:
                self.bypasses[output] = bypass
                return missing + rest
        return None

    def _match(
        self, large: Statement, small: Statement, same: dict[str, str], aliases: dict[str, str]
    ) -> Values | None:
        if large.training != small.training or len(large.outputs) != len(small.outputs):
            return None
        found = _fit(_rename(large.expr, aliases), _rename(small.expr, same))
        return None if found is None else [*found, small.present]

    def _finish(self, j: int, same: dict[str, str], aliases: dict[str, str]) -> Values | None:
        if j < len(self.small.statements):
            return None
        results = tuple(aliases.get(name, name) for name in self.large.outputs)
        return [] if results == tuple(same.get(name, name) for name in self.small.outputs) else None


def _reads(statement: Statement) -> list[str]:
    found: dict[str, None] = {}

    def visit(part: Any) -> Any:
        if isinstance(part, Var):
            found[part.value] = None
        return part

    rewrite(statement.expr, visit)
    return list(found)


def _rename(expr: Any, names: dict[str, str]) -> Any:
    def change(part: Any) -> Any:
        return Var(names.get(part.value, part.value)) if isinstance(part, Var) else part

    return rewrite(expr, change) if names else expr

"""Which instances of a block share one class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archc.targets.torch.code import Body, Literal, Statement, literals, rewrite
from archc.targets.torch.unify import fit_bodies

MAX_OPTIONS = 4
"""Optional statements in a row, and alone, that a forward may have before it reads badly."""


@dataclass(slots=True, eq=False)
class Shared:
    """One class to be, and the instances it serves.

    Attributes:
        body: the code, with the values of one instance in it.
        members: index of each instance -> its literals, in the order of the body's; ABSENT where
            the instance lacks the code.
    """

    body: Body
    members: dict[int, list[Any]]


@dataclass(slots=True, eq=False)
class _Shape:
    """Instances whose code is the same but for the literals."""

    body: Body
    indices: list[int]
    literals: list[list[Literal]]


def share(bodies: Sequence[Body]) -> list[Shared]:
    """Distribute instances over as few classes as read well, in order of appearance."""
    shapes = _shapes(bodies)
    by_size = sorted(shapes, key=lambda shape: -_size(shape.body))
    classes: list[Shared] = []
    for shape in by_size:
        if not any(_join(shared, shape) for shared in classes):
            members = dict(zip(shape.indices, shape.literals, strict=True))
            classes.append(Shared(shape.body, members))
    return sorted(classes, key=lambda shared: min(shared.members))


def _shapes(bodies: Sequence[Body]) -> list[_Shape]:
    shapes: dict[Any, _Shape] = {}
    for index, body in enumerate(bodies):
        skeleton = rewrite(body, _blank)
        shape = shapes.setdefault(skeleton, _Shape(body, [], []))
        shape.indices.append(index)
        shape.literals.append(list(literals(body)))
    return list(shapes.values())


def _blank(part: Any) -> Any:
    return Literal(None, part.role, part.kind) if isinstance(part, Literal) else part


def _size(body: Body) -> int:
    return sum(1 for _ in literals(body)) + len(body.statements) + len(body.members)


def _join(shared: Shared, shape: _Shape) -> bool:
    """Fit a shape into a class; whether that worked."""
    slots = iter(range(1_000_000))
    numbered = rewrite(
        shape.body, lambda p: replace(p, value=next(slots)) if isinstance(p, Literal) else p
    )
    fit = fit_bodies(shared.body, numbered)
    if fit is None:
        return False
    statements = tuple(
        replace(s, bypass=fit.bypasses.get(s.outputs[0], s.bypass)) if s.outputs else s
        for s in shared.body.statements
    )
    if _options(statements) > MAX_OPTIONS:
        return False
    shared.body = replace(shared.body, statements=statements)
    for index, own in zip(shape.indices, shape.literals, strict=True):
        shared.members[index] = [
            own[value.value] if isinstance(value, Literal) else _as_literal(value)
            for value in fit.values
        ]
    return True


def _options(statements: Iterable[Statement]) -> int:
    """Runs of statements that may be missing."""
    count, inside = 0, False
    for statement in statements:
        count += bool(statement.bypass) and not inside
        inside = bool(statement.bypass)
    return count


def _as_literal(value: Any) -> Any:
    return Literal(value, kind="flag") if isinstance(value, bool) else value

"""Which instances of a block share one class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from archc.records import dataclass, replace
from archc.targets.torch.code import Body, Literal, Statement, literals, rewrite
from archc.targets.torch.columns import Given, Shared
from archc.targets.torch.parameters import parametrise
from archc.targets.torch.unify import Fit, fit_bodies

MAX_OPTIONS = 4
"""Runs of optional statements that a forward may have before it reads badly."""


@dataclass(slots=True, eq=False)
class _Shape:
    """Instances whose code is the same but for the literals."""

    body: Body
    indices: list[int]
    literals: list[list[Literal]]


def share(bodies: Sequence[Body], given: Sequence[Given]) -> list[Shared]:
    """Distribute instances over as few classes as read well, in order of appearance.

    Args:
        bodies: the code of each instance.
        given: what else is known of each.
    """
    classes: list[Shared] = []
    for shape in sorted(_shapes(bodies), key=lambda shape: -_size(shape.body)):
        for i, shared in enumerate(classes):
            joined = _join(shared, shape, given)
            if joined is not None:
                classes[i] = joined
                break
        else:
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


def _join(shared: Shared, shape: _Shape, given: Sequence[Given]) -> Shared | None:
    """The class with a shape fitted into it, in the way that takes the fewest parameters."""
    slots = count()
    numbered = rewrite(
        shape.body, lambda p: replace(p, value=next(slots)) if isinstance(p, Literal) else p
    )
    ways = [_joined(shared, shape, fit) for fit in fit_bodies(shared.body, numbered)]
    legible = [way for way in ways if _options(way.body.statements) <= MAX_OPTIONS]
    if len(legible) < 2:
        return legible[0] if legible else None
    return min(legible, key=lambda way: len(parametrise(way, given).parameters))


def _joined(shared: Shared, shape: _Shape, fit: Fit) -> Shared:
    statements = tuple(
        replace(s, bypass=fit.bypasses.get(s.outputs[0], s.bypass)) if s.outputs else s
        for s in shared.body.statements
    )
    members = dict(shared.members)
    for index, own in zip(shape.indices, shape.literals, strict=True):
        members[index] = [
            own[value.value] if isinstance(value, Literal) else _as_literal(value)
            for value in fit.values
        ]
    return Shared(replace(shared.body, statements=statements), members)


def _options(statements: Iterable[Statement]) -> int:
    """Runs of statements that may be missing."""
    runs, inside = 0, False
    for statement in statements:
        runs += bool(statement.bypass) and not inside
        inside = bool(statement.bypass)
    return runs


def _as_literal(value: Any) -> Any:
    return Literal(value, kind="flag") if isinstance(value, bool) else value

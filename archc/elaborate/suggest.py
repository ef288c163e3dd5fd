"""Explaining a mismatch: which layers made the sizes that differ, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from archc.diagnostics import Label, Span
from archc.graph import Node, Value
from archc.ops.conditions import Refusal, ShapeContext
from archc.types import Dim, TensorType, format_dim, provably_differ

MAX_HELP = 2


@dataclass(frozen=True, slots=True)
class Explanation:
    """Labels and suggestions for a mismatch."""

    primary: Label
    secondary: tuple[Label, ...]
    help: tuple[str, ...]


def mismatch(
    operands: Sequence[Value], makers: Mapping[str, Node], join: Span
) -> Explanation | None:
    """Explain why the operands of a join differ.

    Args:
        operands: what is joined; the first operand that differs from another is blamed.
        makers: value name -> the node that made it.
        join: the layer that joins.

    Returns:
        None when no layer can be blamed (ranks differ, or sizes come from the inputs).
    """
    differing = _first_difference(operands)
    if differing is None:
        return None
    axis, left, right = differing
    ours, theirs = _origin(operands[left], axis, makers), _origin(operands[right], axis, makers)
    target = operands[right].type.shape[axis]
    if ours is None:
        # The first operand has the size of the input: the other side is what changed it.
        ours, theirs, target = theirs, ours, operands[left].type.shape[axis]
        left, right = right, left
    if ours is None:
        return None
    other = theirs.span if theirs is not None else operands[right].span
    label = _formula(ours, axis) or f"{format_dim(ours.output.type.shape[axis])} comes from here"
    secondary = [Label(other, f"{format_dim(target)} comes from here")]
    if join.start != ours.span.start:
        secondary.append(Label(join, "joined here"))
    return Explanation(
        Label(ours.span, label), tuple(secondary), tuple(_remedies(ours, axis, target))[:MAX_HELP]
    )


def _first_difference(operands: Sequence[Value]) -> tuple[int, int, int] | None:
    first = operands[0].type
    for index, operand in enumerate(operands[1:], 1):
        if operand.type.rank != first.rank:
            return None
        # Spatial axes explain more than channels do: the arithmetic is in them.
        axes = [*range(2, first.rank), *range(min(2, first.rank))]
        for axis in axes:
            if provably_differ(first.shape[axis], operand.type.shape[axis]):
                return axis, 0, index
    return None


def _origin(value: Value, axis: int, makers: Mapping[str, Node]) -> Node | None:
    """The layer that gave an axis its size, followed up through layers that keep it."""
    node = makers.get(value.name)
    while node is not None:
        first = node.inputs[0] if node.inputs else None
        keeps = (
            first is not None
            and first.type.rank == node.output.type.rank
            and first.type.shape[axis] == node.output.type.shape[axis]
        )
        if not keeps or first is None:
            return node
        node = makers.get(first.name)
    return None


def _formula(node: Node, axis: int) -> str:
    lines = node.op.explain(*(value.type for value in node.inputs))
    size = format_dim(node.output.type.shape[axis])
    fitting = [line for line in lines if line.endswith(f"= {size}")]
    return fitting[min(max(axis - 2, 0), len(fitting) - 1)] if fitting else ""


def _remedies(node: Node, axis: int, target: Dim) -> Iterator[str]:
    """Changes of one attribute that give the wanted size, the mildest first."""
    wanted = format_dim(target)
    channels = axis == 1 and "out" in type(node.op).model_fields
    if channels and isinstance(target, int):
        yield f"{node.op_name}: {wanted} gives {wanted} channels"
        return
    for attribute, candidates in (
        ("padding", range(12)),
        ("stride", range(1, 9)),
        ("kernel", range(1, 12)),
        ("ceil", (True,)),
    ):
        if attribute not in type(node.op).model_fields:
            continue
        for candidate in candidates:
            if _gives(node, attribute, candidate, axis, target):
                shown = str(candidate).lower() if isinstance(candidate, bool) else candidate
                yield f"{attribute}: {shown} gives {wanted}"
                break


def _gives(node: Node, attribute: str, candidate: int, axis: int, target: Dim) -> bool:
    values = {name: getattr(node.op, name) for name in type(node.op).model_fields}
    if values[attribute] == candidate:
        return False
    try:
        changed = type(node.op).model_validate({**values, attribute: candidate})
        inferred = changed.infer(ShapeContext(), *(value.type for value in node.inputs))
    except (Refusal, ValidationError):
        return False
    output = inferred if isinstance(inferred, TensorType) else inferred[0]
    return output.rank > axis and output.shape[axis] == target

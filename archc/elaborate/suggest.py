"""Explaining a mismatch: which layers made the sizes that differ, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError

from archc.diagnostics import Label, Span
from archc.graph import Node, Value
from archc.ops.base import Op
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.join import Concat, Mul
from archc.records import dataclass
from archc.types import Dim, TensorType, format_dim, provably_differ

MAX_HELP = 2

_CHANGES: tuple[tuple[str, Sequence[int]], ...] = (
    ("padding", range(12)),
    ("ceil", (True,)),
    ("stride", range(1, 9)),
    ("kernel", range(2, 12)),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where operands are joined.

    Attributes:
        span: the layer or structure that joins.
        path: of the block it stands in; "" at the top.
        call: the call of that block.
    """

    span: Span
    path: str
    call: Span | None

    def encloses(self, node: Node) -> bool:
        """Whether a layer belongs to the same instance of a block."""
        return not self.path or node.path.startswith(f"{self.path}.")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Labels and suggestions for a mismatch."""

    primary: Label
    secondary: tuple[Label, ...]
    help: tuple[str, ...]


def mismatch(
    op: Op, operands: Sequence[Value], makers: Mapping[str, Node], place: Place
) -> Explanation | None:
    """Explain why the operands of a join differ.

    Args:
        op: what joins them.
        operands: what is joined; the first operand that differs from another is blamed.
        makers: value name -> the node that made it.
        place: where they are joined.

    Returns:
        None when no layer can be blamed (ranks differ, or sizes come from the inputs).
    """
    differing = _first_difference(op, operands)
    if differing is None:
        return None
    axis, left, right = differing
    ours, theirs = _origin(operands[left], axis, makers), _origin(operands[right], axis, makers)
    if ours is None or not place.encloses(ours):
        # The first operand is what enters here: the other side is what changed it.
        ours, theirs, left, right = theirs, ours, right, left
    if ours is None:
        return None
    size, target = operands[left].type.shape[axis], operands[right].type.shape[axis]
    label = _formula(ours, axis) or f"{format_dim(size)} comes from here"
    secondary = [_counterpart(theirs, operands[right], format_dim(target), place)]
    if place.span.start != ours.span.start:
        secondary.append(Label(place.span, "joined here"))
    remedies = tuple(_remedies(ours, axis, target))[:MAX_HELP]
    return Explanation(Label(ours.span, label), tuple(secondary), remedies)


def shortcut_for(operands: Sequence[Value]) -> tuple[str, ...]:
    """The shortcut that would make the input of a residual fit its main branch, if there is one.

    Args:
        operands: what the main branch yields, and what enters.
    """
    main, entering = operands[0].type, operands[1].type
    if main.rank != entering.rank or main.rank < 2:
        return ()
    if main.rank < 4:
        features = main.shape[-1]
        alike = main.shape[:-1] == entering.shape[:-1]
        if alike and isinstance(features, int):
            return (f"a shortcut makes the input fit: `shortcut: {{linear: {features}}}`",)
        return ()
    channels = main.shape[1]
    for stride in range(1, 9):
        reached = tuple((dim - 1) // stride + 1 for dim in entering.shape[2:])
        if reached == main.shape[2:] and isinstance(channels, int):
            rest = f", stride: {stride}" if stride > 1 else ""
            return (f"a shortcut makes the input fit: `shortcut: {{conv: {channels}{rest}}}`",)
    return ()


def _counterpart(node: Node | None, value: Value, size: str, place: Place) -> Label:
    """Where the other size comes from, as seen from the block that joins."""
    if place.call is not None and (node is None or not place.encloses(node)):
        return Label(place.call, f"{size} enters here")
    return Label(node.span if node is not None else value.span, f"{size} comes from here")


def _first_difference(op: Op, operands: Sequence[Value]) -> tuple[int, int, int] | None:
    first = operands[0].type
    for index, operand in enumerate(operands[1:], 1):
        if operand.type.rank != first.rank:
            return None
        # Spatial axes explain more than channels do: the arithmetic is in them.
        for axis in [*range(2, first.rank), *range(min(2, first.rank))]:
            if _is_at_fault(op, first, operand.type, axis):
                return axis, 0, index
    return None


def _is_at_fault(op: Op, left: TensorType, right: TensorType, axis: int) -> bool:
    """Whether two operands differ along an axis although they must not."""
    if isinstance(op, Concat) and op.dim % left.rank == axis:
        return False
    sizes = left.shape[axis], right.shape[axis]
    return provably_differ(*sizes) and not (isinstance(op, Mul) and 1 in sizes)


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
    """The arithmetic behind a spatial size."""
    size = format_dim(node.output.type.shape[axis])
    lines = node.op.explain(*(value.type for value in node.inputs))
    fitting = [line for line in lines if line.endswith(f"= {size}")]
    # Axes that are alike share a line.
    return fitting[min(axis - 2, len(fitting) - 1)] if fitting and axis >= 2 else ""


def _remedies(node: Node, axis: int, target: Dim) -> Iterator[str]:
    """Changes of one attribute that give the wanted size, the mildest first."""
    wanted = format_dim(target)
    if axis == 1 and "out" in type(node.op).model_fields:
        if isinstance(target, int) and _gives(node, "out", target, axis, target):
            yield f"{node.op_name}: {wanted} gives {wanted} channels"
        return
    mended = False
    for attribute, candidates in _CHANGES:
        # Another kernel is another network: it is suggested only if nothing else helps.
        if attribute not in type(node.op).model_fields or (mended and attribute == "kernel"):
            continue
        for candidate in candidates:
            if _gives(node, attribute, candidate, axis, target):
                shown = str(candidate).lower() if isinstance(candidate, bool) else candidate
                yield f"{attribute}: {shown} gives {wanted}"
                mended = True
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

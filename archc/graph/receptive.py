"""Receptive fields: the part of the network's input that a position of a value depends on.

Per spatial axis (those behind the batch and the channels of an input) a field has a size, a
stride (input positions from one field to the next) and an offset (where the field of position 0
starts; negative in the padding). Fields are those of arithmetic: what lies outside of the image
counts, and what happens at its border (clamping, reflection, a shorter last bin) does not.
Branches that are joined give the smallest box around both. Norms count as in inference.

Where positions do not move regularly over the input (windows that are cut out, tokens of merged
axes) no size is claimed, until a layer reads all of them: then the field is the whole axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Literal

from archc.graph.graph import Graph, Node, Value
from archc.ops.reach import UNTRACKED, WHOLE, Rational, Reach, scattered
from archc.ops.spatial import axis_names
from archc.records import dataclass

MAX_PHASES = 4096
"""Fields of different sizes that one axis is searched for the largest."""


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a value along one axis of one input.

    Attributes:
        input: name of the input.
        axis: what the axis is called, e.g. `height`.
        kind: `box`; `whole`, all positions; `irregular`, no size is claimed.
        size: positions of the largest field of a box.
        stride: input positions from one field of a box to the next, on average.
        offset: first input position of the field of position 0 of a box.
    """

    input: str
    axis: str
    kind: Literal["box", "whole", "irregular"]
    size: int | None = None
    stride: Rational | None = None
    offset: int | None = None


_Source = tuple[str, int]
"""An input and one of its axes."""
_Fields = Mapping[_Source, Reach]
"""How a value reads each source axis that it depends on."""


def receptive_fields(graph: Graph) -> dict[str, tuple[Field, ...]]:
    """Value name -> its field along each spatial axis of each input that it depends on."""
    names: dict[_Source, str] = {}
    fields: dict[str, _Fields] = {}
    for value in graph.inputs:
        own = _spatial(value)
        names.update({(value.name, axis): name for axis, name in own.items()})
        fields[value.name] = {(value.name, axis): Reach((axis,)) for axis in own}
    for node in graph.nodes:
        found = _through(node, [fields[value.name] for value in node.inputs])
        fields.update((value.name, found) for value in node.outputs)
    # Whole nets of elementwise layers share one mapping, which is then described once.
    shown: dict[int, tuple[Field, ...]] = {}
    for of_value in fields.values():
        if id(of_value) not in shown:
            shown[id(of_value)] = tuple(
                _describe(*source, names[source], reach) for source, reach in of_value.items()
            )
    return {name: shown[id(of_value)] for name, of_value in fields.items()}


def _spatial(value: Value) -> dict[int, str]:
    count = value.type.rank - 2
    if count < 1:
        return {}
    names = axis_names(count) if count <= 3 else tuple(f"axis {i}" for i in range(2, count + 2))
    return dict(enumerate(names, 2))


def _through(node: Node, entering: Sequence[_Fields]) -> _Fields:
    """Fields of the outputs of a node from those of its inputs."""
    reaches = node.op.reach(
        [value.type for value in node.inputs], [value.type for value in node.outputs]
    )
    fields: dict[_Source, Reach] = {}
    for own, reach in zip(entering, reaches, strict=True):
        if not reach:  # no element of this input is read
            continue
        for source, field in own.items():
            moved = _compose(field, reach)
            fields[source] = _union(fields[source], moved) if source in fields else moved
    return entering[0] if fields == entering[0] else fields


def _compose(field: Reach, reach: Sequence[Reach]) -> Reach:
    """The field of a layer's output from that of its input and what the layer reads."""
    if not field.axes:
        return field
    moved = [reach[axis] for axis in field.axes]
    if UNTRACKED in moved:
        return UNTRACKED
    axes = [axis for one in moved for axis in one.axes]
    if not axes:
        return WHOLE
    step = moved[0]
    if field.stride is None or step.stride is None:
        return scattered(*axes)
    return Reach(
        step.axes,
        field.stride * step.stride,
        field.stride * step.low + field.low,
        field.stride * step.high + field.high,
    )


def _union(a: Reach, b: Reach) -> Reach:
    """The smallest field that holds both."""
    if a == b or a.is_whole:
        return a
    if b.is_whole:
        return b
    if UNTRACKED in (a, b):
        return UNTRACKED
    if a.axes == b.axes and a.stride is not None and a.stride == b.stride:
        return Reach(a.axes, a.stride, min(a.low, b.low), max(a.high, b.high))
    return scattered(*a.axes, *b.axes)


def _describe(input_name: str, axis: int, name: str, reach: Reach) -> Field:
    if reach.is_whole:
        return Field(input_name, name, "whole")
    if reach.stride is None:
        return Field(input_name, name, "irregular")
    stride = Fraction(reach.stride)
    return Field(
        input_name,
        name,
        "box",
        size=_size(reach, stride),
        stride=int(stride) if stride.denominator == 1 else stride,
        offset=ceil(reach.low),
    )


def _size(reach: Reach, stride: Fraction) -> int:
    """The most whole numbers between the bounds, over the positions that differ in their phase."""
    phases = range(min(stride.denominator, MAX_PHASES))
    return max(floor(p * stride + reach.high) - ceil(p * stride + reach.low) + 1 for p in phases)

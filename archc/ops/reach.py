"""How far a layer looks: what an output position reads along each axis of each input.

`Op.reach` states this for one layer; `archc.graph.receptive` composes it over a network.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import NamedTuple

from archc.types import TensorType

Rational = int | Fraction


class Reach(NamedTuple):
    """What the positions of an output read along one axis of an input.

    A *regular* reach: the output position `p` along the one axis in `axes` reads the input
    positions from `stride * p + low` to `stride * p + high`, both included, as far as they exist.

    Attributes:
        axes: axes of the output on which it depends what is read; none when every output
            position reads the same.
        stride: input positions per output position; None when they follow no such rule.
        low: the first input position that output position 0 reads.
        high: the last one.
    """

    axes: tuple[int, ...]
    stride: Rational | None = 1
    low: Rational = 0
    high: Rational = 0

    @property
    def is_whole(self) -> bool:
        """Whether every output position reads all positions."""
        return not self.axes and self.stride is not None


WHOLE = Reach(())
"""All positions, whatever the output position."""

UNTRACKED = Reach((), None)
"""No claim is made: some positions, not told which."""

Reaches = tuple[tuple[Reach, ...], ...]
"""For every input one reach per axis; an input of which no element is read has none."""


def scattered(*axes: int) -> Reach:
    """Every position goes somewhere along `axes`, by no rule that a stride could state."""
    return Reach(tuple(sorted(set(axes))), None)


def untracked(inputs: Sequence[TensorType]) -> Reaches:
    """No claim for any axis."""
    return tuple((UNTRACKED,) * x.rank for x in inputs)


def pointwise(
    inputs: Sequence[TensorType], output: TensorType, mixed: Collection[int] = ()
) -> Reaches:
    """Each position reads its own in every input; an axis of size 1 is repeated.

    Args:
        inputs: types of the inputs, all of the output's rank.
        output: type of the output.
        mixed: axes along which every position reads all.
    """
    return tuple(
        tuple(
            WHOLE if axis in mixed or (size == 1 and output.shape[axis] != 1) else Reach((axis,))
            for axis, size in enumerate(x.shape)
        )
        for x in inputs
    )


def regrouped(x: TensorType, output: TensorType) -> Reaches:
    """The same elements in another shape: leading and trailing axes of equal sizes keep theirs."""
    shortest = min(x.rank, output.rank)
    head = 0
    while head < shortest and x.shape[head] == output.shape[head]:
        head += 1
    tail = 0
    while tail < shortest - head and x.shape[-1 - tail] == output.shape[-1 - tail]:
        tail += 1
    middle = scattered(*range(head, output.rank - tail))
    return (
        (
            *(Reach((axis,)) for axis in range(head)),
            *(middle for _ in range(head, x.rank - tail)),
            *(Reach((axis,)) for axis in range(output.rank - tail, output.rank)),
        ),
    )

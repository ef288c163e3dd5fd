"""What a weight that a pass made is computed of: declarations only; `archc.weights` computes."""

from __future__ import annotations

from archc.graph.graph import WeightRef
from archc.records import dataclass


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight as its source has it."""

    ref: WeightRef


@dataclass(frozen=True, slots=True)
class Difference:
    """`left - right`, elementwise."""

    left: Recipe
    right: Recipe


@dataclass(frozen=True, slots=True)
class Negated:
    """`-value`."""

    value: Recipe


@dataclass(frozen=True, slots=True)
class Product:
    """`left * right`, elementwise."""

    left: Recipe
    right: Recipe


@dataclass(frozen=True, slots=True)
class InverseRoot:
    """`1 / sqrt(value + eps)`."""

    value: Recipe
    eps: float


@dataclass(frozen=True, slots=True)
class Along:
    """`weight` with its slices along `axis` scaled by the numbers of `factors` [size of axis]."""

    weight: Recipe
    factors: Recipe
    axis: int


@dataclass(frozen=True, slots=True)
class Flat:
    """The same numbers on one axis."""

    value: Recipe


@dataclass(frozen=True, slots=True)
class Flipped:
    """A matrix with its axes exchanged."""

    matrix: Recipe


Recipe = Stored | Difference | Negated | Product | InverseRoot | Along | Flat | Flipped

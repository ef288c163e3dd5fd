"""Weights that passes made, computed of those that a source has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from archc.graph.graph import WeightRef
from archc.graph.passes.recipe import (
    Along,
    Difference,
    Flat,
    Flipped,
    InverseRoot,
    Negated,
    Product,
    Recipe,
    Stored,
)
from archc.weights.drawn import little_endian
from archc.weights.source import WeightSource

if TYPE_CHECKING:
    from archc.weights.source import Array


class ComputedWeights:
    """The weights of a graph that has been through passes.

    What is computed is computed in float64 and rounded once.

    Args:
        source: the weights of the graph as it was before.
        recipes: key -> what the weight is computed of; all others are the source's.
    """

    def __init__(self, source: WeightSource, recipes: Mapping[str, Recipe]) -> None:
        self._source = source
        self._recipes = recipes

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        recipe = self._recipes.get(ref.key)
        if recipe is None:
            return self._source.array(ref)
        numbers = self._computed(recipe).astype(ref.weight.dtype.value)
        return np.ascontiguousarray(numbers).reshape(ref.weight.shape)

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`. A computed weight is one chunk."""
        if ref.key not in self._recipes:
            yield from self._source.chunks(ref)
            return
        yield little_endian(self.array(ref)).reshape(-1).data.cast("B")

    def _computed(self, recipe: Recipe) -> Any:
        match recipe:
            case Stored(ref):
                return self._source.array(ref)
            case Difference(left, right):
                return self._double(left) - self._double(right)
            case Negated(value):
                return -self._double(value)
            case Product(left, right):
                return self._double(left) * self._double(right)
            case InverseRoot(value, eps):
                return 1.0 / np.sqrt(self._double(value) + eps)
            case Along(weight, factors, axis):
                whole = self._computed(weight)
                shape = [1] * whole.ndim
                shape[axis] = -1
                return whole * self._double(factors).reshape(shape)
            case Flat(value):
                return self._computed(value).reshape(-1)
            case Flipped(matrix):
                return self._computed(matrix).T

    def _double(self, recipe: Recipe) -> Any:
        return self._computed(recipe).astype(np.float64)

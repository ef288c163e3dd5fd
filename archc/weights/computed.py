"""Weights that passes made, computed of those that a source has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
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
from archc.types import DType
from archc.weights.drawn import little_endian
from archc.weights.source import WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    from archc.weights.source import Array

    Floats = npt.NDArray[np.float32]

_FLIPPED = 1 << 23  # numbers of a matrix with its axes exchanged that are in memory at once
_PART = 1 << 19  # of these, numbers that are let go of together
_STRIP = 16  # rows that are transposed together: lines 4 KiB apart share a set of few in the cache
_NARROW = 1 << 12  # numbers of the least strip, so that narrow ones are not many


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
        """Raw data; see `WeightSource.chunks`.

        What is scaled along its first axis is computed chunk by chunk, and a matrix with its axes
        exchanged, scaled or not, in parts that fit into memory; any other computed weight is one
        chunk.
        """
        recipe = self._recipes.get(ref.key)
        match recipe:
            case None:
                yield from self._source.chunks(ref)
            case Along(Stored(stored), factors, 0) if (
                stored.weight.dtype is ref.weight.dtype is DType.FLOAT32
            ):
                yield from self._scaled(stored, self._double(factors))
            case Flipped(Stored(stored)) if (
                stored.weight.dtype is ref.weight.dtype is DType.FLOAT32
            ):
                yield from _flipped(stored, lambda: self._source.chunks(stored))
            case Flipped(Along(Stored(stored), scales, 0)) if (
                stored.weight.dtype is ref.weight.dtype is DType.FLOAT32
            ):
                numbers = self._double(scales)
                yield from _flipped(stored, lambda: self._scaled(stored, numbers))
            case _:
                yield little_endian(self.array(ref)).reshape(-1).data.cast("B")

    def _scaled(self, stored: WeightRef, factors: Any) -> Iterator[memoryview]:
        """A stored weight with its slices along the first axis scaled."""
        length = stored.weight.numel // len(factors)
        start = 0
        for chunk in self._source.chunks(stored):
            numbers = np.frombuffer(chunk, "<f4")
            scaled = np.empty_like(numbers)  # the chunk may be a view of the file
            for part, rows in _pieces(start, len(numbers), length):
                # Numpy converts some thousand numbers at a time: no array of float64 is made.
                np.multiply(
                    numbers[part].reshape(rows.stop - rows.start, -1),
                    factors[rows, None],
                    out=scaled[part].reshape(rows.stop - rows.start, -1),
                    dtype=np.float64,
                    casting="same_kind",
                )
            start += len(numbers)
            yield scaled.data.cast("B")

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


def _flipped(stored: WeightRef, chunks: Callable[[], Iterator[memoryview]]) -> Iterator[memoryview]:
    """A stored matrix with its axes exchanged; a large one is read once for each part of it.

    Args:
        stored: the matrix.
        chunks: reads its numbers from the start.
    """
    rows, columns = stored.weight.shape
    width = max(1, _FLIPPED // rows)
    for first in range(0, columns, width):
        parts = _parts(rows, first, min(first + width, columns))
        start = 0
        for chunk in chunks():
            numbers = np.frombuffer(chunk, "<f4")
            for piece, row in _pieces(start, len(numbers), columns):
                block = numbers[piece].reshape(row.stop - row.start, -1)
                # A row that two chunks share starts at another column.
                column = (start + piece.start) % columns
                for begin, part in parts:
                    left = max(begin, column)
                    right = min(begin + len(part), column + block.shape[1])
                    if left < right:
                        taken = block[:, left - column : right - column]
                        _transpose(taken, part[left - begin : right - begin, row])
            start += len(numbers)
        while parts:  # each is let go of when it has been written
            yield parts.popleft()[1].reshape(-1).data.cast("B")


def _parts(rows: int, first: int, last: int) -> deque[tuple[int, Floats]]:
    """Room for columns `first` to `last` of a matrix as rows: the number of its first, and a part.

    Parts can be let go of one by one.
    """
    width = max(1, _PART // rows)
    return deque(
        (begin, np.empty((min(width, last - begin), rows), "<f4"))
        for begin in range(first, last, width)
    )


def _transpose(block: Floats, out: Floats) -> None:
    """Copy a block with its axes exchanged, by strips of rows whose lines stay in the cache."""
    rows = max(_STRIP, _NARROW // block.shape[1])
    for start in range(0, len(block), rows):
        strip = slice(start, start + rows)
        out[:, strip] = block[strip].T


def _pieces(start: int, count: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Cuts `count` numbers from number `start` of a weight on into whole rows and parts of one.

    Yields:
        The numbers, counted from `start`, and the rows of `length` numbers they belong to.
    """
    done = 0
    while done < count:
        row, offset = divmod(start + done, length)
        rows = 1 if offset else max(1, (count - done) // length)
        size = min(rows * length - offset, count - done)
        yield slice(done, done + size), slice(row, row + rows)
        done += size

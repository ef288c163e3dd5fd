"""Weights drawn at random as the layers declare, one stream per weight.

Each stream is keyed by the seed, the weight's `state_dict` key and the chunk's number. Adding,
removing or changing a layer therefore leaves the numbers of all others as they were, and chunks
can be drawn in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from archc.graph.graph import WeightRef
from archc.ops.computed import computed_values
from archc.ops.initial import Computed, Constant, Distribution, Normal, TruncatedNormal, Uniform
from archc.weights.ahead import in_turn
from archc.weights.normals import random_words, standard_normal
from archc.weights.source import CHUNK

if TYPE_CHECKING:
    import numpy.typing as npt

    from archc.weights.source import Array

    Floats = npt.NDArray[np.float32]

_LIKELY = 0.25  # share of a normal inside the bounds from which redrawing what is outside is cheap


class DrawnWeights:
    """Initial weights of a network.

    Args:
        seed: another seed, other numbers; any integer.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        parts = [self._chunk(ref, index) for index in range(_count(ref))]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole.reshape(ref.weight.shape)

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        for chunk in in_turn(lambda index: little_endian(self._chunk(ref, index)), _count(ref)):
            yield chunk.data.cast("B")

    def _chunk(self, ref: WeightRef, index: int) -> Array:
        weight = ref.weight
        count = min(CHUNK, weight.numel - index * CHUNK)
        dtype = np.dtype(weight.dtype.value)
        if isinstance(weight.init, Constant):
            return np.full(count, weight.init.value, dtype)
        if isinstance(weight.init, Computed):
            start = index * CHUNK
            return np.array(computed_values(weight.init)[start : start + count], dtype)
        numbers = draw(weight.init, generator(self._seed, ref.key, index), count)
        if weight.zero_row is not None:
            row = weight.numel // weight.shape[0]
            start = weight.zero_row * row - index * CHUNK
            numbers[max(start, 0) : max(start + row, 0)] = 0.0
        return numbers.astype(dtype, copy=False)


def generator(seed: int, key: str, index: int) -> np.random.Generator:
    """The stream of one chunk of one weight."""
    identity = f"{seed}\0{index}\0{key}".encode()
    digest = blake2b(identity, digest_size=16).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))


def draw(init: Distribution, rng: np.random.Generator, count: int) -> Floats:
    """`count` float32 numbers of a distribution."""
    match init:
        case Constant(value):
            return np.full(count, value, np.float32)
        case Uniform(low, high):
            return _uniform(rng, count, low, high)
        case Normal(mean, std):
            numbers = standard_normal(rng, count)
            numbers *= np.float32(std)
            if mean:
                numbers += np.float32(mean)
            return numbers
        case TruncatedNormal(mean, std, low, high):
            return _truncated(rng, count, mean, std, (low, high))


def _uniform(rng: np.random.Generator, count: int, low: float, high: float) -> Floats:
    """Random words of 32 bits, scaled: faster than numpy's numbers from 0 to 1."""
    halves = random_words(rng, -(-count // 2)).view("<i4")[:count]
    numbers = halves.view("<f4")
    np.copyto(numbers, halves, casting="unsafe")
    numbers *= np.float32((high - low) / 2**32)
    if low == -high:
        return numbers
    numbers += np.float32((high + low) / 2)
    return np.clip(numbers, np.float32(low), np.float32(high), out=numbers)


def little_endian(array: Array) -> Array:
    """The array contiguous and in little-endian byte order; itself where it is so already."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _count(ref: WeightRef) -> int:
    return -(-ref.weight.numel // CHUNK)


def _truncated(
    rng: np.random.Generator, count: int, mean: float, std: float, bounds: tuple[float, float]
) -> Floats:
    """A normal cut to bounds, by rejection: exact however far out the bounds lie."""
    low, high = ((bound - mean) / std for bound in bounds)
    flipped = abs(low) > abs(high)
    if flipped:
        low, high = -high, -low
    inside = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    parts: list[Floats] = []
    missing = count
    while missing:
        if inside >= _LIKELY:
            more = standard_normal(rng, missing)
            if more.min() < low or more.max() > high:  # mostly none is: bounds are often far out
                more = more[(more >= low) & (more <= high)]
        else:
            more = _tail(rng, missing, low, high)
        parts.append(more)
        missing -= len(more)
    numbers = parts[0] if len(parts) == 1 else np.concatenate(parts)
    numbers *= np.float32(-std if flipped else std)
    numbers += np.float32(mean)
    return np.clip(numbers, np.float32(bounds[0]), np.float32(bounds[1]), out=numbers)


def _tail(rng: np.random.Generator, count: int, low: float, high: float) -> Floats:
    """Some of `count` draws of a standard normal between bounds that hold little of it.

    Proposals are exponential with the rate `low` (uniform where the bounds stand on both sides
    of zero), the densest that majorises the normal there.
    Source: C. P. Robert, Simulation of truncated normal variables, 1995.
    """
    rate = max(low, 0.0)
    u = rng.random(count)
    if rate * (high - low) < 1e-6:  # an exponential as flat as this is uniform
        x = low + u * (high - low)
    else:
        x = low - np.log1p(u * np.expm1(-rate * (high - low))) / rate
    accepted = rng.random(count) <= np.exp(-((x - rate) ** 2) / 2)
    return x[accepted].astype(np.float32)

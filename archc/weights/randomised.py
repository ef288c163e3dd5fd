"""Weights for comparing targets: nothing is left at a value that would hide a mistake."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.graph.graph import WeightRef
from archc.ops.base import Weight
from archc.ops.initial import Computed, Constant, Init, Normal, Uniform
from archc.weights.drawn import DrawnWeights

if TYPE_CHECKING:
    from archc.weights.source import Array


class RandomisedWeights:
    """Every parameter and every statistic drawn at random.

    Default initialisation hides mistakes: zero biases, batch-norm statistics of 0 and 1, affine
    weights of 1, layer scales of 1e-6. Integers and what is computed
    keep their values, which are meant.

    Weights of two and more axes have a variance of 1 / fan-in. In a chain with ReLUs signals then
    shrink by no more than biases make up for, and the branches of residual networks stay small
    enough that their sums grow slowly: through 152 layers activations neither vanish nor explode.

    Args:
        seed: another seed, other numbers.
    """

    def __init__(self, seed: int = 0) -> None:
        self._drawn = DrawnWeights(seed)

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        return self._drawn.array(_randomised(ref))

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        return self._drawn.chunks(_randomised(ref))


def _randomised(ref: WeightRef) -> WeightRef:
    weight = ref.weight
    if not weight.dtype.is_floating or isinstance(weight.init, Computed):
        return ref
    changed = Weight(weight.name, weight.shape, _init(weight), weight.dtype, weight.buffer)
    return WeightRef(ref.key, changed)


def _init(weight: Weight) -> Init:
    if weight.name == "running_var":
        return Uniform(0.5, 2.0)
    if isinstance(weight.init, Constant):
        return Normal(0.0, 0.2) if weight.init.value == 0 else Uniform(0.5, 1.5)
    if len(weight.shape) < 2:
        return Normal(0.0, 0.2)
    return Normal(0.0, 1.0 / math.sqrt(math.prod(weight.shape[1:])))

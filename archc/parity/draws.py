"""Inputs to compare on: draws that show different mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archc.graph import Graph
from archc.parity.gate import GATES
from archc.types import DType, evaluate
from archc.weights.bfloat16 import bfloat16_bits, bfloat16_values

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

NORMAL = "normal"
NEARLY_CONSTANT = "nearly constant"
LARGE = "large"

DRAWS = (NORMAL, NEARLY_CONSTANT, LARGE)
"""Standard normal; of a variance below every usual `eps`, which then matters; and large, where
gates are shut, exponentials saturate, and what is only nearly the same function differs."""

_OFFSET, _SPREAD = 0.5, 1e-3
_LARGE = 1000.0


def draw_inputs(
    graph: Graph, sizes: Mapping[str, int], seed: int, draw: str = NORMAL
) -> dict[str, Array]:
    """Random inputs at concrete sizes.

    Integers that choose rows of a table choose any; bytes are any, others zeros and ones.

    Args:
        graph: the network.
        sizes: value of every symbolic dim.
        seed: another seed, other numbers.
        draw: one of `DRAWS`.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    feed: dict[str, Array] = {}
    bounds = _index_bounds(graph)
    for value in graph.inputs:
        shape = tuple(evaluate(dim, sizes) for dim in value.type.shape)
        dtype = value.type.dtype
        if not dtype.is_floating:
            few = 256 if dtype is DType.UINT8 else 2
            numbers: Array = rng.integers(0, bounds.get(value.name, few), shape)
        else:
            numbers = np.asarray(rng.standard_normal(shape))
            if draw == NEARLY_CONSTANT:
                numbers = _OFFSET + _SPREAD * numbers
            elif draw == LARGE:
                numbers = _LARGE * numbers
        feed[value.name] = _in_dtype(np.asarray(numbers), dtype)
    return feed


def draws_of(graph: Graph) -> tuple[str, ...]:
    """The draws that tell something of a network.

    Integers are drawn in one way only. In fewer bits than float32, small spreads round to nothing
    and large numbers overflow.
    """
    if graph.dtype not in GATES and any(value.type.dtype.is_floating for value in graph.inputs):
        return DRAWS
    return (NORMAL,)


def _index_bounds(graph: Graph) -> dict[str, int]:
    """Input -> the number below which its integers must lie, where they choose rows."""
    bounds: dict[str, int] = {}
    for node in graph.nodes:
        found = node.op.index_bounds([value.type for value in node.inputs])
        for value, bound in zip(node.inputs, found, strict=True):
            if bound is not None:
                bounds[value.name] = min(bound, bounds.get(value.name, bound))
    return bounds


def _in_dtype(numbers: Array, dtype: DType) -> Array:
    """Numbers of a dtype; those of bfloat16 are held in float32."""
    if dtype is DType.BFLOAT16:
        return bfloat16_values(bfloat16_bits(numbers))
    return numbers.astype(dtype.value)

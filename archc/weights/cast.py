"""Weights of float32 for a network of fewer bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph, WeightRef
from archc.types import DType
from archc.weights.bfloat16 import bfloat16_bits, bfloat16_values
from archc.weights.drawn import little_endian
from archc.weights.source import WeightSource

if TYPE_CHECKING:
    from archc.weights.source import Array

_SHORT = (DType.FLOAT16, DType.BFLOAT16)
LARGEST_FLOAT16 = 65504.0


class CastWeights:
    """Weights rounded to the dtype that the network declares, to the nearest and a tie to even.

    `array` holds bfloat16 as its bits (uint16), for numpy has no such dtype.

    Args:
        source: the same weights in float32.
    """

    def __init__(self, source: WeightSource) -> None:
        self._source = source

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        if ref.weight.dtype not in _SHORT:
            return self._source.array(ref)
        return _cast(self._source.array(wide(ref)), ref.weight.dtype)

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        if ref.weight.dtype not in _SHORT:
            yield from self._source.chunks(ref)
            return
        for chunk in self._source.chunks(wide(ref)):
            part = _cast(np.frombuffer(chunk, dtype="<f4"), ref.weight.dtype)
            yield little_endian(part).data.cast("B")


class WideWeights:
    """Weights of fewer bits in float32, which holds each of them exactly.

    Args:
        source: the weights in the dtype of the network.
        graph: the network.
    """

    def __init__(self, source: WeightSource, graph: Graph) -> None:
        self._source = source
        self._own = {ref.key: ref for ref in graph.weights()}

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        own = self._own[ref.key]
        array = self._source.array(own)
        return _widened(array, own.weight.dtype) if own.weight.dtype in _SHORT else array

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        own = self._own[ref.key]
        if own.weight.dtype not in _SHORT:
            yield from self._source.chunks(own)
            return
        stored = "<u2" if own.weight.dtype is DType.BFLOAT16 else "<f2"
        for chunk in self._source.chunks(own):
            part = _widened(np.frombuffer(chunk, dtype=stored), own.weight.dtype)
            yield little_endian(part).data.cast("B")


def _widened(values: Array, dtype: DType) -> Array:
    """float32 of float16, or of bfloat16 as bits, whatever numpy's name for them is."""
    if dtype is DType.BFLOAT16:
        return bfloat16_values(values.view(np.uint16))
    return values.astype(np.float32)


def wide(ref: WeightRef) -> WeightRef:
    """The weight as the spec declares it, in float32."""
    return replace(ref, weight=replace(ref.weight, dtype=DType.FLOAT32))


def _cast(values: Array, dtype: DType) -> Array:
    if dtype is DType.BFLOAT16:
        return bfloat16_bits(values)
    with np.errstate(over="ignore"):  # said by `overflows`, where numbers are a person's
        return values.astype(np.float16)


def overflows(graph: Graph, source: WeightSource) -> list[Diagnostic]:
    """Weights with numbers that float16 cannot hold; bfloat16 has the range of float32.

    Args:
        graph: the network, in float16.
        source: the weights in float32.
    """
    found: list[Diagnostic] = []
    owners = {ref.key: node for node in reversed(graph.nodes) for ref in node.weights}
    for ref in graph.weights():
        if ref.weight.dtype is not DType.FLOAT16:
            continue
        parts = (np.frombuffer(chunk, dtype="<f4") for chunk in source.chunks(wide(ref)))
        largest = max(float(np.abs(part[np.isfinite(part)]).max(initial=0.0)) for part in parts)
        if largest >= LARGEST_FLOAT16 + 16.0:  # what is below rounds to the largest
            found.append(
                Diagnostic(
                    "weights-overflow",
                    f"`{ref.key}` holds {largest:g}, and {LARGEST_FLOAT16:g} is the largest "
                    "number of float16",
                    Label(owners[ref.key].span, "of this layer"),
                    help=("--dtype bfloat16 has the range of float32",),
                )
            )
    return found

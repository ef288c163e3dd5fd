"""Weights made ahead are those of the source, in order, and never many at once."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.graph.graph import WeightRef
from archc.ops.base import Weight
from archc.ops.initial import Constant
from archc.weights import ahead
from archc.weights.ahead import made_ahead

MEBI = 1 << 20


def refs(sizes: list[int]) -> list[WeightRef]:
    """Weights of so many bytes each."""
    return [
        WeightRef(f"layer{number}.weight", Weight("weight", (size // 4,), Constant(0.0)))
        for number, size in enumerate(sizes)
    ]


class Numbered:
    """A source whose chunks say which they are, and that counts what is in memory."""

    def __init__(self, chunk: int = MEBI) -> None:
        self.chunk = chunk
        self.held = 0
        self.most = 0
        self.lock = Lock()

    def array(self, ref: WeightRef) -> Any:
        number = int(ref.key.removeprefix("layer").partition(".")[0])
        return np.full(ref.weight.shape, number, "<f4")

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        data = self.array(ref).data.cast("B")
        for start in range(0, len(data), self.chunk):
            part = data[start : start + self.chunk]
            with self.lock:
                self.held += len(part)
                self.most = max(self.most, self.held)
            yield part

    def written(self, part: memoryview) -> None:
        with self.lock:
            self.held -= len(part)


@given(
    st.lists(
        st.sampled_from([0, 4, 4096, MEBI - 4, MEBI, MEBI + 4, 3 * MEBI, 12 * MEBI]), max_size=12
    ),
    st.data(),
)
def test_they_are_the_weights_of_the_source(sizes: list[int], data: st.DataObject) -> None:
    source = Numbered()
    order = refs(sizes)
    asked = data.draw(st.permutations(order)) if data.draw(st.booleans()) else order
    with made_ahead(source, order) as weights:
        for ref in asked:
            made = b"".join(weights.chunks(ref))
            assert made == source.array(ref).tobytes()
            np.testing.assert_array_equal(weights.array(ref), source.array(ref))


def test_little_is_in_memory() -> None:
    source = Numbered()
    order = refs([4096] * 50 + [9 * MEBI, 40 * MEBI, 2 * MEBI] * 8)
    with made_ahead(source, order) as weights:
        for ref in order:
            for part in weights.chunks(ref):
                source.written(part)
    assert source.held == 0
    # What is ahead, and one weight or a chunk of it that is being written.
    assert source.most <= ahead._AHEAD + ahead._LARGEST + source.chunk


def test_work_grows_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small weights share a task; its size is not added up for each of them."""
    asked = 0
    nbytes = Weight.nbytes

    def counted(self: Weight) -> int:
        nonlocal asked
        asked += 1
        return nbytes.__get__(self)

    monkeypatch.setattr(Weight, "nbytes", property(counted))
    order = refs([8 * MEBI] + [64] * 5000)
    source = Numbered()
    with made_ahead(source, order) as weights:
        for ref in order:
            assert b"".join(weights.chunks(ref))
    assert asked <= 3 * len(order)


def test_an_error_of_a_thread_reaches_the_reader() -> None:
    class Broken(Numbered):
        def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
            if ref.key == "layer3.weight":
                raise OSError("broken disk")
            return super().chunks(ref)

    order = refs([2 * MEBI] * 6)
    with pytest.raises(OSError, match="broken disk"), made_ahead(Broken(), order) as weights:
        for ref in order:
            list(weights.chunks(ref))

"""Weights made by threads while those before them are being written.

Small weights are made whole, several at a time (`made_ahead`); of a large one, which must never sit
in memory as a whole, the next chunks are (`in_turn`). Drawing and computing release the
interpreter's lock, and so does writing. Little is ahead, so that memory stays small.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import current_thread
from typing import TYPE_CHECKING, NamedTuple

from archc.graph.graph import WeightRef
from archc.weights.source import WeightSource

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from archc.weights.source import Array

_WORKERS = 2  # more would only wait for the disk
_AHEAD = 12 << 20  # bytes that are made, or being made, before their turn
_LARGEST = 9 << 20  # a larger weight is made chunk by chunk, when its turn comes
_TOGETHER = 1 << 20  # bytes of small weights that one task makes
_WORTHWHILE = 4 << 20  # bytes of all weights from which threads are worth their start

_NAME = "archc-weights"  # of the threads that make whole weights

Chunks = deque[memoryview]


@contextmanager
def made_ahead(source: WeightSource, refs: Iterable[WeightRef]) -> Iterator[WeightSource]:
    """A source whose chunks are made by threads before they are asked for.

    Args:
        source: where the numbers come from.
        refs: the weights in the order in which they will be asked for.
    """
    order = list(refs)
    if _nbytes(order) < _WORTHWHILE:
        yield source
        return
    from concurrent.futures import ThreadPoolExecutor

    _keep_freed_memory()
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix=_NAME)
    try:
        yield _Ahead(source, _tasks(order), pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next weight.

    glibc takes a block of more than 128 KiB from the system and gives it back when it is freed, and
    the page faults of the next cost as much as drawing numbers into it. Once a larger block has
    been freed, it does so with larger ones only (mallopt(3), M_MMAP_THRESHOLD). The block is not
    touched and takes no memory; other C libraries see nothing but it come and go.
    """
    import numpy as np

    np.empty(_LARGEST, np.uint8)


def in_turn(chunk: Callable[[int], Array], count: int) -> Iterator[Array]:
    """Chunks 0 to `count - 1` of one weight, made by threads while those before are being used.

    A thread of `made_ahead` makes them itself, one at a time: it is ahead already, and chunks ahead
    of it would only take memory. The others have a pool of their own.
    """
    if count == 1 or current_thread().name.startswith(_NAME):
        yield from map(chunk, range(count))
        return
    pool = _pool()
    waiting = deque(pool.submit(chunk, index) for index in range(min(count, _WORKERS)))
    try:
        for index in range(count):
            made = waiting.popleft().result()
            if index + _WORKERS < count:
                waiting.append(pool.submit(chunk, index + _WORKERS))
            yield made
    finally:
        for unused in waiting:
            unused.cancel()


@cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="archc-chunks")


class _Ahead:
    def __init__(
        self, source: WeightSource, tasks: Iterable[_Task], pool: ThreadPoolExecutor
    ) -> None:
        self._source = source
        self._tasks = deque(tasks)
        self._pool = pool
        self._begun: deque[tuple[list[WeightRef], Future[list[Chunks]], int]] = deque()
        self._bytes = 0  # of what was begun
        self._made: deque[tuple[WeightRef, Chunks]] = deque()

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        return self._source.array(ref)

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        self._begin()
        if not self._made and self._begun and self._begun[0][0][0] is ref:
            refs, future, size = self._begun.popleft()
            self._made.extend(zip(refs, future.result(), strict=True))
            self._bytes -= size
        if self._made and self._made[0][0] is ref:
            _, chunks = self._made.popleft()
            self._begin()
            while chunks:  # each is let go of when it has been written
                yield chunks.popleft()
            return
        if self._tasks and self._tasks[0].refs[0] is ref:
            self._tasks.popleft()
        yield from self._source.chunks(ref)

    def _begin(self) -> None:
        while self._tasks:
            refs, size = self._tasks[0]
            if size > _LARGEST or (self._begun and self._bytes + size > _AHEAD):
                return
            self._tasks.popleft()
            self._bytes += size
            self._begun.append((refs, self._pool.submit(self._make, refs), size))

    def _make(self, refs: list[WeightRef]) -> list[Chunks]:
        return [deque(self._source.chunks(ref)) for ref in refs]


class _Task(NamedTuple):
    """Weights that one thread makes together.

    Attributes:
        refs: of the weights, at least one.
        size: bytes of all of them.
    """

    refs: list[WeightRef]
    size: int


def _tasks(refs: Iterable[WeightRef]) -> Iterator[_Task]:
    taken: list[WeightRef] = []
    size = 0
    for ref in refs:
        nbytes = ref.weight.nbytes
        if taken and size + nbytes > _TOGETHER:
            yield _Task(taken, size)
            taken, size = [], 0
        taken.append(ref)
        size += nbytes
    if taken:
        yield _Task(taken, size)


def _nbytes(refs: Iterable[WeightRef]) -> int:
    return sum(ref.weight.nbytes for ref in refs)

"""What a target asks weights of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from archc.graph.graph import WeightRef

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic[Any]]

CHUNK = 1 << 18
"""Elements per chunk: a MiB or two.

A network of many GB never sits in memory, and a chunk stays in the cache of a core while it is
being made.
"""


class WeightSource(Protocol):
    """Where the numbers of a network come from; it may be asked by several threads at once."""

    def array(self, ref: WeightRef) -> Array:
        """The whole weight, in its shape and dtype; the caller may change it.

        bfloat16, which numpy does not have, as its bits.
        """
        ...

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """The same numbers as raw little-endian data, in order, a few MiB at a time."""
        ...

"""Numbers that buffers hold and that are worked out instead of drawn or trained."""

from __future__ import annotations

import math
import struct
from functools import lru_cache

from archc.ops.initial import Computed


@lru_cache(maxsize=32)
def computed_values(init: Computed) -> tuple[float, ...]:
    """The numbers, row by row."""
    height, width = init.sizes
    if init.rule == "relative_coords":
        return _relative_coords(height, width)
    return _relative_index(height, width)


def _relative_index(height: int, width: int) -> tuple[int, ...]:
    """The row of a table of offsets for each pair of positions in a window.

    The table has a row per offset, (2 * height - 1) * (2 * width - 1) of them; the offset
    (-height + 1, -width + 1) is row 0. Source: arXiv 2103.14030, as in torchvision.
    """
    span = 2 * width - 1
    places = [y * span + x for y in range(height) for x in range(width)]
    middle = (height - 1) * span + width - 1
    return tuple(query - key + middle for query in places for key in places)


def _relative_coords(height: int, width: int) -> tuple[float, ...]:
    """The offsets within a window, down and right, on a logarithmic scale from about -1 to 1.

    Source: arXiv 2111.09883, equation 4, as in torchvision.
    """
    downs, rights = _log_offsets(height), _log_offsets(width)
    return tuple(value for down in downs for right in rights for value in (down, right))


def _log_offsets(size: int) -> list[float]:
    """Offsets along one axis, each step rounded as float32 arithmetic rounds it."""
    values = []
    for offset in range(1 - size, size):
        scaled = _float32(_float32(offset / (size - 1)) * 8.0)
        logarithm = _float32(math.log2(_float32(abs(scaled) + 1.0)))
        values.append(math.copysign(_float32(logarithm / 3.0), scaled))
    return values


def _float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])

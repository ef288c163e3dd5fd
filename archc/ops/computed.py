"""Numbers that buffers hold and that are worked out instead of drawn or trained."""

from __future__ import annotations

from functools import lru_cache

from archc.ops.initial import Computed


@lru_cache(maxsize=32)
def computed_values(init: Computed) -> tuple[int, ...]:
    """The numbers, row by row."""
    height, width = init.sizes
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

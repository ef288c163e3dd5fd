"""What a model of archc says of itself: the sizes that it works for, what makes its images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from archc.graph.preprocess import Preprocess
from archc.types.sizes import SizeSet, describe_sizes

SIZES_KEY = "archc.sizes"
PREPROCESS_KEY = "archc.preprocess"


def read_demands(metadata: Mapping[str, str]) -> dict[str, SizeSet]:
    """The sizes that fit, by symbol; nothing for a model that does not say, or not readably."""
    try:
        data = json.loads(metadata.get(SIZES_KEY, "{}"))
        return {str(name): SizeSet.from_data(entry) for name, entry in data.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def read_preprocess(metadata: Mapping[str, str]) -> dict[str, Preprocess]:
    """What makes each input of an image; nothing for a model that does not say, or not readably."""
    try:
        data = json.loads(metadata.get(PREPROCESS_KEY, "{}"))
        return {str(name): Preprocess.from_data(entry) for name, entry in data.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def unmet_demands(
    demands: Mapping[str, SizeSet],
    shapes: Iterable[tuple[tuple[int | str | None, ...], tuple[int, ...]]],
) -> list[str]:
    """Sentences about sizes that do not fit.

    Args:
        demands: symbol -> sizes that fit.
        shapes: per input, its dims as declared and as given.
    """
    unmet: dict[str, str] = {}
    for declared, given in shapes:
        for dim, size in zip(declared, given, strict=False):
            sizes = demands.get(dim) if isinstance(dim, str) else None
            if sizes is not None and size not in sizes:
                assert isinstance(dim, str)
                nearest = ", ".join(map(str, _nearest(sizes, size)))
                unmet[dim] = (
                    f"{dim} = {size} does not fit: the network works where "
                    f"{describe_sizes(dim, sizes)} (nearest: {nearest})"
                )
    return list(unmet.values())


def _nearest(sizes: SizeSet, size: int) -> list[int]:
    """The members next to a size, below and above."""
    reach = range(1, 2 * sizes.period + sizes.start + 1)
    below = next((size - step for step in reach if size > step and size - step in sizes), None)
    above = next((size + step for step in reach if size + step in sizes), None)
    return [member for member in (below, above) if member is not None]

"""Values that follow from the number of a layer: widths that grow, rates that rise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from archc.records import dataclass
from archc.targets.torch.code import distinct
from archc.targets.torch.layout import literal_text

MAX_PARTS = 400
"""Layers over which a rate may rise."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values as functions of a loop variable `i`.

    Attributes:
        start: first value of `i`.
        texts: for each position what to write, or None where the value stays.
    """

    start: int
    texts: tuple[str | None, ...]


def find_series(columns: Sequence[Sequence[Any]]) -> Series | None:
    """A series that gives exactly these values, if there is one.

    Args:
        columns: for each argument its values along the run.
    """
    start = 0
    for values in columns:
        rate = _rising_rate(values)
        if rate is not None:
            start = rate[0]
    texts: list[str | None] = []
    for values in columns:
        if len({distinct(value) for value in values}) == 1:
            texts.append(None)
            continue
        text = _text(values, start)
        if text is None:
            return None
        texts.append(text)
    return Series(start, tuple(texts)) if any(texts) else None


def _text(values: Sequence[Any], start: int) -> str | None:
    if all(type(value) is int for value in values):
        return _growing(values, start) or _alternating(values, start)
    rate = _rising_rate(values)
    if rate is not None and rate[0] == start:
        return f"{literal_text(rate[1])} * i / {rate[2]}"
    return None


def _growing(values: Sequence[int], start: int) -> str | None:
    """`64 + 32 * i`."""
    step = values[1] - values[0]
    if any(b - a != step for a, b in pairwise(values)):
        return None
    first = values[0] - step * start
    term = "i" if abs(step) == 1 else f"{abs(step)} * i"
    if step < 0:
        return f"{first} - {term}"
    return term if first == 0 else f"{first} + {term}"


def _alternating(values: Sequence[int], start: int) -> str | None:
    """`3 * (i % 2)`: nothing in every other layer."""
    even, odd = (values[0], values[1]) if start % 2 == 0 else (values[1], values[0])
    if even != 0 or any(v != (odd if i % 2 else even) for i, v in enumerate(values, start)):
        return None
    return f"{odd} * (i % 2)"


def _rising_rate(values: Sequence[Any]) -> tuple[int, float, int] | None:
    """(start, rate, parts) such that the values are `rate * i / parts`, bit for bit.

    The rate is the one with the fewest digits.
    """
    if not all(type(value) is float for value in values):
        return None
    step = values[1] - values[0]
    if step <= 0:
        return None
    start = round(values[0] / step)
    for digits in (1, 2, 3):
        for parts in range(1, MAX_PARTS):
            rate = round(step * parts, digits)
            if rate and all(rate * i / parts == v for i, v in enumerate(values, start)):
                return start, rate, parts
    return None

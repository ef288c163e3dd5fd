"""Proofs about differences of sizes, for every size or for every size within bounds.

Three steps, cheapest first: bounds of the difference as it stands; a search for a
counterexample among a few sizes, which ends most hopeless attempts; and the residue classes of
the sizes, one by one. In a class (`H = 32*h + 5`) every floor by a constant becomes a
polynomial, so that an equality of floors is decided there, not merely attempted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from math import gcd, prod
from typing import Literal, NamedTuple, TypeAlias

from archc.types.symbolic.expr import Dim, period, replace_symbols, symbol_names, value_of
from archc.types.symbolic.intervals import Box, poly_bounds
from archc.types.symbolic.polynomial import (
    DimTooComplexError,
    Poly,
    Symbol,
    Terms,
    constant_of,
    constant_terms,
)

Claim: TypeAlias = Literal["zero", "nonzero", "nonnegative"]
Bounds: TypeAlias = Mapping[str, tuple[int, int | None]]

MAX_CLASSES = 512
_FEW_VALUES = 8  # a range this short is tried value by value
_SAMPLES = (1, 2, 3, 4, 5, 7, 8, 12, 31, 64, 225)


def box_of(bounds: Bounds | None, names: frozenset[str]) -> Box:
    """The bounds of these symbols; they narrow the sizes, which are positive anyway.

    Raises:
        ValueError: bounds that no size meets.
    """
    box = []
    for name in sorted(names & (bounds or {}).keys()):
        low, high = (bounds or {})[name]
        low = max(low, 1)
        if high is not None and high < low:
            raise ValueError(f"no size {name} is between {low} and {high}")
        if (low, high) != (1, None):
            box.append((name, low, high))
    return tuple(box)


def proves(claim: Claim, dim: Dim, bounds: Bounds | None = None) -> bool:
    """Whether the claim is proved for every size within bounds; False says nothing."""
    if isinstance(dim, int):
        return _is_true(claim, dim)
    return _proves(claim, dim, box_of(bounds, symbol_names(dim) if bounds else frozenset()))


@lru_cache(maxsize=4096)
def _proves(claim: Claim, poly: Poly, box: Box) -> bool:
    if _holds(claim, poly.terms, box):
        return True
    if any(not _is_true(claim, value_of(poly, sizes)) for sizes in _samples(poly, box)):
        return False
    try:
        classes = _classes(poly, box)
        return classes is not None and all(
            _holds(claim, replace_symbols(poly, values), left) for values, left in classes
        )
    except DimTooComplexError:
        return False


def _is_true(claim: Claim, value: int) -> bool:
    if claim == "nonnegative":
        return value >= 0
    return (value == 0) == (claim == "zero")


def _holds(claim: Claim, terms: Terms, box: Box) -> bool:
    constant = constant_of(terms)
    if constant is not None:
        return _is_true(claim, constant)
    low, high = poly_bounds(Poly(terms), box)
    if claim == "nonnegative":
        return low is not None and low >= 0
    if claim == "zero":
        return low == high == 0
    outside = (low is not None and low > 0) or (high is not None and high < 0)
    common = gcd(*(coefficient for monomial, coefficient in terms.items() if monomial))
    return outside or terms.get((), 0) % common != 0


def _samples(poly: Poly, box: Box) -> Iterator[dict[str, int]]:
    """A few assignments of sizes within the box, equal ones and unequal ones."""
    names = sorted(symbol_names(poly))
    limits = {name: (low, high) for name, low, high in box}
    for start, stride in product(range(len(_SAMPLES)), (0, 1, 3) if len(names) > 1 else (0,)):
        sizes = {}
        for index, name in enumerate(names):
            low, high = limits.get(name, (1, None))
            offset = _SAMPLES[(start + index * stride) % len(_SAMPLES)] - 1
            sizes[name] = low + (offset if high is None else offset % (high - low + 1))
        yield sizes


class _Way(NamedTuple):
    """One way to write a symbol: its value, and the upper bound of the symbol in that value."""

    value: Terms
    high: int | None


def _classes(poly: Poly, box: Box) -> list[tuple[dict[str, Terms], Box]] | None:
    """What to put for the symbols, class by class; None where it brings nothing or too much."""
    limits = {name: (low, high) for name, low, high in box}
    choices: dict[str, list[_Way]] = {}
    for name in sorted(symbol_names(poly)):
        ways = _ways(name, *limits.get(name, (1, None)), step=period(poly, name) or 1)
        if ways is None:
            return None
        if ways:
            choices[name] = ways
    if not choices or prod(len(ways) for ways in choices.values()) > MAX_CLASSES:
        return None
    kept = tuple(limit for limit in box if limit[0] not in choices)
    classes = []
    for combination in product(*choices.values()):
        chosen = dict(zip(choices, combination, strict=True))
        narrowed = ((name, 1, way.high) for name, way in chosen.items() if way.high is not None)
        classes.append(({name: way.value for name, way in chosen.items()}, (*kept, *narrowed)))
    return classes


def _ways(name: str, low: int, high: int | None, step: int) -> list[_Way] | None:
    """Single values where they are few, else `step*t + c` for t from 1 up.

    Returns:
        Ways that together cover every value; none where the symbol itself is as good; None where
        there would be too many.
    """
    if high is not None and high - low < max(step, _FEW_VALUES):
        values = range(low, high + 1)
        few = len(values) <= MAX_CLASSES
        return [_Way(constant_terms(value), None) for value in values] if few else None
    if step > MAX_CLASSES:
        return None
    if (step, low) == (1, 1):
        return []
    return [
        _Way(
            {(Symbol(name),): step, **constant_terms(first - step)},
            None if high is None else (high - first) // step + 1,
        )
        for first in range(low, low + step)
    ]

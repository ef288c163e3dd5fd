"""Bounds of polynomials over symbols that are positive integers.

Two enclosures are intersected. The direct one gives each atom its own interval. The linear one
writes `n // d` as `(n - e) / d` with a remainder `e` in 0 .. d - 1, so that what floors have in
common with the rest cancels: `H - 2*(H//2)` is `e`, between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from math import gcd, lcm, prod
from typing import TypeAlias

from archc.types.symbolic.polynomial import (
    Atom,
    DimTooComplexError,
    Extremum,
    Floor,
    Monomial,
    Poly,
    Quotient,
    Symbol,
    Terms,
    accumulate,
    add_terms,
    atom_terms,
    multiply_terms,
)

Interval: TypeAlias = tuple[int | None, int | None]  # None: unbounded on that side
Box: TypeAlias = tuple[tuple[str, int, int | None], ...]  # symbols not named: from 1 up

_UNKNOWN: Interval = (None, None)
_MAX_EXPANSION = 256  # terms; more would cost time and rarely prove anything
_MAX_SPLITS = 8  # combinations of arguments of maxima and minima tried


def lower_bound(terms: Terms) -> int | None:
    """The greatest lower bound found, over all positive sizes; None if there is none."""
    return poly_bounds(Poly(terms))[0]


def poly_bounds(poly: Poly, box: Box = ()) -> Interval:
    """An interval that holds every value of `poly` in `box`; each end may be loose.

    The constant and the common factor are set aside: bounds of the rest are rounded to integers.
    """
    constant = poly.terms.get((), 0)
    factor = gcd(*(coefficient for monomial, coefficient in poly.terms.items() if monomial))
    if constant == 0 and factor <= 1:
        return _primitive_bounds(poly, box)
    rest = Poly({m: k // factor for m, k in poly.terms.items() if m})
    low, high = _primitive_bounds(rest, box)
    return (
        None if low is None else factor * low + constant,
        None if high is None else factor * high + constant,
    )


@lru_cache(maxsize=4096)
def _primitive_bounds(poly: Poly, box: Box) -> Interval:
    def ranges(atom: Atom) -> Interval:
        return _atom_bounds(atom, box)

    bounds = _UNKNOWN
    atoms = {atom for monomial in poly.terms for atom in monomial}
    with suppress(DimTooComplexError):  # what is known by then holds
        bounds = _enclose(poly.terms, ranges)
        if any(isinstance(atom, Floor) for atom in atoms):
            bounds = _intersect(bounds, _linear_bounds(poly, ranges))
        if any(isinstance(atom, Extremum) for atom in atoms):
            bounds = _intersect(bounds, _split_bounds(poly, box))
    return bounds


def _atom_bounds(atom: Atom, box: Box) -> Interval:
    if isinstance(atom, Symbol):
        return next(((lo, hi) for name, lo, hi in box if name == atom.name), (1, None))
    if isinstance(atom, Floor):
        low, high = poly_bounds(atom.numer, box)
        return (
            None if low is None else low // atom.divisor,
            None if high is None else high // atom.divisor,
        )
    if isinstance(atom, Quotient):
        return _quotient_bounds(poly_bounds(atom.numer, box), poly_bounds(atom.divisor, box))
    assert isinstance(atom, Extremum)
    lows, highs = zip(*(poly_bounds(arg, box) for arg in atom.args), strict=True)
    if atom.is_max:
        return _largest(lows), _all_known(highs, max)
    return _all_known(lows, min), _smallest(highs)


def _quotient_bounds(numer: Interval, divisor: Interval) -> Interval:
    """Bounds of numer // divisor: the divisor nearest zero makes it largest in magnitude."""
    (low, high), (near, far) = numer, divisor
    near = max(near or 1, 1)

    def divide(value: int, by: int | None) -> int:
        return value // by if by is not None else -1 if value < 0 else 0

    return (
        None if low is None else divide(low, near if low < 0 else far),
        None if high is None else divide(high, far if high < 0 else near),
    )


def _largest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _smallest(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _all_known(values: Iterable[int | None], choose: Callable[[list[int]], int]) -> int | None:
    values = list(values)
    known = [value for value in values if value is not None]
    return choose(known) if len(known) == len(values) else None


def _intersect(one: Interval, other: Interval) -> Interval:
    return _largest((one[0], other[0])), _smallest((one[1], other[1]))


def _enclose(terms: Terms, ranges: Callable[[Atom], Interval]) -> Interval:
    """Bounds of a polynomial whose atoms vary independently.

    Atoms are first moved to start at zero (`H = 1 + h`): then `H*W - H` is `w + h*w`, whose sign
    shows, where the intervals of `H*W` and `H` alone would say nothing.
    """
    widths: dict[Atom, int | None] = {}
    moved: dict[Atom, Terms] = {}
    for atom in {atom for monomial in terms for atom in monomial}:
        low, high = ranges(atom)
        if low is not None:
            widths[atom] = None if high is None else high - low
            moved[atom] = {(atom,): 1, (): low} if low else {(atom,): 1}
        elif high is not None:
            widths[atom] = None
            moved[atom] = {(atom,): -1, (): high} if high else {(atom,): -1}
        else:
            return _UNKNOWN
    expanded = _replace_atoms(terms, moved)
    if expanded is None:
        return _UNKNOWN
    constant = expanded.pop((), 0)
    falls = [_reach(m, k, widths) for m, k in expanded.items() if k < 0]
    rises = [_reach(m, k, widths) for m, k in expanded.items() if k > 0]
    return (
        _all_known([constant, *falls], sum),
        _all_known([constant, *rises], sum),
    )


def _reach(monomial: Monomial, coefficient: int, widths: dict[Atom, int | None]) -> int | None:
    """How far a term moves from zero when each of its atoms goes from zero to its width."""
    reaches = [widths[atom] for atom in monomial]
    if 0 in reaches:
        return 0
    product = _all_known(reaches, prod)
    return None if product is None else coefficient * product


def _replace_atoms(terms: Terms, values: dict[Atom, Terms]) -> Terms | None:
    """The polynomial with atoms replaced, expanded; None where that is too long."""
    result: Terms = {}
    for monomial, coefficient in terms.items():
        factors = [values[atom] for atom in monomial]
        if prod(len(factor) for factor in factors) > _MAX_EXPANSION:
            return None
        product: Terms = {(): coefficient}
        for factor in factors:
            product = multiply_terms(product, factor)
        accumulate(result, product)
    return result


def _linear_bounds(poly: Poly, ranges: Callable[[Atom], Interval]) -> Interval:
    """Bounds with every `n // d` written as `(n - e) / d`."""
    remainders: dict[Floor, Symbol] = {}
    scaled = _linearise(poly, remainders)
    if scaled is None:
        return _UNKNOWN
    scale, terms = scaled
    limits = {symbol: floor.divisor - 1 for floor, symbol in remainders.items()}

    def extended(atom: Atom) -> Interval:
        return (0, limits[atom]) if isinstance(atom, Symbol) and atom in limits else ranges(atom)

    low, high = _enclose(terms, extended)
    return (
        None if low is None else -(-low // scale),
        None if high is None else high // scale,
    )


def _linearise(poly: Poly, remainders: dict[Floor, Symbol]) -> tuple[int, Terms] | None:
    """`(s, p)` with `s * poly == p`, where `p` has no floors but remainders instead."""
    scales: dict[Floor, int] = {}
    values: dict[Atom, Terms] = {}
    for atom in {atom for monomial in poly.terms for atom in monomial}:
        values[atom] = atom_terms(atom)
        if isinstance(atom, Floor):
            inner = _linearise(atom.numer, remainders)
            if inner is None:
                return None
            scale, numer = inner
            remainder = remainders.setdefault(atom, Symbol(f"%{len(remainders)}"))
            values[atom] = add_terms(numer, atom_terms(remainder), -scale)
            scales[atom] = scale * atom.divisor
    own = {
        monomial: prod(scales[atom] for atom in monomial if isinstance(atom, Floor))
        for monomial in poly.terms
    }
    common = lcm(*own.values())
    weighted = {m: k * (common // own[m]) for m, k in poly.terms.items()}
    expanded = _replace_atoms(weighted, values)
    return None if expanded is None else (common, expanded)


def _split_bounds(poly: Poly, box: Box) -> Interval:
    """Bounds by replacing a maximum or minimum that stands alone in a term by its arguments.

    It equals one of them, so the worst of the cases bounds the whole; and where it can only
    push the sum the right way (a maximum added, for a lower bound) the best of them does.
    """
    alone = [(m, k) for m, k in poly.terms.items() if len(m) == 1 and isinstance(m[0], Extremum)]
    combinations = prod(len(m[0].args) for m, _ in alone if isinstance(m[0], Extremum))
    if not alone or combinations > _MAX_SPLITS:
        return _UNKNOWN
    monomial, coefficient = min(alone, key=lambda term: term[0][0].key)
    extremum = monomial[0]
    assert isinstance(extremum, Extremum)
    rest = {m: k for m, k in poly.terms.items() if m != monomial}
    cases = [
        poly_bounds(Poly(add_terms(rest, arg.terms, coefficient)), box) for arg in extremum.args
    ]
    lows, highs = [case[0] for case in cases], [case[1] for case in cases]
    if extremum.is_max == (coefficient > 0):
        return _largest(lows), _all_known(highs, max)
    return _all_known(lows, min), _smallest(highs)

"""Hermite's identity: floors of one stem over all residues of the divisor sum to the stem.

`P//d + (P + 1)//d + ... + (P + d - 1)//d == P`, so that `H//2 + (H + 1)//2` is `H` and
`H - H//2` is `(H + 1)//2`. Of all the ways to write a sum of floors that differ by multiples of
this identity, the one with the fewest floors, then terms, then minus signs is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from archc.types.symbolic.polynomial import (
    DimTooComplexError,
    Floor,
    Monomial,
    Poly,
    Quotient,
    Terms,
    add_terms,
    multiply_monomials,
)


class _Family(NamedTuple):
    """Floors `(stem + residue) // divisor` that multiply the same cofactor."""

    cofactor: Monomial
    stem: Poly
    divisor: int

    def order(self) -> tuple[object, ...]:
        """Deepest first: folding a family may bring floors that nest less deep."""
        cofactor = tuple(atom.key for atom in self.cofactor)
        return -self.stem.depth, self.divisor, self.stem.key, cofactor


_Coefficients: TypeAlias = dict[int, int]  # by residue
_MAX_DIVISOR = 32  # sums over the residues of larger ones would be long, and are never met


def fold_residues(terms: Terms) -> Terms:
    """`terms` with sums of floors in normal form; `terms` itself where nothing changes.

    Only floors that are linear in their monomial, beside symbols, maxima and minima, take part:
    among products of floors the identity alone does not single out one form.
    """
    families = _families(terms)
    if not families or _is_settled(terms, families):
        return terms
    return _folded(Poly(terms))


@lru_cache(maxsize=4096)
def _folded(poly: Poly) -> Terms:
    try:
        return _visit(_visit(poly.terms, _centre), _choose)
    except DimTooComplexError:  # on the way only: as it stands it is within the limits
        return poly.terms


def _families(terms: Terms) -> dict[_Family, _Coefficients]:
    families: dict[_Family, _Coefficients] = {}
    for monomial, coefficient in terms.items():
        floors = [atom for atom in monomial if isinstance(atom, Floor | Quotient)]
        if len(floors) != 1 or not isinstance(floor := floors[0], Floor):
            continue
        if floor.divisor <= _MAX_DIVISOR:
            cofactor = tuple(atom for atom in monomial if atom is not floor)
            family = _Family(cofactor, floor.stem, floor.divisor)
            families.setdefault(family, {})[floor.residue] = coefficient
    return families


def _is_settled(terms: Terms, families: dict[_Family, _Coefficients]) -> bool:
    """Whether it shows at once that no other way of writing is better."""
    if all(2 * len(coefficients) < f.divisor for f, coefficients in families.items()):
        return True
    return all(k > 0 for m, k in terms.items() if m) and all(
        2 * len(coefficients) < f.divisor or (f.divisor == 2 and len(coefficients) == 1)
        for f, coefficients in families.items()
    )


def _visit(terms: Terms, rewrite: Callable[[Terms, _Family, _Coefficients], Terms]) -> Terms:
    done: set[_Family] = set()
    while pending := {f: k for f, k in _families(terms).items() if f not in done}:
        family = min(pending, key=_Family.order)
        done.add(family)
        if 2 * len(pending[family]) >= family.divisor:
            terms = rewrite(terms, family, pending[family])
    return terms


def _centre(terms: Terms, family: _Family, coefficients: _Coefficients) -> Terms:
    """Make the lower median coefficient zero: one form for all that are equal."""
    absent = family.divisor - len(coefficients)
    ordered = sorted([*coefficients.values(), *[0] * absent])
    return _shift(terms, family, ordered[(family.divisor - 1) // 2])


def _choose(terms: Terms, family: _Family, coefficients: _Coefficients) -> Terms:
    """Of the forms in which some coefficient is zero, the best."""
    amounts = sorted({0, *coefficients.values()}, key=lambda amount: (abs(amount), amount))
    return min((_shift(terms, family, amount) for amount in amounts), key=_cost)


def _shift(terms: Terms, family: _Family, amount: int) -> Terms:
    """Subtract `amount` times the sum over all residues, and add what it equals."""
    if amount == 0:
        return terms
    cofactor, stem, divisor = family
    change: Terms = {multiply_monomials(cofactor, m): amount * k for m, k in stem.terms.items()}
    for residue in range(divisor):
        numer = {**stem.terms, (): residue} if residue else stem.terms
        floor = Floor(Poly(numer), divisor)
        monomial = multiply_monomials(cofactor, (floor,))
        change[monomial] = change.get(monomial, 0) - amount
    return add_terms(terms, change)


def _cost(terms: Terms) -> tuple[int, int, int, int]:
    floors = [atom for monomial in terms for atom in monomial if isinstance(atom, Floor | Quotient)]
    return (
        len(floors),
        len(terms),
        sum(1 for coefficient in terms.values() if coefficient < 0),
        sum(floor.residue for floor in floors if isinstance(floor, Floor)),
    )

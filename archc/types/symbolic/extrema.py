"""Maxima and minima of polynomials, in normal form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import gcd

from archc.types.symbolic.intervals import lower_bound
from archc.types.symbolic.polynomial import (
    DimTooComplexError,
    Extremum,
    Poly,
    Terms,
    add_terms,
    atom_terms,
    scale_terms,
)
from archc.types.symbolic.residues import fold_residues

MAX_ARGS = 32
_ROUNDS = 4  # of taking out what is shared, which may bring up more; two settle all that is known


def extremum(args: Sequence[Terms], is_max: bool) -> Terms:
    """The largest or smallest of `args` (one at least).

    Nested ones of the same kind are flattened, arguments that bounds show to be superfluous are
    dropped, and what all arguments share is taken out, integer factors and sums alike:
    `max(2*H + 3, 9)` is `2*max(H, 3) + 3`, and `max(-H, -3)` is `-min(H, 3)`.
    """
    return _extremum(frozenset(Poly(arg) for arg in args), is_max, _ROUNDS)


@lru_cache(maxsize=4096)
def _extremum(args: frozenset[Poly], is_max: bool, rounds: int) -> Terms:
    flat = {Poly(arg) for one in args for arg in _flatten(one.terms, is_max)}
    if len(flat) > MAX_ARGS:
        raise DimTooComplexError(f"a maximum or minimum of over {MAX_ARGS} sizes")
    kept = _undominated(sorted(flat, key=lambda arg: arg.key), is_max)
    if len(kept) == 1:
        return kept[0].terms
    if all(coefficient < 0 for arg in kept for m, coefficient in arg.terms.items() if m):
        negative = [scale_terms(arg.terms, -1) for arg in kept]
        return fold_residues(scale_terms(extremum(negative, not is_max), -1))
    shared = _shared_sum(kept)
    rests = [add_terms(arg.terms, shared, -1) for arg in kept]
    factor = gcd(*(coefficient for rest in rests for coefficient in rest.values()))
    reduced = [Poly(fold_residues({m: k // factor for m, k in r.items()})) for r in rests]
    if rounds and reduced != kept:
        value = _extremum(frozenset(reduced), is_max, rounds - 1)
    else:
        value = atom_terms(Extremum(is_max, tuple(sorted(reduced, key=lambda arg: arg.key))))
    return fold_residues(add_terms(shared, value, factor))


def unfold_extremum(terms: Terms) -> tuple[bool, list[Terms]] | None:
    """`k*max(a, b) + r` as a maximum of `k*a + r` and `k*b + r`; a minimum where k is negative.

    Returns:
        Whether it is a maximum, and of what; None if not exactly one stands alone in a term.
    """
    alone = [(m[0], k) for m, k in terms.items() if len(m) == 1 and isinstance(m[0], Extremum)]
    if len(alone) != 1:
        return None
    atom, coefficient = alone[0]
    assert isinstance(atom, Extremum)
    rest = {m: k for m, k in terms.items() if m != (atom,)}
    args = [fold_residues(add_terms(rest, arg.terms, coefficient)) for arg in atom.args]
    return atom.is_max == (coefficient > 0), args


def _flatten(terms: Terms, is_max: bool) -> list[Terms]:
    unfolded = unfold_extremum(terms)
    return unfolded[1] if unfolded is not None and unfolded[0] == is_max else [terms]


def _undominated(args: list[Poly], is_max: bool) -> list[Poly]:
    kept: list[Poly] = []
    for arg in args:
        if any(_dominates(other, arg, is_max) for other in kept):
            continue
        kept = [other for other in kept if not _dominates(arg, other, is_max)]
        kept.append(arg)
    return kept


def _dominates(one: Poly, other: Poly, is_max: bool) -> bool:
    large, small = (one, other) if is_max else (other, one)
    low = lower_bound(fold_residues(add_terms(large.terms, small.terms, -1)))
    return low is not None and low >= 0


def _shared_sum(args: Sequence[Poly]) -> Terms:
    """Of each monomial, the least coefficient it has in any argument.

    A maximum or minimum gives up only what leaves its sign everywhere: with the other sign it
    would be of the other kind, and flatten.
    """
    shared: Terms = {}
    for monomial in {monomial for arg in args for monomial in arg.terms}:
        coefficients = [arg.terms.get(monomial, 0) for arg in args]
        least = min(coefficients)
        if least < 0 and any(isinstance(atom, Extremum) for atom in monomial):
            least = min(max(coefficients), 0)
        if least:
            shared[monomial] = least
    return shared

"""Floor division of polynomials, in normal form.

By a constant: what the divisor divides is pulled out, common factors are cancelled, and a floor
in the numerator is merged into the outer one. By an expression: polynomial division first, then
the same. What is canonical and what is not is said in `archc.types.dims`.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

from archc.types.symbolic.extrema import extremum, unfold_extremum
from archc.types.symbolic.intervals import lower_bound
from archc.types.symbolic.polynomial import (
    Atom,
    Extremum,
    Floor,
    Monomial,
    Poly,
    Quotient,
    Terms,
    add_terms,
    atom_terms,
    constant_of,
    constant_terms,
    multiply_monomials,
    multiply_terms,
    scale_terms,
)
from archc.types.symbolic.residues import fold_residues


def floor_divide(numer: Terms, divisor: Terms) -> Terms:
    """`numer // divisor`, rounding down.

    Raises:
        ZeroDivisionError: the divisor is zero.
        ValueError: the divisor is an expression that is not provably positive.
    """
    constant = constant_of(divisor)
    if constant == 0:
        raise ZeroDivisionError("division of a size by zero")
    if constant is None:
        return _by_expression(numer, divisor)
    if constant < 0:
        return floor_divide(scale_terms(numer, -1), {(): -constant})
    value = constant_of(numer)
    if value is not None:
        return constant_terms(value // constant)
    return numer if constant == 1 else _by_constant(Poly(numer), constant)


@lru_cache(maxsize=4096)
def _by_constant(poly: Poly, divisor: int) -> Terms:
    numer = poly.terms
    if all(k < 0 for m, k in numer.items() if m):  # -(-n // d) is (n + d - 1) // d
        positive = add_terms(scale_terms(numer, -1), {(): divisor - 1})
        return fold_residues(scale_terms(floor_divide(positive, {(): divisor}), -1))
    if _may_be_bounded(numer):
        small = _small_quotient(numer, {(): divisor})
        if small is not None:
            return constant_terms(small)
    quotient, rest = _pull_out(numer, divisor)
    common = gcd(divisor, *(k for m, k in rest.items() if m))
    if common > 1:  # n // (g*d) is (n // g) // d
        rest = {m: k // common for m, k in rest.items() if k // common}
        divisor //= common
    if divisor == 1 or constant_of(rest) is not None:
        return fold_residues(quotient)
    folded = fold_residues(rest)
    value = _inside(folded, {(): divisor})
    if value is None and folded is not rest:
        value = _by_constant(Poly(folded), divisor)
    if value is None:
        value = atom_terms(Floor(Poly(rest), divisor))
    return fold_residues(add_terms(quotient, value))


def _pull_out(numer: Terms, divisor: int) -> tuple[Terms, Terms]:
    """Quotient and rest, term by term; the rest's coefficients are in 0 .. divisor - 1."""
    quotient: Terms = {}
    rest: Terms = {}
    for monomial, coefficient in numer.items():
        whole, part = divmod(coefficient, divisor)
        if whole:
            quotient[monomial] = whole
        if part:
            rest[monomial] = part
    return quotient, rest


def _may_be_bounded(terms: Terms) -> bool:
    """Whether an upper bound is conceivable, at a glance: sums of sizes have none."""
    return any(
        coefficient < 0 or isinstance(atom, Extremum | Quotient)
        for monomial, coefficient in terms.items()
        for atom in monomial
    )


def _small_quotient(numer: Terms, divisor: Terms) -> int | None:
    """0 or -1 where the quotient provably is that; None otherwise."""
    low = lower_bound(numer)
    if low is not None and low >= 0:
        room = lower_bound(add_terms(divisor, numer, -1))
        return 0 if room is not None and room >= 1 else None
    over = lower_bound(add_terms(numer, divisor))
    under = lower_bound(scale_terms(numer, -1))
    if over is not None and over >= 0 and under is not None and under >= 1:
        return -1
    return None


def _inside(numer: Terms, divisor: Terms) -> Terms | None:
    """The division with a floor, maximum or minimum of the numerator brought out of it.

    `(a//b + r) // c` is `(a + b*r) // (b*c)`, and `max(a, b) // c` is `max(a//c, b//c)`.
    """
    inner = _inner_floor(numer)
    if inner is not None:
        return floor_divide(*_merge(numer, inner, divisor))
    unfolded = unfold_extremum(numer)
    if unfolded is None:
        return None
    is_max, args = unfolded
    return extremum([floor_divide(arg, divisor) for arg in args], is_max)


def _inner_floor(terms: Terms) -> Floor | Quotient | None:
    """The one floor that stands alone in a term, with coefficient 1; None if 0 or several.

    Of several, none is merged: which one would be is not for the order of building to decide.
    """
    found: Floor | Quotient | None = None
    for monomial, coefficient in terms.items():
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor | Quotient):
            if found is not None:
                return None
            found = monomial[0]
    return found


def _merge(rest: Terms, inner: Floor | Quotient, outer: Terms) -> tuple[Terms, Terms]:
    """Numerator and divisor of `(a//b + r) // c`, which is `(a + b*r) // (b*c)`."""
    by: Terms = {(): inner.divisor} if isinstance(inner, Floor) else inner.divisor.terms
    others = add_terms(rest, atom_terms(inner), -1)
    numer = add_terms(inner.numer.terms, multiply_terms(by, others))
    return fold_residues(numer), fold_residues(multiply_terms(by, outer))


def _by_expression(numer: Terms, divisor: Terms) -> Terms:
    low = lower_bound(divisor)
    if low is None or low < 1:
        raise ValueError("division by a size that may be zero or negative")
    quotient, rest = _long_division(numer, divisor)
    if not rest:
        return fold_residues(quotient)
    small = _small_quotient(rest, divisor)
    if small is not None:
        return fold_residues(add_terms(quotient, constant_terms(small)))
    rest, divisor = _cancel(rest, divisor)
    if constant_of(divisor) is not None:
        value = floor_divide(rest, divisor)
    else:
        inside = _inside(rest, divisor)
        value = atom_terms(Quotient(Poly(rest), Poly(divisor))) if inside is None else inside
    return fold_residues(add_terms(quotient, value))


def _monomial_order(monomial: Monomial) -> tuple[int, tuple[object, ...]]:
    return len(monomial), tuple(atom.key for atom in monomial)


def _long_division(numer: Terms, divisor: Terms) -> tuple[Terms, Terms]:
    """Quotient and rest, of which no term is a whole multiple of the divisor's leading term."""
    leading = max(divisor, key=_monomial_order)
    by = divisor[leading]
    quotient: Terms = {}
    rest = numer
    while True:
        multiples = {m: c for m in rest if (c := _without(m, leading)) is not None}
        whole = [m for m in multiples if rest[m] // by]
        if not whole:
            return quotient, rest
        monomial = max(whole, key=_monomial_order)
        part: Terms = {multiples[monomial]: rest[monomial] // by}
        quotient = add_terms(quotient, part)
        rest = add_terms(rest, multiply_terms(part, divisor), -1)


def _without(monomial: Monomial, factor: Monomial) -> Monomial | None:
    """`monomial / factor`; None where it is not a monomial."""
    left: list[Atom] = list(monomial)
    for atom in factor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _cancel(numer: Terms, divisor: Terms) -> tuple[Terms, Terms]:
    """Divide both by what they provably have in common: integers and positive atoms."""
    common = gcd(*divisor.values(), *(k for m, k in numer.items() if m))
    numer = {m: k // common for m, k in numer.items() if k // common}
    divisor = {m: k // common for m, k in divisor.items()}
    shared: Monomial = ()
    for atom in min(divisor, key=len):
        candidate = multiply_monomials(shared, (atom,))
        if (lower_bound(atom_terms(atom)) or 0) >= 1 and all(
            _without(monomial, candidate) is not None for monomial in (*numer, *divisor)
        ):
            shared = candidate
    return _reduced(numer, shared), _reduced(divisor, shared)


def _reduced(terms: Terms, shared: Monomial) -> Terms:
    return {reduced: k for m, k in terms.items() if (reduced := _without(m, shared)) is not None}

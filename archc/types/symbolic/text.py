"""Text of expressions, as a person writes them and Python reads them."""

from __future__ import annotations

from archc.types.symbolic.polynomial import (
    Atom,
    Extremum,
    Floor,
    Monomial,
    Poly,
    Quotient,
    Symbol,
    Terms,
)


def format_terms(terms: Terms) -> str:
    """A sum of products: higher degrees first, the constant last, no leading minus if avoidable."""
    if not terms:
        return "0"
    ordered = sorted(terms.items(), key=_reading_order)
    first = next((i for i, (_, coefficient) in enumerate(ordered) if coefficient > 0), 0)
    ordered.insert(0, ordered.pop(first))
    monomial, coefficient = ordered[0]
    text = _product(monomial, coefficient)
    for monomial, coefficient in ordered[1:]:
        sign = "-" if coefficient < 0 else "+"
        text += f" {sign} {_product(monomial, abs(coefficient))}"
    return text


def _reading_order(term: tuple[Monomial, int]) -> tuple[int, tuple[object, ...]]:
    monomial, _ = term
    return -len(monomial), tuple(atom.key for atom in monomial)


def _product(monomial: Monomial, coefficient: int) -> str:
    """Coefficient and atoms; `//` binds like `*`, so only a leading floor may go bare."""
    if not monomial:
        return str(coefficient)
    if coefficient == 1:
        first, *others = monomial
        return "*".join([_atom(first), *(_factor(atom) for atom in others)])
    atoms = "*".join(_factor(atom) for atom in monomial)
    return f"-{atoms}" if coefficient == -1 else f"{coefficient}*{atoms}"


def _factor(atom: Atom) -> str:
    text = _atom(atom)
    return f"({text})" if isinstance(atom, Floor | Quotient) else text


def _atom(atom: Atom) -> str:
    if isinstance(atom, Symbol):
        return atom.name
    if isinstance(atom, Floor):
        return f"{_numerator(atom.numer)}//{atom.divisor}"
    if isinstance(atom, Quotient):
        return f"{_numerator(atom.numer)}//{_denominator(atom.divisor)}"
    assert isinstance(atom, Extremum)
    # A constant, if any, has the least key: it reads better at the end.
    args = sorted(atom.args, key=lambda arg: not any(arg.terms))
    return f"{'max' if atom.is_max else 'min'}({', '.join(format_terms(a.terms) for a in args)})"


def _numerator(poly: Poly) -> str:
    text = format_terms(poly.terms)
    plain = len(poly.terms) == 1 and all(k > 0 for k in poly.terms.values()) and "//" not in text
    return text if plain else f"({text})"


def _denominator(poly: Poly) -> str:
    text = format_terms(poly.terms)
    return text if text.isidentifier() else f"({text})"

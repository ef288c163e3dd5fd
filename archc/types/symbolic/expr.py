"""Expressions with operators, and what is computed from them by walking their atoms."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from keyword import iskeyword
from math import gcd, lcm
from typing import NoReturn, TypeAlias

from archc.types.symbolic.extrema import extremum
from archc.types.symbolic.floors import floor_divide
from archc.types.symbolic.intervals import lower_bound
from archc.types.symbolic.polynomial import (
    Atom,
    Extremum,
    Floor,
    Monomial,
    Poly,
    Quotient,
    Symbol,
    Terms,
    add_terms,
    atom_terms,
    constant_of,
    constant_terms,
    multiply_terms,
    scale_terms,
)
from archc.types.symbolic.residues import fold_residues
from archc.types.symbolic.text import format_terms


class Expr(Poly):
    """An exact integer expression over named sizes, immutable and in normal form.

    Supports `+ - * // %` with integers and expressions on either side, as Python's integers do;
    a result that does not depend on any size is an `int`. Comparison and truth raise TypeError:
    ask `provably_at_least` and its siblings, which say what is meant by "for every size".
    """

    __slots__ = ()

    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _shifted(self, other)
        if isinstance(other, Expr):
            return from_terms(fold_residues(add_terms(self.terms, other.terms)))
        return NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _shifted(self, -other)
        if isinstance(other, Expr):
            return from_terms(fold_residues(add_terms(self.terms, other.terms, -1)))
        return NotImplemented

    def __rsub__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            negative = fold_residues(scale_terms(self.terms, -1))
            return from_terms(add_terms(negative, constant_terms(other)))
        return NotImplemented

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            scaled = scale_terms(self.terms, other)
            return from_terms(scaled if other > 0 else fold_residues(scaled))
        if isinstance(other, Expr):
            return from_terms(fold_residues(multiply_terms(self.terms, other.terms)))
        return NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __pos__(self) -> Expr:
        return self

    def __floordiv__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return self if other == 1 else from_terms(floor_divide(self.terms, _terms(other)))
        if isinstance(other, Expr):
            return from_terms(floor_divide(self.terms, other.terms))
        return NotImplemented

    def __rfloordiv__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return from_terms(floor_divide(constant_terms(other), self.terms))
        return NotImplemented

    def __mod__(self, other: Dim) -> Dim:
        if isinstance(other, int | Expr):
            return self - other * (self // other)
        return NotImplemented

    def __rmod__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return other - self * (other // self)
        return NotImplemented

    def __bool__(self) -> NoReturn:
        raise TypeError(f"whether the size {self} is zero depends on the input")

    def __str__(self) -> str:
        return format_terms(self.terms)

    def __repr__(self) -> str:
        return f"Expr({self})"


Dim: TypeAlias = int | Expr


def _shifted(expr: Expr, amount: int) -> Expr:
    """`expr + amount`: no floor can meet another, so the form stays normal."""
    if amount == 0:
        return expr
    terms = dict(expr.terms)
    total = terms.get((), 0) + amount
    if total:
        terms[()] = total
    else:
        del terms[()]
    return Expr(terms)


def from_terms(terms: Terms) -> Dim:
    """The dim that a normal polynomial is: an `int` if it is constant."""
    constant = constant_of(terms)
    return Expr(terms) if constant is None else constant


def _terms(dim: Dim) -> Terms:
    return constant_terms(int(dim)) if isinstance(dim, int) else dim.terms


@lru_cache(maxsize=4096)
def symbol(name: str) -> Expr:
    """The size called `name`, a positive integer.

    Raises:
        ValueError: the name could not be read back from the text of an expression.
    """
    if not name.isidentifier() or iskeyword(name) or name in ("max", "min"):
        raise ValueError(f"{name!r} cannot name a size")
    return Expr(atom_terms(Symbol(name)))


def largest(dims: tuple[Dim, ...]) -> Dim:
    """The largest of the dims, at least one of them symbolic."""
    return from_terms(extremum([_terms(dim) for dim in dims], is_max=True))


def smallest(dims: tuple[Dim, ...]) -> Dim:
    """The smallest of the dims, at least one of them symbolic."""
    return from_terms(extremum([_terms(dim) for dim in dims], is_max=False))


def symbol_names(poly: Poly) -> frozenset[str]:
    """Names of the symbols in it, at any depth."""
    names: set[str] = set()
    for atom in {atom for monomial in poly.terms for atom in monomial}:
        if isinstance(atom, Symbol):
            names.add(atom.name)
        for part in _parts(atom):
            names |= symbol_names(part)
    return frozenset(names)


def _parts(atom: Atom) -> tuple[Poly, ...]:
    if isinstance(atom, Floor):
        return (atom.numer,)
    if isinstance(atom, Quotient):
        return (atom.numer, atom.divisor)
    return atom.args if isinstance(atom, Extremum) else ()


def value_of(poly: Poly, env: Mapping[str, int]) -> int:
    """The integer it is at concrete sizes."""
    total = 0
    for monomial, coefficient in poly.terms.items():
        product = coefficient
        for atom in monomial:
            product *= _atom_value(atom, env)
        total += product
    return total


def _atom_value(atom: Atom, env: Mapping[str, int]) -> int:
    if isinstance(atom, Symbol):
        return env[atom.name]
    if isinstance(atom, Floor):
        return value_of(atom.numer, env) // atom.divisor
    if isinstance(atom, Quotient):
        return value_of(atom.numer, env) // value_of(atom.divisor, env)
    assert isinstance(atom, Extremum)
    values = [value_of(arg, env) for arg in atom.args]
    return max(values) if atom.is_max else min(values)


def replace_symbols(poly: Poly, values: Mapping[str, Terms]) -> Terms:
    """The normal form with symbols replaced; each value has to be positive everywhere."""
    total: Terms = {}
    for monomial, coefficient in poly.terms.items():
        product: Terms = {(): coefficient}
        for atom in monomial:
            product = multiply_terms(product, _replaced_atom(atom, values))
        total = add_terms(total, product)
    return fold_residues(total)


def _replaced_atom(atom: Atom, values: Mapping[str, Terms]) -> Terms:
    if isinstance(atom, Symbol):
        return values.get(atom.name) or atom_terms(atom)
    if isinstance(atom, Floor):
        return floor_divide(replace_symbols(atom.numer, values), {(): atom.divisor})
    if isinstance(atom, Quotient):
        numer, divisor = (replace_symbols(part, values) for part in _parts(atom))
        return floor_divide(numer, divisor)
    assert isinstance(atom, Extremum)
    return extremum([replace_symbols(arg, values) for arg in atom.args], atom.is_max)


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """`dim` with some symbols replaced by sizes, in normal form.

    Raises:
        ValueError: a value is not provably positive, as every symbol is.
    """
    if isinstance(dim, int):
        return dim
    terms = {name: _terms(value) for name, value in values.items()}
    for name, value in terms.items():
        low = lower_bound(value)
        if low is None or low < 1:
            raise ValueError(f"{name} = {format_terms(value)} is not positive for every size")
    return from_terms(replace_symbols(dim, terms))


def period(poly: Poly, name: str) -> int | None:
    """A period P such that at `name = P*t + r` no floor over `t` remains; None without one.

    Within each residue class of the period the expression is then a polynomial in `t` (between
    the points where its maxima and minima change sides). It need not be the least such period.
    """
    periods = [_atom_period(atom, name) for atom in {a for m in poly.terms for a in m}]
    known = [one for one in periods if one is not None]
    return lcm(*known) if len(known) == len(periods) else None


def _atom_period(atom: Atom, name: str) -> int | None:
    parts = [part for part in _parts(atom) if name in symbol_names(part)]
    if not parts:
        return 1
    if isinstance(atom, Quotient):
        return None
    inner = [period(part, name) for part in parts]
    known = [one for one in inner if one is not None]
    if len(known) != len(inner):
        return None
    if isinstance(atom, Extremum):
        return lcm(*known)
    assert isinstance(atom, Floor)
    if any(isinstance(a, Extremum) and _involves((a,), name) for m in atom.numer.terms for a in m):
        return None
    step = gcd(atom.divisor, *(k for m, k in atom.numer.terms.items() if _involves(m, name)))
    return known[0] * (atom.divisor // step)


def _involves(monomial: Monomial, name: str) -> bool:
    return any(name in symbol_names(Poly(atom_terms(atom))) for atom in monomial)

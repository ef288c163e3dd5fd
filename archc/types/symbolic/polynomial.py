"""Integer polynomials over atoms: the data of every symbolic expression, without operators.

A polynomial is a dict from monomial to a non-zero integer coefficient; a monomial is a sorted
tuple of atoms (repeated for powers), the empty one holding the constant. Atoms are symbols,
floors of polynomials, and maxima or minima of polynomials.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NoReturn, TypeAlias

MAX_TERMS = 256
MAX_PRODUCT = 4096
MAX_DEGREE = 64
MAX_ATOM_SIZE = 512
MAX_DEPTH = 64
MAX_DIVISOR = 2**62

_set = object.__setattr__


class DimTooComplexError(ValueError):
    """An expression grew beyond what anyone could read (and any algorithm here finish)."""


class _Immutable:
    """No attribute can be set after construction; copies are the object itself."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self


class Atom(_Immutable):
    """A factor of a monomial; equal and ordered by `key`.

    Attributes:
        key: nested tuples that spell the atom out, (kind, name or number, parts...); sorting
            by it does not depend on the run.
        size: how many symbols, floors and terms it is written with.
        depth: how deep floors, maxima and minima nest in it; 0 for a symbol.
    """

    __slots__ = ("_hash", "depth", "key", "size")

    key: tuple[Any, ...]
    size: int
    depth: int
    _hash: int

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Atom) and self._hash == other._hash and self.key == other.key

    def _seal(self, key: tuple[Any, ...], parts: tuple[Poly, ...]) -> None:
        """Set what is computed once; refuse what is too large to work with."""
        size, depth = 1, 0
        for part in parts:
            size += sum(1 + sum(atom.size for atom in monomial) for monomial in part.terms)
            depth = max(depth, 1 + part.depth)
        if size > MAX_ATOM_SIZE or depth > MAX_DEPTH:
            raise DimTooComplexError(
                f"a size expression of {size} parts nested {depth} deep is beyond the limits "
                f"({MAX_ATOM_SIZE} and {MAX_DEPTH})"
            )
        _set(self, "key", key)
        _set(self, "size", size)
        _set(self, "depth", depth)
        _set(self, "_hash", hash((*key[:2], *parts)))


class Symbol(Atom):
    """A named size, a positive integer."""

    __slots__ = ("name",)

    name: str

    def __init__(self, name: str) -> None:
        _set(self, "name", name)
        self._seal((0, name), ())

    def __reduce__(self) -> tuple[Any, ...]:
        return Symbol, (self.name,)


class Floor(Atom):
    """`numer // divisor` by a constant, in normal form (see `floors`).

    Attributes:
        stem: the numerator without its constant.
        residue: that constant, in 0 .. divisor - 1.
    """

    __slots__ = ("divisor", "numer", "residue", "stem")

    numer: Poly
    divisor: int
    stem: Poly
    residue: int

    def __init__(self, numer: Poly, divisor: int) -> None:
        if divisor >= MAX_DIVISOR:
            raise DimTooComplexError(
                f"a size is divided by 2**{divisor.bit_length() - 1} or more; none is so large"
            )
        _set(self, "numer", numer)
        _set(self, "divisor", divisor)
        _set(self, "stem", Poly({m: k for m, k in numer.terms.items() if m}))
        _set(self, "residue", numer.terms.get((), 0))
        self._seal((1, divisor, numer.key), (numer,))

    def __reduce__(self) -> tuple[Any, ...]:
        return Floor, (self.numer, self.divisor)


class Quotient(Atom):
    """`numer // divisor` by a positive expression, in normal form (see `floors`)."""

    __slots__ = ("divisor", "numer")

    numer: Poly
    divisor: Poly

    def __init__(self, numer: Poly, divisor: Poly) -> None:
        _set(self, "numer", numer)
        _set(self, "divisor", divisor)
        self._seal((2, 0, divisor.key, numer.key), (numer, divisor))

    def __reduce__(self) -> tuple[Any, ...]:
        return Quotient, (self.numer, self.divisor)


class Extremum(Atom):
    """The largest (`is_max`) or smallest of two or more polynomials, in normal form."""

    __slots__ = ("args", "is_max")

    args: tuple[Poly, ...]
    is_max: bool

    def __init__(self, is_max: bool, args: tuple[Poly, ...]) -> None:
        _set(self, "is_max", is_max)
        _set(self, "args", args)
        self._seal((3, int(is_max), *(arg.key for arg in args)), args)

    def __reduce__(self) -> tuple[Any, ...]:
        return Extremum, (self.is_max, self.args)


Monomial: TypeAlias = tuple[Atom, ...]
Terms: TypeAlias = dict[Monomial, int]  # never changed once another object holds it


class Poly(_Immutable):
    """A polynomial as a value: hashable, equal by terms."""

    __slots__ = ("_hash", "_key", "terms")

    terms: Terms
    _hash: int
    _key: tuple[Any, ...]

    def __init__(self, terms: Terms) -> None:
        _set(self, "terms", terms)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            _set(self, "_hash", hash(frozenset(self.terms.items())))
            return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Poly) and self.terms == other.terms

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.terms,)

    @property
    def key(self) -> tuple[Any, ...]:
        """What spells the polynomial out, as `Atom.key`."""
        try:
            return self._key
        except AttributeError:
            spelled = (((*(atom.key for atom in m),), k) for m, k in self.terms.items())
            _set(self, "_key", tuple(sorted(spelled)))
            return self._key

    @property
    def depth(self) -> int:
        """The depth of its deepest atom; 0 without one."""
        return max((atom.depth for monomial in self.terms for atom in monomial), default=0)


def constant_terms(value: int) -> Terms:
    """The constant polynomial."""
    return {(): value} if value else {}


def constant_of(terms: Terms) -> int | None:
    """The value of a constant polynomial; None for any other."""
    if not terms:
        return 0
    return terms.get(()) if len(terms) == 1 else None


def atom_terms(atom: Atom) -> Terms:
    """The polynomial that is one atom."""
    return {(atom,): 1}


def add_terms(left: Terms, right: Terms, factor: int = 1) -> Terms:
    """`left + factor * right`."""
    result = dict(left)
    accumulate(result, right, factor)
    return _within_limits(result)


def accumulate(total: Terms, terms: Terms, factor: int = 1) -> None:
    """Add `factor * terms` to a total that nothing else holds yet."""
    for monomial, coefficient in terms.items():
        value = total.get(monomial, 0) + factor * coefficient
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)


def scale_terms(terms: Terms, factor: int) -> Terms:
    """`factor * terms`."""
    return {m: factor * k for m, k in terms.items()} if factor else {}


_atom_key = attrgetter("key")


def multiply_monomials(left: Monomial, right: Monomial) -> Monomial:
    """The product of two monomials."""
    if not left or not right:
        return left or right
    if len(left) + len(right) > MAX_DEGREE:
        raise DimTooComplexError(f"a size expression of degree over {MAX_DEGREE}")
    return tuple(sorted(left + right, key=_atom_key))


def multiply_terms(left: Terms, right: Terms) -> Terms:
    """`left * right`, expanded."""
    if len(left) * len(right) > MAX_PRODUCT:
        raise DimTooComplexError(f"a product of {len(left)} by {len(right)} terms is too long")
    result: Terms = {}
    for m, k in left.items():
        for n, j in right.items():
            monomial = multiply_monomials(m, n)
            total = result.get(monomial, 0) + k * j
            if total:
                result[monomial] = total
            else:
                del result[monomial]
    return _within_limits(result)


def _within_limits(terms: Terms) -> Terms:
    if len(terms) > MAX_TERMS:
        raise DimTooComplexError(f"a size expression of over {MAX_TERMS} terms")
    return terms

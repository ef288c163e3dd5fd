"""Exact symbolic sizes.

A dim is an `int` or an `Expr`: an integer expression over named sizes (N, H, W, T), each a
positive integer. Shape rules are written once, with `+ - * // %` and the functions here, and run
on both; integers stay plain integers.

Expressions are kept in a normal form: an integer polynomial over symbols, floors (`n // d`) and
maxima or minima. Equal forms compare equal with `==` and hash alike. These are canonical:

- polynomials: `(H + 1)*(H - 1) + 1 == H*H`, `(N*H*W)//(N*H) == W`;
- floors of floors: `((H + 1)//2 + 1)//2 == (H + 3)//4`, so that a stack of strided
  convolutions is one floor;
- what a divisor divides: `(2*H + 3)//2 == H + 1`, `(2*H + 3)//4 == (H + 1)//2`;
- a floor of a maximum or minimum: `max(H, 7)//2 == max(H//2, 3)`;
- sums of floors of one stem over residues (Hermite): `H//2 + (H + 1)//2 == H`,
  `H - H//2 == (H + 1)//2`, also times a symbol, for divisors up to 32;
- nested and shifted maxima or minima, and those that bounds of the arguments decide:
  `max(1, H) == H`, `min(H + 3, 8) == min(H, 5) + 3`.

These are equal in value and not in form, so `==` says False: products of floors related by
Hermite's identity, floors over different divisors (`H//4 + (H + 2)//4` and `H//2`), negated
stems (`(2*H)//3` and `H - (H + 2)//3`), a numerator holding several floors, and what holds
between a maximum and a minimum. `provably_equal` decides all of these but the last while
the divisors are constant and the residue classes few (`proofs.MAX_CLASSES`).

Arithmetic raises `DimTooComplexError`, a ValueError, once an expression has hundreds of terms
or levels by the dozen: no network needs that, and hostile input would take forever. Proofs
of what is that complex fail instead.

Normal forms rely on sizes being positive; there is no symbol for a size that may be zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import TypeGuard

from archc.types.symbolic.expr import (
    Dim,
    Expr,
    largest,
    period,
    smallest,
    substitute,
    symbol,
    symbol_names,
    value_of,
)
from archc.types.symbolic.intervals import poly_bounds
from archc.types.symbolic.polynomial import DimTooComplexError
from archc.types.symbolic.proofs import Bounds, Claim, box_of, proves

__all__ = [
    "Dim",
    "DimTooComplexError",
    "Expr",
    "ceil_div",
    "dim_bounds",
    "dim_max",
    "dim_min",
    "dim_period",
    "dim_product",
    "evaluate",
    "format_dim",
    "is_static",
    "provably_at_least",
    "provably_differ",
    "provably_equal",
    "substitute",
    "symbol",
    "symbols_of",
]


def is_static(dim: Dim) -> TypeGuard[int]:
    """Whether the dim is a plain integer."""
    return isinstance(dim, int)


def format_dim(dim: Dim) -> str:
    """Text as a person writes it, `(H + 1)//2`; Python reads it back as the same dim."""
    return str(dim)


def symbols_of(dim: Dim) -> frozenset[str]:
    """Names of the sizes that the dim depends on."""
    return frozenset() if isinstance(dim, int) else symbol_names(dim)


def evaluate(dim: Dim, env: Mapping[str, int]) -> int:
    """The integer that the dim is at concrete sizes.

    Raises:
        KeyError: a size is missing from `env`.
        ValueError: a size in `env` that the dim depends on is not positive.
    """
    if isinstance(dim, int):
        return dim
    for name in symbol_names(dim):
        if env[name] < 1:
            raise ValueError(f"the size {name} = {env[name]} is not positive")
    return value_of(dim, env)


def ceil_div(a: Dim, b: Dim) -> Dim:
    """`a / b` rounded up, for positive `b`."""
    if isinstance(a, int) and isinstance(b, int):
        return -(-a // b)
    return (a + b - 1) // b


def dim_max(*dims: Dim) -> Dim:
    """The largest of one or more dims."""
    static = [dim for dim in dims if isinstance(dim, int)]
    return max(static) if len(static) == len(dims) else largest(dims)


def dim_min(*dims: Dim) -> Dim:
    """The smallest of one or more dims."""
    static = [dim for dim in dims if isinstance(dim, int)]
    return min(static) if len(static) == len(dims) else smallest(dims)


def dim_product(dims: Iterable[Dim]) -> Dim:
    """The product of dims; 1 of none."""
    factors = list(dims)
    result: Dim = prod(dim for dim in factors if isinstance(dim, int))
    for factor in factors:
        if isinstance(factor, Expr):
            result = result * factor
    return result


def dim_bounds(dim: Dim, bounds: Bounds | None = None) -> tuple[int | None, int | None]:
    """An interval that holds every value of the dim, None where it is not known to end.

    Args:
        dim: the dim.
        bounds: least and greatest values of sizes, both included (None: unbounded). Sizes are
            positive in any case: a bound below 1 adds nothing.

    Raises:
        ValueError: bounds that no size meets.
    """
    if isinstance(dim, int):
        return dim, dim
    return poly_bounds(dim, box_of(bounds, symbol_names(dim)))


def provably_equal(a: Dim, b: Dim, bounds: Bounds | None = None) -> bool:
    """Whether `a == b` is proved for every size (within `bounds`, as in `dim_bounds`)."""
    return a == b or _proved("zero", a, b, bounds)


def provably_differ(a: Dim, b: Dim, bounds: Bounds | None = None) -> bool:
    """Whether `a != b` is proved for every size (within `bounds`, as in `dim_bounds`)."""
    return _proved("nonzero", a, b, bounds)


def provably_at_least(a: Dim, b: Dim, bounds: Bounds | None = None) -> bool:
    """Whether `a >= b` is proved for every size (within `bounds`, as in `dim_bounds`)."""
    return _proved("nonnegative", a, b, bounds)


def _proved(claim: Claim, a: Dim, b: Dim, bounds: Bounds | None) -> bool:
    try:
        return proves(claim, a - b, bounds)
    except DimTooComplexError:
        return False


def dim_period(dim: Dim, name: str) -> int | None:
    """A period of the dim in one size, the lcm of what its floors divide by.

    Put `P*t + r` for the size and every floor becomes a polynomial in `t`, so that a condition
    on the dim (`2*((H + 1)//2) == H`: period 2) is settled by looking at the residues 0 .. P - 1.
    It may be a multiple of the least such period; 1 where the size does not occur under a floor.
    None where the size occurs in a division by an expression, or in a maximum or minimum that
    a floor could not be moved into.
    """
    return 1 if isinstance(dim, int) else period(dim, name)

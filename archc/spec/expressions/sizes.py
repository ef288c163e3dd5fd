"""Operators over sizes that are not fixed: exact, decided for every size or not at all."""

from __future__ import annotations

from collections.abc import Callable

from archc.spec.expressions.fault import Budget, Fault, Undecided, bounded, limit, wrong_type
from archc.spec.tree import INT_LIMIT
from archc.types import (
    Dim,
    Expr,
    dim_max,
    dim_min,
    provably_at_least,
    provably_differ,
    provably_equal,
    symbols_of,
)
from archc.types.dims import DimTooComplexError

# What they cost next to an operation on numbers, so that a budget bounds their time too.
_STEPS_OF_ARITHMETIC = 100
_STEPS_OF_PROOF = 2000

_ARITHMETIC: dict[str, Callable[[Dim, Dim], Dim]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def names_of(*values: object) -> tuple[str, ...]:
    """Names of the sizes that values depend on."""
    found: dict[str, None] = {}
    for value in values:
        if isinstance(value, Expr):
            found.update(dict.fromkeys(sorted(symbols_of(value))))
    return tuple(found)


def not_fixed(*values: object) -> str:
    """`H is not fixed`, for messages."""
    names = names_of(*values)
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not fixed"


def arithmetic(symbol: str, left: Dim, right: Dim, budget: Budget) -> Dim:
    """`left symbol right`.

    Raises:
        Fault: the operator needs fixed numbers, a divisor may be zero or negative, or the
            result is beyond what can be worked with.
    """
    if symbol == "/":
        raise wrong_type(
            f"`/` gives a float, but {not_fixed(left, right)}",
            "write `//` to divide and round down, `-(-a // b)` to round up",
        )
    if symbol == "**":
        raise wrong_type(
            f"`**` needs fixed numbers, but {not_fixed(left, right)}", "write it as a product"
        )
    if isinstance(right, int) and right == 0 and symbol in ("//", "%"):
        raise Fault("division-by-zero", "division by zero", operand=1)
    budget.spend(_STEPS_OF_ARITHMETIC)
    try:
        return _checked(_ARITHMETIC[symbol](left, right))
    except DimTooComplexError as error:
        raise limit(str(error)) from None
    except ValueError as error:
        raise wrong_type(str(error), operand=1) from None


def extreme(is_max: bool, dims: list[Dim], budget: Budget) -> Dim:
    """The largest or smallest of dims."""
    budget.spend(_STEPS_OF_PROOF * len(dims))
    try:
        return _checked(dim_max(*dims) if is_max else dim_min(*dims))
    except DimTooComplexError as error:
        raise limit(str(error)) from None


def _checked(dim: Dim) -> Dim:
    if isinstance(dim, int):
        return int(bounded(dim))
    if any(not -INT_LIMIT < coefficient < INT_LIMIT for coefficient in dim.terms.values()):
        raise limit("a factor of the size does not fit into 64 bits")
    return dim


def equal(left: Dim, right: Dim, budget: Budget) -> bool:
    """Whether dims are equal for every size, or different for every size.

    Raises:
        Undecided: neither can be proved.
    """
    budget.spend(_STEPS_OF_PROOF)
    try:
        if provably_equal(left, right):
            return True
        if provably_differ(left, right):
            return False
    except DimTooComplexError:
        pass
    raise Undecided(names_of(left, right))


def ordered(symbol: str, left: Dim, right: Dim, budget: Budget) -> bool:
    """`left symbol right` for `<`, `<=`, `>` or `>=`, for every size.

    Raises:
        Undecided: neither it nor its opposite can be proved.
    """
    budget.spend(_STEPS_OF_PROOF)
    if symbol in ("<=", ">"):  # a <= b is b >= a, a > b is b < a
        left, right = right, left
    try:
        if provably_at_least(left, right):
            return symbol in ("<=", ">=")
        if provably_at_least(right, left + 1):
            return symbol in ("<", ">")
    except DimTooComplexError:
        pass
    raise Undecided(names_of(left, right))

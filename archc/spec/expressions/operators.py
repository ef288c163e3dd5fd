"""Operators over the values of expressions, bounded and without surprises.

Numbers, text, lists and exact symbolic sizes (`archc.types.Expr`) are what operators work on;
anything else (an op or block as a value) can only be passed on and compared for equality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from archc.spec.expressions import sizes
from archc.spec.expressions.fault import (
    MAX_TEXT,
    Budget,
    Fault,
    Undecided,
    bounded,
    limit,
    wrong_type,
)
from archc.types import Expr, format_dim

Value: TypeAlias = object
_MAX_SHOWN = 40


def is_number(value: Value) -> bool:
    """Whether it is an int, float or bool."""
    return isinstance(value, int | float)


def is_list(value: Value) -> bool:
    """Whether it is a list; a scope may supply tuples."""
    return isinstance(value, list | tuple)


def describe(value: Value) -> str:
    """A value in a message, shortened."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        shown = value if len(value) <= _MAX_SHOWN else value[:_MAX_SHOWN] + "..."
        return f"the text '{shown}'"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)} item{'' if len(value) == 1 else 's'}"
    if isinstance(value, Expr):
        return f"the size {format_dim(value)}"
    return "an op or block"


def binary(symbol: str, left: Value, right: Value, budget: Budget) -> Value:
    """`left symbol right` for an arithmetic operator.

    Raises:
        Fault: the operands do not go together, the result is out of bounds, or a divisor is 0.
    """
    either = isinstance(left, Expr) or isinstance(right, Expr)
    if either and isinstance(left, Expr | int) and isinstance(right, Expr | int):
        return sizes.arithmetic(symbol, _integer(left), _integer(right), budget)
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _arithmetic(symbol, left, right)
    if symbol == "+" and is_list(left) and is_list(right):
        return _joined(left, right, budget)
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        return _text(left, right, 1)
    if symbol == "*":
        for one, times in ((left, right), (right, left)):
            if isinstance(times, int) and isinstance(one, str):
                return _text(one, "", times)
            if isinstance(times, int) and is_list(one):
                return _repeated(one, times, budget)
    raise _misfit(symbol, left, right)


def _misfit(symbol: str, left: Value, right: Value, verb: str = "go with") -> Fault:
    blamed = 0 if is_number(right) and not is_number(left) else 1
    message = f"`{symbol}` does not {verb} {describe(left)} and {describe(right)}"
    if isinstance(left, Expr) or isinstance(right, Expr):
        blamed = 1 if isinstance(left, Expr) else 0
        message += ": a size that is not fixed goes with integers only"
    return wrong_type(message, operand=blamed)


def _joined(left: Any, right: Any, budget: Budget) -> list[Value]:
    budget.listed(len(left) + len(right))
    return [*left, *right]


def _repeated(items: Any, times: int, budget: Budget) -> list[Value]:
    budget.listed(len(items) * max(times, 0))
    return list(items) * times


def _text(left: str, right: str, times: int) -> str:
    length = len(left) * max(times, 0) + len(right)
    if length > MAX_TEXT:
        raise limit(f"a text of {length} characters is more than the {MAX_TEXT} allowed")
    return left * times + right


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def _arithmetic(symbol: str, left: float, right: float) -> Value:
    if symbol == "**":
        return _power(left, right)
    if right == 0 and symbol in ("/", "//", "%"):
        raise Fault("division-by-zero", "division by zero", operand=1)
    return bounded(_ARITHMETIC[symbol](left, right))


def _power(base: float, exponent: float) -> Value:
    integers = isinstance(base, int) and isinstance(exponent, int)
    if integers and exponent > 63 and abs(base) > 1:
        raise limit("the power does not fit into 64 bits")
    if base == 0 and exponent < 0:
        raise Fault("division-by-zero", "zero to a negative power divides by zero", operand=0)
    if base < 0 and not float(exponent).is_integer():
        raise wrong_type("a negative number has no fractional power", operand=0)
    try:
        return bounded(base**exponent)
    except OverflowError:
        raise limit("the power is too large") from None


def negative(value: Value) -> Value:
    """`-value`."""
    if isinstance(value, Expr):
        return -value
    if not isinstance(value, int | float):
        raise wrong_type(f"`-` needs a number, not {describe(value)}", operand=0)
    return -value


def positive(value: Value) -> Value:
    """`+value`."""
    if not isinstance(value, Expr | int | float):
        raise wrong_type(f"`+` needs a number, not {describe(value)}", operand=0)
    return +value if isinstance(value, bool) else value


# -- comparisons ------------------------------------------------------------------------


def truth(value: Value, budget: Budget) -> bool:
    """Whether a value counts as true: not zero, empty, null or false.

    Raises:
        Undecided: a size of which that depends on the input.
    """
    if isinstance(value, Expr):
        return not sizes.equal(value, 0, budget)
    if isinstance(value, list | tuple | str | int | float) or value is None:
        return bool(value)
    return True


def equal(left: Value, right: Value, budget: Budget) -> bool:
    """Whether values are equal, item by item for lists; values of different kinds differ.

    Raises:
        Undecided: it depends on sizes that are not fixed.
    """
    undecided: Undecided | None = None
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        budget.spend()
        if isinstance(one, list | tuple) and isinstance(other, list | tuple):
            if len(one) != len(other):
                return False
            budget.spend(len(one))
            pairs.extend(zip(one, other, strict=True))
            continue
        try:
            if not _equal_items(one, other, budget):
                return False
        except Undecided as fault:
            undecided = fault
    if undecided is not None:
        raise undecided
    return True


def _equal_items(one: Value, other: Value, budget: Budget) -> bool:
    either = isinstance(one, Expr) or isinstance(other, Expr)
    if either and isinstance(one, Expr | int) and isinstance(other, Expr | int):
        return sizes.equal(_integer(one), _integer(other), budget)
    if is_number(one) and is_number(other):
        return one == other
    return one is other or (type(one) is type(other) and bool(one == other))


def _integer(value: Expr | int) -> Expr | int:
    return int(value) if isinstance(value, bool) else value


def compare(symbol: str, left: Value, right: Value, budget: Budget) -> bool:
    """`left symbol right` for a comparison.

    Raises:
        Undecided: it depends on sizes that are not fixed.
        Fault: values of these kinds have no order, or the right one holds nothing.
    """
    if symbol in ("==", "!="):
        return equal(left, right, budget) == (symbol == "==")
    if symbol in ("in", "not in"):
        return _contains(right, left, budget) == (symbol == "in")
    either = isinstance(left, Expr) or isinstance(right, Expr)
    if either and isinstance(left, Expr | int) and isinstance(right, Expr | int):
        return sizes.ordered(symbol, _integer(left), _integer(right), budget)
    numbers = is_number(left) and is_number(right)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise _misfit(symbol, left, right, "order")
    return _ORDER[symbol](left, right)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _contains(container: Value, item: Value, budget: Budget) -> bool:
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if not isinstance(container, list | tuple):
        raise wrong_type(f"`in` needs a list, not {describe(container)}", operand=1)
    undecided: Undecided | None = None
    for candidate in container:
        try:
            if equal(candidate, item, budget):
                return True
        except Undecided as fault:
            undecided = fault
    if undecided is not None:
        raise undecided
    return False

"""The functions that expressions can call: a fixed list, each bounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from archc.records import dataclass
from archc.spec.expressions.fault import (
    MAX_LIST,
    Budget,
    Fault,
    Undecided,
    bounded,
    limit,
    wrong_type,
)
from archc.spec.expressions.operators import (
    Value,
    binary,
    compare,
    describe,
    is_list,
    is_number,
    truth,
)
from archc.spec.expressions.sizes import extreme, not_fixed
from archc.types import Expr


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language.

    Attributes:
        name: what it is called by.
        run: takes the budget, then the arguments.
        least: how many arguments it needs.
        most: how many it takes; None is any number.
        keywords: arguments that can be given by name.
    """

    name: str
    run: Callable[..., Value]
    least: int = 1
    most: int | None = 1
    keywords: tuple[str, ...] = ()

    def misfit(self, positional: int, keywords: list[str]) -> str | None:
        """What is wrong with a call of this form, if anything."""
        for index, word in enumerate(keywords):
            if word not in self.keywords:
                return f"`{self.name}` has no argument `{word}`"
            if word in keywords[:index]:
                return f"`{word}` is given twice"
        given = positional + len(keywords)
        # What can be given by name comes after what has to be given.
        if positional < self.least or (self.most is not None and given > self.most):
            return f"`{self.name}` takes {self._arity()}, not {given}"
        return None

    def _arity(self) -> str:
        if self.most is None:
            return f"at least {_count(self.least)}"
        if self.least == self.most:
            return _count(self.least)
        return f"{self.least} to {_count(self.most)}"


def _count(number: int) -> str:
    return f"{number} argument{'' if number == 1 else 's'}"


# -- checks of arguments ----------------------------------------------------------------


def _list(value: Value, operand: int = 0) -> Any:
    if not is_list(value):
        raise wrong_type(f"a list is needed here, not {describe(value)}", operand=operand)
    return value


def _number(value: Value, operand: int = 0) -> Any:
    if isinstance(value, Expr):
        raise wrong_type(f"a fixed number is needed here, but {not_fixed(value)}", operand=operand)
    if not is_number(value):
        raise wrong_type(f"a number is needed here, not {describe(value)}", operand=operand)
    return value


def _integer(value: Value, operand: int = 0) -> int:
    number = _number(value, operand)
    if isinstance(number, float):
        raise wrong_type(
            f"an integer is needed here, not {describe(number)}",
            "wrap it in int() or round(), or divide with `//`",
            operand=operand,
        )
    return int(number)


def _finite(value: Value) -> Any:
    number = _number(value)
    if isinstance(number, float) and not math.isfinite(number):
        raise limit("an infinite number has no integer value")
    return number


# -- lists ------------------------------------------------------------------------------


def _range(budget: Budget, *arguments: Value) -> Value:
    bounds = [_integer(value, index) for index, value in enumerate(arguments)]
    if len(bounds) == 3 and bounds[2] == 0:
        raise wrong_type("the step of a range cannot be 0", operand=2)
    numbers = range(*bounds)
    # len() of a range overflows where subtraction does not.
    span = bounds[0] if len(bounds) == 1 else bounds[1] - bounds[0]
    step = bounds[2] if len(bounds) == 3 else 1
    if span // step > MAX_LIST:
        raise limit(f"a range of {span // step:,} numbers is more than the {MAX_LIST:,} allowed")
    budget.listed(len(numbers))
    return list(numbers)


def _enumerate(budget: Budget, items: Value, start: Value = 0) -> Value:
    budget.listed(len(_list(items)))
    first = _integer(start, 1)
    bounded(first + len(_list(items)))
    return [[index, item] for index, item in enumerate(_list(items), first)]


def _zip(budget: Budget, *lists: Value) -> Value:
    columns = [_list(value, index) for index, value in enumerate(lists)]
    lengths = [len(column) for column in columns]
    for index, length in enumerate(lengths):
        if length != lengths[0]:
            raise wrong_type(
                f"`zip` needs lists of equal length, not {lengths[0]} and {length} items",
                "cut the longer one, as in `x[:-1]`",
                operand=index,
            )
    budget.listed(lengths[0])
    budget.spend(sum(lengths))
    return [list(row) for row in zip(*columns, strict=True)]


def _len(budget: Budget, value: Value) -> Value:
    if isinstance(value, str):
        return len(value)
    return len(_list(value))


def _to_list(budget: Budget, value: Value) -> Value:
    budget.listed(len(_list(value)))
    return list(_list(value))


def _reversed(budget: Budget, value: Value) -> Value:
    budget.listed(len(_list(value)))
    return list(_list(value))[::-1]


def _sorted(budget: Budget, value: Value, reverse: Value = False) -> Value:
    items = _list(value)
    budget.listed(len(items))
    if not (all(map(is_number, items)) or all(isinstance(item, str) for item in items)):
        raise wrong_type("only fixed numbers, or only texts, can be sorted", operand=0)
    return sorted(items, reverse=truth(reverse, budget))


def _any(budget: Budget, value: Value) -> Value:
    return _decided(budget, value, True)


def _all(budget: Budget, value: Value) -> Value:
    return not _decided(budget, value, False)


def _decided(budget: Budget, value: Value, wanted: bool) -> bool:
    """Whether an item counts as `wanted`, even where others depend on sizes not fixed."""
    undecided: Undecided | None = None
    for item in _list(value):
        budget.spend()
        try:
            if truth(item, budget) == wanted:
                return True
        except Undecided as fault:
            undecided = fault
    if undecided is not None:
        raise undecided
    return False


def _sum(budget: Budget, value: Value) -> Value:
    items = _list(value)
    budget.spend(len(items))
    for item in items:
        if not isinstance(item, Expr | int | float):
            raise wrong_type(f"`sum` adds numbers, not {describe(item)}", operand=0)
    total: Value = 0
    for item in items:
        total = binary("+", total, item, budget)
    return total


def _extreme(name: str, symbol: str) -> Callable[..., Value]:
    """`max` or `min` of numbers and sizes, or of texts."""

    def run(budget: Budget, *arguments: Value) -> Value:
        items = _list(arguments[0]) if len(arguments) == 1 else arguments
        if not items:
            raise wrong_type(f"`{name}` of an empty list", operand=0)
        budget.spend(len(items))
        if any(isinstance(item, Expr) for item in items):
            return _symbolic_extreme(name, items, budget)
        best = items[0]
        if len(items) == 1:
            return best if isinstance(best, str) else _number(best)
        for index, item in enumerate(items[1:], 1):
            try:
                better = compare(symbol, item, best, budget)
            except Fault as fault:
                # compare() counts operands from its own two; what is to blame is an argument.
                fault.operand = (index if fault.operand == 0 else 0) if len(arguments) > 1 else 0
                raise
            best = item if better else best
        return best

    return run


def _symbolic_extreme(name: str, items: Any, budget: Budget) -> Value:
    for item in items:
        if not isinstance(item, Expr | int):
            raise wrong_type(
                f"`{name}` with a size that is not fixed takes integers, not {describe(item)}"
            )
    dims = [int(item) if isinstance(item, bool) else item for item in items]
    return extreme(name == "max", dims, budget)


# -- numbers ----------------------------------------------------------------------------


def _abs(budget: Budget, value: Value) -> Value:
    return abs(_number(value))


def _round(budget: Budget, value: Value, ndigits: Value = None) -> Value:
    if isinstance(value, Expr):
        return value
    if ndigits is None:
        return bounded(round(_finite(value)))
    digits = _integer(ndigits, 1)
    if abs(digits) > 18:
        raise limit("`round` to more than 18 digits")
    return bounded(round(_finite(value), digits))


def _whole(convert: Callable[[Any], int]) -> Callable[[Budget, Value], Value]:
    """A conversion to an integer; an exact symbolic size is one already."""

    def run(budget: Budget, value: Value) -> Value:
        return value if isinstance(value, Expr) else bounded(convert(_finite(value)))

    return run


def _float(budget: Budget, value: Value) -> Value:
    return float(_number(value))


def _bool(budget: Budget, value: Value) -> Value:
    return truth(value, budget)


def _sqrt(budget: Budget, value: Value) -> Value:
    number = _number(value)
    if number < 0:
        raise wrong_type("a negative number has no square root", operand=0)
    return bounded(math.sqrt(number))


def _isqrt(budget: Budget, value: Value) -> Value:
    number = _integer(value)
    if number < 0:
        raise wrong_type("a negative number has no square root", operand=0)
    return math.isqrt(number)


def _gcd(budget: Budget, *values: Value) -> Value:
    return math.gcd(*(_integer(value, index) for index, value in enumerate(values)))


def _log(budget: Budget, value: Value, base: Value = None) -> Value:
    number = _number(value)
    if number <= 0:
        raise wrong_type("only a positive number has a logarithm", operand=0)
    if base is None:
        return bounded(math.log(number))
    to = _number(base, 1)
    if to <= 0 or to == 1:
        raise wrong_type("the base of a logarithm is positive and not 1", operand=1)
    return bounded(math.log(number, to))


def _exp(budget: Budget, value: Value) -> Value:
    try:
        return bounded(math.exp(_number(value)))
    except OverflowError:
        raise limit("the result is too large") from None


def _make_divisible(budget: Budget, value: Value, divisor: Value = 8) -> Value:
    """Nearest multiple of the divisor that is not below 90 % of the value.

    The rule of the MobileNets, as `torchvision.models._utils._make_divisible`.
    """
    number, by = _finite(value), _integer(divisor, 1)
    if by < 1:
        raise wrong_type("the divisor of `make_divisible` has to be positive", operand=1)
    rounded = max(by, int(number + by / 2) // by * by)
    return bounded(rounded + by if rounded < 0.9 * number else rounded)


FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        Function("range", _range, 1, 3),
        Function("enumerate", _enumerate, 1, 2, ("start",)),
        Function("zip", _zip, 1, None),
        Function("len", _len),
        Function("min", _extreme("min", "<"), 1, None),
        Function("max", _extreme("max", ">"), 1, None),
        Function("sum", _sum),
        Function("abs", _abs),
        Function("round", _round, 1, 2, ("ndigits",)),
        Function("int", _whole(int)),
        Function("float", _float),
        Function("bool", _bool),
        Function("list", _to_list),
        Function("reversed", _reversed),
        Function("sorted", _sorted, 1, 2, ("reverse",)),
        Function("any", _any),
        Function("all", _all),
        Function("ceil", _whole(math.ceil)),
        Function("floor", _whole(math.floor)),
        Function("sqrt", _sqrt),
        Function("isqrt", _isqrt),
        Function("gcd", _gcd, 2, None),
        Function("log", _log, 1, 2, ("base",)),
        Function("exp", _exp),
        Function("make_divisible", _make_divisible, 1, 2, ("divisor",)),
    )
}
"""Every function of the language, by name."""

INSTEAD_OF = {
    "pow": "write `a ** b`",
    "tuple": "write `list(...)`",
    "map": "write `[... for x in ...]`",
    "filter": "write `[x for x in ... if ...]`",
    "divmod": "write `//` and `%`",
    "str": "names take `{expr}`; elsewhere there is no text to make",
    "cdiv": "write `-(-a // b)`",
    "ceil_div": "write `-(-a // b)`",
    "div_ceil": "write `-(-a // b)`",
}
"""What to write for functions that people expect."""

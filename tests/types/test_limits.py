"""Where the limits of sizes lie, to the last unit; and what values of the types are."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from archc.types import DimTooComplexError, DType, Expr, TensorType, symbol
from archc.types.dims import Dim, dim_max, dim_period, dim_product, provably_equal
from archc.types.sizes import ALL_SIZES, Effort, SizeSet, at_least, describe_sizes, solve

H, W = symbol("H"), symbol("W")


def names(count: int, letter: str = "a") -> list[Expr]:
    return [symbol(f"{letter}{index}") for index in range(count)]


def total(sizes: list[Expr]) -> Any:
    return sum(sizes[1:], start=sizes[0])


LIMITS: list[tuple[Callable[[], Dim], Callable[[], Dim]]] = [
    (lambda: total(names(256)), lambda: total(names(257))),
    (lambda: dim_product([H] * 64), lambda: dim_product([H] * 65)),
    # A floor is one, each term of its numerator one, and each symbol in that one.
    (lambda: (total(names(255)) + 1) // 2, lambda: total(names(256)) // 2),
    (lambda: (total(names(253)) + H * W * H) // 2, lambda: (total(names(254)) + H * W * H) // 2),
]


@pytest.mark.parametrize(("inside", "outside"), LIMITS)
def test_what_is_as_large_as_may_be_and_one_larger(
    inside: Callable[[], Dim], outside: Callable[[], Dim]
) -> None:
    assert isinstance(inside(), Expr)
    with pytest.raises(DimTooComplexError):
        outside()


def test_how_deep_floors_and_maxima_nest() -> None:
    def depth(size: Dim) -> int:
        assert isinstance(size, Expr)
        return max(atom.depth for monomial in size.terms for atom in monomial)

    assert depth(H * W) == 0
    assert depth(dim_max(H, 7) * W) == 1
    assert depth(dim_max(W, H // 3)) == 2


def test_a_proof_that_grows_too_long_is_none() -> None:
    one, other = total(names(200, "a")), total(names(200, "b"))
    assert not provably_equal(one, other)
    assert not provably_equal(dim_product([H, *names(63)]) + 1, dim_product([W, *names(63)]))


def test_periods_are_solved_as_far_as_the_limit() -> None:
    for period, settled in ((4096, True), (4097, False)):
        sizes = solve("equal", H % period, 0, "H", period, Effort())
        assert (sizes is not None) == settled
    assert dim_period(H // 4096, "H") == 4096


@pytest.mark.parametrize("period", [1, 4096**2])
def test_data_of_the_longest_period_are_read(period: int) -> None:
    data: dict[str, Any] = {"early": [], "start": 1, "period": period, "residues": [0]}
    sizes = SizeSet.from_data(data)
    assert sizes.as_data() == data
    for change in ({"period": 4096**2 + 1}, {"period": 0}, {"start": 0}):
        with pytest.raises(ValueError, match="positive"):
            SizeSet.from_data(data | change)
    for wrong in ({"period": 1.0}, {"start": "1"}):
        with pytest.raises(TypeError, match="integers"):
            SizeSet.from_data(data | wrong)


def test_sets_in_words() -> None:
    every: frozenset[int] = frozenset()
    for sizes, words in (
        (SizeSet(frozenset({3, 4}), 7, 4, frozenset({0})), "is one of 3, 4, 8, 12, 16, 20, ..."),
        (SizeSet(frozenset({4}), 7, 4, frozenset({0})), "is a multiple of 4"),
        (SizeSet(every, 7, 4, frozenset({0})), "is a multiple of 4, at least 8"),
        (SizeSet(frozenset({4}), 11, 4, frozenset({0})), "is one of 4, 12, 16, 20, 24, 28, ..."),
        (SizeSet(every, 1, 3, frozenset({1})), "is 1 more than a multiple of 3"),
        (SizeSet(every, 1, 2, frozenset({1})), "is odd"),
        (SizeSet(every, 5, 2, frozenset({0})), "is even, at least 6"),
        (SizeSet(frozenset({2}), 4, 1, frozenset({0})), ">= 2 but not 3"),
    ):
        assert describe_sizes("H", sizes).removeprefix("H ").startswith(words), sizes
    assert (ALL_SIZES.start, ALL_SIZES.is_everything) == (1, True)
    assert at_least(1) == ALL_SIZES
    assert 0 not in ALL_SIZES


@pytest.mark.parametrize("dtype", DType)
def test_elements_take_as_much_room_as_in_torch(dtype: DType) -> None:
    theirs: torch.dtype = getattr(torch, dtype.value)
    assert dtype.itemsize == theirs.itemsize
    assert dtype.is_floating == theirs.is_floating_point


def test_types_of_tensors() -> None:
    kind = TensorType((2, H, 3), DType.INT8)
    assert (kind.rank, kind.numel, kind.is_static) == (3, 6 * H, False)
    assert TensorType((2, 3)).is_static is True
    assert str(kind) == "[2, H, 3] int8"
    assert kind.with_shape([4]) == TensorType((4,), DType.INT8)


# -- records --------------------------------------------------------------------------------

CHANGED = {
    "ops.conditions.ShapeContext": "takes conditions in",
    "spec.tree.Entry": "is filled while the text is read",
    "spec.tree.Scalar": "remembers the expression it was parsed as",
    "spec.tree.Sequence": "is filled while the text is read",
    "spec.tree.Mapping": "is filled while the text is read",
}
"""Records that change, and why; none of the others may."""


ALONE = {
    *("spec.expressions.loops.ForHeader", "spec.expressions.parser.Tree"),
    "spec.expressions.templates.Template",
    *("spec.tree.Entry", "spec.tree.Mapping", "spec.tree.Scalar", "spec.tree.Sequence"),
}
"""Records that equal nothing but themselves: places of a text; what is kept for each of them."""


def records() -> Iterator[tuple[str, type]]:
    for package in ("spec", "types", "ops"):
        path = importlib.import_module(f"archc.{package}").__path__
        for found in pkgutil.walk_packages(path, f"archc.{package}."):
            for name, kind in vars(importlib.import_module(found.name)).items():
                own = isinstance(kind, type) and kind.__module__ == found.name
                if own and hasattr(kind, "__dataclass_fields__"):
                    yield f"{found.name.removeprefix('archc.')}.{name}", kind


def test_records_cannot_be_changed() -> None:
    fixed = {name: kind.__setattr__ is not object.__setattr__ for name, kind in records()}
    assert len(fixed) > 40
    assert {name for name, is_fixed in fixed.items() if not is_fixed} == set(CHANGED)


def test_records_that_are_compared_are_hashable() -> None:
    for name, kind in records():
        by_value = kind.__eq__ is not object.__eq__
        assert by_value or kind.__hash__ is object.__hash__, name
        if by_value and name not in CHANGED:
            assert kind.__hash__ is not None, name
    identical = {name for name, kind in records() if kind.__eq__ is object.__eq__}
    assert identical == ALONE

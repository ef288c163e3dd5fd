"""Sets of sizes and the conditions they solve, against enumeration."""

from __future__ import annotations

from math import lcm

from hypothesis import given
from hypothesis import strategies as st

from archc.types import Dim, dim_max, dim_min, evaluate, symbol
from archc.types.dims import dim_period
from archc.types.sizes import (
    ALL_SIZES,
    Effort,
    SizeSet,
    at_least,
    at_most,
    describe_sizes,
    multiple_of,
    solve,
)

H = symbol("H")
LIMIT = 300


def windows() -> st.SearchStrategy[Dim]:
    """Sizes as stacks of convolutions, pools and scalings make them."""
    step = st.tuples(st.integers(-6, 6), st.integers(1, 5), st.integers(-2, 3), st.integers(1, 3))

    def build(steps: list[tuple[int, int, int, int]]) -> Dim:
        size: Dim = H
        for pad, stride, offset, scale in steps:
            size = ((size + pad) // stride + offset) * scale
        return size

    stacks = st.lists(step, min_size=1, max_size=3).map(build)
    return (
        stacks
        | st.tuples(stacks, stacks).map(lambda two: dim_max(*two))
        | st.tuples(stacks, st.integers(1, 20)).map(lambda two: dim_min(*two))
    )


def members(sizes: SizeSet) -> set[int]:
    return {size for size in range(1, LIMIT) if size in sizes}


def period_of(*dims: Dim) -> int:
    return lcm(*(dim_period(dim, "H") or 1 for dim in dims))


@given(windows(), windows() | st.integers(-3, 40))
def test_equality_and_order_are_solved_exactly(left: Dim, right: Dim) -> None:
    for relation, holds in (
        ("equal", lambda a, b: a == b),
        ("at-least", lambda a, b: a >= b),
    ):
        sizes = solve(relation, left, right, "H", period_of(left, right), Effort())
        if sizes is not None:
            expected = {
                size
                for size in range(1, LIMIT)
                if holds(evaluate(left, {"H": size}), evaluate(right, {"H": size}))
            }
            assert members(sizes) == expected


@given(windows(), st.integers(1, 12))
def test_divisibility_is_solved_exactly(left: Dim, divisor: int) -> None:
    sizes = solve("divisible", left, divisor, "H", period_of(left, left % divisor), Effort())
    if sizes is not None:
        expected = {size for size in range(1, LIMIT) if evaluate(left, {"H": size}) % divisor == 0}
        assert members(sizes) == expected


def test_the_usual_conditions_are_settled() -> None:
    halves = solve("equal", 2 * (H // 2), H, "H", 2, Effort())
    valid = solve("at-least", (H - 7) // 2 - 28, 1, "H", 2, Effort())
    assert halves is not None and describe_sizes("H", halves) == "H is even"
    assert valid is not None and describe_sizes("H", valid) == "H >= 65"
    both = halves & valid
    assert describe_sizes("H", both) == "H is even, at least 66"
    assert both.first(3) == [66, 68, 70]


def size_sets() -> st.SearchStrategy[SizeSet]:
    simple = st.one_of(
        st.integers(1, 40).map(at_least),
        st.integers(1, 40).map(at_most),
        st.integers(1, 6).map(multiple_of),
        st.just(ALL_SIZES),
    )
    return st.lists(simple, min_size=1, max_size=3).map(
        lambda sets: sets[0] if len(sets) == 1 else sets[0] & sets[-1]
    )


@given(size_sets(), size_sets())
def test_intersection_and_inclusion_are_those_of_sets(a: SizeSet, b: SizeSet) -> None:
    assert members(a & b) == members(a) & members(b)
    assert (a <= b) == (members(a) <= members(b))
    assert a.is_empty == (not members(a))
    assert (a == b) == (members(a) == members(b))


@given(size_sets())
def test_first_members_are_the_smallest(sizes: SizeSet) -> None:
    assert sizes.first(5) == sorted(members(sizes))[:5]


def test_effort_ends() -> None:
    effort = Effort(10)
    assert effort.spend(4)
    assert not effort.spend(7)
    assert effort.spend(6)
    assert not effort.spend(1)
    assert solve("at-least", (H - 7) // 2 - 28, 1, "H", 2, Effort(100)) is None


def test_long_lists_of_sizes_are_shortened() -> None:
    sizes = multiple_of(3) & at_most(90)
    assert describe_sizes("H", sizes) == "H is one of 3, 6, 9, 12, 15, 18, ..., 90 (30 sizes)"
    assert describe_sizes("H", multiple_of(3) & at_most(9)) == "H is 3 or 6 or 9"
    assert describe_sizes("H", at_most(90) & at_least(4)) == "4 <= H <= 90"

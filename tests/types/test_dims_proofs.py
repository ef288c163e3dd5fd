"""Proofs never lie, and prove what shape rules need."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.types.dims import (
    Dim,
    ceil_div,
    dim_bounds,
    dim_max,
    dim_min,
    dim_period,
    evaluate,
    provably_at_least,
    provably_differ,
    provably_equal,
    substitute,
    symbol,
    symbols_of,
)
from tests.types.dim_trees import SYMBOLS, Tree, trees

H, N, W = SYMBOLS["H"], SYMBOLS["N"], SYMBOLS["W"]
PAIR = ("H", "W")
Range = tuple[int, int | None]

ranges = st.tuples(st.integers(-2, 6), st.none() | st.integers(0, 8)).map(
    lambda pair: (pair[0], None if pair[1] is None else max(pair[0], 1) + pair[1])
)
bounds_of_some = st.dictionaries(st.sampled_from(PAIR), ranges)


def _sizes(bounds: dict[str, Range]) -> list[dict[str, int]]:
    """Every environment within bounds, cut off at 25 from below."""
    axes = []
    for name in PAIR:
        low, high = bounds.get(name, (1, None))
        low = max(low, 1)
        axes.append(range(low, min(low + 25, low + 25 if high is None else high + 1)))
    return [{"H": h, "N": 2, "W": w} for h, w in product(*axes)]


@settings(max_examples=200, deadline=None)
@given(trees(names=PAIR, leaves=6), trees(names=PAIR, leaves=6), bounds_of_some)
def test_proofs_never_lie(one: Tree, other: Tree, bounds: dict[str, Range]) -> None:
    a, b = one.run(SYMBOLS), other.run(SYMBOLS)
    low, high = dim_bounds(a, bounds)
    equal, differ = provably_equal(a, b, bounds), provably_differ(a, b, bounds)
    at_least, at_most = provably_at_least(a, b, bounds), provably_at_least(b, a, bounds)
    for env in _sizes(bounds):
        x, y = evaluate(a, env), evaluate(b, env)
        assert low is None or low <= x
        assert high is None or x <= high
        assert not equal or x == y
        assert not differ or x != y
        assert not at_least or x >= y
        assert not at_most or x <= y


@settings(max_examples=150, deadline=None)
@given(trees(kinds="", names=("H",), leaves=6), trees(kinds="", names=("H",), leaves=6))
def test_equality_of_floors_of_one_size_is_decided(one: Tree, other: Tree) -> None:
    """Both ways: over whole periods and degrees, what is never seen to differ is equal."""
    a, b = one.run(SYMBOLS), other.run(SYMBOLS)
    period = dim_period(a - b, "H")
    assert period is not None
    if period <= 300:
        seen = {one.run({"H": h}) == other.run({"H": h}) for h in range(1, 9 * period + 1)}
        assert provably_equal(a, b) == (seen == {True})


@settings(max_examples=150, deadline=None)
@given(trees(kinds="m", leaves=6), st.sampled_from(["H", "W"]))
def test_no_floor_over_a_size_is_left_in_a_residue_class(tree: Tree, name: str) -> None:
    dim = tree.run(SYMBOLS)
    period = dim_period(dim, name)
    if period is not None and period <= 12:
        for residue in range(period):
            within = substitute(dim, {name: period * symbol("t") - residue})
            assert dim_period(within, "t") == 1


EQUAL: list[tuple[Dim, Dim]] = [
    (H // 4 + (H + 2) // 4, H // 2),
    ((2 * H) // 3, H - (H + 2) // 3),
    ((H // 2 + W // 2) // 2, (H + 2 * (W // 2)) // 4),
    ((H // 2) * (W // 2) + ((H + 1) // 2) * (W // 2), H * (W // 2)),
    ((H % 2) * (H % 2), H % 2),
    ((H * H + H) % 2, 0),
    (H * (H + 1) * (H + 2) // 6 * 6, H * (H + 1) * (H + 2)),
    (32 * (ceil_div(H, 32) * 7 // 7) // 16, 2 * ((H + 31) // 32)),
    (dim_max(H // 2, (H + 1) // 2 - 1) * 2, 2 * (H // 2)),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_in_value_though_not_always_in_form(a: Dim, b: Dim) -> None:
    assert provably_equal(a, b)
    assert provably_equal(b, a)
    assert provably_at_least(a, b)
    assert not provably_differ(a, b)


DIFFER: list[tuple[Dim, Dim]] = [
    (3, 4),
    (H, H + 1),
    (2 * H, 2 * W + 1),
    (6 * (H // 2) + 1, 9 * W),
    (H + W, 1),
    (H * H, 3 * W + 2 - 2 * H * H + 3 * H * H * W),
    (H // 2, H // 2 + 2),
    (H, 2 * (H // 2) + 2),
    (H * H % 4, 2),
    (-H, W),
    (dim_min(H, 5), 6),
]


@pytest.mark.parametrize(("a", "b"), DIFFER)
def test_different_at_every_size(a: Dim, b: Dim) -> None:
    assert provably_differ(a, b)
    assert provably_differ(b, a)
    assert not provably_equal(a, b)


AT_LEAST: list[tuple[Dim, Dim]] = [
    (H, 1),
    (H // 2, 0),
    ((H + 31) // 32, 1),
    (H * W, H),
    ((H // 2) * (W // 2), 0),
    (H, 2 * (H // 2)),
    (2 * ((H + 1) // 2), H),
    (7, 7 * ((H + 6) // 7) - H),
    (dim_max(H, W), H),
    (H, dim_min(H, W)),
    (dim_max(H, W) + 1, dim_min(N, W)),
    ((H + 1) // 2, H // 2),
    ((H + 3) // 2, (H + 1) // 3),
    (N * H // 2, N * (H // 2)),
    (10, 10 // H),
    (H * H + 1, 2 * H),
    (H * (H - 1) // 2 * 2, H * (H - 1)),
]


@pytest.mark.parametrize(("a", "b"), AT_LEAST)
def test_at_least_at_every_size(a: Dim, b: Dim) -> None:
    assert provably_at_least(a, b)
    assert provably_at_least(a + 1, b)
    assert not provably_at_least(b, a + 1)


def test_what_depends_on_the_size_is_neither_proved_nor_refuted() -> None:
    for a, b in [(2 * ((H + 1) // 2), H), (H, 224), (H, W), (H % 32, 0)]:
        assert not provably_equal(a, b)
        assert not provably_differ(a, b)
    assert not provably_at_least(H, 2)
    assert not provably_at_least(2, H)


def test_bounds_narrow_what_is_asked() -> None:
    assert provably_at_least(H, 63, {"H": (63, None)})
    assert not provably_at_least(H, 63, {"H": (62, None)})
    assert provably_at_least(100, H // 2, {"H": (1, 201)})
    assert provably_equal(dim_max(H, 7), H, {"H": (7, None)})
    assert provably_equal((H + 31) // 32, 7, {"H": (193, 224)})
    assert provably_equal(H * H - 9 * H + 20, 0, {"H": (4, 5)})
    assert provably_differ(H, 224, {"H": (1, 223)})
    assert provably_at_least(H * H, 100 * H, {"H": (100, None), "unused": (5, 3)})
    assert provably_at_least((H - 1) // 2 - 31, 0, {"H": (63, None)})


def test_bounds_of_dims() -> None:
    bounds: dict[str, tuple[int, int | None]] = {"H": (32, 64), "W": (0, None)}
    cases: list[tuple[Any, tuple[int | None, int | None]]] = [
        (7, (7, 7)),
        (H, (32, 64)),
        (W, (1, None)),
        (-W, (None, -1)),
        (W - W * W, (None, 0)),
        (H // 5 - 1, (5, 11)),
        (H - 2 * (H // 2), (0, 1)),
        (H * (W // 2), (0, None)),
        (H - W, (None, 63)),
        (W - N, (None, None)),
        (dim_min(W, H), (1, 64)),
        (dim_max(W, H), (32, None)),
        (dim_max(5 - W, N), (1, None)),
        (100 // H, (1, 3)),
        (H // W, (0, 64)),
        (-H // W, (-64, -1)),
    ]
    for dim, expected in cases:
        assert dim_bounds(dim, bounds) == expected, dim


def test_bounds_that_no_size_meets_are_refused() -> None:
    for bounds in ({"H": (5, 3)}, {"H": (-3, 0)}):
        with pytest.raises(ValueError, match="no size H"):
            dim_bounds(H, bounds)


@pytest.mark.parametrize(
    ("dim", "expected"),
    [
        (7, 1),
        (H * W, 1),
        ((H + 1) // 2, 2),
        ((H + 31) // 32 + H // 6, 96),
        ((2 * H + W) // 4, 2),
        ((2 * (H // 2) + W) // 6 + 1, 6),
        (dim_max(H // 2, W // 3), 2),
        (W // 5, 1),
        (W // H, None),
        (H // W, None),
        ((H // W + H) // 2, None),
        (dim_max(H, W) // 2, 2),
        (N * dim_max(H, W) // 2, None),
        (W // N, 1),
    ],
)
def test_periods(dim: Dim, expected: int | None) -> None:
    assert dim_period(dim, "H") == expected


def test_a_period_settles_which_sizes_meet_a_condition() -> None:
    """What `add` needs of H when one branch is halved and doubled."""
    difference = 2 * ((H + 1) // 2) - H
    period = dim_period(difference, "H")
    assert period == 2
    fitting = [
        residue
        for residue in range(period)
        if provably_equal(substitute(difference, {"H": 2 * symbol("t") - residue}), 0)
    ]
    assert fitting == [0]
    assert symbols_of(difference) == {"H"}

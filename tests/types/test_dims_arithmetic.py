"""Expressions compute what integers compute, and keep one form."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.types.dims import (
    Dim,
    DimTooComplexError,
    Expr,
    ceil_div,
    dim_max,
    dim_min,
    dim_product,
    evaluate,
    format_dim,
    is_static,
    provably_at_least,
    provably_differ,
    provably_equal,
    substitute,
    symbol,
    symbols_of,
)
from tests.types.dim_trees import SYMBOLS, Tree, environments, trees

H, N, W = SYMBOLS["H"], SYMBOLS["N"], SYMBOLS["W"]


@settings(max_examples=400, deadline=None)
@given(trees(), st.lists(environments(), min_size=4, max_size=4))
def test_trees_evaluate_as_on_plain_integers(tree: Tree, envs: list[dict[str, int]]) -> None:
    dim = tree.run(SYMBOLS)
    assert isinstance(dim, int | Expr)
    for env in envs:
        assert evaluate(dim, env) == tree.run(env)


@settings(max_examples=300, deadline=None)
@given(trees())
def test_text_reads_back_as_the_same_dim(tree: Tree) -> None:
    dim = tree.run(SYMBOLS)
    names = {**SYMBOLS, "max": dim_max, "min": dim_min}
    assert eval(format_dim(dim), names) == dim


@settings(max_examples=200, deadline=None)
@given(trees(kinds=""), trees(kinds=""), trees(kinds=""))
def test_sums_do_not_depend_on_their_order(a: Tree, b: Tree, c: Tree) -> None:
    x, y, z = (tree.run(SYMBOLS) for tree in (a, b, c))
    assert x + y == y + x
    assert (x + y) + z == x + (y + z)
    assert x - y == -(y - x)
    assert x + y - y == x
    assert (x - x) == 0
    assert hash(x + y) == hash(y + x)


@settings(max_examples=200, deadline=None)
@given(trees(), environments(), st.sampled_from(["H", "W"]))
def test_substitution_commutes_with_evaluation(tree: Tree, env: dict[str, int], name: str) -> None:
    dim = tree.run(SYMBOLS)
    partly = substitute(dim, {name: env[name]})
    assert name not in symbols_of(partly)
    assert evaluate(partly, env) == evaluate(dim, env)
    assert evaluate(substitute(dim, {name: symbol("Z") * 2 - 1}), {**env, "Z": env[name]}) == (
        evaluate(dim, {**env, name: 2 * env[name] - 1})
    )


@settings(max_examples=100, deadline=None)
@given(trees())
def test_copies_and_pickles_are_equal(tree: Tree) -> None:
    dim = tree.run(SYMBOLS)
    assert copy.deepcopy(dim) == dim
    again = pickle.loads(pickle.dumps(dim))
    assert again == dim
    assert hash(again) == hash(dim)
    assert str(again) == str(dim)


def test_pickles_carry_no_hash_into_another_process() -> None:
    code = (
        "import sys, pickle; from archc.types.dims import *; H, W = symbol('H'), symbol('W');"
        "d = dim_max((H + 1)//2*W, W//H);"
        "sys.stdout.buffer.write(pickle.dumps((d, hash(d))))"
    )
    hashes = set()
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        dim, value = pickle.loads(run.stdout)
        hashes.add(value)
        assert dim == dim_max((H + 1) // 2 * W, W // H)
        assert {dim: 1}[dim_max((H + 1) // 2 * W, W // H)] == 1
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (2 * H, "2*H"),
        (symbol("T") * N, "N*T"),
        ((H + 1) // 2, "(H + 1)//2"),
        ((H - 2) // 2, "H//2 - 1"),
        ((H + 1) // 2 * ((W + 1) // 2), "(H + 1)//2*((W + 1)//2)"),
        (dim_max(7, H), "max(H, 7)"),
        (-H, "-H"),
        (W - H, "W - H"),
        (7 - H, "7 - H"),
        (-(H // 3), "-(H//3)"),
        (3 * N * (H // 2), "3*N*(H//2)"),
        (2 * H // 3, "2*H//3"),
        (N * W // 3, "N*W//3"),
        (10 // H, "10//H"),
        ((H + 3) // (W + 1), "(H + 3)//(W + 1)"),
        (H * H + H, "H*H + H"),
        (H % 2, "H - 2*(H//2)"),
        (ceil_div(H, 3), "(H + 2)//3"),
        (dim_min(H + 3, 8), "min(H, 5) + 3"),
        (5, "5"),
    ],
)
def test_text_is_what_a_person_writes(dim: Dim, text: str) -> None:
    assert format_dim(dim) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((2 * H + 3) // 2, H + 1),
        ((2 * H + 3) // 4, (H + 1) // 2),
        ((4 * (H // 2) + 1) // 2, 2 * (H // 2)),
        (((H + 1) // 2 + 5) // 3, (H + 11) // 6),
        (H // 2 + (H + 1) // 2, H),
        (H - H // 2, (H + 1) // 2),
        (N * (H // 2) + N * ((H + 1) // 2), N * H),
        (H // 3 + (H + 1) // 3 + (H + 2) // 3, H),
        (5 * ((H + W) // 2) + 5 * ((H + W + 1) // 2), 5 * H + 5 * W),
        (H - 2 * (H // 2), 2 * ((H + 1) // 2) - H),
        (-(-H // 7), (H + 6) // 7),
        (H + (-H) % 7, 7 * ((H + 6) // 7)),
        (H // -2, (-H) // 2),
        (H % -2, -((-H) % 2)),
        ((H % 4) // 4, 0),
        ((H % 4 - 4) // 4, -1),
        (dim_max(1, H), H),
        (dim_min(1, H), 1),
        (dim_max(H, W, dim_max(3, H)), dim_max(3, dim_max(W, H))),
        (dim_max(H - W, 3), dim_max(H, W + 3) - W),
        (2 * dim_max(H, 3) + 3, dim_max(2 * H + 3, 9)),
        (dim_max(-dim_min(H, 5), -3), -dim_min(H, 3)),
        (dim_min(H // 2, (H + 1) // 2), H // 2),
        (dim_max(H, 7) // 2 // 2, dim_max(H // 4, 1)),
        ((5 - 2 * dim_max(H, W)) // 3, dim_min((5 - 2 * H) // 3, (5 - 2 * W) // 3)),
        (dim_max(H, W) // W, dim_max(H // W, 1)),
        (N * H * W * 64 // (N * H), 64 * W),
        ((H * W + 3 * H) // H, W + 3),
        (((H + 1) * W) // (H + 1), W),
        ((H * W + W + 1) // (H + 1), W + 1 // (H + 1)),
        (1 // (H + 1), 0),
        (-1 // (H + 1), -1),
        (H // W // 2, H // 2 // W),
        (N * H // (N * W), H // W),
        (6 * H // (4 * W), 3 * H // (2 * W)),
        (H % H, 0),
        ((H * W) % W, 0),
        (dim_product([2, H, 3, W]), 6 * H * W),
        (dim_product([]), 1),
    ],
)
def test_equal_sizes_have_one_form(one: Dim, other: Dim) -> None:
    assert one == other
    assert hash(one) == hash(other)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 3, 5, 7, 11]), st.sampled_from([0, 1, 2, 3]), st.integers(1, 3)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_stack_of_convolutions_is_one_floor(layers: list[tuple[int, int, int]]) -> None:
    height: Any = H
    stride_of_all = 1
    for kernel, padding, stride in layers:
        height = (height + 2 * padding - (kernel - 1) - 1) // stride + 1
        stride_of_all *= stride
    text = format_dim(height)
    assert text.count("//") == (stride_of_all > 1)
    assert stride_of_all == 1 or f"//{stride_of_all}" in text


def test_five_strided_convolutions() -> None:
    height: Any = H
    for _ in range(5):
        height = (height + 2 * 1 - 1 * (3 - 1) - 1) // 2 + 1
    assert height == (H + 31) // 32 == ceil_div(H, 32)


def test_a_ceil_mode_pool_keeps_one_floor() -> None:
    def pool(size: Any, kernel: int, stride: int, pad: int) -> Any:
        windows = ceil_div(size + 2 * pad - kernel, stride) + 1
        return dim_min(windows, (size + pad - 1) // stride + 1)

    height: Any = H
    for _ in range(3):
        height = pool(height, 3, 2, 0)
    assert height == H // 8
    assert all(
        evaluate(pool(H, 2, 3, 1), {"H": size}) == pool(size, 2, 3, 1) for size in range(1, 50)
    )


@pytest.mark.parametrize("compare", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("other", [3, W])
def test_sizes_cannot_be_compared_by_accident(compare: str, other: Dim) -> None:
    with pytest.raises(TypeError):
        eval(f"H {compare} other", {"H": H, "other": other})
    with pytest.raises(TypeError):
        eval(f"other {compare} H", {"H": H, "other": other})


def test_sizes_are_no_booleans_no_floats_and_no_indices() -> None:
    for misuse in (bool, float, range, lambda size: size / 2, lambda size: size + 0.5):
        with pytest.raises(TypeError):
            misuse(H)
    assert H != 3
    assert H != "H"


def test_expressions_cannot_be_changed() -> None:
    for name in ("terms", "_hash", "new"):
        with pytest.raises(AttributeError):
            setattr(H, name, {})
        with pytest.raises(AttributeError):
            delattr(H, name)


def test_integers_stay_integers() -> None:
    assert type(H - H + 3) is int
    assert type((H * W) // (H * W)) is int
    assert H // 1 is H
    assert H + 0 is H
    assert (ceil_div(7, 2), ceil_div(-7, 2), dim_max(3, 9), dim_min(3, 9)) == (4, -3, 9, 3)
    assert is_static(3)
    assert not is_static(H)
    assert symbols_of(H // 2 * W + dim_max(N, 4)) == {"H", "N", "W"}
    assert symbols_of(4) == frozenset()


def test_division_that_may_be_by_zero_is_refused() -> None:
    for divide in (lambda: H // 0, lambda: H % 0):
        with pytest.raises(ZeroDivisionError):
            divide()
    for divide in (lambda: H // (W - 1), lambda: 3 % (H - W), lambda: H // (W // 2)):
        with pytest.raises(ValueError, match="zero or negative"):
            divide()


@pytest.mark.parametrize("name", ["", "2H", "a b", "for", "max", "min", "H-1"])
def test_a_name_that_does_not_read_back_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a size"):
        symbol(name)


def test_sizes_are_positive() -> None:
    with pytest.raises(ValueError, match="H = 0 is not positive"):
        evaluate(H + 1, {"H": 0})
    with pytest.raises(KeyError):
        evaluate(H + 1, {"W": 1})
    with pytest.raises(ValueError, match="H = W - 1 is not positive"):
        substitute(H + 1, {"H": W - 1})
    assert evaluate(H, {"H": 2, "W": 0}) == 2


def test_expressions_that_explode_are_refused() -> None:
    with pytest.raises(DimTooComplexError):
        dim_product([symbol(f"a{i}") + symbol(f"b{i}") for i in range(40)])
    size: Any = H
    with pytest.raises(DimTooComplexError):
        for _ in range(2000):
            size = (2 * size + 1) // 3
    size = H
    with pytest.raises(DimTooComplexError):
        for _ in range(64):
            size = size * size
    size = H
    with pytest.raises(DimTooComplexError):
        for index in range(2000):
            size = dim_max(size, symbol(f"a{index}"))


def test_what_is_too_complex_is_unproved() -> None:
    one = sum(symbol(f"a{i}") for i in range(200))
    other = sum(symbol(f"b{i}") // 2 for i in range(200))
    for prove in (provably_equal, provably_differ, provably_at_least):
        assert not prove(one, other)
    assert -1 * (-other) == other


def test_work_stays_in_proportion_to_the_number_of_layers() -> None:
    """Counts Python function calls, which do not depend on the machine."""

    def calls(layers: int) -> int:
        count = 0

        def tick(*_: object) -> None:
            nonlocal count
            count += 1

        height: Any = H
        total: Any = 0
        sys.setprofile(tick)
        for _ in range(layers):
            height = ((height + 2 - 2 - 1) // 2 + 1) * 2
            total = total + N * height * W * 576
        sys.setprofile(None)
        assert len(format_dim(total)) < 60
        return count

    calls(10)
    assert calls(2000) < 11 * calls(200)

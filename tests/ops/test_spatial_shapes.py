"""Shape rules of the spatial ops against torch, and the same rules over symbols."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.ops.base import Weight
from archc.ops.conditions import Condition, Refusal, ShapeContext
from archc.types import Dim, TensorType, evaluate, symbol
from tests.ops.spatial_cases import FAMILIES, Case, avgpools, maxpools
from tests.ops.spatial_reference import Impossible, pairs_of, reference, torch_pool

MANY = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def types_of(case: Case) -> list[TensorType]:
    return [TensorType(shape) for shape in case.shapes]


def infer(case: Case, types: Sequence[TensorType]) -> tuple[TensorType, list[Condition]]:
    cx = ShapeContext()
    output = case.op.infer(cx, *types)
    assert isinstance(output, TensorType)
    return output, cx.conditions


def zeros(weights: Sequence[Weight]) -> dict[str, torch.Tensor]:
    return {weight.name: torch.zeros(weight.shape) for weight in weights}


def run(case: Case) -> torch.Tensor | None:
    """The reference's result, None where it cannot be computed."""
    inputs = [torch.zeros(shape) for shape in case.shapes]
    try:
        weights = zeros(case.op.weights(*types_of(case)))
        return reference(case.op, inputs, weights)
    except (Impossible, Refusal):
        return None


@pytest.mark.parametrize("family", FAMILIES)
def test_infers_the_shape_that_torch_computes_and_refuses_what_it_cannot(family: str) -> None:
    @MANY
    @given(FAMILIES[family])
    def check(case: Case) -> None:
        expected = run(case)
        try:
            output, conditions = infer(case, types_of(case))
        except Refusal as refusal:
            assert expected is None, refusal.message
            return
        assert expected is not None, f"inferred {output}"
        assert output.shape == tuple(expected.shape)
        assert conditions == []

    check()


@MANY
@given(st.one_of(maxpools(), avgpools()))
def test_the_pools_of_the_reference_are_the_pools_of_torch(case: Case) -> None:
    x = torch.randn(case.shapes[0], dtype=torch.float64)
    try:
        if any(before != after for before, after in pairs_of(case.op, x.dim() - 2)):
            return
        mine = reference(case.op, [x], {})
    except Impossible:
        return
    torch.testing.assert_close(mine, torch_pool(case.op, x))


def holds(condition: Condition, sizes: dict[str, int]) -> bool:
    left, right = evaluate(condition.left, sizes), evaluate(condition.right, sizes)
    if condition.relation == "equal":
        return left == right
    if condition.relation == "at-least":
        return left >= right
    return left % right == 0


def with_symbols(case: Case) -> tuple[list[TensorType], dict[str, int]]:
    """Every batch and spatial size of the case as a symbol of its own."""
    sizes: dict[str, int] = {}
    types = []
    for index, shape in enumerate(case.shapes):
        dims: list[Dim] = []
        for axis, size in enumerate(shape):
            if axis == 1:
                dims.append(size)
                continue
            name = f"{'NCDHWX'[axis]}{index}"
            sizes[name] = size
            dims.append(symbol(name))
        types.append(TensorType(tuple(dims)))
    return types, sizes


@pytest.mark.parametrize("family", FAMILIES)
def test_symbolic_shapes_and_conditions_say_what_static_ones_say(family: str) -> None:
    @MANY
    @given(FAMILIES[family])
    def check(case: Case) -> None:
        types, sizes = with_symbols(case)
        try:
            static, _ = infer(case, types_of(case))
        except Refusal:
            static = None
        try:
            output, conditions = infer(case, types)
        except Refusal:
            assert static is None
            return
        works = all(holds(condition, sizes) for condition in conditions)
        assert works == (static is not None), conditions
        if static is not None:
            assert tuple(evaluate(dim, sizes) for dim in output.shape) == static.shape

    check()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_worked_arithmetic_is_right(family: str) -> None:
    @MANY
    @given(FAMILIES[family])
    def check(case: Case) -> None:
        types = types_of(case)
        try:
            output, _ = infer(case, types)
        except Refusal:
            return
        for line in case.op.explain(*types):
            left, equals, right = line.rpartition(" = ")
            if not equals:
                continue
            arithmetic = left.partition(" ")[2].rpartition(": ")[2]
            value = eval(arithmetic, {"ceil": __import__("math").ceil})
            assert value == int(right)
            assert int(right) in output.shape

    check()

"""Shape rules of activations, norms, shape ops and joins against torch, and over symbols."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.ops.base import Weight
from archc.ops.conditions import Condition, Refusal, ShapeContext
from archc.types import Dim, TensorType, evaluate, symbol
from tests.ops.core_cases import FAMILIES, Case, Shape
from tests.ops.core_reference import Impossible, reference

MANY = settings(
    max_examples=int(os.environ.get("ARCHC_EXAMPLES", "100")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def types_of(case: Case) -> list[TensorType]:
    return [TensorType(shape) for shape in case.shapes]


def infer(case: Case, types: list[TensorType]) -> tuple[list[TensorType], list[Condition]]:
    cx = ShapeContext()
    outputs = case.op.infer(cx, *types)
    return [outputs] if isinstance(outputs, TensorType) else list(outputs), cx.conditions


def drawn(weights: tuple[Weight, ...]) -> dict[str, torch.Tensor]:
    return {
        weight.name: torch.ones(weight.shape, dtype=getattr(torch, weight.dtype.value))
        for weight in weights
    }


def run(case: Case) -> list[torch.Tensor] | None:
    """The reference's results, None where there are none."""
    try:
        weights = drawn(case.op.weights(*types_of(case)))
    except (Refusal, IndexError):
        weights = {}
    try:
        result = reference(case.name, case.op, [torch.ones(s) for s in case.shapes], weights)
    except Impossible:
        return None
    return [result] if isinstance(result, torch.Tensor) else list(result)


@pytest.mark.parametrize("family", FAMILIES)
def test_infers_the_shape_that_torch_computes_and_refuses_what_it_cannot(family: str) -> None:
    @MANY
    @given(FAMILIES[family])
    def check(case: Case) -> None:
        expected = run(case)
        try:
            outputs, conditions = infer(case, types_of(case))
        except Refusal as refusal:
            assert expected is None, refusal.message
            return
        assert expected is not None, f"inferred {outputs}"
        assert [output.shape for output in outputs] == [tuple(y.shape) for y in expected]
        assert conditions == []

    check()


def holds(condition: Condition, sizes: dict[str, int]) -> bool:
    left, right = evaluate(condition.left, sizes), evaluate(condition.right, sizes)
    if condition.relation == "equal":
        return left == right
    if condition.relation == "at-least":
        return left >= right
    return left % right == 0


def with_symbols(shapes: tuple[Shape, ...]) -> tuple[list[TensorType], dict[str, int]]:
    """Every size but axis 1 as a symbol of its own."""
    sizes: dict[str, int] = {}
    types = []
    for index, shape in enumerate(shapes):
        dims: list[Dim] = []
        for axis, size in enumerate(shape):
            if axis == 1 or size == 1:
                dims.append(size)
                continue
            name = f"D{axis}_{index}"
            sizes[name] = size
            dims.append(symbol(name))
        types.append(TensorType(tuple(dims)))
    return types, sizes


@pytest.mark.parametrize("family", FAMILIES)
def test_symbolic_shapes_and_conditions_say_what_static_ones_say(family: str) -> None:
    @MANY
    @given(FAMILIES[family])
    def check(case: Case) -> None:
        types, sizes = with_symbols(case.shapes)
        try:
            static = [output.shape for output in infer(case, types_of(case))[0]]
        except Refusal:
            static = None
        try:
            outputs, conditions = infer(case, types)
        except Refusal as refusal:
            assert static is None or refusal.code == "symbolic-weight", refusal.message
            return
        assert all(holds(c, sizes) for c in conditions) == (static is not None), conditions
        if static is not None:
            assert [tuple(evaluate(d, sizes) for d in o.shape) for o in outputs] == static

    check()


@MANY
@given(st.one_of(*FAMILIES.values()))
def test_the_worked_arithmetic_is_right(case: Case) -> None:
    types = types_of(case)
    try:
        outputs, _ = infer(case, types)
    except Refusal:
        return
    seen = {dim for type_ in (*types, *outputs) for dim in type_.shape}
    for line in case.op.explain(*types):
        assert int(line.rpartition(" = ")[2]) in seen

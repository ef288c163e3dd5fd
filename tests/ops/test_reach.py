"""What ops declare to read, against the gradient of torch: which inputs an output depends on."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from math import ceil, floor

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from archc.ops.base import Op, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.reach import UNTRACKED, Reach
from archc.ops.table import OPS
from archc.types import TensorType
from tests.ops import core_cases, core_reference, spatial_cases, spatial_reference

Tensor = torch.Tensor

SOME = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
POSITIONS = 6
BORDERS = {"reflect", "replicate", "circular"}
"""Padding that reads inside of the image what stands outside of it."""

FAMILIES = {**core_cases.FAMILIES, **spatial_cases.FAMILIES}
Run = Callable[[list[Tensor]], list[Tensor]]


def positive(weights: tuple[Weight, ...], generator: torch.Generator) -> dict[str, Tensor]:
    """Positive weights, so that no contribution cancels another."""
    return {
        w.name: 0.5 + torch.rand(w.shape, generator=generator, dtype=torch.float64)
        if w.dtype.is_floating
        else torch.ones(w.shape, dtype=torch.int64)
        for w in weights
    }


def runner(family: str, case, types: list[TensorType]) -> Run:
    weights = positive(case.op.weights(*types), torch.Generator().manual_seed(0))

    def run(inputs: list[Tensor]) -> list[Tensor]:
        if family in spatial_cases.FAMILIES:
            return [spatial_reference.reference(case.op, inputs, weights)]
        result = core_reference.reference(case.name, case.op, inputs, weights)
        return [result] if isinstance(result, Tensor) else list(result)

    return run


def typed(case) -> tuple[list[TensorType], list[TensorType]] | None:
    types = [TensorType(shape) for shape in case.shapes]
    try:
        outputs = case.op.infer(ShapeContext(), *types)
    except Refusal:
        return None
    return types, [outputs] if isinstance(outputs, TensorType) else list(outputs)


def positions(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    every = list(itertools.islice(itertools.product(*map(range, shape)), 500))
    return random.Random(0).sample(every, min(POSITIONS, len(every)))


def bounds(reach: Reach, position: tuple[int, ...]) -> tuple[int, int]:
    assert reach.stride is not None
    (axis,) = reach.axes
    centre = reach.stride * position[axis]
    return ceil(centre + reach.low), floor(centre + reach.high)


def reads_at_borders(op: Op) -> bool:
    modes = {getattr(op, name, None) for name in ("mode", "padding_mode")}
    return bool(modes & BORDERS) or type(op).__name__ == "Resize"


def is_exact(op: Op) -> bool:
    """Whether the declared reach holds nothing but what is read, in the middle of an image."""
    name = type(op).__name__
    if name == "ConvTranspose":
        dilations = op.dilation if isinstance(op.dilation, tuple) else (op.dilation,)
        return all(step == 1 for step in dilations)
    if name == "Resize":
        return op.mode != "bicubic" and not op.align_corners
    return name in {"Conv", "AvgPool", "AdaptiveAvgPool", "Relu", "Permute", "Slice", "Add", "Mul"}


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_read_outside_of_the_declared_reach(family: str) -> None:
    seen = 0

    @SOME
    @given(FAMILIES[family])
    def check(case) -> None:
        nonlocal seen
        found = typed(case)
        if found is None:
            return
        types, outputs = found
        generator = torch.Generator().manual_seed(1)
        inputs = [
            (0.5 + torch.rand(x.shape, generator=generator, dtype=torch.float64)).requires_grad_()
            for x in types
        ]
        results = runner(family, case, types)(inputs)
        reaches = case.op.reach(types, outputs)
        assert len(reaches) == len(types)
        for result, position in [(y, p) for y in results for p in positions(tuple(y.shape))]:
            grads = torch.autograd.grad(
                result[position], inputs, retain_graph=True, allow_unused=True
            )
            for x, reach, grad in zip(types, reaches, grads, strict=True):
                support = torch.zeros(x.shape) if grad is None else grad
                assert_within(case.op, reach, support != 0, position)
                seen += 1

    check()
    assert seen > 20


def assert_within(
    op: Op, reach: tuple[Reach, ...], support: Tensor, position: tuple[int, ...]
) -> None:
    if not reach:
        assert not support.any()
        return
    assert len(reach) == support.ndim
    boxes = {
        axis: bounds(one, position)
        for axis, one in enumerate(reach)
        if one.axes and one.stride is not None
    }
    inside = all(lo >= 0 and hi < support.shape[axis] for axis, (lo, hi) in boxes.items())
    if reads_at_borders(op) and not inside:
        return
    for axis, (lo, hi) in boxes.items():
        read = (
            support.movedim(axis, 0)
            .reshape(support.shape[axis], -1)
            .any(1)
            .nonzero()
            .flatten()
            .tolist()
        )
        assert all(lo <= index <= hi for index in read), (op, axis, position, read, lo, hi)
        if inside and is_exact(op) and lo <= hi and read:
            assert (read[0], read[-1]) == (lo, hi), (op, axis, position, read)


@pytest.mark.parametrize("family", ["flatten", "reshape", "rearrange"])
def test_scattered_axes_depend_on_the_output_axes_named_and_no_others(family: str) -> None:
    seen = 0

    @SOME
    @given(FAMILIES[family])
    def check(case) -> None:
        nonlocal seen
        found = typed(case)
        if found is None:
            return
        types, outputs = found
        (reach,) = case.op.reach(types, outputs)
        numbers = torch.arange(torch.Size(types[0].shape).numel()).reshape(types[0].shape)
        (result,) = runner(family, case, types)([numbers])
        for axis, one in enumerate(reach):
            if one.stride is not None or not one.axes:
                continue
            seen += 1
            stride = numbers.stride(axis)
            along = (result // stride) % types[0].shape[axis]
            others = [i for i in range(result.ndim) if i not in one.axes]
            if others:
                assert torch.equal(along.amin(others), along.amax(others)), case

    check()
    assert seen


@pytest.mark.parametrize("name", OPS)
def test_every_op_declares_its_reach(name: str) -> None:
    assert OPS[name].reach is not Op.reach


def test_unless_declared_nothing_is_claimed() -> None:
    assert Op().reach([TensorType((1, 2))], []) == ((UNTRACKED, UNTRACKED),)

"""Activations, norms, shape ops and joins compute on every target what torch computes."""

from __future__ import annotations

import os
from functools import partial
from math import prod
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.graph import Graph
from archc.ops.conditions import Refusal
from archc.types import TensorType, symbol
from tests.installed import opsets
from tests.ops.core_cases import FAMILIES, MOVING, Case
from tests.ops.core_reference import reference
from tests.ops.harness import assert_parity, layer_graph

SOME = settings(
    max_examples=int(os.environ.get("ARCHC_EXAMPLES", "15")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
OPSETS = opsets(17, 18, 20, 23)


def static_graph(case: Case) -> Graph | None:
    try:
        return layer_graph(case.name, case.op, [TensorType(shape) for shape in case.shapes])
    except Refusal:
        return None


def graph_with_symbols(case: Case, axes: set[int]) -> tuple[Graph | None, dict[str, int]]:
    """The case, if it works, with equal sizes along `axes` as one symbol each where they may be."""
    static = static_graph(case)
    if static is None:
        return None, {}
    sizes: dict[str, int] = {}
    types = []
    for shape in case.shapes:
        dims: list[Any] = list(shape)
        for axis, size in enumerate(shape):
            if axis in axes and size > 1:
                dims[axis] = symbol(f"D{axis}x{size}")
                sizes[f"D{axis}x{size}"] = size
        types.append(TensorType(tuple(dims)))
    try:
        return layer_graph(case.name, case.op, types), sizes
    except Refusal:
        return static, {}


def _few_values(case: Case) -> bool:
    """Whether a norm stands on so few values that their mean may be many times their spread.

    onnxruntime computes `x * (weight / std) + (bias - mean * weight / std)`, which cancels there.
    """
    if case.name not in ("groupnorm", "instancenorm"):
        return False
    groups = case.op.groups if case.name == "groupnorm" else case.shapes[0][1]
    return prod(case.shapes[0][1:]) // groups < 4


@pytest.mark.parametrize("family", FAMILIES)
def test_targets_agree_with_torch(family: str) -> None:
    @SOME
    @given(
        FAMILIES[family],
        st.sets(st.integers(0, 4)),
        st.sampled_from(OPSETS),
        st.integers(0, 2**32 - 1),
        st.sampled_from([0.5, 3.0, 20.0]),
    )
    def check(case: Case, axes: set[int], opset: int, seed: int, scale: float) -> None:
        graph, sizes = graph_with_symbols(case, axes)
        if graph is None or _few_values(case):
            return
        assert_parity(
            graph,
            partial(reference, case.name, case.op),
            sizes=sizes,
            opset=opset,
            seed=seed,
            # onnxruntime's LRN slides its sum over the channels, so that it loses digits where
            # inputs and alpha are much larger than any network has them.
            scale=0.5 if family == "lrn" else scale,
            exact=case.name in MOVING,
        )

    check()

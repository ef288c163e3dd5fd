"""Spatial ops compute on every target what torch computes."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.graph import Graph
from archc.ops.conditions import Refusal
from archc.ops.pool import AvgPool
from archc.ops.resize import Resize
from archc.targets.onnx.emit import emit_onnx
from archc.types import TensorType, symbol
from tests.installed import opsets
from tests.ops.harness import assert_parity, layer_graph
from tests.ops.spatial_cases import FAMILIES, Case
from tests.ops.spatial_reference import reference

SOME = settings(
    max_examples=int(os.environ.get("ARCHC_EXAMPLES", "15")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
OPSETS = opsets(17, 18, 20, 22)
MOVING = {"maxpool", "adaptive_maxpool", "pad", "pad_to"}


def graph_of(case: Case, axes: set[int]) -> tuple[Graph | None, dict[str, int]]:
    """The case with symbols along `axes`, or None if it cannot work."""
    sizes: dict[str, int] = {}
    types = []
    for number, shape in enumerate(case.shapes):
        dims: list[Any] = list(shape)
        for axis in axes - {1}:
            if axis < len(shape):
                dims[axis] = symbol(f"D{axis}x{number}")
                sizes[f"D{axis}x{number}"] = shape[axis]
        types.append(TensorType(tuple(dims)))
    try:
        layer_graph(case.name, case.op, [TensorType(shape) for shape in case.shapes])
        return layer_graph(case.name, case.op, types), sizes
    except Refusal:
        return None, {}


def drift_of(case: Case) -> float:
    """Error, per largest input, that rounding of positions makes.

    torch multiplies by `float(in / out)`, onnxruntime divides by `float(out / in)`: positions
    differ by some `size * 2**-24`, and so do the values between two elements.
    """
    if isinstance(case.op, Resize) and case.op.mode != "nearest":
        return float(max(case.shapes[0][2:])) * 2.0**-22
    return 0.0


def check_parity(case: Case, axes: set[int], opset: int, seed: int) -> None:
    graph, sizes = graph_of(case, axes)
    if graph is None:
        return
    emitted, diagnostics = emit_onnx(graph, opset)
    if emitted is None:
        codes = {diagnostic.code for diagnostic in diagnostics}
        circular = "circular" in (
            getattr(case.op, "padding_mode", ""),
            getattr(case.op, "mode", ""),
        )
        assert (
            codes == {"unsupported-opset"}
            if circular and opset < 19
            else codes == {"unsupported-by-target"}
        )
        assert circular or ("adaptive" in case.name and axes)
        return
    exact = case.name in MOVING or (isinstance(case.op, Resize) and case.op.mode == "nearest")
    assert_parity(
        graph,
        partial(reference, case.op),
        sizes=sizes,
        opset=opset,
        seed=seed,
        exact=exact,
        drift=drift_of(case),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_targets_agree_with_torch(family: str) -> None:
    @SOME
    @given(
        FAMILIES[family],
        st.sets(st.integers(0, 4)),
        st.sampled_from(OPSETS),
        st.integers(0, 2**32 - 1),
    )
    def check(case: Case, axes: set[int], opset: int, seed: int) -> None:
        check_parity(case, axes, opset, seed)

    check()


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("size", [14, 15, 16])
@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 3, 1), (4, 3, 2)])
def test_means_of_windows_that_hang_over(
    kernel: int, stride: int, padding: int, include: bool, size: int, opset: int
) -> None:
    """Padding counts where asked for, and what lies beyond it never."""
    op = AvgPool(
        kernel=kernel, stride=stride, padding=padding, ceil=True, count_include_pad=include
    )
    for axes in (set[int](), {2}):
        check_parity(Case("avgpool", op, ((2, 3, size, 13),)), axes, opset, seed=0)

"""Random networks in fewer bits than float32, held by the gate of their dtype.

`archc verify` does it: the network in torch and, through onnxruntime (of bfloat16, an emulation),
as written or for inference, against the same rounded weights in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

from archc.graph.precision import in_dtype
from archc.parity import verify_graph
from archc.types import DType
from tests.networks.check import compiled
from tests.networks.style import Written

NO_KERNEL = "not implemented for"
"""What torch says of an operator that its CPU has not in a dtype (docs/precision.md)."""


def check_in(dtype: DType, spec: Written, seed: int) -> bool:
    """Hold a network in a dtype; False where torch has no kernel for one of its layers.

    Raises:
        AssertionError: something does not agree.
    """
    graph = in_dtype(compiled(spec), dtype)
    report = verify_graph(graph, batches=[1 + seed % 3], seed=seed, optimize=bool(seed % 2))
    errors = [finding for finding in report.diagnostics if finding.is_error]
    if any(NO_KERNEL in finding.message for finding in errors):
        return False
    assert not errors, errors[0].message
    layer = report.divergence.layer if report.divergence else None
    place = f" at {layer.node.path}" if layer is not None else ""
    for item in report.comparisons:
        said = item.problem or f"error {item.ort_error:.2e} over {item.limit:.2e}"
        assert item.ok, f"{dtype.value}, optimized={item.optimized}: {item.output}: {said}{place}"
    return True


def examine_in(
    dtype: DType, networks: Sequence[tuple[int, Written]]
) -> tuple[dict[int, str], list[int]]:
    """Check networks: number -> what is wrong, and the numbers of those that torch cannot run."""
    wrong: dict[int, str] = {}
    refused: list[int] = []
    for number, spec in networks:
        try:
            if not check_in(dtype, spec, number):
                refused.append(number)
        except Exception as error:
            wrong[number] = f"{type(error).__name__}: {error}"
    return wrong, refused

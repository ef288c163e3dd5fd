"""What the installed onnx and onnxruntime take, for tests that ask for more than the oldest do."""

from __future__ import annotations

import pytest
import torch

from archc.targets.onnx.opsets import opset_supported
from archc.types import DType


def opsets(*wanted: int) -> list[int]:
    """Those of the operator sets that can be written and run here, to draw from."""
    return [opset for opset in wanted if opset_supported(opset)]


def needs_opset(opset: int) -> pytest.MarkDecorator:
    """Skips a test where the installed onnx or onnxruntime does not take the operator set."""
    reason = f"the installed onnx and onnxruntime do not take opset {opset}"
    return pytest.mark.skipif(not opset_supported(opset), reason=reason)


HALVES = [
    pytest.param(DType.FLOAT16, id="float16"),
    pytest.param(DType.BFLOAT16, id="bfloat16", marks=needs_opset(22)),
]
"""Dtypes of fewer bits than float32, as parameters of a test."""


def exact_near_zero() -> bool:
    """Whether torch's ELU is exact near 0: that of torch 2.6 takes `exp(x) - 1`."""
    x = torch.tensor([-1e-4])
    return abs(float(torch.nn.functional.elu(x) / x.double().expm1()) - 1) < 1e-6


def each_opset(*wanted: int) -> list[object]:
    """Operator sets as parameters of a test, those skipped that are not taken here."""
    return [pytest.param(opset, marks=needs_opset(opset)) for opset in wanted]

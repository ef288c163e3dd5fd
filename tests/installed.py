"""What the installed onnx and onnxruntime take, for tests that ask for more than the oldest do."""

from __future__ import annotations

import pytest

from archc.targets.onnx.opsets import opset_supported


def opsets(*wanted: int) -> list[int]:
    """Those of the operator sets that can be written and run here, to draw from."""
    return [opset for opset in wanted if opset_supported(opset)]


def needs_opset(opset: int) -> pytest.MarkDecorator:
    """Skips a test where the installed onnx or onnxruntime does not take the operator set."""
    reason = f"the installed onnx and onnxruntime do not take opset {opset}"
    return pytest.mark.skipif(not opset_supported(opset), reason=reason)


def each_opset(*wanted: int) -> list[object]:
    """Operator sets as parameters of a test, those skipped that are not taken here."""
    return [pytest.param(opset, marks=needs_opset(opset)) for opset in wanted]

"""ONNX written directly from the typed graph: no tracing, no torch.

Importing this package imports numpy; import it where a model is written.
"""

from __future__ import annotations

from archc.targets.onnx.emit import OnnxModel, emit_onnx
from archc.targets.onnx.inference import for_inference
from archc.targets.onnx.opsets import DEFAULT_OPSET, MIN_OPSET, max_opset
from archc.targets.onnx.writer import WrittenOnnx, onnx_bytes, write_onnx

__all__ = [
    "DEFAULT_OPSET",
    "MIN_OPSET",
    "OnnxModel",
    "WrittenOnnx",
    "emit_onnx",
    "for_inference",
    "max_opset",
    "onnx_bytes",
    "write_onnx",
]

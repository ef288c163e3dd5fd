"""Models in 8-bit integers, made by onnxruntime's own quantiser, and what that costs in accuracy.

numpy, onnx and onnxruntime are imported by what uses them.
"""

from __future__ import annotations

from archc.quantization.change import Change, OutputChange, change_lines, measured
from archc.quantization.quantiser import Quantized, quantize_model
from archc.quantization.samples import Samples, read_samples

__all__ = [
    "Change",
    "OutputChange",
    "Quantized",
    "Samples",
    "change_lines",
    "measured",
    "quantize_model",
    "read_samples",
]

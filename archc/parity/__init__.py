"""Proof that two targets compute the same: torch, torch in float64, and onnxruntime.

torch, onnx and onnxruntime are imported by what uses them.
"""

from __future__ import annotations

from archc.parity.gate import FACTOR, FLOOR, Comparison, compare, scaled_error
from archc.parity.report import Report, failure, report_lines
from archc.parity.sizes import BATCHES, choose_sizes, draw_inputs
from archc.parity.verify import run_torch, verify_graph

__all__ = [
    "BATCHES",
    "FACTOR",
    "FLOOR",
    "Comparison",
    "Report",
    "choose_sizes",
    "compare",
    "draw_inputs",
    "failure",
    "report_lines",
    "run_torch",
    "scaled_error",
    "verify_graph",
]

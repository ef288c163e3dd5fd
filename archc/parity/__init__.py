"""Proof that two networks compute the same, and where they do not.

torch, torch in float64, and onnxruntime (or whatever a spec is compared with) are given the same
weights and inputs. torch, onnx and onnxruntime are imported by what uses them.
"""

from __future__ import annotations

from archc.parity.against import verify_spec
from archc.parity.divergence import Difference, Divergence, LayerErrors
from archc.parity.draws import DRAWS, draw_inputs
from archc.parity.gate import FACTOR, FLOOR, Comparison, compare, scaled_error
from archc.parity.report import Report, failures, report_data, report_lines
from archc.parity.sizes import BATCHES, choose_sizes
from archc.parity.verify import run_torch, verify_graph

__all__ = [
    "BATCHES",
    "DRAWS",
    "FACTOR",
    "FLOOR",
    "Comparison",
    "Difference",
    "Divergence",
    "LayerErrors",
    "Report",
    "choose_sizes",
    "compare",
    "draw_inputs",
    "failures",
    "report_data",
    "report_lines",
    "run_torch",
    "scaled_error",
    "verify_graph",
    "verify_spec",
]

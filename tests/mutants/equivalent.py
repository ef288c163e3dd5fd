"""Mutants that no test can kill, because they change nothing: each with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.mutants.changes import Mutant
from tests.mutants.mutate import COMPUTED

_SUM = re.compile(r"\{\d\}( \+ \{\d\})+")
_PRODUCT = re.compile(r"\{\d\}( \* \{\d\})+")

GATHERING = (
    "adaptive_pool.py:AdaptiveMaxPool._uneven",
    "nearest.py:gather_nearest",
    "parts.py:Select.to_onnx",
    "recurrent.py:_Recurrent._stacked",
    "window.py:WindowMerge.to_onnx",
    "window.py:WindowPartition.to_onnx",
)
"""Functions whose only constants are what a Gather reads by."""

CONSTANT = ("pad_to", "window_partition", "maxpool", "avgpool", "conv_transpose")
"""Ops that pad with a constant only."""

Rule = tuple[Callable[[Mutant], bool], str]


def _is(mutant: Mutant, method: str, head: str, change: str, slot: str) -> bool:
    return (mutant.method, mutant.change, mutant.slot) == (method, change, slot) and (
        mutant.head in head.split()
    )


def _inserts_axes(mutant: Mutant) -> bool:
    """Whether a constant is what an Unsqueeze inserts axes by."""
    named = mutant.source.startswith("axes = ")
    return mutant.method == "onnx.constant" and (named or 'g.op("Unsqueeze"' in mutant.source)


RULES: list[Rule] = [
    (
        lambda m: m.change == "swap" and bool(_SUM.fullmatch(m.head) or _PRODUCT.fullmatch(m.head)),
        "sums and products do not depend on the order of their operands",
    ),
    (
        lambda m: (
            m.change == "swap"
            and m.head == COMPUTED
            and m.op in ("add", "add_param", "mul", "mul_param")
        ),
        "sums and products do not depend on the order of their operands",
    ),
    (
        lambda m: m.change == "change" and m.slot == "dtype" and m.function in GATHERING,
        "Gather takes rows by integers of 32 bits as well",
    ),
    (
        lambda m: _is(m, "onnx.op", "Slice", "omit", "3") and m.op == "add_positions",
        "ONNX slices the first axes where none are given, and the table is cut along its first",
    ),
    (
        lambda m: _is(m, "onnx.op", "Conv ConvTranspose", "drop", "kernel_shape"),
        "ONNX takes the kernel's shape from the weight where it is not given",
    ),
    (
        lambda m: _is(m, "onnx.op", "Pad", "omit", "2"),
        "ONNX pads with zeros where no value is given; another value would have been noticed",
    ),
    (
        lambda m: _is(m, "onnx.op", "Softmax LogSoftmax", "drop", "axis"),
        "the last axis is ONNX's default",
    ),
    (
        lambda m: _is(m, "onnx.op", "Transpose", "drop", "perm") and m.op == "linear",
        "ONNX reverses the axes where no order is given, and of a matrix that is its transpose",
    ),
    (
        lambda m: m.change == "reverse" and (m.slot == "axes" or m.function == "forms.py:reduce"),
        "axes are reduced together, in no order",
    ),
    (
        lambda m: _is(m, "torch.expr", "{0}.mean({dims})", "reverse", "dims"),
        "axes are reduced together, in no order",
    ),
    (
        lambda m: _is(m, "onnx.op", "ReduceMean ReduceMax ReduceL2", "drop", "keepdims"),
        "kept axes are ONNX's default; where they are not kept this is noticed",
    ),
    (
        lambda m: _is(m, "onnx.op", "Flatten", "drop", "axis"),
        "the axis 1 is ONNX's default; another start is noticed",
    ),
    (
        lambda m: _is(m, "onnx.op", "HardSigmoid", "drop", "beta"),
        "0.5 is ONNX's default",
    ),
    (
        lambda m: _is(m, "onnx.op", "Pad", "drop", "mode") and m.op in CONSTANT,
        "constant padding is ONNX's default",
    ),
    (
        lambda m: (
            m.op.startswith("adaptive_")
            and m.head in ("MaxPool", "AveragePool")
            and m.slot in ("pads", "ceil_mode", "count_include_pad")
        ),
        "bins of equal size have no padding, and none is ONNX's default",
    ),
    (
        lambda m: m.op.startswith("adaptive_") and m.function == "forms.py:reshape",
        "this is passed on the way to a refusal only: bins of an open size",
    ),
    (
        lambda m: _is(m, "onnx.op", "Gather", "drop", "axis"),
        "the first axis is ONNX's default",
    ),
    (
        lambda m: _is(m, "onnx.op", "LayerNormalization", "drop", "axis") and m.op == "layernorm2d",
        "the last axis is ONNX's default",
    ),
    (
        lambda m: _is(m, "onnx.op", "AveragePool", "drop", "strides") and m.op == "lrn",
        "a step of 1 is ONNX's default",
    ),
    (
        lambda m: _is(m, "onnx.op", "Trilu", "drop", "upper"),
        "the upper half is ONNX's default",
    ),
    (
        lambda m: (
            _is(m, "onnx.op", "Resize", "drop", "cubic_coeff_a")
            or _is(m, "onnx.op", "Resize", "drop", "exclude_outside")
        ),
        "-0.75 and 0 are ONNX's defaults",
    ),
    (
        lambda m: m.change == "swap" and (m.head == "And" or "torch.logical_and" in m.head),
        "a conjunction does not depend on the order of its operands",
    ),
    (
        lambda m: (
            _is(m, "onnx.op", "Concat", "swap", "0")
            and m.function == "recurrent.py:_Recurrent._node"
            and m.op in ("lstm", "rnn")
        ),
        "the two biases are added; only the gates of a GRU keep them apart",
    ),
    (
        lambda m: (
            m.slot == "type" and m.function == "recurrent.py:_Recurrent.to_onnx.<locals>.<genexpr>"
        ),
        "the type of a layer's own result is the graph's, whatever its node declares",
    ),
    (
        lambda m: m.change == "reverse" and m.slot == "values" and _inserts_axes(m),
        "axes are inserted together, in no order",
    ),
    (
        lambda m: _is(m, "onnx.op", "Squeeze", "omit", "1") and m.function == "rope.py:Rope._turns",
        "ONNX removes all axes of size 1 where none are named, and this value has one axis",
    ),
    (
        lambda m: (
            (m.change, m.slot) == ("change", "values")
            and m.function == "attention_forms.py:mask_terms.<locals>.<genexpr>"
        ),
        "a softmax is the same with one number added to all that is seen; any so low hides",
    ),
    (
        lambda m: (
            m.function == "nearest.py:_runtime_index"
            and (m.head, m.change) in (("Sub", "replace"), ("Min", "omit"))
        ),
        "rounding leads beyond the last element only on an axis of 2**23 or more",
    ),
]


def why(mutant: Mutant) -> str:
    """Why a mutant is no fault; empty if nothing is known."""
    return next((reason for applies, reason in RULES if applies(mutant)), "")

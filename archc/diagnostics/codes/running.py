"""Codes about running what was built, and about comparing the results."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry

RUNNING = (
    entry(
        "bad-model",
        "The file is not a model that can be run",
        """
        ONNX Runtime cannot load the file: it is no ONNX model, it is cut off, its second file
        with the weights is missing, or it needs a newer runtime. A model that `archc build` has
        written and that fails here is a fault of archc; please report it with the spec.
        """,
        needs="a file that is no ONNX model",
    ),
    entry(
        "bad-input-file",
        "The input cannot be read",
        """
        Inputs are `.npy` arrays or images, of the shape and dtype that the model declares.
        """,
        needs="a file that is neither an array nor an image",
    ),
    entry(
        "run-failed",
        "The model cannot be run on this input",
        """
        ONNX Runtime refused the input or failed on it. Sizes that the model leaves open may be
        too small for it, or may break a condition that its shapes depend on.
        """,
        needs="an input of a size that the model does not take",
    ),
    entry(
        "parity-failed",
        "Two targets compute different results",
        """
        The same weights and inputs went through PyTorch and through ONNX Runtime, and the results
        differ by more than rounding explains (both are compared with the same network in double
        precision). This is a fault of archc or of a runtime, not of the spec; please report it
        with the spec.
        """,
        needs="`archc verify` and a target at fault",
    ),
)

"""Codes about targets: what a chosen output format cannot hold."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry

TARGETS = (
    entry(
        "no-preprocess",
        "There is no preprocessing to compile into the model",
        """
        `--with-preprocess` puts what `preprocess` of the spec says before the network, so that the
        model takes images of uint8. The spec has to say it, and the input has to be float32.
        """,
        needs="`--with-preprocess` and a spec without `preprocess`",
    ),
    entry(
        "unsupported-opset",
        "The chosen ONNX opset cannot carry this layer",
        """
        The operator, or the form of it that is exact for this layer, came into ONNX with a later
        opset. Build with the opset that the message names, or leave `--opset` away: archc then
        takes its default. An inexact substitute is never written.
        """,
        needs="`--opset` and a number that is too low or unknown",
    ),
    entry(
        "unsupported-by-target",
        "The target cannot express this layer",
        """
        The layer is well defined, but the chosen target has no exact form for it. Other targets
        may have one.
        """,
        needs="a target that lacks the op",
    ),
    entry(
        "model-too-large",
        "The model does not fit into the chosen format",
        """
        A single ONNX file is limited to 2 GiB by its encoding. Larger models keep their weights
        in a second file beside it.
        """,
        needs="a model of more than 2 GiB",
    ),
    entry(
        "missing-extra",
        "This needs a package that is not installed",
        """
        archc reads, checks and builds ONNX without PyTorch. What runs PyTorch or draws images
        needs an extra: `pip install 'archc[torch]'` or `pip install 'archc[image]'`.
        """,
        needs="an environment without the optional package",
    ),
    entry(
        "too-many-parameters",
        "The network has more parameters than may be built",
        """
        Weights are drawn and written as numbers, so a slip of the pen (`linear: 1000000000`) would
        fill the disk. The sum is worked out before anything is allocated, and refused beyond a
        limit that no spec can raise: only `--max-parameters` of `archc build` does.
        """,
        needs="`archc build` of a network of more than 10,000,000,000 parameters",
    ),
)

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
        precision). Without `--against` this is a fault of archc or of a runtime, not of the spec;
        please report it with the spec. With `--against` the network that was named there is not
        the one of the spec.
        """,
        needs="`archc verify` and a target at fault",
    ),
    entry(
        "layer-diverges",
        "The first layer that computes something else",
        """
        Every layer was run alone, on the inputs that PyTorch feeds it, and this is the first
        whose result differs by more than rounding explains. The local error is that of the layer
        alone, the propagated one that of the network so far. Where an attribute or a weight
        differs, it is named, and the place is the attribute's.
        """,
        needs="`archc verify` and a target, or a network of somebody else's, that differs",
    ),
    entry(
        "interface-mismatch",
        "The networks to be compared take or return other tensors",
        """
        What `--against` names has other inputs or outputs than the spec, or fails on inputs of
        the shapes that the spec declares. Outputs are matched by name, or by their order where
        the names differ.
        """,
        needs="`archc verify --against` and a network of another interface",
    ),
    entry(
        "bad-module",
        "The Python file makes no torch module",
        """
        `--against module.py:name` executes the file and takes `name` from it: a `torch.nn.Module`,
        or a class or function that takes no arguments and yields one.
        """,
        needs="`archc verify --against` and a file without such a module",
    ),
)

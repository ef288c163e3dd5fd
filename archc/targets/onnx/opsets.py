"""Which operator sets can be written, and the IR version that carries them."""

from __future__ import annotations

import re
from functools import cache

from archc.types import DType

DEFAULT_OPSET = 20
_BFLOAT16_OPSET = 22  # where convolutions, pools and most activations took it
MIN_OPSET = 17  # LayerNormalization appeared; older runtimes are out of support

_MIN_IR = 10  # the first whose nodes have metadata_props
_SURELY_KNOWN = 21  # known to the oldest onnx and onnxruntime that archc accepts


def default_opset(dtype: DType) -> int:
    """The opset that is written unless another one is asked for."""
    return _BFLOAT16_OPSET if dtype is DType.BFLOAT16 else DEFAULT_OPSET


@cache
def max_opset() -> int:
    """The highest opset that the installed onnx and onnxruntime both know."""
    return min(defined_opset(), _runtime_opset(defined_opset()))


def defined_opset() -> int:
    """The highest opset that the installed onnx defines, whether or not onnxruntime takes it."""
    import onnx

    return int(onnx.defs.onnx_opset_version())


def opset_supported(opset: int) -> bool:
    """Whether models can be written in an opset.

    onnxruntime is asked (and imported) only for opsets that an old one may not know.
    """
    if opset < MIN_OPSET:
        return False
    return opset <= _SURELY_KNOWN or opset <= max_opset()


def ask_for(opset: int) -> str:
    """How to get an operator set that onnx defines, as the help of a diagnostic."""
    if opset_supported(opset):
        return f"--opset {opset}"
    return f"install an onnxruntime that takes opset {opset}: this one takes up to {max_opset()}"


def ir_version(opset: int) -> int:
    """The lowest IR version that carries the opset and the metadata of nodes."""
    if opset <= _SURELY_KNOWN:
        return _MIN_IR
    import onnx

    id_ = onnx.helper.make_opsetid("", opset)
    return max(_MIN_IR, int(onnx.helper.find_min_ir_version_for([id_])))


def _runtime_opset(wanted: int) -> int:
    """The highest opset up to `wanted` that onnxruntime loads.

    It has no function that says so; its error names the number.
    """
    import onnxruntime

    model = _identity_model(wanted)
    try:
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no documented base
        found = re.search(r"till opset (\d+)", str(error))
        return int(found.group(1)) if found else _SURELY_KNOWN
    return wanted


def _identity_model(opset: int) -> bytes:
    import onnx

    float_ = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [1])
    x, y = (onnx.helper.make_value_info(name, float_) for name in ("x", "y"))
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "probe", [x], [y])
    # The IR version stays low: an older runtime must complain about the opset, which it names.
    model = onnx.helper.make_model(
        graph, ir_version=_MIN_IR, opset_imports=[onnx.helper.make_opsetid("", opset)]
    )
    return bytes(model.SerializeToString())

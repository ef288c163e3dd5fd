"""Whether the operators of a graph take the dtypes that it feeds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archc.diagnostics import Diagnostic
from archc.targets.onnx.builder import OnnxNode
from archc.targets.onnx.layer import located
from archc.targets.onnx.opsets import ask_for, defined_opset
from archc.types import DType

_NAMES = {DType.FLOAT16: "tensor(float16)", DType.BFLOAT16: "tensor(bfloat16)"}


def untaken_dtypes(
    nodes: list[OnnxNode], dtypes: Mapping[str, DType], opset: int
) -> Iterator[Diagnostic]:
    """What operators do not take in this opset, one finding for each kind of layer.

    float32 is taken by all that archc writes; bfloat16 came operator by operator.

    Args:
        nodes: of the graph.
        dtypes: of its values, by name.
        opset: version of the default operator set.
    """
    told: set[str] = set()
    for node in nodes:
        for index, name in enumerate(node.inputs):
            dtype = dtypes.get(name)
            if dtype not in _NAMES or node.layer is None or node.layer.op_name in told:
                continue
            if _takes(node.op_type, index, _NAMES[dtype], opset):
                continue
            told.add(node.layer.op_name)
            later = range(opset + 1, defined_opset() + 1)
            least = next((n for n in later if _takes(node.op_type, index, _NAMES[dtype], n)), None)
            what = f"`{node.layer.op_name}` in {dtype.value}"
            if least is None:
                message = f"{what}: ONNX's {node.op_type} does not take it"
                yield located(node.layer, "unsupported-by-target", message)
            else:
                message = f"{what} needs ONNX opset {least}, not {opset}: {node.op_type} takes it"
                message += " from there on"
                yield located(node.layer, "unsupported-opset", message, help=[ask_for(least)])


def _takes(op_type: str, index: int, dtype: str, opset: int) -> bool:
    """Whether an operator takes a dtype as its input number `index`."""
    import onnx

    schema = onnx.defs.get_schema(op_type, opset)
    declared = schema.inputs[min(index, len(schema.inputs) - 1)].type_str
    for constraint in schema.type_constraints:
        if constraint.type_param_str == declared:
            return dtype in list(constraint.allowed_type_strs)
    return bool(declared == dtype)

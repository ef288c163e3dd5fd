"""bfloat16 models in onnxruntime, whose CPU has no kernels for them.

Each node computes in float32 and its results are rounded to bfloat16, which is what onnxruntime
does with float16 nodes that it has no kernel for. Weights and constants are those of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from archc.weights.bfloat16 import bfloat16_values

if TYPE_CHECKING:
    import onnx

_EXACT, _ROUNDED = "/exact", "/rounded"
"""End of a result's name before it is rounded, and of the bfloat16 between."""


def is_rounding(node: onnx.NodeProto) -> bool:
    """Whether a node is there to round another's result."""
    ends = (node.input[0].endswith(_EXACT), node.input[0].endswith(_ROUNDED)) if node.input else ()
    return node.op_type == "Cast" and not node.name and any(ends)


def rounded_name(name: str) -> str:
    """The name of a node's result when it is rounded."""
    return name.removesuffix(_EXACT)


def emulated(model: Path, folder: Path) -> Path:
    """Write a model that computes in float32 what a bfloat16 model says, rounding every result.

    Its inputs and outputs are float32 and hold numbers of bfloat16.

    Args:
        model: the bfloat16 model.
        folder: where the other one is written.
    """
    import onnx

    proto = onnx.load(model)
    graph = proto.graph
    short = {
        info.name
        for info in (*graph.value_info, *graph.output)
        if info.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16
    }
    for weight in graph.initializer:
        if weight.data_type == onnx.TensorProto.BFLOAT16:
            _widen(weight)
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16:
            info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    del graph.value_info[:]
    nodes = [part for node in graph.node for part in _rounded(node, short)]
    del graph.node[:]
    graph.node.extend(nodes)
    path = folder / "emulated.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="emulated.onnx.data")
    return path


def _widen(weight: onnx.TensorProto) -> None:
    import numpy as np
    import onnx

    values = bfloat16_values(np.frombuffer(weight.raw_data, dtype="<u2"))
    weight.raw_data = values.astype("<f4").tobytes()
    weight.data_type = onnx.TensorProto.FLOAT


def _rounded(node: onnx.NodeProto, short: set[str]) -> Iterable[onnx.NodeProto]:
    """The node, its attributes in float32, and what rounds its bfloat16 results."""
    import onnx

    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.i == onnx.TensorProto.BFLOAT16:
            attribute.i = onnx.TensorProto.FLOAT
    results = [name for name in node.output if name in short]
    for index, name in enumerate(node.output):
        if name in short:
            node.output[index] = name + _EXACT
    yield node
    for name in results:
        to = {"to": onnx.TensorProto.BFLOAT16}
        yield onnx.helper.make_node("Cast", [name + _EXACT], [name + _ROUNDED], **to)
        to = {"to": onnx.TensorProto.FLOAT}
        yield onnx.helper.make_node("Cast", [name + _ROUNDED], [name], **to)

"""Protobuf messages of a model: everything but the weights' data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

import onnx

from archc.diagnostics import Span
from archc.graph.graph import Graph, Node, Value
from archc.ops.base import OnnxAttribute
from archc.ops.conditions import Condition
from archc.targets.onnx.builder import GraphBuilder, OnnxNode
from archc.targets.onnx.opsets import ir_version
from archc.types import DType, TensorType, format_dim, is_static
from archc.version import __version__

DATA_TYPES: dict[DType, int] = {
    DType.FLOAT32: onnx.TensorProto.FLOAT,
    DType.FLOAT64: onnx.TensorProto.DOUBLE,
    DType.FLOAT16: onnx.TensorProto.FLOAT16,
    DType.BFLOAT16: onnx.TensorProto.BFLOAT16,
    DType.INT64: onnx.TensorProto.INT64,
    DType.INT32: onnx.TensorProto.INT32,
    DType.INT8: onnx.TensorProto.INT8,
    DType.UINT8: onnx.TensorProto.UINT8,
    DType.BOOL: onnx.TensorProto.BOOL,
}

_RELATIONS = {"equal": "{} == {}", "at-least": "{} >= {}", "divisible": "{} % {} == 0"}


def model_proto(
    graph: Graph,
    layers: Sequence[Node],
    outputs: Mapping[str, Value],
    builder: GraphBuilder,
    opset: int,
) -> onnx.ModelProto:
    """The model without its weights.

    Args:
        graph: the network.
        layers: those exported.
        outputs: name -> value, those exported.
        builder: its nodes.
        opset: version of the default operator set.
    """
    model = onnx.ModelProto(
        ir_version=ir_version(opset),
        producer_name="archc",
        producer_version=__version__,
        doc_string=graph.doc,
        opset_import=[onnx.OperatorSetIdProto(domain="", version=opset)],
    )
    _add_metadata(model, _model_metadata(graph, layers))
    proto = model.graph
    proto.name = graph.name
    proto.node.extend(_node_proto(node) for node in builder.nodes)
    proto.input.extend(_value_info(value.name, value.type) for value in graph.inputs)
    proto.output.extend(_value_info(name, value.type) for name, value in outputs.items())
    proto.value_info.extend(
        _value_info(name, type_) for name, type_ in builder.types.items() if name not in outputs
    )
    for constant in builder.constants.values():
        proto.initializer.append(tensor_proto(constant.name, constant.type))
        proto.initializer[-1].raw_data = constant.data
    return model


def tensor_proto(name: str, type_: TensorType) -> onnx.TensorProto:
    """An initializer without data."""
    return onnx.TensorProto(
        dims=[dim for dim in type_.shape if is_static(dim)],
        data_type=DATA_TYPES[type_.dtype],
        name=name,
    )


def _node_proto(node: OnnxNode) -> onnx.NodeProto:
    proto = onnx.NodeProto(
        op_type=node.op_type, name=node.name, input=node.inputs, output=node.outputs
    )
    for name, value in sorted(node.attributes.items()):
        proto.attribute.append(_attribute_proto(name, value))
    if node.layer is not None:
        span = node.layer.span
        metadata = {
            "archc.layer": node.layer.path,
            "archc.spec": _base_name(span),
            "archc.line": str(span.line),
        }
        _add_metadata(proto, metadata)
    return proto


def _attribute_proto(name: str, value: OnnxAttribute) -> onnx.AttributeProto:
    proto = onnx.AttributeProto(name=name)
    if isinstance(value, int):
        proto.type, proto.i = onnx.AttributeProto.INT, value
    elif isinstance(value, float):
        proto.type, proto.f = onnx.AttributeProto.FLOAT, value
    elif isinstance(value, str):
        proto.type, proto.s = onnx.AttributeProto.STRING, value.encode()
    elif any(isinstance(item, str) for item in value):
        proto.type = onnx.AttributeProto.STRINGS
        proto.strings.extend(str(item).encode() for item in value)
    elif any(isinstance(item, float) for item in value):
        proto.type = onnx.AttributeProto.FLOATS
        proto.floats.extend(value)
    else:
        proto.type = onnx.AttributeProto.INTS
        proto.ints.extend(value)
    return proto


def _value_info(name: str, type_: TensorType) -> onnx.ValueInfoProto:
    proto = onnx.ValueInfoProto(name=name)
    tensor = proto.type.tensor_type
    tensor.elem_type = DATA_TYPES[type_.dtype]
    tensor.shape.SetInParent()  # rank 0 is a known shape too
    for dim in type_.shape:
        if is_static(dim):
            tensor.shape.dim.add().dim_value = dim
        else:
            tensor.shape.dim.add().dim_param = format_dim(dim)
    return proto


def _model_metadata(graph: Graph, layers: Sequence[Node]) -> dict[str, str]:
    root = graph.scopes.get("")
    entries = {
        "archc.version": __version__,
        "archc.model": graph.name,
        "archc.doc": graph.doc,
        "archc.spec": _base_name(root.span) if root else "",
        "archc.preconditions": "\n".join(_preconditions(layers)),
        "archc.sizes": _sizes(graph),
        "archc.preprocess": _preprocess(graph),
    }
    return {key: text for key, text in entries.items() if text}


def _sizes(graph: Graph) -> str:
    """Which sizes of each symbolic dim work, as JSON; empty when all do."""
    if not graph.sizes:
        return ""
    return json.dumps({name: sizes.as_data() for name, sizes in sorted(graph.sizes.items())})


def _preprocess(graph: Graph) -> str:
    """What makes each input of an image, as JSON."""
    if not graph.preprocess:
        return ""
    return json.dumps({name: steps.as_data() for name, steps in graph.preprocess.items()})


def _preconditions(layers: Sequence[Node]) -> Iterable[str]:
    """What must hold of the symbolic dims, each once: `H % 2 == 0`."""
    conditions = (condition for node in layers for condition in node.conditions)
    return dict.fromkeys(_condition_text(condition) for condition in conditions)


def _condition_text(condition: Condition) -> str:
    left, right = format_dim(condition.left), format_dim(condition.right)
    if condition.relation == "divisible" and not left.isidentifier():
        left = f"({left})"
    return _RELATIONS[condition.relation].format(left, right)


def _base_name(span: Span) -> str:
    """The spec's file name without its folders, which differ from machine to machine."""
    return PurePath(span.source.name.replace("\\", "/")).name


def _add_metadata(proto: onnx.ModelProto | onnx.NodeProto, entries: Mapping[str, str]) -> None:
    for key, text in entries.items():
        proto.metadata_props.add(key=key, value=text)

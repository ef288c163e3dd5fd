"""A model as onnx.proto defines it: everything but the weights' data.

Fields stand in the order of their numbers, as protobuf writes them.
Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePath

from archc.graph.graph import Graph, Node, Value
from archc.ops.base import OnnxAttribute
from archc.ops.conditions import Condition
from archc.ops.forms import DATA_TYPES
from archc.records import dataclass
from archc.targets.onnx.builder import GraphBuilder, OnnxNode
from archc.targets.onnx.opsets import ir_version
from archc.targets.onnx.wire import content, frame, integer, single, text
from archc.types import TensorType, format_dim, is_static
from archc.version import __version__

_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9
_FLOAT, _INT, _STRING, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 6, 7, 8  # AttributeProto.AttributeType
_EXTERNAL = 1  # TensorProto.DataLocation

_RELATIONS = {"equal": "{} == {}", "at-least": "{} >= {}", "divisible": "{} % {} == 0"}


@dataclass(frozen=True, slots=True)
class ModelBytes:
    """A model as bytes, without its weights.

    Attributes:
        outer: the fields of the ModelProto but for its graph.
        graph: the GraphProto; initializers may be appended.
    """

    outer: bytes
    graph: bytes

    def framed(self, more: int) -> bytes:
        """The model up to the end of its graph, of which `more` bytes are to follow."""
        return self.outer + frame(_MODEL_GRAPH, len(self.graph) + more) + self.graph


def model_bytes(
    graph: Graph,
    layers: Sequence[Node],
    outputs: Mapping[str, Value],
    builder: GraphBuilder,
    opset: int,
) -> ModelBytes:
    """The model without its weights.

    Args:
        graph: the network.
        layers: those exported.
        outputs: name -> value, those exported.
        builder: its nodes.
        opset: version of the default operator set.
    """
    outer = [
        integer(1, ir_version(opset)),
        text(2, "archc"),
        text(3, __version__),
        text(6, graph.doc),
        content(8, text(1, "") + integer(2, opset)),
        *_metadata(14, _model_metadata(graph, layers)),
    ]
    inner = [content(1, _node(node)) for node in builder.nodes]
    inner.append(text(2, graph.name))
    for constant in builder.constants.values():
        header = tensor_header(constant.name, constant.type)
        inner.append(initializer(header + content(_TENSOR_RAW_DATA, constant.data)))
    inner += (content(11, _value_info(value.name, value.type)) for value in graph.inputs)
    inner += (content(12, _value_info(name, value.type)) for name, value in outputs.items())
    inner += (
        content(13, _value_info(name, type_))
        for name, type_ in builder.types.items()
        if name not in outputs
    )
    return ModelBytes(b"".join(outer), b"".join(inner))


def initializer(tensor: bytes) -> bytes:
    """A TensorProto as a field of the graph."""
    return content(_GRAPH_INITIALIZER, tensor)


def inline_initializer(name: str, type_: TensorType, size: int) -> bytes:
    """What stands before `size` bytes of raw data of an initializer, its last field."""
    header = tensor_header(name, type_) + frame(_TENSOR_RAW_DATA, size)
    return frame(_GRAPH_INITIALIZER, len(header) + size) + header


def external_initializer(name: str, type_: TensorType, place: Mapping[str, str]) -> bytes:
    """An initializer whose data stand in another file."""
    entries = b"".join(_metadata(13, place))
    return initializer(tensor_header(name, type_) + entries + integer(14, _EXTERNAL))


def tensor_header(name: str, type_: TensorType) -> bytes:
    """The TensorProto of an initializer up to its data."""
    dims = (integer(1, dim) for dim in type_.shape if is_static(dim))
    return b"".join(dims) + integer(2, DATA_TYPES[type_.dtype]) + text(8, name)


def _node(node: OnnxNode) -> bytes:
    parts = [text(1, name) for name in node.inputs]
    parts += (text(2, name) for name in node.outputs)
    parts += (text(3, node.name), text(4, node.op_type))
    parts += (content(5, _attribute(*item)) for item in sorted(node.attributes.items()))
    if node.layer is not None:
        span = node.layer.span
        metadata = {
            "archc.layer": node.layer.path,
            "archc.spec": _base_name(span.source.name),
            "archc.line": str(span.line),
        }
        parts += _metadata(9, metadata)
    return b"".join(parts)


def _attribute(name: str, value: OnnxAttribute) -> bytes:
    start = text(1, name)
    if isinstance(value, int):
        return start + integer(3, value) + integer(20, _INT)
    if isinstance(value, float):
        return start + single(2, value) + integer(20, _FLOAT)
    if isinstance(value, str):
        return start + text(4, value) + integer(20, _STRING)
    if any(isinstance(item, str) for item in value):
        return b"".join([start, *(text(9, str(item)) for item in value), integer(20, _STRINGS)])
    if any(isinstance(item, float) for item in value):
        return b"".join([start, *(single(7, float(item)) for item in value), integer(20, _FLOATS)])
    return b"".join([start, *(integer(8, int(item)) for item in value), integer(20, _INTS)])


def _value_info(name: str, type_: TensorType) -> bytes:
    return text(1, name) + _type(type_)


@lru_cache(maxsize=4096)
def _type(type_: TensorType) -> bytes:
    """The field of a value's type."""
    dims = [
        content(1, integer(1, dim) if is_static(dim) else text(2, format_dim(dim)))
        for dim in type_.shape
    ]
    # The shape stands there without dims, too: rank 0 is a known shape.
    tensor = integer(1, DATA_TYPES[type_.dtype]) + content(2, b"".join(dims))
    return content(2, content(1, tensor))


def _model_metadata(graph: Graph, layers: Sequence[Node]) -> dict[str, str]:
    root = graph.scopes.get("")
    entries = {
        "archc.version": __version__,
        "archc.model": graph.name,
        "archc.doc": graph.doc,
        "archc.spec": _base_name(root.span.source.name) if root else "",
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


@lru_cache(maxsize=64)
def _base_name(name: str) -> str:
    """A spec's file name without its folders, which differ from machine to machine."""
    return PurePath(name.replace("\\", "/")).name


def _metadata(field: int, entries: Mapping[str, str]) -> Iterator[bytes]:
    """Entries of a map that is written as StringStringEntryProto messages."""
    for key, value in entries.items():
        yield content(field, text(1, key) + text(2, value))

"""The graph written back as a spec: no params, blocks, loops or structures left.

Every layer stands in one flat mapping under its full path, in dataflow order, and says `from`
where it does not read the layer before it. The text compiles to the same graph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from archc.graph import Graph, Node
from archc.types import Expr, TensorType, format_dim

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def expanded_spec(graph: Graph) -> str:
    """The desugared spec as YAML text."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    yield "archc: 1"
    yield f"name: {_text(graph.name)}"
    if graph.doc:
        yield f"doc: {json.dumps(graph.doc, ensure_ascii=False)}"
    yield "inputs:"
    for value in graph.inputs:
        yield f"  {value.name}: {_input(value.type)}"
    yield "layers:"
    current = graph.inputs[0].name
    for node in graph.nodes:
        yield f"  {_key(node.path)}: {_layer(node, current)}"
        if node.side is None:
            current = node.output.name
    yield "outputs:"
    for name, value in graph.outputs.items():
        yield f"  {_key(name)}: {_text(_reference(value.name))}"


def _input(type_: TensorType) -> str:
    shape = "[" + ", ".join(_text(format_dim(dim)) for dim in type_.shape) + "]"
    if type_.dtype.value == "float32":
        return shape
    return f"{{shape: {shape}, dtype: {type_.dtype.value}}}"


def _reference(name: str) -> str:
    """How a spec names a value: a further output of a layer is `path.1`."""
    return name.replace(":", ".")


def _layer(node: Node, current: str) -> str:
    attributes = dict(_attributes(node))
    principal = node.op.principal
    head = attributes.pop(principal, "") if principal is not None else ""
    parts = [f"{node.op_name}: {head}".rstrip() if head else f"{node.op_name}: "]
    parts += [f"{name}: {value}" for name, value in attributes.items()]
    sources = [_reference(value.name) for value in node.inputs]
    if sources != [_reference(current)]:
        listed = ", ".join(_text(source) for source in sources)
        parts.append(f"from: [{listed}]" if len(sources) > 1 else f"from: {listed}")
    if node.side is not None:
        parts.append(f"side: {'training' if node.side == 'training' else 'true'}")
    if len(parts) == 1 and not head:
        return node.op_name
    return "{" + ", ".join(parts) + "}"


def _attributes(node: Node) -> Iterator[tuple[str, str]]:
    """Attributes that differ from their defaults, written as a spec writes them."""
    fields = type(node.op).model_fields
    for name, info in fields.items():
        value = getattr(node.op, name)
        if info.is_required() or value != info.get_default(call_default_factory=True):
            yield name, _value(value)
    for name, value in (node.op.model_extra or {}).items():
        yield name, _value(value)


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Expr):
        return _text(format_dim(value))
    if isinstance(value, str):
        return _text(value)
    return repr(value)


def _text(text: str) -> str:
    """A scalar, quoted where YAML or the language would read something else."""
    return text if _PLAIN.fullmatch(text) or text.isdigit() else json.dumps(text)


def _key(text: str) -> str:
    return text if _KEY.fullmatch(text) else json.dumps(text)

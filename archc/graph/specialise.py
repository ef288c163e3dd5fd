"""A network at given sizes: symbolic dims replaced by numbers, every layer typed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph, Node, Value
from archc.graph.precision import in_dtype
from archc.ops.base import Op
from archc.ops.conditions import Refusal, ShapeContext
from archc.types import Dim, Expr, TensorType
from archc.types.dims import substitute


def specialised(graph: Graph, sizes: Mapping[str, int]) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """The network with symbolic dims replaced.

    Args:
        graph: the network.
        sizes: symbol -> size; symbols that are left out stay.

    Returns:
        The network at these sizes, and what does not work at them. A layer that does not work
        is left out, with all that reads its result.
    """
    if graph.declared is not None:
        plain, problems = specialised(graph.declared, sizes)
        return in_dtype(plain, graph.dtype), problems
    known = {value.name: _value(value, sizes) for value in graph.inputs}
    nodes: list[Node] = []
    findings: list[Diagnostic] = []
    for node in graph.nodes:
        inputs = tuple(known[value.name] for value in node.inputs if value.name in known)
        if len(inputs) < len(node.inputs):
            continue
        try:
            typed = _typed(node, inputs, sizes)
        except Refusal as refusal:
            findings.append(_problem(node, refusal))
            continue
        nodes.append(typed)
        known.update((value.name, value) for value in typed.outputs)
    result = replace(
        graph,
        inputs=tuple(known[value.name] for value in graph.inputs),
        nodes=tuple(nodes),
        outputs={
            name: known[value.name] for name, value in graph.outputs.items() if value.name in known
        },
        sizes={name: fitting for name, fitting in graph.sizes.items() if name not in sizes},
        promised={name: fed for name, fed in graph.promised.items() if name not in sizes},
    )
    return result, tuple(findings)


def _value(value: Value, sizes: Mapping[str, int]) -> Value:
    return replace(value, type=_type(value.type, sizes))


def _type(type_: TensorType, sizes: Mapping[str, int]) -> TensorType:
    return type_.with_shape(_dim(dim, sizes) for dim in type_.shape)


def _dim(dim: Dim, sizes: Mapping[str, int]) -> Dim:
    return dim if isinstance(dim, int) else substitute(dim, sizes)


def _typed(node: Node, inputs: Sequence[Value], sizes: Mapping[str, int]) -> Node:
    """The node on other inputs; its weights do not depend on symbolic sizes."""
    op = _op(node.op, sizes)
    cx = ShapeContext()
    inferred = op.infer(cx, *(value.type for value in inputs))
    types = (inferred,) if isinstance(inferred, TensorType) else inferred
    outputs = tuple(
        replace(value, type=type_) for value, type_ in zip(node.outputs, types, strict=True)
    )
    return replace(
        node, op=op, inputs=tuple(inputs), outputs=outputs, conditions=tuple(cx.conditions)
    )


def _op(op: Op, sizes: Mapping[str, int]) -> Op:
    """The op with sizes put into those attributes that are symbolic."""
    own = {name: getattr(op, name) for name in type(op).model_fields}
    fixed = {name: _attribute(value, sizes) for name, value in own.items()}
    changed = {name: value for name, value in fixed.items() if value is not own[name]}
    return op.model_copy(update=changed) if changed else op


def _attribute(value: Any, sizes: Mapping[str, int]) -> Any:
    if isinstance(value, Expr):
        return substitute(value, sizes)
    if isinstance(value, tuple) and any(isinstance(item, Expr) for item in value):
        return tuple(_attribute(item, sizes) for item in value)
    return value


def _problem(node: Node, refusal: Refusal) -> Diagnostic:
    place = node.attribute_spans.get(refusal.at or "", node.span)
    return Diagnostic(
        refusal.code,
        refusal.message,
        Label(place, refusal.label),
        tuple(Label(node.inputs[operand].span, text) for operand, text in refusal.because),
        refusal.help,
    )

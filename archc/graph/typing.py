"""Typing one layer: from an op and its input values to a node with exact output types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.diagnostics import Span
from archc.graph.graph import Node, Value, WeightRef
from archc.ops.base import Op
from archc.ops.conditions import Refusal, ShapeContext
from archc.types import TensorType, format_shape

Bounds = Mapping[str, tuple[int, int | None]]


def type_node(
    path: str,
    op_name: str,
    op: Op,
    inputs: Sequence[Value],
    span: Span,
    *,
    calls: tuple[Span, ...] = (),
    keys: Mapping[str, str] | None = None,
    attribute_spans: Mapping[str, Span] | None = None,
    side: str | None = None,
    implied: bool = False,
    bounds: Bounds | None = None,
) -> Node:
    """Infer a layer's output types and weights.

    Args:
        path: dotted layer path.
        op_name: the word in the table of ops.
        op: validated attributes.
        inputs: values read.
        span: the layer in the spec.
        calls: spans of the block calls that led here, outermost first.
        keys: weight name -> full `state_dict` key, where it is not `path.name`.
        attribute_spans: where each attribute was written.
        side: see `Node.side`.
        implied: see `Node.implied`.
        bounds: known bounds of the symbolic dims.

    Raises:
        Refusal: the layer cannot work on these inputs.
    """
    _check_arity(op_name, op, len(inputs))
    cx = ShapeContext(bounds or {})
    types = [value.type for value in inputs]
    inferred = op.infer(cx, *types)
    outputs = (inferred,) if isinstance(inferred, TensorType) else inferred
    _check_not_empty(op_name, outputs)
    names = keys or {}
    weights = tuple(
        WeightRef(names.get(w.name, f"{path}.{w.name}" if w.name else path), w)
        for w in op.weights(*types)
    )
    return Node(
        path=path,
        op_name=op_name,
        op=op,
        inputs=tuple(inputs),
        outputs=tuple(
            Value(path if i == 0 else f"{path}:{i}", type_, span) for i, type_ in enumerate(outputs)
        ),
        weights=weights,
        span=span,
        calls=calls,
        side=side,
        implied=implied,
        attribute_spans=attribute_spans or {},
        conditions=tuple(cx.conditions),
    )


def _check_arity(op_name: str, op: Op, count: int) -> None:
    least, most = op.arity
    if count >= least and (most is None or count <= most):
        return
    if most is None:
        wanted = f"at least {least}"
    else:
        wanted = str(least) if least == most else f"{least} to {most}"
    plural = "" if wanted == "1" else "s"
    raise Refusal("wrong-arity", f"`{op_name}` takes {wanted} input{plural}, not {count}")


def _check_not_empty(op_name: str, outputs: Sequence[TensorType]) -> None:
    for output in outputs:
        if any(isinstance(dim, int) and dim <= 0 for dim in output.shape):
            raise Refusal(
                "empty-output",
                f"`{op_name}` would produce {format_shape(output.shape)}, which holds no elements",
            )

"""A network in another floating-point dtype: every float32 becomes it, inputs and outputs too."""

from __future__ import annotations

from dataclasses import replace

from archc.graph.graph import Graph, Node, Value, WeightRef
from archc.types import DType, TensorType

PRECISIONS = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)
"""What a network can be built in."""


def in_dtype(graph: Graph, dtype: DType) -> Graph:
    """The network with `dtype` wherever it says float32.

    Values and weights change, layers do not: an op writes its constants in the dtype of what it
    reads, and computes in float32 on the way where the sums of its definition would not fit.
    Other dtypes (indices, counters) stay.

    Args:
        graph: the network, in float32.
        dtype: one of `PRECISIONS`.
    """
    if dtype is DType.FLOAT32:
        return graph
    known: dict[str, Value] = {}

    def cast(value: Value) -> Value:
        if value.name not in known:
            known[value.name] = replace(value, type=_type(value.type, dtype))
        return known[value.name]

    return replace(
        graph,
        dtype=dtype,
        declared=graph,
        inputs=tuple(cast(value) for value in graph.inputs),
        nodes=tuple(
            replace(
                node,
                inputs=tuple(cast(value) for value in node.inputs),
                outputs=tuple(cast(value) for value in node.outputs),
                weights=_weights(node, dtype),
            )
            for node in graph.nodes
        ),
        outputs={name: cast(value) for name, value in graph.outputs.items()},
    )


def _type(type_: TensorType, dtype: DType) -> TensorType:
    return TensorType(type_.shape, dtype) if type_.dtype is DType.FLOAT32 else type_


def _weights(node: Node, dtype: DType) -> tuple[WeightRef, ...]:
    return tuple(
        replace(ref, weight=replace(ref.weight, dtype=dtype))
        if ref.weight.dtype is DType.FLOAT32
        else ref
        for ref in node.weights
    )

"""What layers cost: parameters, multiply-accumulates, bytes of their results. Exact sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archc.graph.graph import Graph, Node, Value
from archc.types import Dim, TensorType


@dataclass(frozen=True, slots=True)
class NodeCost:
    """What one layer costs in one run.

    Attributes:
        parameters: trainable elements it owns; a tied weight counts at its first owner.
        buffers: elements it owns that are not trained.
        macs: multiply-accumulates of convolutions and matrix products.
        flops: floating-point operations, see `archc.ops.base.Cost.flops`.
        activation_bytes: size of its results.
    """

    parameters: int
    buffers: int
    macs: Dim
    flops: Dim
    activation_bytes: Dim


@dataclass(frozen=True, slots=True)
class Totals:
    """What a network costs in one run.

    Attributes:
        layers: number of layers.
        parameters: trainable elements, each once.
        buffers: elements that are not trained, each once.
        parameter_bytes: size of all weights, buffers included.
        macs: multiply-accumulates of inference; layers on the side are left out.
        flops: likewise.
        activation_bytes: size of all results together, inputs not counted; likewise.
    """

    layers: int
    parameters: int
    buffers: int
    parameter_bytes: int
    macs: Dim
    flops: Dim
    activation_bytes: Dim


def byte_size(type_: TensorType) -> Dim:
    """Bytes of a tensor's elements."""
    return type_.numel * type_.dtype.itemsize


def values_bytes(values: Iterable[Value]) -> Dim:
    """Bytes of several values together."""
    total: Dim = 0
    for value in values:
        total = total + byte_size(value.type)
    return total


def node_costs(graph: Graph) -> tuple[NodeCost, ...]:
    """The cost of every node, in order."""
    seen: set[str] = set()
    return tuple(_node_cost(node, seen) for node in graph.nodes)


def _node_cost(node: Node, seen: set[str]) -> NodeCost:
    parameters = buffers = 0
    for ref in node.weights:
        if ref.key in seen:
            continue
        seen.add(ref.key)
        if ref.weight.buffer:
            buffers += ref.weight.numel
        else:
            parameters += ref.weight.numel
    work = node.op.cost([v.type for v in node.inputs], [v.type for v in node.outputs])
    return NodeCost(parameters, buffers, work.macs, work.flops, values_bytes(node.outputs))


def total_macs(graph: Graph) -> Dim:
    """Multiply-accumulates of inference, as torchvision counts them: side layers left out."""
    total: Dim = 0
    for node in graph.nodes:
        if node.side is None:
            types = [value.type for value in node.inputs], [value.type for value in node.outputs]
            total = total + node.op.cost(*types).macs
    return total


def total_cost(graph: Graph) -> Totals:
    """The sums over all nodes."""
    costs = node_costs(graph)
    flops: Dim = 0
    activations: Dim = 0
    for node, cost in zip(graph.nodes, costs, strict=True):
        if node.side is None:
            flops = flops + cost.flops
            activations = activations + cost.activation_bytes
    return Totals(
        layers=len(graph.nodes),
        parameters=sum(cost.parameters for cost in costs),
        buffers=sum(cost.buffers for cost in costs),
        parameter_bytes=sum(
            ref.weight.numel * ref.weight.dtype.itemsize for ref in graph.weights()
        ),
        macs=total_macs(graph),
        flops=flops,
        activation_bytes=activations,
    )

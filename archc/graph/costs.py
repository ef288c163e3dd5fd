"""What layers cost: parameters, multiply-accumulates, bytes of their results. Exact sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from archc.graph.graph import Graph, Node, Value
from archc.ops.base import Cost
from archc.records import dataclass
from archc.types import Dim, TensorType, is_static, substitute, symbols_of


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


@lru_cache(maxsize=4096)
def byte_size(type_: TensorType) -> Dim:
    """Bytes of a tensor's elements."""
    return type_.numel * type_.dtype.itemsize


def values_bytes(values: Iterable[Value]) -> Dim:
    """Bytes of several values together."""
    return dim_sum(byte_size(value.type) for value in values)


def node_costs(graph: Graph) -> tuple[NodeCost, ...]:
    """The cost of every node, in order."""
    seen: set[str] = set()
    works: dict[_Alike, Cost] = {}
    return tuple(_node_cost(node, seen, works) for node in graph.nodes)


_Alike = tuple[int, ...]


def _alike(node: Node) -> _Alike:
    """The same for layers that work alike, as long as the graph lives: types and ops are shared."""
    return (id(node.op), *[id(value.type) for value in node.inputs])


def _work(node: Node) -> Cost:
    return node.op.cost([v.type for v in node.inputs], [v.type for v in node.outputs])


def _node_cost(node: Node, seen: set[str], works: dict[_Alike, Cost]) -> NodeCost:
    parameters = buffers = 0
    for ref in node.weights:
        if ref.key in seen:
            continue
        seen.add(ref.key)
        if ref.weight.buffer:
            buffers += ref.weight.numel
        else:
            parameters += ref.weight.numel
    alike = _alike(node)
    work = works.get(alike) or works.setdefault(alike, _work(node))
    return NodeCost(parameters, buffers, work.macs, work.flops, values_bytes(node.outputs))


def total_macs(graph: Graph) -> Dim:
    """Multiply-accumulates of inference, as torchvision counts them: side layers left out."""
    nodes = [node for node in graph.nodes if node.side is None]
    counts = Counter(map(_alike, nodes))
    representatives = {_alike(node): node for node in nodes}
    return dim_sum(_work(representatives[alike]).macs * count for alike, count in counts.items())


def sample_macs(graph: Graph) -> Dim:
    """Multiply-accumulates of inference at a batch of one; of a fixed batch, its share."""
    batch = graph.inputs[0].type.shape[0] if graph.inputs[0].type.shape else 1
    total = total_macs(graph)
    if is_static(batch):
        return total // batch
    return substitute(total, dict.fromkeys(symbols_of(batch), 1))


def total_cost(graph: Graph, costs: Sequence[NodeCost] | None = None) -> Totals:
    """The sums over all nodes.

    Args:
        graph: the network.
        costs: what `node_costs` says of it, if that is known already.
    """
    costs = node_costs(graph) if costs is None else costs
    ran = [c for node, c in zip(graph.nodes, costs, strict=True) if node.side is None]
    return Totals(
        layers=len(graph.nodes),
        parameters=sum(cost.parameters for cost in costs),
        buffers=sum(cost.buffers for cost in costs),
        parameter_bytes=sum(ref.weight.nbytes for ref in graph.weights()),
        macs=dim_sum(cost.macs for cost in ran),
        flops=dim_sum(cost.flops for cost in ran),
        activation_bytes=dim_sum(cost.activation_bytes for cost in ran),
    )


def dim_sum(dims: Iterable[Dim]) -> Dim:
    """The sum of dims; 0 of none."""
    total: Dim = 0
    for dim in dims:
        total = total + dim
    return total

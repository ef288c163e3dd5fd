"""What holds of every graph, so that a pass that breaks it is found where it does."""

from __future__ import annotations

from collections.abc import Iterable

from archc.graph.graph import Graph, Node
from archc.ops.conditions import ShapeContext
from archc.types import TensorType


class BrokenGraphError(Exception):
    """A pass left a graph that is none: a fault of archc, never of a spec."""


def check_graph(graph: Graph, typed: Iterable[Node] = ()) -> None:
    """Hold a graph to what every target relies on.

    Each value is made once and before it is read, each path is taken once, and outputs exist.

    Args:
        graph: the graph.
        typed: nodes whose types and weights are inferred again and compared.

    Raises:
        BrokenGraphError: it does not hold; the message names the layer.
    """
    known = {value.name for value in graph.inputs}
    paths: set[str] = set()
    for node in graph.nodes:
        if node.path in paths:
            raise BrokenGraphError(f"two layers are called {node.path}")
        paths.add(node.path)
        for value in node.inputs:
            if value.name not in known:
                raise BrokenGraphError(f"{node.path} reads {value.name}, which is not there yet")
        for value in node.outputs:
            if value.name in known:
                raise BrokenGraphError(f"{node.path} makes {value.name}, which is there already")
            known.add(value.name)
    for name, value in graph.outputs.items():
        if value.name not in known:
            raise BrokenGraphError(f"output {name} is {value.name}, which no layer makes")
    for node in typed:
        _check_types(node)


def _check_types(node: Node) -> None:
    types = [value.type for value in node.inputs]
    inferred = node.op.infer(ShapeContext(), *types)
    outputs = (inferred,) if isinstance(inferred, TensorType) else inferred
    if [value.type for value in node.outputs] != list(outputs):
        raise BrokenGraphError(f"{node.path} is typed otherwise than its op infers")
    declared = [(weight.name, weight.shape, weight.dtype) for weight in node.op.weights(*types)]
    owned = [(ref.weight.name, ref.weight.shape, ref.weight.dtype) for ref in node.weights]
    if declared != owned:
        raise BrokenGraphError(f"{node.path} has other weights than its op declares")

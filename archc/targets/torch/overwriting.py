"""Which activations may write their result over what they read, as `nn.ReLU(inplace=True)` does.

That saves memory while training, and in inference the time it takes to get memory for the result.
"""

from __future__ import annotations

from collections import Counter

from archc.graph import Graph, Node
from archc.ops.activation import Activation

_Place = tuple[int, int, int]


def overwriting(graph: Graph) -> frozenset[str]:
    """Paths of the layers that may overwrite their input.

    Nothing else may read it, then or when gradients are computed. What is written once in the spec
    is treated alike wherever it is used, so that the blocks made of it stay one class.
    """
    makers = {value.name: node for node in graph.nodes for value in node.outputs}
    reads = Counter(value.name for node in graph.nodes for value in node.inputs)
    reads.update(value.name for value in graph.outputs.values())
    activations = [node for node in graph.nodes if isinstance(node.op, Activation)]
    refused = {_place(node) for node in activations if not _may(node, makers, reads)}
    return frozenset(node.path for node in activations if _place(node) not in refused)


def _may(node: Node, makers: dict[str, Node], reads: Counter[str]) -> bool:
    assert isinstance(node.op, Activation)
    (value,) = node.inputs
    maker = makers.get(value.name)
    return (
        node.op.overwrites
        and maker is not None
        and maker.op.spare_result
        and maker.side == node.side
        and reads[value.name] == 1
    )


def _place(node: Node) -> _Place:
    return id(node.span.source), node.span.start, node.span.end

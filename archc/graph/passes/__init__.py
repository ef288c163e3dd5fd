"""Passes: a graph becomes another one that computes the same in inference, sooner or in less.

They are for exports. A graph that has been through them cannot be trained: batch norms may be
gone, and weights may be computed of others (`archc.weights.ComputedWeights`).
"""

from __future__ import annotations

from collections.abc import Callable

from archc.graph.graph import Graph
from archc.graph.invariants import check_graph
from archc.graph.passes.deepen_masks import deepen_masks
from archc.graph.passes.flip_weights import flip_weights
from archc.graph.passes.fold_norms import fold_norms
from archc.graph.passes.fold_scales import fold_scales
from archc.graph.passes.recipe import Recipe
from archc.graph.passes.rewriting import Rewriting
from archc.graph.precision import in_dtype
from archc.records import replace

PASSES: tuple[Callable[[Rewriting], Rewriting], ...] = (
    fold_norms,
    fold_scales,
    flip_weights,
    deepen_masks,
)
"""What `optimised` does, in this order."""

__all__ = ["PASSES", "Recipe", "Rewriting", "optimised"]


def optimised(graph: Graph) -> Rewriting:
    """The network for inference, with every pass applied.

    Args:
        graph: the network as the spec says it.

    Returns:
        The network as it is exported, what the weights are computed of that passes made, and what
        was done.

    Raises:
        BrokenGraphError: a pass is at fault.
    """
    if graph.declared is not None:  # layers are typed, and weights computed, in float32
        state = optimised(graph.declared)
        return replace(state, graph=in_dtype(state.graph, graph.dtype))
    state = Rewriting(graph)
    for rewrite in PASSES:
        before = {id(node) for node in state.graph.nodes}
        after = rewrite(state)
        if after is not state:
            changed = (node for node in after.graph.nodes if id(node) not in before)
            check_graph(after.graph, changed)
        state = after
    return state

"""What of a network is exported: the graph for inference, in its dtype, and its weights."""

from __future__ import annotations

from archc.graph import Graph
from archc.graph.passes import Rewriting, optimised
from archc.weights import CastWeights, ComputedWeights, WeightSource


def for_inference(
    graph: Graph, weights: WeightSource, *, optimize: bool = True
) -> tuple[Graph, WeightSource, tuple[str, ...]]:
    """The graph and the weights to write.

    Args:
        graph: the network.
        weights: its weights as the spec declares them.
        optimize: whether passes rewrite it, or every layer and weight keeps its own name.

    Returns:
        The graph, its weights, and what passes did, a phrase each.
    """
    rewriting = optimised(graph) if optimize else Rewriting(graph)
    computed = ComputedWeights(weights, rewriting.recipes)
    return rewriting.graph, CastWeights(computed), rewriting.done

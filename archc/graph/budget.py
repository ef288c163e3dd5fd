"""How many parameters a network may have before anything is allocated for them."""

from __future__ import annotations

from math import prod

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph, Node, WeightRef

MAX_PARAMETERS = 10_000_000_000
"""Parameters of a network that is built; as float32 they take 40 GB."""

_SHOWN = 3


def over_budget(graph: Graph, limit: int = MAX_PARAMETERS) -> Diagnostic | None:
    """Why a network is not built: it has too many parameters. Buffers count.

    Args:
        graph: the network.
        limit: how many are allowed.

    Returns:
        `too-many-parameters` at the layer that has most of them, with the sum spelled out; None
        when the network keeps to the limit.
    """
    total = sum(ref.weight.numel for ref in graph.weights())
    if total <= limit:
        return None
    owners: dict[str, Node] = {}
    for node in graph.nodes:
        for ref in node.weights:
            owners.setdefault(ref.key, node)
    largest = sorted(graph.weights(), key=lambda ref: -ref.weight.numel)
    shown = " + ".join(f"{ref.weight.numel:,} of `{ref.key}`" for ref in largest[:_SHOWN])
    rest = total - sum(ref.weight.numel for ref in largest[:_SHOWN])
    if rest:
        shown += f" + {rest:,} of others"
    return Diagnostic(
        "too-many-parameters",
        f"the network has {total:,} parameters, more than the {limit:,} allowed: {shown}",
        Label(owners[largest[0].key].span, _product(largest[0])),
        help=(f"--max-parameters {total} allows it",),
    )


def _product(ref: WeightRef) -> str:
    return f"{' * '.join(map(str, ref.weight.shape))} = {prod(ref.weight.shape):,}"

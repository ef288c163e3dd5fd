"""Masks of shifted windows made deep enough for their exponentials to vanish."""

from __future__ import annotations

from archc.graph.passes.rewriting import Rewriting, counted
from archc.ops.window import APART, WindowMask
from archc.records import replace

VANISHING = -10_000.0
"""A score whose exponential is 0 in every float type beside scores below 9,000."""


def deepen_masks(state: Rewriting) -> Rewriting:
    """Let what a window mask keeps apart have no weight at all.

    At the usual score of -100 the softmax yields about 4e-44, a denormal float32, which changes no
    sum but makes each product with it many times slower. The weights of attention change by that
    much, 37 orders of magnitude below what float32 resolves.
    """
    masks = [
        node
        for node in state.graph.nodes
        if isinstance(node.op, WindowMask) and VANISHING < node.op.apart <= APART
    ]
    if not masks:
        return state
    deeper = {
        node.path: replace(node, op=node.op.model_copy(update={"apart": VANISHING}))
        for node in masks
    }
    nodes = [deeper.get(node.path, node) for node in state.graph.nodes]
    done = f"{counted(len(masks), 'window mask', 'window masks')} rid of denormal numbers"
    return state.rewritten(nodes, state.recipes, done)

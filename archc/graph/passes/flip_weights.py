"""Weights of linear layers kept as the product reads them."""

from __future__ import annotations

from archc.graph.graph import Node, WeightRef
from archc.graph.passes.recipe import Flipped, Recipe
from archc.graph.passes.rewriting import Rewriting, Uses, counted, recipe_of
from archc.ops.linear import Linear
from archc.records import replace


def flip_weights(state: Rewriting) -> Rewriting:
    """Keep a weight [out, in] as [in, out] where ONNX multiplies by it from the right.

    Above rank 2 a linear layer is a MatMul, which cannot transpose: the runtime would have to, each
    time it loads the model.
    """
    uses = Uses(state.graph)
    recipes = dict(state.recipes)
    nodes = [_flipped(node, recipes) if _fits(node, uses) else node for node in state.graph.nodes]
    count = sum(new is not old for new, old in zip(nodes, state.graph.nodes, strict=True))
    if not count:
        return state
    done = f"{counted(count, 'weight', 'weights')} of linear layers transposed"
    return state.rewritten(nodes, recipes, done)


def _fits(node: Node, uses: Uses) -> bool:
    op = node.op
    return (
        isinstance(op, Linear)
        and not op.transposed
        and node.output.type.rank > 2
        and uses.owns_alone(node.weights)
    )


def _flipped(node: Node, recipes: dict[str, Recipe]) -> Node:
    weight = next(ref for ref in node.weights if ref.weight.name == "weight")
    turned = replace(weight.weight, shape=weight.weight.shape[::-1])
    recipes[weight.key] = Flipped(recipe_of(weight, recipes))
    refs = tuple(WeightRef(ref.key, turned) if ref is weight else ref for ref in node.weights)
    return replace(node, op=node.op.model_copy(update={"transposed": True}), weights=refs)

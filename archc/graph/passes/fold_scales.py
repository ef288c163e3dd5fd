"""Learned factors of channels (layer scale) folded into the linear layer or convolution before."""

from __future__ import annotations

from archc.graph.graph import Node
from archc.graph.passes.recipe import Along, Flat, Product, Recipe
from archc.graph.passes.rewriting import Rewriting, Uses, counted, in_inference, recipe_of
from archc.ops.conv import Conv
from archc.ops.linear import Linear
from archc.ops.param import MulParam
from archc.ops.reach import Reach
from archc.records import replace


def fold_scales(state: Rewriting) -> Rewriting:
    """Scale weights and bias of a layer by the `mul_param` behind it, and drop that.

    Between the two may stand layers that only move elements (a permutation of axes), as in
    ConvNeXt. What is read by others on the way stays as it is.
    """
    uses = Uses(state.graph)
    nodes = {node.path: node for node in state.graph.nodes}
    makers = {value.name: node.path for node in state.graph.nodes for value in node.outputs}
    recipes = dict(state.recipes)
    dropped: set[str] = set()
    for scale in state.graph.nodes:
        if not isinstance(scale.op, MulParam) or not uses.owns_alone(scale.weights):
            continue
        axis = _scaled_axis(scale)
        path = _chain(scale, axis, nodes, makers, uses) if axis is not None else None
        if path is None:
            continue
        layer, last = nodes[path[-1]], nodes[path[0]]
        factors = Flat(recipe_of(scale.weights[0], recipes))
        _scale(layer, factors, recipes)
        nodes[last.path] = replace(last, outputs=(scale.output,))
        makers[scale.output.name] = last.path
        dropped.add(scale.path)
    if not dropped:
        return state
    kept = [nodes[node.path] for node in state.graph.nodes if node.path not in dropped]
    done = f"{counted(len(dropped), 'scale', 'scales')} of channels folded into the layers before"
    return state.rewritten(kept, recipes, done)


def _scaled_axis(scale: Node) -> int | None:
    """The one axis along which the factors differ."""
    rank, shape = scale.output.type.rank, scale.weights[0].weight.shape
    axes = [rank - len(shape) + i for i, size in enumerate(shape) if size != 1]
    return axes[0] if len(axes) == 1 else None


def _chain(
    scale: Node, axis: int, nodes: dict[str, Node], makers: dict[str, str], uses: Uses
) -> list[str] | None:
    """The layers from the one before the scale up to the one whose weights take the factors."""
    path: list[str] = []
    value = scale.inputs[0]
    while value.name in makers and uses.read_once(value.name):
        node = nodes[makers[value.name]]
        if in_inference(node) != in_inference(scale) or len(node.outputs) != 1:
            return None
        path.append(node.path)
        if _output_axis(node) == axis and uses.owns_alone(node.weights):
            return path
        moved = _source_axis(node, axis) if node.op.copies and len(node.inputs) == 1 else None
        if moved is None:
            return None
        axis, value = moved, node.inputs[0]
    return None


def _output_axis(node: Node) -> int | None:
    """The axis of the result that one axis of `weight` makes."""
    match node.op:
        case Conv():
            return 1
        case Linear(zero_bias=None):
            return node.output.type.rank - 1
    return None


def _source_axis(node: Node, axis: int) -> int | None:
    """The axis of the input that is moved to this axis of the result, if that is all."""
    (reaches,) = node.op.reach([node.inputs[0].type], [node.output.type])
    sources = [i for i, reach in enumerate(reaches) if axis in reach.axes]
    return sources[0] if len(sources) == 1 and reaches[sources[0]] == Reach((axis,)) else None


def _scale(layer: Node, factors: Recipe, recipes: dict[str, Recipe]) -> None:
    axis = int(isinstance(layer.op, Linear) and layer.op.transposed)
    for ref in layer.weights:
        whole = recipe_of(ref, recipes)
        is_bias = ref.weight.name == "bias"
        recipes[ref.key] = Product(whole, factors) if is_bias else Along(whole, factors, axis)

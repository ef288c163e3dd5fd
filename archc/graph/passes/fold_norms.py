"""Batch norms folded into the convolution or linear layer before them."""

from __future__ import annotations

from collections.abc import Mapping

from archc.graph.graph import Node, WeightRef
from archc.graph.passes.recipe import (
    Along,
    Difference,
    InverseRoot,
    Negated,
    Product,
    Recipe,
)
from archc.graph.passes.rewriting import (
    Rewriting,
    Uses,
    bias_key,
    counted,
    in_inference,
    recipe_of,
)
from archc.ops.base import Weight
from archc.ops.batchnorm import BatchNorm
from archc.ops.conv import Conv
from archc.ops.conv_transpose import ConvTranspose
from archc.ops.initial import ZEROS
from archc.ops.linear import Linear
from archc.records import dataclass, replace


@dataclass(frozen=True, slots=True)
class _Affine:
    """A batch norm in inference, `x * factor + (beta - mean * factor)` for each channel."""

    factor: Recipe
    mean: Recipe
    beta: Recipe | None


def fold_norms(state: Rewriting) -> Rewriting:
    """Scale the weights of a layer by the batch norm that alone reads it, and drop the norm.

    In inference a batch norm is an affine map of each channel, and so is the end of a convolution.
    The layer keeps its path; its result gets the name that the norm's had.
    """
    uses = Uses(state.graph)
    makers: dict[str, Node] = {}
    recipes = dict(state.recipes)
    dropped: set[str] = set()
    for node in state.graph.nodes:
        maker = makers.get(node.inputs[0].name) if node.inputs else None
        if maker is not None and _fits(maker, node, uses):
            folded = _folded(maker, node, recipes, uses)
            dropped.add(node.path)
            makers.pop(maker.output.name)
            makers[folded.output.name] = folded
        else:
            makers.update((value.name, node) for value in node.outputs)
    if not dropped:
        return state
    latest = {node.path: node for node in makers.values()}
    nodes = (latest[node.path] for node in state.graph.nodes if node.path not in dropped)
    norms = counted(len(dropped), "batch norm", "batch norms")
    return state.rewritten(nodes, recipes, f"{norms} folded into the layers before them")


def _fits(maker: Node, norm: Node, uses: Uses) -> bool:
    op = norm.op
    if not isinstance(op, BatchNorm) or not op.track_running_stats:
        return False
    return (
        in_inference(maker) == in_inference(norm)
        and _channel_axis(maker) is not None
        and uses.read_once(maker.output.name)
        and uses.owns_alone([*maker.weights, *norm.weights])
    )


def _channel_axis(node: Node) -> int | None:
    """The axis of `weight` that counts what the norm behind it takes for channels."""
    match node.op:
        case Conv():
            return 0
        case ConvTranspose(groups=1):
            return 1
        case Linear(zero_bias=None, transposed=transposed) if node.output.type.rank == 2:
            return int(transposed)
    return None


def _folded(maker: Node, norm: Node, recipes: dict[str, Recipe], uses: Uses) -> Node:
    """The layer with the norm inside; `recipes` learns what its weights are computed of."""
    affine = _affine(norm, recipes)
    refs = {ref.weight.name: ref for ref in maker.weights}
    weight, bias = refs["weight"], refs.get("bias")
    axis = _channel_axis(maker)
    assert axis is not None
    shift: Recipe = Product(affine.mean, affine.factor)
    if bias is not None:
        shift = Product(Difference(affine.mean, recipe_of(bias, recipes)), affine.factor)
    offset = Negated(shift) if affine.beta is None else Difference(affine.beta, shift)
    if bias is None:
        key = uses.free_key(bias_key(weight.key))
        size = weight.weight.shape[axis]
        bias = WeightRef(key, Weight("bias", (size,), ZEROS, weight.weight.dtype))
    folded = replace(
        maker,
        op=maker.op.model_copy(update={"bias": True}),
        outputs=norm.outputs,
        weights=(weight, bias),
    )
    recipes[weight.key] = Along(recipe_of(weight, recipes), affine.factor, axis)
    recipes[bias.key] = offset
    return folded


def _affine(norm: Node, recipes: Mapping[str, Recipe]) -> _Affine:
    refs = {ref.weight.name: recipe_of(ref, recipes) for ref in norm.weights}
    assert isinstance(norm.op, BatchNorm)
    factor: Recipe = InverseRoot(refs["running_var"], norm.op.eps)
    if norm.op.affine:
        factor = Product(refs["weight"], factor)
    return _Affine(factor, refs["running_mean"], refs.get("bias"))

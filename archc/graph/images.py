"""Preprocessing compiled into a network: layers before it that take images of 8 bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph, Node, Scope, Value
from archc.graph.preprocess import Preprocess
from archc.graph.specialise import specialised
from archc.graph.typing import type_node
from archc.ops.axes import Permute
from archc.ops.base import Op
from archc.ops.images import CenterCrop, ChannelAffine, ToFloat
from archc.types import Dim, DType, TensorType, is_static, symbol, symbols_of
from archc.types.sizes import SizeSet, at_least


@dataclass(frozen=True, slots=True)
class _Front:
    """The layers before one input.

    Attributes:
        image: the new input.
        nodes: in dataflow order; the last one makes what the old input was.
        left: what is still to be done to an image before it is fed.
        sizes: symbol -> sizes that fit, for new symbols.
    """

    image: Value
    nodes: tuple[Node, ...]
    left: Preprocess
    sizes: Mapping[str, SizeSet]


def with_preprocess(graph: Graph) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """The network with its preprocessing before it, but for the resize.

    An input that `preprocess` makes of an image becomes one of uint8, [N, H, W, C]: the pixels as
    image libraries hold them, of any size that the crop can be cut out of. The resize stays with
    who reads the image: onnxruntime and PyTorch do not average alike over what they shrink.

    Args:
        graph: the network.

    Returns:
        The network, and why it cannot have its preprocessing, if so.
    """
    problems = tuple(_problems(graph))
    if not problems:
        graph, problems = specialised(graph, _fixed_sizes(graph))
    if problems:
        return graph, problems
    level = _free_name(graph)
    fronts = {
        value.name: _front(graph, value, level if len(graph.preprocess) == 1 else f"{level}.{name}")
        for name, value in ((value.name, value) for value in graph.inputs)
        if name in graph.preprocess
    }
    made = {name: front.nodes[-1].output for name, front in fronts.items()}
    nodes = [node for front in fronts.values() for node in front.nodes]
    nodes += [_rewired(node, made) for node in graph.nodes]
    inputs = [fronts[v.name].image if v.name in fronts else v for v in graph.inputs]
    paths = {node.path.rpartition(".")[0] for front in fronts.values() for node in front.nodes}
    root = graph.scopes[""].span
    scopes = {path: Scope(path, None, root) for path in sorted({level, *paths})}
    result = replace(
        graph,
        inputs=tuple(inputs),
        nodes=tuple(nodes),
        outputs={name: made.get(value.name, value) for name, value in graph.outputs.items()},
        scopes={**graph.scopes, **scopes},
        sizes={
            **graph.sizes,
            **{n: s for front in fronts.values() for n, s in front.sizes.items()},
        },
        preprocess={name: front.left for name, front in fronts.items()},
    )
    return result, ()


def _problems(graph: Graph) -> Iterator[Diagnostic]:
    if not graph.preprocess:
        yield Diagnostic(
            "no-preprocess",
            f"`{graph.name}` has no `preprocess` that could be compiled into it",
            Label(graph.scopes[""].span),
            help=("say what makes an input of an image: `preprocess: {crop: 224, ...}`",),
        )
    for value in graph.inputs:
        if value.name in graph.preprocess and value.type.dtype is not DType.FLOAT32:
            yield Diagnostic(
                "no-preprocess",
                f"pixels become float32, and `{value.name}` is {value.type.dtype.value}",
                Label(value.span),
            )
        steps = graph.preprocess.get(value.name)
        open_sides = [dim for dim in value.type.shape[2:] if not is_static(dim)]
        if steps is not None and steps.size and not all(str(d).isidentifier() for d in open_sides):
            yield Diagnostic(
                "no-preprocess",
                f"images come out as {steps.size[0]}x{steps.size[1]}, and `{value.name}` is "
                f"{value.type}: its size is no single symbol that could be set",
                Label(value.span),
                help=("set the size with --set, or give the input a fixed one",),
            )


def _fixed_sizes(graph: Graph) -> dict[str, int]:
    """Sizes that the network leaves open and preprocessing fixes."""
    sizes: dict[str, int] = {}
    for value in graph.inputs:
        steps = graph.preprocess.get(value.name)
        if steps is not None and steps.size is not None:
            pairs = zip(value.type.shape[2:], steps.size, strict=True)
            sizes |= {str(dim): size for dim, size in pairs if not is_static(dim)}
    return sizes


def _free_name(graph: Graph) -> str:
    taken = {node.path.partition(".")[0] for node in graph.nodes} | {v.name for v in graph.inputs}
    count = 0
    while (name := f"preprocess_{count}" if count else "preprocess") in taken:
        count += 1
    return name


def _front(graph: Graph, value: Value, level: str) -> _Front:
    steps = graph.preprocess[value.name]
    batch, channels, *sides = value.type.shape
    height, width = _image_sides(graph, value, steps, (sides[0], sides[1]))
    shape = (batch, height, width, channels)
    image = replace(value, type=TensorType(shape, DType.UINT8))
    nodes: list[Node] = []

    def add(name: str, op_name: str, made: type[Op], **attributes: Any) -> None:
        entering = nodes[-1].output if nodes else image
        op = made.model_validate(attributes)
        nodes.append(type_node(f"{level}.{name}", op_name, op, [entering], value.span))

    add("layout", "permute", Permute, dims=[0, 3, 1, 2])
    if steps.crop is not None:
        add("crop", "center_crop", CenterCrop, size=list(steps.crop))
    add("values", "to_float", ToFloat)
    count = max(len(steps.mean), len(steps.std))
    means, stds = ((one * count)[:count] for one in (steps.mean, steps.std))
    add(
        "normalise",
        "channel_affine",
        ChannelAffine,
        mul=[steps.scale / std for std in stds],
        add=[-mean / std for mean, std in zip(means, stds, strict=True)],
    )
    left = Preprocess(steps.resize, None, steps.interpolation, scale=1.0, layout="NHWC")
    sizes = {
        str(side): at_least(least)
        for side, least in zip((height, width), steps.crop or (1, 1), strict=True)
        if steps.crop is not None and not isinstance(side, int) and least > 1
    }
    return _Front(image, tuple(nodes), left, sizes)


def _image_sides(
    graph: Graph, value: Value, steps: Preprocess, sides: tuple[Dim, Dim]
) -> tuple[Dim, Dim]:
    """Height and width of the image that is fed: open ones where the crop makes them fit."""
    if steps.crop is None:
        return steps.size or sides
    taken = {name for one in graph.inputs for dim in one.type.shape for name in symbols_of(dim)}
    prefix = "" if len(graph.preprocess) == 1 else f"{value.name}_"
    names = []
    for name in (f"{prefix}H", f"{prefix}W"):
        while name in taken:
            name += "_"
        names.append(name)
    return symbol(names[0]), symbol(names[1])


def _rewired(node: Node, made: Mapping[str, Value]) -> Node:
    if not any(value.name in made for value in node.inputs):
        return node
    return replace(node, inputs=tuple(made.get(value.name, value) for value in node.inputs))

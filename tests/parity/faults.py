"""Exported models with one mistake: at a random layer, of a random kind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
from onnx import numpy_helper

from tests.shapes.networks import random_spec

_EXTRA = [
    "batchnorm",
    "{batchnorm: , eps: 1e-3}",
    "{groupnorm: 2}",
    "instancenorm",
    "{layernorm: 1}",
    "relu",
    "gelu",
    "{gelu: tanh}",
    "silu",
    "hardswish",
    "hardsigmoid",
    "{leaky_relu: 0.1}",
    "{elu: 0.7}",
    "prelu",
    "{softmax: 1}",
    "relu6",
    "tanh",
    "{dropout: 0.3}",
    "{lrn: 3}",
]
_SWAPS = {
    "Relu": "Tanh",
    "Tanh": "Sigmoid",
    "Sigmoid": "Tanh",
    "Add": "Sub",
    "Mul": "Add",
    "MaxPool": "AveragePool",
    "Gelu": "Relu",
    "HardSwish": "Relu",
    "GlobalAveragePool": "GlobalMaxPool",
}


def network(seed: int) -> str:
    """A random spec with branches, to whose layers norms and activations are added."""
    rng = random.Random(seed)
    lines = random_spec(seed).splitlines()
    start = lines.index("layers:") + 1
    layers: list[str] = []
    for line in lines[start:]:
        layers.append(line)
        layers += [f"  - {rng.choice(_EXTRA)}" for _ in range(rng.randint(0, 2))]
    tail = ["  - {adaptive_avgpool: 1}", "  - flatten", "  - {linear: 5}"]
    return "\n".join([*lines[:start], *layers, *(tail if rng.random() < 0.7 else []), ""])


@dataclass(frozen=True)
class Fault:
    """A mistake that was made.

    Attributes:
        layer: path of the layer whose node was changed.
        what: what was done.
    """

    layer: str
    what: str


def faults(model: onnx.ModelProto) -> list[Callable[[], Fault]]:
    """Every mistake that can be made in a model; each is made by calling it."""
    found: list[Callable[[], Fault]] = []
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    shapes = _shapes(model)
    seen: list[str] = [value.name for value in model.graph.input]
    for node in model.graph.node:
        layer = _layer(node)
        if layer:
            made = [*_attributes(node), *_operator(node), *_edges(node, seen, shapes)]
            made += list(_constants(model, node, tensors))
            found += [_fault(layer, what, do) for what, do in made]
        seen += node.output
    return found


Change = tuple[str, Callable[[], None]]


def _fault(layer: str, what: str, do: Callable[[], None]) -> Callable[[], Fault]:
    def make() -> Fault:
        do()
        return Fault(layer, what)

    return make


def _layer(node: onnx.NodeProto) -> str:
    return next((item.value for item in node.metadata_props if item.key == "archc.layer"), "")


def _attributes(node: onnx.NodeProto) -> Iterator[Change]:
    for attribute in node.attribute:
        change = _CHANGES.get(attribute.name)
        if change is not None and not (attribute.name == "pads" and len(attribute.ints) != 4):
            yield f"{node.op_type}.{attribute.name}", partial(change, attribute)


def _scale(item: onnx.AttributeProto) -> None:
    item.f *= 100.0 if item.name == "epsilon" else 1.3


def _shift(item: onnx.AttributeProto) -> None:
    """One element of padding from behind to before, or the reverse."""
    a, b, c, d = item.ints
    item.ints[:] = [a + 1, b, c - 1, d] if c else [max(0, a - 1), b, c + 1, d]


def _reverse(item: onnx.AttributeProto) -> None:
    item.ints[0], item.ints[-1] = item.ints[-1], item.ints[0]


def _flip(item: onnx.AttributeProto) -> None:
    item.i = 1 - item.i


def _move(item: onnx.AttributeProto) -> None:
    item.i = 2 if item.i != 2 else 1


def _approximate(item: onnx.AttributeProto) -> None:
    item.s = b"none" if item.s == b"tanh" else b"tanh"


_CHANGES: dict[str, Callable[[onnx.AttributeProto], None]] = {
    "alpha": _scale,
    "beta": _scale,
    "bias": _scale,
    "epsilon": _scale,
    "pads": _shift,
    "perm": _reverse,
    "count_include_pad": _flip,
    "axis": _move,
    "approximate": _approximate,
}


def _operator(node: onnx.NodeProto) -> Iterator[Change]:
    wanted = _SWAPS.get(node.op_type)
    if wanted is None:
        return

    def swap() -> None:
        node.op_type = wanted
        kept = [a for a in node.attribute if a.name not in {"dilations", "approximate"}]
        del node.attribute[:]
        node.attribute.extend(kept)

    yield f"{node.op_type} for {wanted}", swap


def _edges(
    node: onnx.NodeProto, seen: list[str], shapes: dict[str, tuple[object, ...]]
) -> Iterator[Change]:
    for index, name in enumerate(node.input):
        others = [
            other for other in seen if other != name and shapes.get(other) == shapes.get(name)
        ]
        if name in shapes and others:

            def rewire(index=index, other=others[-1]) -> None:
                node.input[index] = other

            yield f"{node.op_type} reads another value", rewire


def _constants(
    model: onnx.ModelProto, node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]
) -> Iterator[Change]:
    for index, name in enumerate(node.input):
        tensor = tensors.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT:
            continue

        def change(index=index, tensor=tensor) -> None:
            # A copy: other layers may read the same constant.
            array = numpy_helper.to_array(tensor).copy()
            flat = array.reshape(-1)
            flat[flat.size // 2] += 0.25 * max(1.0, float(np.abs(flat).max()))
            name = f"{tensor.name}/changed"
            model.graph.initializer.append(numpy_helper.from_array(array, name))
            node.input[index] = name

        yield f"{node.op_type} with another constant", change


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[object, ...]]:
    shapes = {}
    for value in (*model.graph.input, *model.graph.value_info):
        dims = value.type.tensor_type.shape.dim
        kind = value.type.tensor_type.elem_type
        if kind == onnx.TensorProto.FLOAT:
            shapes[value.name] = (kind, *(dim.dim_param or dim.dim_value for dim in dims))
    return shapes

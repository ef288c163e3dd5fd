"""What of a layer's ONNX nodes is not as archc would write it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import onnx

from archc.graph import Node
from archc.parity.divergence import Difference
from archc.parity.emulated import is_rounding, rounded_name
from archc.parity.segments import OnnxFile

if TYPE_CHECKING:
    import numpy.typing as npt

    from archc.targets.onnx import OnnxModel
    from archc.weights import WeightSource

    Array = npt.NDArray[Any]

_SPEC_NAMES = {
    "alpha": ("slope", "alpha"),
    "beta": ("beta",),
    "ceil_mode": ("ceil",),
    "dilations": ("dilation",),
    "epsilon": ("eps",),
    "group": ("groups",),
    "kernel_shape": ("kernel",),
    "pads": ("padding", "pad"),
    "perm": ("permute", "rearrange"),
    "strides": ("stride",),
}
_SHOWN = 8


class Emitted:
    """What archc writes for a network, as far as layers are to be compared with it.

    Args:
        written: what is written, without weights.

    Attributes:
        values: name of a value in the graph -> its name in the model.
        opset: version of the default operator set.
        constants: initializers that are no weights, by name.
        parts: names of nodes with their operators, and of weights with their shapes.
    """

    def __init__(self, written: OnnxModel) -> None:
        model = written.header
        self.values = written.values
        self.parts = {(node.name, node.op_type) for node in model.graph.node}
        self.parts |= {(ref.key, str(list(ref.weight.shape))) for ref in written.weights}
        self.opset = model.opset_import[0].version
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for entry in node.metadata_props:
                if entry.key == "archc.layer":
                    self._nodes.setdefault(entry.value, []).append(node)

    def nodes(self, layer: Node) -> list[onnx.NodeProto]:
        """The nodes of a layer."""
        return self._nodes.get(layer.path, [])


def differences(
    layer: Node,
    emitted: Emitted,
    file: OnnxFile,
    nodes: Sequence[onnx.NodeProto],
    values: Mapping[str, str],
    weights: WeightSource | None,
) -> tuple[Difference, ...]:
    """What differs between a layer as archc writes it and the nodes that stand for it in a file.

    Args:
        layer: the layer.
        emitted: what archc writes.
        file: the model compared with it.
        nodes: the nodes between the layer's inputs and its result in the file.
        values: name of a value in the graph -> its name in the file.
        weights: of the spec; None where they were read from the file itself.
    """
    ours = emitted.nodes(layer)
    nodes = [node for node in nodes if node.op_type != "Constant" and not is_rounding(node)]
    pairs = _pairs(ours, nodes)
    if pairs is None:
        if max(len(ours), len(nodes)) > _SHOWN:
            return ()  # written in another way: that says nothing
        return (Difference("operator", _operators(ours), _operators(nodes)),)
    names = {mine: values[name] for name, mine in emitted.values.items() if name in values}
    found: list[Difference] = []
    for mine, theirs in pairs:
        names.update(zip(mine.output, map(rounded_name, theirs.output), strict=False))
        found += _attributes(mine, theirs, emitted.opset, file.opset)
        found += _inputs(layer, mine, theirs, emitted, file, names, weights)
    return tuple(_placed(item, layer) for item in dict.fromkeys(found))


def _pairs(
    ours: Sequence[onnx.NodeProto], theirs: Sequence[onnx.NodeProto]
) -> list[tuple[onnx.NodeProto, onnx.NodeProto]] | None:
    """The nodes side by side; None if they are no counterparts."""
    if [node.op_type for node in ours] == [node.op_type for node in theirs]:
        return list(zip(ours, theirs, strict=True))
    named = {node.name: node for node in theirs if node.name}
    # Nodes may be there that other layers share, such as those that work sizes out.
    if ours and all(node.name in named for node in ours):
        pairs = [(node, named[node.name]) for node in ours]
        if all(mine.op_type == other.op_type for mine, other in pairs):
            return pairs
    return None


def _operators(nodes: Sequence[onnx.NodeProto]) -> str:
    return ", ".join(node.op_type for node in nodes) or "nothing"


def _attributes(
    mine: onnx.NodeProto, theirs: onnx.NodeProto, our_opset: int, their_opset: int
) -> Iterator[Difference]:
    ours, others = _values(mine, our_opset), _values(theirs, their_opset)
    for name in sorted(ours.keys() & others.keys()):
        if ours[name] != others[name]:
            yield Difference(name, _text(ours[name]), _text(others[name]))


def _values(node: onnx.NodeProto, opset: int) -> dict[str, Any]:
    """The attributes of a node, those left out included if they have a default."""
    values: dict[str, Any] = {}
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    except onnx.defs.SchemaError:
        schema = None
    for name, attribute in (schema.attributes if schema else {}).items():
        if attribute.default_value.name:
            values[name] = onnx.helper.get_attribute_value(attribute.default_value)
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        values[attribute.name] = (
            list(value) if not isinstance(value, int | float | bytes) else value
        )
    return values


def _inputs(
    layer: Node,
    mine: onnx.NodeProto,
    theirs: onnx.NodeProto,
    emitted: Emitted,
    file: OnnxFile,
    names: Mapping[str, str],
    weights: WeightSource | None,
) -> Iterator[Difference]:
    keys = {ref.key: ref for ref in layer.weights}
    for index in range(max(len(mine.input), len(theirs.input))):
        ours = mine.input[index] if index < len(mine.input) else ""
        other = theirs.input[index] if index < len(theirs.input) else ""
        if ours in keys:
            if other != ours and not _is_constant(file, other):
                yield Difference(_input_name(mine, index, emitted.opset), ours, other or "none")
            elif weights is not None and _is_constant(file, other):
                yield from _weight(ours, weights.array(keys[ours]), _constant(file, other))
        elif ours in emitted.constants and _is_constant(file, other):
            a = onnx.numpy_helper.to_array(emitted.constants[ours])
            b = _constant(file, other)
            if a.shape != b.shape or not (a == b).all():
                name = _input_name(mine, index, emitted.opset)
                yield Difference(name, _text(a.tolist()), _text(b.tolist()))
        elif names.get(ours, ours) != other and (ours in names or not (ours and other)):
            name = _input_name(mine, index, emitted.opset)
            yield Difference(name, names.get(ours, ours) or "none", other or "none")


def _weight(key: str, ours: Array, theirs: Array) -> Iterator[Difference]:
    import numpy as np

    if ours.shape != theirs.shape:
        yield Difference(f"`{key}`", str(list(ours.shape)), str(list(theirs.shape)))
    elif not np.array_equal(ours, theirs):
        place = np.unravel_index(int(np.argmax(np.abs(ours - theirs))), ours.shape)
        at = ", ".join(str(int(i)) for i in place)
        yield Difference(
            f"`{key}` at [{at}]", _text(float(ours[place])), _text(float(theirs[place]))
        )


def _is_constant(file: OnnxFile, name: str) -> bool:
    maker = file.maker(name)
    return name in file.initializers or (maker is not None and maker.op_type == "Constant")


def _constant(file: OnnxFile, name: str) -> Array:
    tensor = file.initializers.get(name)
    if tensor is None:
        maker = file.maker(name)
        assert maker is not None
        value = onnx.helper.get_attribute_value(maker.attribute[0])
        if not isinstance(value, onnx.TensorProto):
            import numpy as np

            return np.asarray(value)
        tensor = value
    array: Array = onnx.numpy_helper.to_array(tensor)
    return array


def _input_name(node: onnx.NodeProto, index: int, opset: int) -> str:
    try:
        inputs = onnx.defs.get_schema(node.op_type, opset, node.domain).inputs
    except onnx.defs.SchemaError:
        inputs = []
    name = inputs[min(index, len(inputs) - 1)].name if inputs else str(index)
    return f"input {name}"


def _placed(item: Difference, layer: Node) -> Difference:
    name = item.what.removeprefix("input ")
    for attribute in (name, *_SPEC_NAMES.get(name, ())):
        if attribute in layer.attribute_spans:
            return Difference(item.what, item.ours, item.theirs, attribute)
    return item


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(_text(item) for item in value[:_SHOWN])
        return f"[{shown}{', ...' if len(value) > _SHOWN else ''}]"
    return str(value)

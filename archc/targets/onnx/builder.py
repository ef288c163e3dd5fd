"""The ONNX graph under construction: nodes, names, types, constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archc.graph.graph import Node, WeightRef
from archc.ops.base import OnnxAttribute, Operand
from archc.records import dataclass, field
from archc.types import DType, TensorType


@dataclass(slots=True)
class OnnxNode:
    """One NodeProto to be.

    Attributes:
        op_type: operator of the default domain.
        name: unique among nodes.
        inputs: value names; "" leaves an optional input out.
        outputs: value names.
        attributes: as the op gave them.
        layer: where it comes from; None for the copy of a graph input.
    """

    op_type: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: Mapping[str, OnnxAttribute]
    layer: Node | None


@dataclass(frozen=True, slots=True)
class OnnxConstant:
    """An initializer whose values are part of the model, not of the weights.

    Attributes:
        name: unique among values.
        type: static shape and dtype.
        data: little-endian raw data.
    """

    name: str
    type: TensorType
    data: bytes


@dataclass(slots=True)
class GraphBuilder:
    """Collects what the layers append.

    Attributes:
        reserved: names that belong to graph inputs, graph outputs and weights.
        nodes: in dataflow order.
        types: value name -> type, for every value a node makes.
        constants: shared by content, in order of first use.
        weights: those that a node reads, by key, in order of first use.
    """

    reserved: Iterable[str]
    nodes: list[OnnxNode] = field(default_factory=list)
    types: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[tuple[DType, tuple[int, ...], bytes], OnnxConstant] = field(
        default_factory=dict
    )
    weights: dict[str, WeightRef] = field(default_factory=dict)
    _values: set[str] = field(init=False)
    _names: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._values = set(self.reserved)

    def append(
        self,
        layer: Node,
        op_type: str,
        inputs: Sequence[str],
        types: Sequence[TensorType],
        attributes: Mapping[str, OnnxAttribute],
    ) -> tuple[Operand, ...]:
        """Append a node named `path/OpType`; returns its outputs."""
        stem = f"{layer.path}/{op_type}"
        stems = [stem] if len(types) == 1 else [f"{stem}:{i}" for i in range(len(types))]
        outputs = [_unique(name, self._values) for name in stems]
        name = _unique(stem, self._names)
        self.nodes.append(OnnxNode(op_type, name, list(inputs), outputs, attributes, layer))
        self.types.update(zip(outputs, types, strict=True))
        return tuple(Operand(name, type_) for name, type_ in zip(outputs, types, strict=True))

    def copy(self, layer: Node | None, source: str, name: str, type_: TensorType) -> None:
        """Append an Identity node whose output has a reserved name."""
        node_name = _unique(f"{name}/Identity", self._names)
        self.nodes.append(OnnxNode("Identity", node_name, [source], [name], {}, layer))
        self.types[name] = type_

    def constant(self, layer: Node, type_: TensorType, data: bytes) -> Operand:
        """The initializer with these contents; one per graph."""
        shape = tuple(dim for dim in type_.shape if isinstance(dim, int))
        key = (type_.dtype, shape, data)
        known = self.constants.get(key)
        if known is None:
            known = OnnxConstant(_unique(f"{layer.path}/Constant", self._values), type_, data)
            self.constants[key] = known
        return Operand(known.name, type_)

    def weight(self, ref: WeightRef) -> Operand:
        """The initializer of a weight."""
        self.weights.setdefault(ref.key, ref)
        return Operand(ref.key, TensorType(ref.weight.shape, ref.weight.dtype))

    def settle(self, start: int, made: str, name: str) -> str:
        """Give a layer's result the layer's name.

        Args:
            start: index of the layer's first node.
            made: the result as it was named when it was appended.
            name: what it should be called; taken as it is unless it is taken already.

        Returns:
            The name it has now.
        """
        settled = _unique(name, self._values)
        for node in self.nodes[start:]:
            if made == node.outputs[0] and node.layer is not None:
                self._names.discard(node.name)
                node.name = _unique(node.layer.path, self._names)
        self.rename({made: settled}, start)
        return settled

    def rename(self, names: Mapping[str, str], start: int = 0) -> None:
        """Rename values from node `start` on."""
        for node in self.nodes[start:]:
            node.inputs = [names.get(name, name) for name in node.inputs]
            node.outputs = [names.get(name, name) for name in node.outputs]
        for old, new in names.items():
            self.types[new] = self.types.pop(old)


def _unique(name: str, taken: set[str]) -> str:
    """`name`, or `name_1`, `name_2` ... if it is taken; the result is taken afterwards."""
    result, count = name, 0
    while result in taken:
        count += 1
        result = f"{name}_{count}"
    taken.add(result)
    return result

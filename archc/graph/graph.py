"""Graph, Node, Value: what elaboration makes and every target reads. All frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archc.diagnostics import Span
from archc.graph.preprocess import Preprocess
from archc.graph.renames import Rename
from archc.ops.base import Op, Weight
from archc.ops.conditions import Condition
from archc.records import dataclass, field
from archc.types import DType, TensorType
from archc.types.sizes import SizeSet


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor that flows: a graph input or an output of a node.

    Attributes:
        name: unique in the graph; a node's first output is named by the node's path.
        type: exact shape and dtype.
        span: where it comes from in the spec.
    """

    name: str
    type: TensorType
    span: Span


@dataclass(frozen=True, slots=True)
class WeightRef:
    """A weight of a node together with its `state_dict` key.

    Attributes:
        key: full dotted key; the ONNX initializer has the same name. Of a tied weight it is the
            key of the weight that it is.
        weight: shape, dtype, how it is drawn.
        alias: the key that a tied weight has besides.
    """

    key: str
    weight: Weight
    alias: str = ""

    @property
    def own_key(self) -> str:
        """The key under which the layer itself has it."""
        return self.alias or self.key


@dataclass(frozen=True, slots=True)
class Node:
    """One layer, fully resolved.

    Attributes:
        path: dotted layer path, unique; also the ONNX node name and the torch module name.
        op_name: the word in the table of ops.
        op: validated attributes.
        inputs: values read, in order.
        outputs: values made.
        weights: tensors owned.
        span: the layer in the spec.
        calls: spans of the block calls that led here, outermost first.
        side: None, or "training" for a layer that runs beside the chain in training only, or
            "always" for one that runs beside it in every mode.
        implied: whether the compiler made it (the join of a `residual`), so that it has no name
            of the person's.
        attribute_spans: where each attribute was written.
        conditions: what must hold at run time for it to work.
    """

    path: str
    op_name: str
    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    weights: tuple[WeightRef, ...]
    span: Span
    calls: tuple[Span, ...] = ()
    side: str | None = None
    implied: bool = False
    attribute_spans: Mapping[str, Span] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()

    @property
    def output(self) -> Value:
        """The first (mostly the only) output."""
        return self.outputs[0]


@dataclass(frozen=True, slots=True)
class Scope:
    """A level of the layer tree: a section, a named structure or a block instance.

    Attributes:
        path: dotted path; the root is "".
        block: name of the block it is an instance of, or None for a section.
        span: where it is written.
        doc: the block's doc text.
        params: numbers that the block was given, by name, in the spec's order; targets that
            write code name things after them.
        lets: numbers that the block computed from them.
    """

    path: str
    block: str | None
    span: Span
    doc: str = ""
    params: Mapping[str, int | float | bool] = field(default_factory=dict)
    lets: Mapping[str, int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole network, typed.

    Attributes:
        name: model name (the variant's, if one was chosen).
        doc: what it is.
        inputs: in the order of the spec.
        nodes: in dataflow order (every input of a node is made before it).
        outputs: output name -> value, in order.
        scopes: path -> scope, for every level of the tree above the nodes, root included.
        sizes: symbol -> the promised sizes for which every layer works; symbols of which nothing
            is promised or demanded are left out.
        promised: symbol -> the sizes that the spec promises to feed.
        preprocess: input name -> what makes it of an image.
        renames: rules for keys of checkpoints that are not the network's.
        dtype: what stands where the spec says float32.
        declared: the same network in float32, where it is in another dtype; passes rewrite it,
            and checkpoints are held against it.
    """

    name: str
    doc: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]
    scopes: Mapping[str, Scope]
    sizes: Mapping[str, SizeSet] = field(default_factory=dict)
    promised: Mapping[str, SizeSet] = field(default_factory=dict)
    preprocess: Mapping[str, Preprocess] = field(default_factory=dict)
    renames: tuple[Rename, ...] = ()
    dtype: DType = DType.FLOAT32
    declared: Graph | None = None

    def weights(self) -> Iterator[WeightRef]:
        """Every weight in node order (the order of the `state_dict` unless a target says else).

        A tied weight appears once, at its first owner.
        """
        seen: set[str] = set()
        for node in self.nodes:
            for ref in node.weights:
                if ref.key not in seen:
                    seen.add(ref.key)
                    yield ref

    def ties(self) -> dict[str, str]:
        """Further key of a tied weight -> the key that it is counted, drawn and exported under."""
        refs = (ref for node in self.nodes for ref in node.weights)
        return {ref.alias: ref.key for ref in refs if ref.alias}

    @property
    def parameter_count(self) -> int:
        """Number of trainable elements."""
        return sum(ref.weight.numel for ref in self.weights() if not ref.weight.buffer)

    def node(self, path: str) -> Node:
        """The node with this path.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.path == path:
                return node
        raise KeyError(path)

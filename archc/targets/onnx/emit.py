"""From a typed graph to an ONNX model without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archc.diagnostics import Diagnostic, Diagnostics, Label
from archc.graph.graph import Graph, Node, Value, WeightRef
from archc.ops.base import Operand
from archc.records import dataclass
from archc.targets.onnx.builder import GraphBuilder
from archc.targets.onnx.dtypes import untaken_dtypes
from archc.targets.onnx.layer import LayerEmitter
from archc.targets.onnx.opsets import (
    DEFAULT_OPSET,
    MIN_OPSET,
    ask_for,
    default_opset,
    defined_opset,
    max_opset,
    opset_supported,
)
from archc.targets.onnx.proto import ModelBytes, model_bytes
from archc.targets.onnx.sizes import RuntimeSizes
from archc.types import DType

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model whose weights are still to be written.

    Attributes:
        written: everything but the weights' initializers.
        weights: the weights that its nodes read, in the order they are written.
        values: name of a value in the graph -> name of the same value in the model, for every
            layer that is exported.
    """

    written: ModelBytes
    weights: tuple[WeightRef, ...]
    values: Mapping[str, str]

    @property
    def header(self) -> onnx.ModelProto:
        """What is written, read by onnx."""
        import onnx

        return onnx.ModelProto.FromString(self.written.framed(0))


def emit_onnx(graph: Graph, opset: int | None = None) -> tuple[OnnxModel | None, list[Diagnostic]]:
    """Lower a graph to ONNX.

    Layers that run in training only, and layers that no output depends on, are left out.

    Args:
        graph: the network.
        opset: version of the default operator set; None for the usual one.

    Returns:
        The model, or None when there are errors, and what was found.
    """
    if opset is None:
        opset = default_opset(graph.dtype)
    if not opset_supported(opset):
        return None, [_unknown_opset(opset)]
    sink = Diagnostics()
    layers = exported_layers(graph)
    outputs = exported_outputs(graph)
    _check_names(graph, layers, outputs, sink)
    if sink.has_errors:
        return None, sink.sorted()
    builder = GraphBuilder(_reserved(graph, layers, outputs))
    values = _lower(graph, layers, builder, opset, sink)
    sink.extend(untaken_dtypes(builder.nodes, _dtypes(graph, builder), opset))
    if sink.has_errors:
        return None, sink.sorted()
    renamed = _name_outputs(layers, outputs, values, builder)
    used = tuple(ref for ref in graph.weights() if ref.key in builder.weights)
    names = {name: renamed.get(operand.name, operand.name) for name, operand in values.items()}
    written = model_bytes(graph, layers, outputs, builder, opset)
    return OnnxModel(written, used, names), sink.sorted()


def _dtypes(graph: Graph, builder: GraphBuilder) -> dict[str, DType]:
    """The dtype of every value that nodes read."""
    known = {value.name: value.type.dtype for value in graph.inputs}
    known |= {name: type_.dtype for name, type_ in builder.types.items()}
    known |= {key: ref.weight.dtype for key, ref in builder.weights.items()}
    return known | {item.name: item.type.dtype for item in builder.constants.values()}


def exported_outputs(graph: Graph) -> dict[str, Value]:
    """The outputs that exist in inference."""
    training = {
        value.name for node in graph.nodes if node.side == "training" for value in node.outputs
    }
    return {name: value for name, value in graph.outputs.items() if value.name not in training}


def exported_layers(graph: Graph) -> list[Node]:
    """The layers that the outputs depend on in inference, in dataflow order."""
    needed = {value.name for value in exported_outputs(graph).values()}
    layers: list[Node] = []
    for node in reversed(graph.nodes):
        if any(value.name in needed for value in node.outputs):
            needed.update(value.name for value in node.inputs)
            layers.append(node)
    return layers[::-1]


def _lower(
    graph: Graph, layers: Sequence[Node], builder: GraphBuilder, opset: int, sink: Diagnostics
) -> dict[str, Operand]:
    sizes = RuntimeSizes(graph.inputs, builder)
    values = {value.name: Operand(value.name, value.type) for value in graph.inputs}
    for node in layers:
        start = len(builder.nodes)
        operands = [values[value.name] for value in node.inputs]
        emitter = LayerEmitter(node, operands, builder, sizes, opset, sink)
        results = node.op.to_onnx(emitter, *operands)
        if isinstance(results, Operand):
            results = (results,)
        made = {name for item in builder.nodes[start:] for name in item.outputs}
        for value, result in zip(node.outputs, results, strict=True):
            name = result.name
            if name in made:
                name = builder.settle(start, name, value.name)
                builder.types[name] = value.type
                made.discard(result.name)
            values[value.name] = Operand(name, value.type)
    return values


def _name_outputs(
    layers: Sequence[Node],
    outputs: Mapping[str, Value],
    values: Mapping[str, Operand],
    builder: GraphBuilder,
) -> dict[str, str]:
    """Let the outputs carry the spec's names.

    A value that a node makes is renamed. A graph input, a weight, or a value that is another
    output already, is copied by an Identity node: a name stands for one value in ONNX.
    """
    makers = {value.name: node for node in layers for value in node.outputs}
    renamed: dict[str, str] = {}
    copies: list[tuple[str, Value, Operand]] = []
    for name, value in outputs.items():
        operand = values[value.name]
        if operand.name in builder.types and operand.name not in renamed:
            renamed[operand.name] = name
        else:
            copies.append((name, value, operand))
    builder.rename(renamed)
    for name, value, operand in copies:
        source = renamed.get(operand.name, operand.name)
        builder.copy(makers.get(value.name), source, name, value.type)
    return renamed


def _reserved(
    graph: Graph, layers: Sequence[Node], outputs: Mapping[str, Value]
) -> dict[str, None]:
    names = [value.name for value in graph.inputs]
    names += [ref.key for node in layers for ref in node.weights]
    return dict.fromkeys([*names, *outputs])


def _check_names(
    graph: Graph, layers: Sequence[Node], outputs: Mapping[str, Value], sink: Diagnostics
) -> None:
    """Refuse an output whose name an input or a weight has: in ONNX they share one namespace."""
    taken = {value.name: "an input" for value in graph.inputs}
    taken |= {ref.key: "a weight" for node in layers for ref in node.weights}
    for name, value in outputs.items():
        if name in taken:
            sink.error(
                "unsupported-by-target",
                f"output `{name}` has the name of {taken[name]}, and ONNX keeps both in one "
                "namespace",
                value.span,
                help=["give the output another name under `outputs:`"],
            )
    if not outputs:
        span = next(iter(graph.outputs.values())).span if graph.outputs else graph.scopes[""].span
        message = "every output belongs to a layer that runs in training only: nothing to export"
        sink.add(Diagnostic("unsupported-by-target", message, Label(span)))


def _unknown_opset(opset: int) -> Diagnostic:
    helps = [f"--opset {DEFAULT_OPSET}"]
    if max_opset() < opset <= defined_opset():
        helps.insert(0, ask_for(opset))
    return Diagnostic(
        "unsupported-opset",
        f"opset {opset} cannot be written: the installed onnx and onnxruntime take "
        f"{MIN_OPSET} to {max_opset()}",
        help=tuple(helps),
    )

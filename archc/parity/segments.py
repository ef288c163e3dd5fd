"""Parts of an ONNX model, run alone: what lies between some values and others.

onnx.utils.Extractor takes the inputs of a part as given. Here they are searched for: a part
reaches back to the values that are known, whichever those are in a graph somebody has edited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from archc.records import dataclass
from archc.runtime import RunError, first_line, open_session

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_SIZES_ONLY = frozenset({"Shape", "Size"})


@dataclass(frozen=True, slots=True)
class Segment:
    """Nodes that compute some values from others.

    Attributes:
        nodes: in the model's order.
        inputs: values it starts from.
        shapes: values of which it reads the shape alone.
        outputs: values it makes.
    """

    nodes: tuple[onnx.NodeProto, ...]
    inputs: tuple[str, ...]
    shapes: tuple[str, ...]
    outputs: tuple[str, ...]


class OnnxFile:
    """An ONNX model taken apart.

    Args:
        path: a model that onnxruntime can load.
        model: what is in it; read from the file if it is not given.

    Attributes:
        path: of the file.
        model: the whole of it, weights included.
        nodes: of the main graph.
        initializers: constants and weights by name.
        inputs: names of the graph's inputs, without initializers.
        outputs: names of the graph's outputs.
        opset: version of the default operator set; 0 if it has none.
    """

    def __init__(self, path: Path, model: onnx.ModelProto | None = None) -> None:
        self.path = path
        self.model = onnx.load(path) if model is None else model
        graph = self.model.graph
        self.nodes = tuple(graph.node)
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.inputs = tuple(i.name for i in graph.input if i.name not in self.initializers)
        self.outputs = tuple(value.name for value in graph.output)
        self._makers = {
            name: index for index, node in enumerate(self.nodes) for name in node.output if name
        }
        versions = {item.domain: item.version for item in self.model.opset_import}
        self.opset = versions.get("", versions.get("ai.onnx", 0))

    @property
    def values(self) -> Collection[str]:
        """Names of what its nodes make."""
        return self._makers.keys()

    def maker(self, value: str) -> onnx.NodeProto | None:
        """The node that makes a value."""
        index = self._makers.get(value)
        return None if index is None else self.nodes[index]

    def order(self, value: str) -> int:
        """Place of a value's maker in the model; -1 for what no node makes."""
        return self._makers.get(value, -1)

    def reads(self, node: onnx.NodeProto) -> Iterator[str]:
        """Values that a node reads, those of the graphs inside it included."""
        yield from filter(None, node.input)
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                for inner in graph.node:
                    yield from (name for name in self.reads(inner) if self._is_outer(name))

    def _is_outer(self, name: str) -> bool:
        return name in self._makers or name in self.initializers or name in self.inputs

    def segment(
        self,
        outputs: Sequence[str],
        known: Collection[str],
        shaped: Collection[str] = frozenset(),
    ) -> Segment:
        """The nodes behind some values, as far back as values are known.

        Args:
            outputs: the values wanted.
            known: values at which the search stops.
            shaped: values at which it stops where a node reads their shape alone.
        """
        nodes: set[int] = set()
        inputs: dict[str, None] = {}
        shapes: dict[str, None] = {}
        stack = [index for name in outputs if (index := self._makers.get(name)) is not None]
        while stack:
            index = stack.pop()
            if index in nodes:
                continue
            nodes.add(index)
            node = self.nodes[index]
            for name in self.reads(node):
                if name in self.initializers:
                    continue
                if name in known or name in self.inputs:
                    inputs[name] = None
                elif name in shaped and node.op_type in _SIZES_ONLY:
                    shapes[name] = None
                elif name in self._makers:
                    stack.append(self._makers[name])
        ordered = tuple(self.nodes[index] for index in sorted(nodes))
        # What one node reads may be what another, needed for something else, makes anyway.
        made = {name for node in ordered for name in node.output}
        whole = tuple(name for name in inputs if name not in made)
        only = tuple(name for name in shapes if name not in made and name not in inputs)
        return Segment(ordered, whole, only, tuple(outputs))

    def run(
        self, segment: Segment, feed: Mapping[str, Array], *, optimized: bool
    ) -> dict[str, Array]:
        """Run a part alone.

        Args:
            segment: the part.
            feed: arrays for its inputs and for the values of which it reads the shape.
            optimized: whether onnxruntime may rewrite the part.

        Raises:
            RunError: onnxruntime refuses it.
        """
        model = self._model(segment, feed)
        try:
            session = open_session(model.SerializeToString(), optimized=optimized)
            names = [item.name for item in session.get_inputs()]
            results = session.run(list(segment.outputs), {name: feed[name] for name in names})
        except Exception as error:  # its exceptions share no documented base
            message = f"onnxruntime cannot run this part of the model: {first_line(error)}"
            raise RunError("run-failed", message, str(self.path)) from error
        return dict(zip(segment.outputs, results, strict=True))

    def _model(self, segment: Segment, feed: Mapping[str, Array]) -> onnx.ModelProto:
        """The part as a model of its own."""
        names = {name for node in segment.nodes for name in self.reads(node)}
        model = onnx.ModelProto(ir_version=self.model.ir_version)
        model.opset_import.extend(self.model.opset_import)
        model.functions.extend(self.model.functions)
        graph = model.graph
        graph.name = "part"
        graph.node.extend(segment.nodes)
        graph.initializer.extend(t for name, t in self.initializers.items() if name in names)
        for name in (*segment.inputs, *segment.shapes):
            dtype = onnx.helper.np_dtype_to_tensor_dtype(feed[name].dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, dtype, feed[name].shape))
        # Types of outputs are left to the runtime, which infers them.
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in segment.outputs)
        return model

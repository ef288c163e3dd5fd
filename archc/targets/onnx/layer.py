"""`OnnxEmitter` for one layer: what an op's `to_onnx` calls."""

from __future__ import annotations

from collections.abc import Sequence

from archc.diagnostics import Diagnostic, Diagnostics, Label
from archc.graph.graph import Node
from archc.ops.base import OnnxAttribute, Operand
from archc.targets.onnx.builder import GraphBuilder
from archc.targets.onnx.encode import raw_data
from archc.targets.onnx.sizes import RuntimeSizes, reshape_entries
from archc.types import Dim, DType, TensorType


class LayerEmitter:
    """Appends the nodes of one layer; implements `archc.ops.base.OnnxEmitter`.

    Args:
        node: the layer.
        operands: its inputs.
        builder: where nodes go.
        sizes: computes symbolic dims at run time.
        opset: the operator set being written.
        sink: where refusals go.
    """

    def __init__(
        self,
        node: Node,
        operands: Sequence[Operand],
        builder: GraphBuilder,
        sizes: RuntimeSizes,
        opset: int,
        sink: Diagnostics,
    ) -> None:
        self._node = node
        self._operands = tuple(operands)
        self._builder = builder
        self._sizes = sizes
        self._opset = opset
        self._sink = sink

    @property
    def opset(self) -> int:
        """Version of the default operator set being written."""
        return self._opset

    def op(
        self,
        op_type: str,
        *inputs: Operand | None,
        type: TensorType | None = None,
        **attributes: OnnxAttribute,
    ) -> Operand:
        """Append a node with one output; see `OnnxEmitter.op`."""
        types = [self._node.output.type if type is None else type]
        return self.ops(op_type, *inputs, types=types, **attributes)[0]

    def ops(
        self,
        op_type: str,
        *inputs: Operand | None,
        types: Sequence[TensorType],
        **attributes: OnnxAttribute,
    ) -> tuple[Operand, ...]:
        """Append a node with several outputs; see `OnnxEmitter.ops`."""
        names = ["" if x is None else x.name for x in inputs]
        while names and not names[-1]:
            names.pop()
        return self._builder.append(self._node, op_type, names, types, attributes)

    def split(
        self, x: Operand, *, axis: int, sizes: Sequence[int], types: Sequence[TensorType]
    ) -> tuple[Operand, ...]:
        """Append a Split node; see `OnnxEmitter.split`."""
        inputs = [x.name, self.constant(sizes).name]
        return self._builder.append(self._node, "Split", inputs, types, {"axis": axis})

    def weight(self, name: str) -> Operand:
        """The initializer of one of the layer's weights."""
        for ref in self._node.weights:
            if ref.weight.name == name:
                return self._builder.weight(ref)
        raise KeyError(f"{self._node.path} has no weight {name!r}")

    def constant(
        self,
        values: Sequence[int] | Sequence[float] | int | float,
        dtype: DType = DType.INT64,
        shape: tuple[int, ...] | None = None,
    ) -> Operand:
        """An initializer with fixed values; see `OnnxEmitter.constant`."""
        if shape is None:
            shape = (len(values),) if isinstance(values, Sequence) else ()
        data = raw_data(values, dtype)
        return self._builder.constant(self._node, TensorType(shape, dtype), data)

    def dims(self, shape: Sequence[Dim], like: Operand | None = None) -> Operand:
        """An int64 vector of dims; see `OnnxEmitter.dims`."""
        entries = shape if like is None else reshape_entries(shape, like.type.shape)
        if all(isinstance(entry, int) for entry in entries):
            return self.constant([entry for entry in entries if isinstance(entry, int)])
        operands = self._operands if like is None else (like, *self._operands)
        return self._sizes.vector(self._node, entries, operands)

    def require_opset(self, version: int, reason: str) -> None:
        """Refuse when the chosen opset is below `version`."""
        if self._opset < version:
            self._sink.add(
                located(
                    self._node,
                    "unsupported-opset",
                    f"`{self._node.op_name}` needs ONNX opset {version}, not {self._opset}: "
                    f"{reason}",
                    help=[f"--opset {version}"],
                )
            )

    def refuse(self, message: str, *, help: Sequence[str] = ()) -> None:
        """Record that ONNX cannot express this layer; located at the layer."""
        self._sink.add(located(self._node, "unsupported-by-target", message, help=help))


def located(node: Node, code: str, message: str, *, help: Sequence[str] = ()) -> Diagnostic:
    """A diagnostic at a layer, with the block calls that led to it."""
    calls = tuple(Label(span, "used here") for span in node.calls)
    return Diagnostic(code, message, Label(node.span), calls, tuple(help))

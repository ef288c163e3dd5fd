"""Small graphs typed by hand, without a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archc.diagnostics import Source, Span
from archc.graph import Graph, Node, Scope, Value
from archc.graph.typing import type_node
from archc.ops.base import Op
from archc.ops.table import OPS
from archc.types import DType, TensorType, symbol

SPEC = Source("some/folder/net.yaml", "".join(f"layer {i}\n" for i in range(1, 100)))


class Net:
    """Grows a graph; every input and layer stands on a line of its own, from line 1."""

    def __init__(self, **inputs: Sequence[int | str] | TensorType) -> None:
        self._lines = 0
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []
        for name, shape in inputs.items():
            type_ = shape if isinstance(shape, TensorType) else tensor(shape)
            self.inputs.append(Value(name, type_, self.line()))

    def line(self) -> Span:
        self._lines += 1
        start = SPEC.line_starts[self._lines - 1]
        return Span(SPEC, start, start + 5)

    def add(
        self,
        path: str,
        op: str | Op,
        *operands: Value,
        attributes: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> Value:
        """Append a layer; without operands it reads what was made last."""
        name = op if isinstance(op, str) else "probe"
        made = OPS[op].model_validate(attributes or {}) if isinstance(op, str) else op
        last = self.nodes[-1].output if self.nodes else self.inputs[0]
        span = self.line()
        self.nodes.append(type_node(path, name, made, operands or (last,), span, **rest))
        return self.nodes[-1].output

    def graph(self, outputs: Mapping[str, Value] | None = None) -> Graph:
        outputs = outputs or {"output": self.nodes[-1].output}
        root = Scope("", None, Span(SPEC, 0, len(SPEC.text)))
        nodes = tuple(self.nodes)
        return Graph("net", "A net.", tuple(self.inputs), nodes, dict(outputs), {"": root})


def tensor(shape: Sequence[int | str], dtype: DType = DType.FLOAT32) -> TensorType:
    """A type whose named sizes are symbols."""
    return TensorType(tuple(symbol(s) if isinstance(s, str) else s for s in shape), dtype)


def small_net() -> Graph:
    """Convolution, batch norm, a residual sum and a head; batch and sizes are symbolic."""
    net = Net(image=["N", 3, "H", "W"])
    stem = net.add("stem.conv", "conv", attributes={"out": 8, "kernel": 3, "stride": 2})
    net.add("stem.bn", "batchnorm")
    net.add("stem.act", "relu")
    branch = net.add("branch", "conv", attributes={"out": 8, "kernel": 3, "padding": 1})
    net.add("sum", "add", stem, branch)
    net.add("drop", "dropout", attributes={"p": 0.1})
    net.add("pool", "adaptive_avgpool", attributes={"size": 1})
    net.add("flat", "flatten")
    net.add("head", "linear", attributes={"out": 5})
    return net.graph()

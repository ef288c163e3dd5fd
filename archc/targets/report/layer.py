"""One layer, explained: where it stands, its shape, attributes, weights, cost and neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from archc.diagnostics.terminal import escape_terminal
from archc.graph import Graph, Node, Value, WeightRef
from archc.graph.costs import dim_sum
from archc.graph.receptive import Field
from archc.ops.initial import Computed, Constant, Init, Normal, Uniform
from archc.targets.report.cells import bytes_text
from archc.targets.report.rows import Report, Row, build_report
from archc.types import Dim, format_dim, format_shape, is_static

_LISTED = 12
"""Readers of one value that are named."""


def layer_text(graph: Graph, path: str) -> str | None:
    """Everything known of one layer, or of one level of the layer tree; None when there is none.

    Args:
        graph: the network, or its typed part.
        path: path of the layer or level.
    """
    report = build_report(graph)
    rows = [row for row in report.rows if row.node.path == path]
    if rows:
        lines = _layer(report, rows[0])
    elif path and path in graph.scopes:
        lines = _level(report, path)
    else:
        return None
    return "\n".join(escape_terminal(line) for line in lines) + "\n"


def _layer(report: Report, row: Row) -> Iterator[str]:
    node = row.node
    yield f"{node.path}: {node.op_name}"
    yield from _section("where", _places(report.graph, node))
    yield from _section("reads", _sources(report.graph, node))
    yield from _section("makes", (f"{value.name} {value.type}" for value in node.outputs))
    yield from _section("because", row.derivation)
    yield from _section("needs", (f"{c}: {c.reason}" for c in node.conditions))
    yield from _section("read by", _readers(report.graph, node.outputs))
    yield from _section("attributes", _attributes(node))
    yield from _section("weights", map(_weight, node.weights))
    yield from _section("cost", _cost(report, row))
    yield from _section("receptive field", map(field_sentence, row.fields))


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    indent = " " * 18
    for index, line in enumerate(lines):
        yield (f"  {title:<16}" if index == 0 else indent) + line


def _places(graph: Graph, node: Node) -> Iterator[str]:
    made = ", made by the structure written there" if node.implied else ""
    yield f"{node.span}{made}"
    for call in reversed(node.calls):
        yield f"in the block called at {call}"
    if node.side is not None:
        when = "in training only" if node.side == "training" else "in every mode"
        yield f"beside the chain, {when}"
    level = graph.scopes.get(node.path.rpartition(".")[0])
    if level is not None and level.block is not None:
        yield f"in `{level.path}`, an instance of block `{level.block}`"


def _sources(graph: Graph, node: Node) -> Iterator[str]:
    own = {value.name for value in graph.inputs}
    for value in node.inputs:
        kind = "input " if value.name in own else ""
        yield f"{kind}{value.name} {value.type}, from {value.span}"


def _readers(graph: Graph, values: Sequence[Value]) -> Iterator[str]:
    names = {value.name for value in values}
    readers = [
        f"{node.path} ({node.op_name})"
        for node in graph.nodes
        if any(value.name in names for value in node.inputs)
    ]
    yield from readers[:_LISTED]
    if len(readers) > _LISTED:
        yield f"and {len(readers) - _LISTED} more"
    outputs = [name for name, value in graph.outputs.items() if value.name in names]
    yield from (f"the network's output `{name}`" for name in outputs)
    if not readers and not outputs:
        yield "nothing"


def _attributes(node: Node) -> Iterator[str]:
    fields = type(node.op).model_fields
    extra = node.op.model_extra or {}
    for name, value in {**{name: getattr(node.op, name) for name in fields}, **extra}.items():
        span = node.attribute_spans.get(name)
        yield f"{name}: {_attribute(value)}" + (f", from {span}" if span is not None else "")


def _attribute(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_attribute, value)) + "]"
    return str(value)


def _weight(ref: WeightRef) -> str:
    weight = ref.weight
    kind = "buffer, " if weight.buffer else ""
    count = f"{weight.numel:,} element{'' if weight.numel == 1 else 's'}"
    shape = f"{format_shape(weight.shape)} {weight.dtype.value}"
    return f"{ref.key} {shape}, {count}, {kind}{init_text(weight.init)}"


def init_text(init: Init) -> str:
    """How a weight is drawn, in words."""
    if isinstance(init, Computed):
        return f"computed from the sizes {', '.join(map(str, init.sizes))}"
    if isinstance(init, Constant):
        return f"all {init.value:g}"
    if isinstance(init, Uniform):
        return f"uniform on [{init.low:.4g}, {init.high:.4g}]"
    spread = f"normal with mean {init.mean:g} and deviation {init.std:.4g}"
    if isinstance(init, Normal):
        return spread
    ends = (init.low, init.high)
    return f"{spread}, cut to [{', '.join(f'{end:g}' for end in ends)}]" if _cuts(ends) else spread


def _cuts(ends: Sequence[float]) -> bool:
    return any(map(math.isfinite, ends))


def _cost(report: Report, row: Row) -> Iterator[str]:
    cost = row.cost
    yield f"{cost.parameters:,} parameters" + (f", {cost.buffers:,} buffers" * bool(cost.buffers))
    if cost.macs != 0:
        yield f"{_exact(cost.macs)} MACs, {_exact(cost.flops)} FLOPs"
    size = report.at_unit(cost.activation_bytes)
    rounded = f" ({bytes_text(size)}{_unit(report)})" if is_static(size) else ""
    yield f"{_exact(cost.activation_bytes)} bytes of results{rounded}"


def _unit(report: Report) -> str:
    return "".join(f" at {name} = 1" for name in report.unit)


def _exact(dim: Dim) -> str:
    return f"{dim:,}" if is_static(dim) else format_dim(dim)


def field_sentence(field: Field) -> str:
    """The field along one axis: `height of image: 7 positions, stride 2, from -3 on`."""
    place = f"{field.axis} of {field.input}"
    if field.kind == "whole":
        return f"{place}: all positions"
    if field.kind == "irregular":
        return f"{place}: moves irregularly, no size is claimed"
    plural = "" if field.size == 1 else "s"
    return f"{place}: {field.size} position{plural}, stride {field.stride}, from {field.offset} on"


def _level(report: Report, path: str) -> Iterator[str]:
    scope = report.graph.scopes[path]
    rows = [row for row in report.rows if row.node.path.startswith(f"{path}.")]
    yield f"{path}: {f'block {scope.block}' if scope.block is not None else 'section'}"
    yield from _section("where", [str(scope.span)])
    yield from _section("about", scope.doc.splitlines())
    yield from _section("holds", (_held(row) for row in rows))
    if rows:
        inner = {value.name for row in rows for value in row.node.outputs}
        entering = {v.name: v for row in rows for v in row.node.inputs if v.name not in inner}
        leaving = [v for v in rows[-1].node.outputs]
        yield from _section("reads", (f"{v.name} {v.type}" for v in entering.values()))
        yield from _section("makes", (f"{v.name} {v.type}" for v in leaving))
        parameters = sum(row.cost.parameters for row in rows)
        macs = dim_sum(row.cost.macs for row in rows)
        yield from _section("cost", [f"{parameters:,} parameters", f"{_exact(macs)} MACs"])
        yield from _section("receptive field", map(field_sentence, rows[-1].fields))


def _held(row: Row) -> str:
    return f"{row.node.path} ({row.node.op_name}) {row.type}"

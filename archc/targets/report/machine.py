"""The rows for programs: JSON and CSV, every layer, nothing folded, exact numbers.

A size that is not fixed is the text of its expression (`"9408*N"`), which Python can evaluate.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from archc.graph import Value
from archc.graph.receptive import Field
from archc.targets.report.rows import Report, Row
from archc.types import Dim, format_dim, format_shape, is_static

FORMAT = 1
"""Version of the JSON; it grows when a key changes its meaning or goes."""

COLUMNS = (
    "path",
    "op",
    "side",
    "output",
    "dtype",
    "derivation",
    "parameters",
    "buffers",
    "macs",
    "flops",
    "activation_bytes",
    "field_size",
    "field_stride",
    "field_offset",
)


def report_json(report: Report) -> str:
    """The report as one JSON object."""
    totals = report.totals
    peak = report.peak()
    document = {
        "format": FORMAT,
        "name": report.graph.name,
        "complete": report.complete,
        "inputs": [_value(value.name, value) for value in report.graph.inputs],
        "outputs": [_value(name, value) for name, value in report.graph.outputs.items()],
        "preprocess": {name: steps.as_data() for name, steps in report.graph.preprocess.items()},
        "layers": [_layer(row) for row in report.rows],
        "totals": {
            "layers": totals.layers,
            "parameters": totals.parameters,
            "buffers": totals.buffers,
            "parameter_bytes": totals.parameter_bytes,
            "macs": _dim(totals.macs),
            "flops": _dim(totals.flops),
            "activation_bytes": _dim(totals.activation_bytes),
            "peak_activation_bytes": None if peak.bytes is None else _dim(peak.bytes),
            "peak_layer": peak.path,
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _layer(row: Row) -> dict[str, Any]:
    node, cost = row.node, row.cost
    return {
        "path": node.path,
        "op": node.op_name,
        "side": node.side,
        "file": node.span.source.name,
        "line": node.span.line,
        "inputs": [value.name for value in node.inputs],
        "outputs": [_value(value.name, value) for value in node.outputs],
        "derivation": list(row.derivation),
        "weights": {ref.key: list(ref.weight.shape) for ref in node.weights},
        "parameters": cost.parameters,
        "buffers": cost.buffers,
        "macs": _dim(cost.macs),
        "flops": _dim(cost.flops),
        "activation_bytes": _dim(cost.activation_bytes),
        "receptive_field": [_field(field) for field in row.fields],
    }


def _value(name: str, value: Value) -> dict[str, Any]:
    shape = [_dim(dim) for dim in value.type.shape]
    return {"name": name, "shape": shape, "dtype": value.type.dtype.value}


def _field(field: Field) -> dict[str, Any]:
    stride = field.stride
    return {
        "input": field.input,
        "axis": field.axis,
        "kind": field.kind,
        "size": field.size,
        "stride": stride if stride is None or isinstance(stride, int) else str(stride),
        "offset": field.offset,
    }


def _dim(dim: Dim) -> int | str:
    return dim if is_static(dim) else format_dim(dim)


def report_csv(report: Report) -> str:
    """The layers as CSV (RFC 4180), one header line."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in report.rows:
        writer.writerow(_cells(row))
    return text.getvalue()


def _cells(row: Row) -> list[int | str]:
    node, cost = row.node, row.cost
    return [
        node.path,
        node.op_name,
        node.side or "",
        "; ".join(format_shape(value.type.shape) for value in node.outputs),
        row.type.dtype.value,
        "; ".join(row.derivation),
        cost.parameters,
        cost.buffers,
        _dim(cost.macs),
        _dim(cost.flops),
        _dim(cost.activation_bytes),
        *(_axes(row.fields, name) for name in ("size", "stride", "offset")),
    ]


def _axes(fields: Sequence[Field], attribute: str) -> str:
    """One number per input and axis; a whole axis is `all`, an irregular one `?`."""
    words = {"whole": "all", "irregular": "?"}
    return " ".join(words.get(f.kind) or str(getattr(f, attribute)) for f in fields)

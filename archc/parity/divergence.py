"""Where two networks part: one layer, its errors, its neighbours, as values and as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archc.diagnostics import Diagnostic, Label, Span
from archc.graph import Node
from archc.parity.gate import Comparison
from archc.records import dataclass

NEIGHBOURS = 2
"""Layers shown on each side of the one that diverges."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something of a layer that is not as the spec has it.

    Attributes:
        what: the attribute, or what else it is (`weight`, `operator`).
        ours: its value by the spec.
        theirs: its value in what is compared.
        attribute: the attribute of the spec that it comes from, if that can be told.
    """

    what: str
    ours: str
    theirs: str
    attribute: str | None = None

    def sentence(self, other: str) -> str:
        """As a person reads it; `other` says what is compared (`the file`)."""
        return f"{self.what} is {self.theirs} in {other} and {self.ours} in the spec"


@dataclass(frozen=True, slots=True)
class LayerErrors:
    """What one layer contributes, and what arrives behind it.

    Attributes:
        node: the layer.
        local: it alone, on torch's own inputs; None where it cannot be run alone.
        propagated: its result in the whole network; None where that could not be seen.
        counterpart: what computes it on the other side (a value of the ONNX file, a submodule).
    """

    node: Node
    local: Comparison | None
    propagated: Comparison | None
    counterpart: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first layer at which two networks part.

    Attributes:
        layer: it.
        other: what is compared with the spec, as the subject of a sentence (`the file`).
        differences: what of it is not as the spec has it, if that can be told.
        before: the layers before it that are compared, nearest last.
        after: those behind it, nearest first.
        also: further layers that are wrong on their own.
        note: what else there is to say.
        together: no layer is wrong on its own, and `layer` is where all up to it are too far off.
    """

    layer: LayerErrors
    other: str
    differences: tuple[Difference, ...] = ()
    before: tuple[LayerErrors, ...] = ()
    after: tuple[LayerErrors, ...] = ()
    also: tuple[str, ...] = ()
    note: str = ""
    together: bool = False

    def diagnostic(self) -> Diagnostic:
        """The finding, at the attribute that differs or else at the layer."""
        node = self.layer.node
        found = [f"`{node.path}` ({node.op_name}) is the first layer that diverges"]
        if self.layer.counterpart:
            found.append(f"compared with `{self.layer.counterpart}`")
        message = ", ".join(found) + self._errors()
        help_ = [item.sentence(self.other) for item in self.differences]
        help_ += [self.note] if self.note else []
        help_ += ["no layer is wrong on its own: together they differ"] if self.together else []
        if self.also:
            help_.append(f"wrong on their own as well: {_listed(self.also)}")
        calls = tuple(Label(span, "used here") for span in node.calls)
        return Diagnostic("layer-diverges", message, Label(self._span()), calls, tuple(help_))

    def _errors(self) -> str:
        local, propagated = self.layer.local, self.layer.propagated
        if local is not None and local.problem:
            return f": {local.problem}"
        said = [
            f"{name} error {_stated(item)}"
            for name, item in (("local", local), ("propagated", propagated))
            if item is not None
        ]
        return f": {', '.join(said)}" if said else ""

    def _span(self) -> Span:
        node = self.layer.node
        for item in self.differences:
            if item.attribute is not None and item.attribute in node.attribute_spans:
                return node.attribute_spans[item.attribute]
        return node.span

    def lines(self) -> Iterator[str]:
        """A table of the layer and its neighbours."""
        rows = [
            *(("", item) for item in self.before),
            (">", self.layer),
            *(("", item) for item in self.after),
        ]
        cells = [
            (mark, item.node.path, str(item.node.span), _cell(item.local), _cell(item.propagated))
            for mark, item in rows
        ]
        cells.insert(0, ("", "layer", "", "local", "propagated"))
        widths = [max(len(row[i]) for row in cells) for i in range(5)]
        for row in cells:
            line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
            yield f"  {line.rstrip()}"

    def as_data(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "layer": _layer_data(self.layer),
            "differences": [
                {"what": item.what, "spec": item.ours, "other": item.theirs}
                for item in self.differences
            ],
            "before": [_layer_data(item) for item in self.before],
            "after": [_layer_data(item) for item in self.after],
            "also": list(self.also),
            "note": self.note,
        }


def _layer_data(item: LayerErrors) -> dict[str, Any]:
    span = item.node.span
    return {
        "path": item.node.path,
        "op": item.node.op_name,
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "counterpart": item.counterpart,
        "local": comparison_data(item.local),
        "propagated": comparison_data(item.propagated),
    }


def comparison_data(item: Comparison | None) -> dict[str, Any] | None:
    """A comparison for programs; numbers that JSON cannot hold are None."""
    if item is None:
        return None
    error = None if item.problem else item.ort_error
    return {
        "ok": item.ok,
        "error": error,
        "torchError": None if item.problem else item.torch_error,
        "limit": item.limit,
        "problem": item.problem,
    }


def _stated(item: Comparison) -> str:
    return item.problem or f"{item.ort_error:.1e} (limit {item.limit:.1e})"


def _cell(item: Comparison | None) -> str:
    if item is None:
        return "-"
    said = item.problem.partition(":")[0] or f"{item.ort_error:.1e}"
    return f"{said} {'ok' if item.ok else 'FAILED'}"


def _listed(paths: tuple[str, ...], most: int = 5) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:most])
    left = len(paths) - most
    return f"{shown} and {left} more" if left > 0 else shown

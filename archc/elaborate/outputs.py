"""The declared outputs: which values leave the model, and under which names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.diagnostics import Diagnostics, Label, Span
from archc.elaborate.env import Poisoned
from archc.elaborate.frame import Flow, Place
from archc.graph import Value
from archc.spec.expressions import ExpressionError
from archc.spec.tree import Mapping as MappingNode
from archc.spec.tree import Node, Scalar, is_empty
from archc.spec.tree import Sequence as SequenceNode

if TYPE_CHECKING:
    from archc.elaborate.elaborator import Elaborator

DEFAULT = "output"
"""Name of the only output when none is declared: what the last layer yields."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


def bind_outputs(
    elaborator: Elaborator, node: Node | None, last: Flow, place: Place
) -> dict[str, Value]:
    """The outputs by name, in order; those that failed are left out.

    Args:
        elaborator: resolves references.
        node: what is written under `outputs`.
        last: what the last layer yields.
        place: the top of the file.
    """
    if node is None:
        return {} if last is None else {DEFAULT: last}
    outputs: dict[str, Value] = {}
    for name, reference in _declared(node, elaborator.sink):
        try:
            # Here numbers are fine: a list has no other names, and nothing is wired by them.
            value = elaborator.reference(reference, last, place, numbers=True)
        except ExpressionError as error:
            elaborator.report(error)
        except Poisoned:
            pass
        else:
            if value is not None:
                outputs[name] = value
    return outputs


def _declared(node: Node, sink: Diagnostics) -> Iterator[tuple[str, Node]]:
    """Names and references as written."""
    places: dict[str, Span] = {}
    for name, span, reference in _entries(node, sink):
        if not _NAME.fullmatch(name):
            sink.error(
                "bad-name",
                f"`{name}` cannot name an output",
                span,
                help=["write {name: layer}; a name starts with a letter"],
            )
        elif name in places:
            sink.error(
                "name-taken",
                f"the output `{name}` is named twice",
                span,
                secondary=[Label(places[name], "first here")],
            )
        else:
            places[name] = span
            yield name, reference


def _entries(node: Node, sink: Diagnostics) -> Iterator[tuple[str, Span, Node]]:
    items: tuple[Node, ...] = () if is_empty(node) else (node,)
    if isinstance(node, MappingNode):
        for entry in node.entries:
            yield entry.key.text, entry.key.span, entry.value
        items = ()
    elif isinstance(node, SequenceNode):
        items = node.items
    for item in items:
        if isinstance(item, Scalar):
            yield item.text, item.span, item
        else:
            sink.error(
                "wrong-kind",
                "an output is the name of a layer",
                item.span,
                help=["write [fc, features], or {logits: fc} to give it a name of its own"],
            )
    if not items and not (isinstance(node, MappingNode) and node.entries):
        sink.error(
            "missing-key",
            "`outputs` names no layer",
            node.span,
            help=["without `outputs` the last layer is the output"],
        )

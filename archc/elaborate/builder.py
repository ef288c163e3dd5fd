"""The graph under construction: paths taken, nodes typed, values found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from archc.diagnostics import Diagnostics, Label, Span
from archc.elaborate.env import closest
from archc.elaborate.frame import Flow, Frame, Level
from archc.elaborate.suggest import mismatch
from archc.graph import Node, Scope, Value
from archc.graph.typing import Bounds, type_node
from archc.ops.base import Op
from archc.ops.conditions import Refusal

MAX_LAYERS = 1_000_000
"""Layers a spec may expand to before it is refused."""

MAX_CALL_LABELS = 3


class TooManyLayers(Exception):  # noqa: N818 - stops the run; reported by whoever started it
    """The spec expands beyond MAX_LAYERS."""

    def __init__(self, span: Span) -> None:
        super().__init__()
        self.span = span


@dataclass(slots=True)
class Builder:
    """Collects nodes, scopes and named values.

    Attributes:
        sink: where findings go.
        bounds: bounds of the symbolic dims.
        inputs: the model's inputs by name.
        nodes: in dataflow order.
        scopes: levels of the layer tree.
        flows: path -> what the layer or level yields.
        taken: path -> where it was named.
    """

    sink: Diagnostics
    bounds: Bounds = field(default_factory=dict)
    inputs: dict[str, Flow] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    scopes: dict[str, Scope] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    taken: dict[str, Span] = field(default_factory=dict)
    makers: dict[str, Node] = field(default_factory=dict)
    _refused: set[tuple[str, int]] = field(default_factory=set)
    _steps: int = 0

    def step(self, span: Span) -> None:
        """Count one layer.

        Raises:
            TooManyLayers: there are too many.
        """
        self._steps += 1
        if self._steps > MAX_LAYERS:
            raise TooManyLayers(span)

    # -- paths ----------------------------------------------------------------------------

    def claim(self, path: str, span: Span) -> bool:
        """Take a path a person wrote; an error when it is taken."""
        first = self.taken.get(path)
        if first is not None:
            self.sink.error(
                "name-taken",
                f"the name `{path}` is used twice",
                span,
                secondary=[Label(first, "first used here")],
            )
            return False
        self.taken[path] = span
        return True

    def imply(self, level: Level, word: str, span: Span) -> str:
        """Take a free path for a layer nobody named."""
        path = level.child(word)
        number = 1
        while path in self.taken:
            path = level.child(f"{word}_{number}")
            number += 1
        self.taken[path] = span
        return path

    def scope(self, path: str, block: str | None, span: Span, doc: str = "") -> Level:
        """Open a level of the layer tree."""
        self.scopes[path] = Scope(path, block, span, doc)
        return Level(path)

    def keep_params(self, path: str, values: Mapping[str, object]) -> None:
        """Tell what a block instance was given and defined, as far as it is numbers."""
        numbers = {n: v for n, v in values.items() if isinstance(v, (bool, int, float))}
        self.scopes[path] = replace(self.scopes[path], params=numbers)

    # -- references -----------------------------------------------------------------------

    def resolve(self, name: str, span: Span, level: Level, frame: Frame) -> Flow:
        """What a reference names, looked up from the inner level outwards within the frame.

        Raises:
            KeyError: nothing (an error was recorded).
        """
        prefix = level.path
        while True:
            path = f"{prefix}.{name}" if prefix else name
            if path in self.flows:
                return self.flows[path]
            if prefix == frame.path or not prefix:
                break
            prefix = prefix.rpartition(".")[0]
        if name in frame.inputs:
            return frame.inputs[name]
        if name == "input" and self.inputs:
            return next(iter(self.inputs.values()))
        if name in self.inputs:
            return self.inputs[name]
        self._unknown_reference(name, span, level, frame)
        raise KeyError(name)

    def _unknown_reference(self, name: str, span: Span, level: Level, frame: Frame) -> None:
        inner = f"{frame.path}." if frame.path else ""
        options = [path.removeprefix(inner) for path in self.flows if path.startswith(inner)]
        options += [*frame.inputs, *self.inputs]
        close = closest(name, options)
        later = level.child(name) in self.taken
        help_ = [f"did you mean `{close}`?"] if close else []
        if not help_ and options:
            nearest = ", ".join(f"`{option}`" for option in options[-5:])
            help_ = [f"the last layers before this one are {nearest}"]
        message = f"no layer before this one is named `{name}`"
        if later:
            message = f"`{name}` cannot be used inside itself"
        self.sink.error("unknown-reference", message, span, help=help_)

    # -- nodes ----------------------------------------------------------------------------

    def node(
        self,
        path: str,
        op_name: str,
        op: Op,
        inputs: Sequence[Flow],
        span: Span,
        frame: Frame,
        *,
        attribute_spans: Mapping[str, Span] | None = None,
        implied: bool = False,
    ) -> tuple[Flow, ...]:
        """Type a layer and append it; a failed one yields (None,)."""
        values = [value for value in inputs if value is not None]
        if len(values) < len(inputs):
            return (None,)
        spans = attribute_spans or {}
        try:
            node = type_node(
                path,
                op_name,
                op,
                values,
                span,
                calls=frame.calls,
                attribute_spans=spans,
                side=frame.side,
                implied=implied,
                bounds=self.bounds,
            )
        except Refusal as refusal:
            self._refuse(refusal, op_name, values, span, spans, frame)
            return (None,)
        self.nodes.append(node)
        for value in node.outputs:
            self.makers[value.name] = node
        return node.outputs

    def revise(self, path: str, change: Callable[[Node], Node]) -> None:
        """Replace the node appended last, whose path this is."""
        assert self.nodes[-1].path == path
        node = change(self.nodes[-1])
        self.nodes[-1] = node
        for value in node.outputs:
            self.makers[value.name] = node

    def _refuse(
        self,
        refusal: Refusal,
        op_name: str,
        inputs: Sequence[Value],
        span: Span,
        spans: Mapping[str, Span],
        frame: Frame,
    ) -> None:
        place = spans.get(refusal.at or "", span)
        key = (refusal.code, place.start)
        if key in self._refused:
            return
        self._refused.add(key)
        primary = Label(place, refusal.label)
        secondary = [Label(inputs[i].span, text) for i, text in refusal.because]
        help_ = list(refusal.help)
        if refusal.code == "shape-mismatch" and len(inputs) > 1:
            found = mismatch(inputs, self.makers, span)
            if found is not None:
                primary, secondary = found.primary, list(found.secondary)
                help_ = [*found.help, *help_]
        secondary += [Label(call, "in this call") for call in frame.calls[-MAX_CALL_LABELS:]]
        self.sink.error(
            refusal.code,
            refusal.message,
            primary.span,
            primary.text,
            secondary=secondary,
            help=help_,
        )

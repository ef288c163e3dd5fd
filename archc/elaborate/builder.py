"""The graph under construction: paths taken, nodes typed, values found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from archc.diagnostics import Label, Span
from archc.diagnostics.closest import MAX_OPTIONS, closest
from archc.elaborate.env import Poisoned
from archc.elaborate.findings import CallFindings
from archc.elaborate.frame import Flow, Frame, Level
from archc.elaborate.suggest import Place, mismatch
from archc.elaborate.ties import Tie
from archc.graph import Node, Scope, Value
from archc.graph.typing import Typer, type_node
from archc.ops.base import Op
from archc.ops.conditions import Refusal
from archc.records import dataclass, field, replace
from archc.spec.syntax import Chain
from archc.spec.words import written_names

MAX_LAYERS = 50_000
"""Layers and turns of loops that a spec may expand to, unless more are allowed."""


class TooManyLayers(Exception):  # noqa: N818 - stops the run; reported by whoever started it
    """The spec expands beyond what is allowed."""

    def __init__(self, span: Span) -> None:
        super().__init__()
        self.span = span


@dataclass(slots=True)
class Builder:
    """Collects nodes, scopes and named values.

    Attributes:
        sink: where findings go.
        typer: types layers; knows the bounds of the symbolic dims.
        ops: validated ops by what was written, see `archc.elaborate.arguments.build_op`.
        max_layers: layers and turns of loops that are allowed.
        inputs: the model's inputs by name.
        nodes: in dataflow order.
        scopes: levels of the layer tree.
        flows: path -> what the layer or level yields.
        taken: path -> where it was named.
        makers: value name -> the node that makes it.
        leaves: path of a layer with nothing inside -> where it is.
        ties: weights that are to be weights of other layers.
    """

    sink: CallFindings
    typer: Typer = field(default_factory=Typer)
    ops: dict[object, Op] = field(default_factory=dict)
    max_layers: int = MAX_LAYERS
    inputs: dict[str, Flow] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    scopes: dict[str, Scope] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    taken: dict[str, Span] = field(default_factory=dict)
    makers: dict[str, Node] = field(default_factory=dict)
    leaves: dict[str, Span] = field(default_factory=dict)
    ties: list[Tie] = field(default_factory=list)
    _unnamed: set[str] = field(default_factory=set)
    _levels: dict[str, Span] = field(default_factory=dict)
    _reserved: set[str] = field(default_factory=set)
    _written: dict[int, tuple[Chain, tuple[str, ...]]] = field(default_factory=dict)
    _refused: set[tuple[str, int]] = field(default_factory=set)
    _implied: dict[str, int] = field(default_factory=dict)
    _steps: int = 0

    def step(self, span: Span, count: int = 1) -> None:
        """Count layers, or turns of a loop.

        Raises:
            TooManyLayers: there are too many.
        """
        self._steps += count
        if self._steps > self.max_layers:
            raise TooManyLayers(span)

    # -- paths ----------------------------------------------------------------------------

    def claim(self, path: str, span: Span) -> bool:
        """Take a path a person wrote, or a number; an error when it is taken."""
        first = self.taken.get(path)
        message = f"the name `{path}` is used twice"
        if first == span:
            name = path.rpartition(".")[2]
            self.sink.error(
                "name-taken",
                f"{message}: in every turn of a loop",
                span,
                help=[f"put the variable of the loop into it: `{name}{{i}}`"],
            )
            return False
        if first is None:
            owner = next((level for level in _above(path) if level in self.leaves), None)
            if owner is None:
                self._take(path, span)
                return True
            first = self.leaves[owner]
            message = f"`{owner}` is a layer, so `{path}` cannot lie inside it"
        self.sink.error("name-taken", message, span, secondary=[Label(first, "first used here")])
        return False

    def claim_leaf(self, path: str, span: Span) -> bool:
        """Declare a taken path to be that of a layer with nothing inside."""
        self.leaves[path] = span
        inside = self._levels.get(path)
        if inside is None:
            return True
        self.sink.error(
            "name-taken",
            f"`{path}` cannot be a layer: another one lies inside it",
            span,
            secondary=[Label(inside, "inside it")],
        )
        return False

    def take_number(self, level: Level, span: Span) -> str:
        """The path of the next unnamed layer of a level."""
        path = level.take_number()
        self.claim(path, span)
        self._unnamed.add(path)
        return path

    def _take(self, path: str, span: Span) -> None:
        self.taken[path] = span
        for level in _above(path):
            if level in self._levels:
                break
            self._levels[level] = span

    def imply(self, level: Level, word: str, span: Span) -> str:
        """Take a free path for a layer nobody named."""
        first = path = level.child(word)
        # Counting goes on where it stopped: a level may hold thousands of one kind.
        number = self._implied.get(first, 1)
        while path in self.taken or path in self._reserved or path in self._levels:
            path = f"{first}_{number}"
            number += 1
        self._implied[first] = number
        self._take(path, span)
        self._unnamed.add(path)
        return path

    def reserve(self, level: Level, chain: Chain) -> None:
        """Keep the names that are written in a chain for the layers they are written at."""
        known = self._written.get(id(chain))
        if known is None:
            # The chain is kept, so that no other one gets its id.
            known = self._written[id(chain)] = (chain, tuple(written_names(chain)))
        self._reserved.update(level.child(name) for name in known[1])

    def scope(self, path: str, block: str | None, span: Span, doc: str = "") -> Level:
        """Open a level of the layer tree."""
        self.scopes[path] = Scope(path, block, span, doc)
        return Level(path)

    def keep_params(
        self, path: str, values: Mapping[str, object], params: Iterable[str], lets: Iterable[str]
    ) -> None:
        """Tell what a block instance was given and computed, as far as it is numbers."""
        numbers = {n: v for n, v in values.items() if isinstance(v, (bool, int, float))}
        given = {name: numbers[name] for name in params if name in numbers}
        computed = {name: numbers[name] for name in lets if name in numbers}
        self.scopes[path] = replace(self.scopes[path], params=given, lets=computed)

    # -- references -----------------------------------------------------------------------

    def resolve(
        self, name: str, span: Span, level: Level, frame: Frame, *, numbers: bool = False
    ) -> Flow:
        """What a reference names, looked up from the inner level outwards within the frame.

        Args:
            name: the reference.
            span: where it is written.
            level: where it is looked up first.
            frame: the block that it cannot look out of.
            numbers: whether it may go by numbers, which shift when a layer is inserted.

        Raises:
            Poisoned: nothing (an error was recorded).
        """
        prefix = level.path
        while True:
            path = f"{prefix}.{name}" if prefix else name
            if path in self.flows:
                if not numbers:
                    self._check_named(path, prefix, span)
                return self.flows[path]
            if prefix == frame.path or not prefix:
                break
            prefix = prefix.rpartition(".")[0]
        if name in frame.inputs:
            return frame.inputs[name]
        if name in self.inputs:
            return self.inputs[name]
        if name == "input" and self.inputs:
            return next(iter(self.inputs.values()))
        self._unknown_reference(name, span, level, frame)
        raise Poisoned

    def _check_named(self, path: str, prefix: str, span: Span) -> None:
        """Refuse a reference through a level or layer that nobody named."""
        steps = [path, *_above(path)]
        unnamed = [step for step in steps if step in self._unnamed and len(step) > len(prefix)]
        if unnamed:
            word = unnamed[-1].rpartition(".")[2]
            self.sink.error(
                "unknown-reference",
                f"`{word}` is not a name that a layer was given",
                span,
                secondary=[Label(self.taken[unnamed[-1]], "this layer has no name")],
                help=["name the layer: numbers and words shift when another layer is put before"],
            )
            raise Poisoned

    def _unknown_reference(self, name: str, span: Span, level: Level, frame: Frame) -> None:
        inner = f"{frame.path}." if frame.path else ""
        options = [
            path.removeprefix(inner)
            for path in reversed(list(islice(reversed(self.flows), MAX_OPTIONS)))
            if path.startswith(inner) and path not in self._unnamed
        ]
        options += [*frame.inputs, *self.inputs]
        close = closest(name, options)
        help_ = [f"did you mean `{close}`?"] if close else []
        if not help_ and options:
            nearest = ", ".join(f"`{option}`" for option in options[-5:])
            help_ = [f"layers before this one: {nearest}"]
        message = f"no layer before this one is named `{name}`"
        around = [level.path, *_above(level.path), ""] if level.path else [""]
        inside = [outer for outer in around if len(outer) >= len(frame.path)]
        if any((f"{outer}.{name}" if outer else name) in self.taken for outer in inside):
            message = f"`{name}` cannot be used inside itself"
        elif name in self.taken:
            message = f"`{name}` lies outside of this block"
            help_ = ["a block sees its inputs only: give it one with `inputs: [...]`"]
        elif level.child(name) in self._reserved:
            message = f"`{name}` comes after this layer, or is left out"
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
        remedies: Callable[[Sequence[Value]], tuple[str, ...]] | None = None,
    ) -> tuple[Flow, ...]:
        """Type a layer and append it; a failed one yields (None,).

        Args:
            path: its path.
            op_name: its word.
            op: its attributes.
            inputs: what it reads.
            span: where it is written.
            frame: the block it stands in.
            attribute_spans: where its attributes are written.
            implied: see `Node.implied`.
            remedies: what to suggest when the inputs do not fit together.
        """
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
                typer=self.typer,
            )
        except Refusal as refusal:
            place = Place(span, frame.path, frame.calls[-1] if frame.calls else None)
            helps = remedies(values) if remedies is not None else ()
            self._refuse(refusal, op, values, spans, place, helps)
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
        op: Op,
        inputs: Sequence[Value],
        spans: Mapping[str, Span],
        place: Place,
        helps: tuple[str, ...],
    ) -> None:
        blamed = spans.get(refusal.at or "", place.span)
        key = (refusal.code, blamed.start)
        if key in self._refused:
            return
        self._refused.add(key)
        primary = Label(blamed, refusal.label)
        secondary = [Label(inputs[i].span, text) for i, text in refusal.because]
        help_ = [*helps, *refusal.help]
        if refusal.code == "shape-mismatch" and len(inputs) > 1:
            found = mismatch(op, inputs, self.makers, place)
            if found is not None:
                primary, secondary = found.primary, list(found.secondary)
                help_ = [*helps, *found.help]
        if refusal.code == "wrong-arity" and not help_ and op.arity[0] > 1:
            help_ = ["name what it reads: `from: [a, b]`"]
        self.sink.error(
            refusal.code,
            refusal.message,
            primary.span,
            primary.text,
            secondary=secondary,
            help=help_,
        )


def _above(path: str) -> Iterator[str]:
    """The levels that a path lies in, the nearest first."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path

"""Walking chains: layers named, arguments evaluated, blocks entered, nodes appended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from archc.diagnostics import Span
from archc.elaborate.arguments import Evaluator, enum_words
from archc.elaborate.builder import Builder
from archc.elaborate.calls import Constant, call
from archc.elaborate.checks import check_expected_shape
from archc.elaborate.env import LayerScope, OpWord, Poisoned
from archc.elaborate.findings import CallFindings
from archc.elaborate.frame import Flow, Level, Module, Place
from archc.elaborate.joins import join
from archc.elaborate.keys import refuse_for_weights
from archc.ops.base import Op
from archc.ops.table import OPS, WORDS
from archc.records import dataclass, field, replace
from archc.spec.expressions import ExpressionError, parse_for, parse_template
from archc.spec.syntax import (
    NO_COMMON,
    Block,
    Broken,
    Call,
    Chain,
    ForItem,
    Group,
    IfItem,
    Item,
    Join,
    Layer,
    LayerItem,
    Section,
)
from archc.spec.tree import Node, Scalar
from archc.spec.tree import Sequence as SequenceNode
from archc.spec.words import parts

MAX_DEPTH = 64
"""Layers inside layers: sections, structures and blocks."""

REFERENCES = frozenset({"in", "input", "prev"})
"""References that every chain has; no layer can have such a name."""


@dataclass(slots=True)
class Elaborator:
    """Turns chains into nodes.

    Attributes:
        builder: the graph under construction.
        ops: the table of ops.
        main: the file being compiled; its `defaults` apply everywhere.
        strict: whether `expect` of a layer is enforced.
        standard: blocks that ship with archc.
        constants: calls of ops that say the same wherever they stand, once they were validated.
    """

    builder: Builder
    ops: Mapping[str, type[Op]]
    main: Module
    strict: bool = True
    standard: Mapping[str, tuple[Block, Module]] = field(default_factory=dict)
    constants: dict[tuple[int, str, int], Constant] = field(default_factory=dict)
    _depth: int = 0
    _enums: frozenset[str] | None = None

    @property
    def sink(self) -> CallFindings:
        """Where findings go."""
        return self.builder.sink

    # -- chains ---------------------------------------------------------------------------

    def chain(self, chain: Chain, flow: Flow, place: Place) -> Flow:
        """Elaborate layers in order; returns what the last one yields."""
        here = self.at(chain, place)
        for item in chain.items:
            flow = self.item(item, flow, here)
        return flow

    @staticmethod
    def at(chain: Chain, place: Place) -> Place:
        """The place of a chain's items: its style says how unnamed ones are named."""
        if chain.style == "single":
            return place
        return Place(place.frame, place.level, place.env, chain.style == "list")

    def item(self, item: Item, flow: Flow, place: Place) -> Flow:
        """Elaborate one item of a chain."""
        if isinstance(item, LayerItem):
            return self.layer(item, flow, place)
        for body, inner in self.bodies(item, flow, place):
            flow = self.chain(body, flow, inner)
        return flow

    def bodies(
        self, item: ForItem | IfItem, flow: Flow, place: Place
    ) -> Sequence[tuple[Chain, Place]]:
        """The bodies that a loop or an alternative splices in, each with its names.

        A loop's bodies are listed before any is elaborated: its range cannot depend on them.
        """
        try:
            if isinstance(item, IfItem):
                return self._chosen(item, flow, place)
            header = parse_for(item.header)
            value = header.iterable.evaluate(self.scope(place, flow))
            bound = [header.bind(element) for element in header.iterate(value)]
        except ExpressionError as error:
            self.report(error)
        except Poisoned:
            pass
        else:
            # Loops in loops multiply: a turn counts once for each loop that it is a turn of.
            self.builder.step(item.header.span, len(bound) * place.env.depth)
            return [(item.chain, place.within(env=place.env.child(names))) for names in bound]
        return []

    def _chosen(self, item: IfItem, flow: Flow, place: Place) -> Sequence[tuple[Chain, Place]]:
        for condition, body in item.arms:
            if condition is None or self.truth(condition, flow, place):
                return [(body, place)]
        return []

    # -- layers ---------------------------------------------------------------------------

    def layer(self, item: LayerItem, flow: Flow, place: Place) -> Flow:
        """Elaborate one layer with its common keys."""
        self.builder.step(item.layer.span)
        if self._depth >= MAX_DEPTH:
            self.sink.error(
                "too-deep",
                f"layers are nested more than {MAX_DEPTH} levels deep",
                item.layer.span,
                help=["sections, structures and blocks count, wherever they are written"],
            )
            return None
        self._depth += 1
        try:
            return self._layer(item, flow, place)
        finally:
            self._depth -= 1

    def _layer(self, item: LayerItem, flow: Flow, place: Place) -> Flow:
        layer = item.layer
        if isinstance(layer, Section):
            return self._level(layer, self._explicit_path(item, flow, place), flow, place)
        if isinstance(layer, Broken):
            self._place_of_failure(item, flow, place)
            return None
        common = layer.common
        path = None
        result: Flow = None
        try:
            if common.when is not None and not self.truth(common.when, flow, place):
                return flow
            inputs = self._origins(common.origin, flow, place)
            frame = place.frame
            if common.side is not None:
                frame = replace(frame, side=_side(common.side))
            inner = Place(frame, place.level, place.env, place.numbered)
            path = self._explicit_path(item, inputs[0], inner)
            if not isinstance(layer, Call):
                refuse_for_weights(common, "a structure")
            result = self.dispatch(layer, path, inputs, inner)
            if common.expect is not None and result is not None and self.strict:
                check_expected_shape(
                    common.expect, result, self.evaluator(inner, result), self.sink
                )
        except ExpressionError as error:
            self.report(error)
            result = None
        except Poisoned:
            result = None
        if path is None:
            path = self._place_of_failure(item, flow, place) if result is None else None
        if path is not None:
            self.builder.flows[path] = result
        return flow if common.side is not None else result

    def _place_of_failure(self, item: LayerItem, flow: Flow, place: Place) -> str | None:
        """Take the name of a layer that failed, so that references to it are not reported."""
        if item.name is None:
            return None
        path = self._explicit_path(item, flow, place)
        if path is not None:
            self.builder.flows[path] = None
        return path

    def _explicit_path(self, item: LayerItem, flow: Flow, place: Place) -> str | None:
        """The path a person wrote; None when the layer is unnamed."""
        if item.name is None:
            return None
        name = "unnamed"
        try:
            name = parse_template(item.name).render(self.scope(place, flow))
            if name in REFERENCES:
                raise ExpressionError(
                    "bad-name",
                    f"`{name}` is what `from` calls a value that is always there",
                    item.name.span,
                    ["choose another name"],
                )
        except ExpressionError as error:
            self.report(error)
        except Poisoned:
            pass
        else:
            path = place.level.child(name)
            if self.builder.claim(path, item.name.span):
                return path
        return self.builder.imply(place.level, name, item.name.span)

    def path(self, path: str | None, word: str, span: Span, place: Place) -> str:
        """The path of a layer: written, numbered or implied by its word."""
        if path is not None:
            return path
        if place.numbered:
            return self.builder.take_number(place.level, span)
        return self.builder.imply(place.level, word, span)

    def dispatch(self, layer: Layer, path: str | None, inputs: list[Flow], place: Place) -> Flow:
        """Elaborate what a layer is, its common keys being done."""
        if isinstance(layer, Call):
            return call(self, layer, path, inputs, place)
        if len(inputs) > 1:
            self.sink.error(
                "wrong-arity",
                "a structure has one input",
                layer.span,
                help=["its branches can take further layers with `from`"],
            )
        if isinstance(layer, Section):  # as a value of a param
            return self._level(layer, path, inputs[0], place)
        inner = place
        if path is not None:
            inner = place.within(level=self.open(path, None, parts(layer), layer.span))
        if isinstance(layer, Group):
            return self.chain(layer.chain, inputs[0], inner)
        assert isinstance(layer, Join)
        return join(self, layer, inputs[0], inner)

    def _level(self, section: Section, path: str | None, flow: Flow, place: Place) -> Flow:
        path = self.path(path, "section", section.span, place)
        level = self.open(path, None, [section.chain], section.span)
        result = self.chain(section.chain, flow, place.within(level=level))
        self.builder.flows[path] = result
        return result

    def _origins(self, origin: Node | None, flow: Flow, place: Place) -> list[Flow]:
        if origin is None:
            return [flow]
        nodes = origin.items if isinstance(origin, SequenceNode) else (origin,)
        if not nodes:
            raise ExpressionError("wrong-arity", "`from` names no layer", origin.span)
        return [self.reference(node, flow, place) for node in nodes]

    def open(
        self, path: str, block: str | None, chains: Iterable[Chain], span: Span, doc: str = ""
    ) -> Level:
        """Open a level of the layer tree; names written in it are kept for their layers."""
        level = self.builder.scope(path, block, span, doc)
        for chain in chains:
            self.builder.reserve(level, chain)
        return level

    def reference(self, node: Node, flow: Flow, place: Place, *, numbers: bool = False) -> Flow:
        """What a reference names.

        Args:
            node: the reference.
            flow: the value before it.
            place: where it is looked up.
            numbers: whether it may go by numbers.

        Raises:
            Poisoned: nothing (reported).
            ExpressionError: the name is no name.
        """
        if not isinstance(node, Scalar):
            raise ExpressionError("wrong-kind", "a reference is the name of a layer", node.span)
        name = parse_template(node).render(self.scope(place, flow))
        if name == "prev":
            return flow
        return self.builder.resolve(name, node.span, place.level, place.frame, numbers=numbers)

    # -- helpers --------------------------------------------------------------------------

    def scope(self, place: Place, flow: Flow) -> LayerScope:
        """Names for a layer at a place, which `flow` enters."""
        entering = None if flow is None else flow.type
        word = self.words_of(place.frame.module)
        return LayerScope(place.env, entering, flow is None, word, self.enums)

    def words_of(self, module: Module) -> Callable[[str], OpWord | None]:
        """The ops and blocks that words mean in a file."""

        def word(name: str) -> OpWord | None:
            known = name in self.ops or name in module.blocks or name in self.standard
            return OpWord(name, module) if known else None

        return word

    def enums(self) -> frozenset[str]:
        """Words that attributes of any op take."""
        if self._enums is None:
            others = (enum_words(self.ops[name]) for name in self.ops if name not in OPS)
            self._enums = WORDS.union(*others)
        return self._enums

    def evaluator(self, place: Place, flow: Flow) -> Evaluator:
        """Evaluates arguments of a layer at a place, which `flow` enters."""
        frame = place.frame
        return Evaluator(self.scope(place, flow), frame, self.sink, frame.module.words)

    def evaluate(self, node: Node, flow: Flow, place: Place) -> object:
        """The value of an argument of a layer that `flow` enters."""
        return self.evaluator(place, flow).value(node)

    def truth(self, condition: Scalar, flow: Flow, place: Place) -> bool:
        """Whether a condition holds for a layer that `flow` enters."""
        return self.evaluator(place, flow).holds(condition)

    @staticmethod
    def as_branch(body: Chain) -> LayerItem:
        """A chain that stands for one branch of a structure."""
        return LayerItem(None, Group(body, NO_COMMON, body.span))

    def report(self, error: ExpressionError) -> None:
        """Record an error of an expression."""
        self.sink.error(error.code, error.message, error.span, help=error.help)


def _side(word: Scalar) -> str:
    value = word.value
    if value is True:
        return "always"
    if value == "training":
        return "training"
    raise ExpressionError(
        "bad-value",
        "`side` is `training` or `true`",
        word.span,
        ["`side: training` runs beside the chain while training only"],
    )

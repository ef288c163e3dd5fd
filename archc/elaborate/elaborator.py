"""Walking chains: layers named, arguments evaluated, blocks entered, nodes appended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from archc.diagnostics import Diagnostics, Span
from archc.elaborate.arguments import Evaluator, enum_words
from archc.elaborate.builder import Builder
from archc.elaborate.calls import call
from archc.elaborate.checks import check_expected_shape
from archc.elaborate.env import Env, LayerScope, Poisoned
from archc.elaborate.frame import Flow, Module, Place
from archc.elaborate.joins import join
from archc.ops.base import Op
from archc.spec.expressions import ExpressionError, parse_for, parse_template
from archc.spec.syntax import (
    NO_COMMON,
    Block,
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


@dataclass(slots=True)
class Elaborator:
    """Turns chains into nodes.

    Attributes:
        builder: the graph under construction.
        ops: the table of ops.
        main: the file being compiled; its `defaults` apply everywhere.
        standard: blocks that ship with archc.
    """

    builder: Builder
    ops: Mapping[str, type[Op]]
    main: Module
    standard: Mapping[str, tuple[Block, Module]]
    used_blocks: set[str] = field(default_factory=set)

    @property
    def sink(self) -> Diagnostics:
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
            value = header.iterable.evaluate(self.scope(place.env, flow))
            bound = [header.bind(element) for element in header.iterate(value)]
        except ExpressionError as error:
            self.report(error)
        except Poisoned:
            pass
        else:
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
        layer = item.layer
        self.builder.step(layer.span)
        path = None
        try:
            if isinstance(layer, Section):
                return self._level(item, layer.chain, flow, place)
            common = layer.common
            if common.when is not None and not self.truth(common.when, flow, place):
                return flow
            inputs = self._origins(common.origin, flow, place)
            frame = place.frame
            if common.side is not None:
                frame = replace(frame, side=_side(common.side))
            inner = Place(frame, place.level, place.env, place.numbered)
            path = self._explicit_path(item, inner, inputs[0])
            result = self.dispatch(layer, path, inputs, inner)
            if common.expect is not None and result is not None:
                reader = self.evaluator(self.scope(inner.env, result), inner)
                check_expected_shape(common.expect, result, reader, self.sink)
        except ExpressionError as error:
            self.report(error)
            result = None
        except (Poisoned, KeyError):
            result = None
        if path is None and item.name is not None:
            path = self._explicit_path(item, place, flow)
        if path is not None:
            self.builder.flows[path] = result
        return flow if not isinstance(layer, Section) and layer.common.side else result

    def _explicit_path(self, item: LayerItem, place: Place, flow: Flow) -> str | None:
        """The path a person wrote; None when the layer is unnamed."""
        if item.name is None:
            return None
        try:
            name = parse_template(item.name).render(self.scope(place.env, flow))
        except ExpressionError as error:
            self.report(error)
            return self.builder.imply(place.level, "unnamed", item.name.span)
        except Poisoned:
            return self.builder.imply(place.level, "unnamed", item.name.span)
        path = place.level.child(name)
        if not self.builder.claim(path, item.name.span):
            return self.builder.imply(place.level, name, item.name.span)
        return path

    def path(self, path: str | None, word: str, span: Span, place: Place) -> str:
        """The path of a layer: written, numbered or implied by its word."""
        if path is not None:
            return path
        if place.numbered:
            numbered = place.level.take_number()
            self.builder.claim(numbered, span)
            return numbered
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
        inner = place
        if path is not None:
            inner = place.within(level=self.builder.scope(path, None, layer.span))
        if isinstance(layer, Group):
            return self.chain(layer.chain, inputs[0], inner)
        assert isinstance(layer, Join)
        return join(self, layer, inputs[0], inner)

    def _level(self, item: LayerItem, chain: Chain, flow: Flow, place: Place) -> Flow:
        path = self.path(self._explicit_path(item, place, flow), "section", chain.span, place)
        level = self.builder.scope(path, None, chain.span)
        result = self.chain(chain, flow, place.within(level=level))
        self.builder.flows[path] = result
        return result

    def _origins(self, origin: Node | None, flow: Flow, place: Place) -> list[Flow]:
        if origin is None:
            return [flow]
        nodes = origin.items if isinstance(origin, SequenceNode) else (origin,)
        return [self.reference(node, flow, place) for node in nodes]

    def reference(self, node: Node, flow: Flow, place: Place) -> Flow:
        """What a reference names.

        Raises:
            KeyError: nothing (reported).
            ExpressionError: the name is no name.
        """
        if not isinstance(node, Scalar):
            raise ExpressionError("wrong-kind", "a reference is the name of a layer", node.span)
        name = parse_template(node).render(self.scope(place.env, flow))
        if name == "prev":
            return flow
        return self.builder.resolve(name, node.span, place.level, place.frame)

    # -- helpers --------------------------------------------------------------------------

    @property
    def words(self) -> frozenset[str]:
        """Words that can start a call in a layer given as a value."""
        return frozenset({*self.ops, *self.standard, *self.main.blocks})

    def scope(self, env: Env, flow: Flow) -> LayerScope:
        """Names for a layer that `flow` enters."""
        entering = None if flow is None else flow.type
        return LayerScope(env, entering, flow is None, self.is_word)

    def is_word(self, name: str) -> bool:
        """Whether a word names an op or a block."""
        return name in self.ops or name in self.main.blocks or name in self.standard

    def is_enum_word(self, name: str) -> bool:
        """Whether some op takes this word (`padding: half`), so that a param may hold it."""
        return name in enum_words(tuple(self.ops.values()))

    def evaluate(self, node: Node, flow: Flow, place: Place) -> object:
        """The value of an argument of a layer that `flow` enters."""
        return self.evaluator(self.scope(place.env, flow), place).value(node)

    def truth(self, condition: Scalar, flow: Flow, place: Place) -> bool:
        """Whether a condition holds for a layer that `flow` enters."""
        return bool(self.evaluate(condition, flow, place))

    def evaluator(self, scope: LayerScope, place: Place) -> Evaluator:
        """Evaluates arguments at a place."""
        return Evaluator(scope, replace(place.frame, env=place.env), self.sink, self.words)

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

"""Elaborating a whole spec: params and variant chosen, inputs bound, layers, outputs, checks."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from archc.diagnostics import Diagnostics, Span
from archc.elaborate.arguments import Evaluator, check_kind
from archc.elaborate.builder import Builder, TooManyLayers
from archc.elaborate.checks import (
    check_expectations,
    report_preconditions,
    warn_unused_layers,
    warn_unused_names,
)
from archc.elaborate.elaborator import Elaborator
from archc.elaborate.env import Env, LayerScope, Poisoned, closest
from archc.elaborate.frame import Flow, Frame, Module, Place
from archc.elaborate.inputs import Inputs, bind_inputs
from archc.graph import Graph, Value
from archc.graph.preconditions import derive_preconditions
from archc.ops.base import Op
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Block, Spec
from archc.spec.tree import Mapping as MappingNode
from archc.spec.tree import Node, Scalar
from archc.spec.tree import Sequence as SequenceNode

RECURSION_LIMIT = 20_000
"""Python frames: room for blocks within sections within blocks, as deep as their limits allow."""

_SYMBOL = re.compile(r"[A-Z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chooses about a spec.

    Attributes:
        variant: name of a variant, or None for the params as declared.
        overrides: param name -> value as written (`--set num_classes=10`).
    """

    variant: str | None = None
    overrides: Mapping[str, Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """The files and tables a spec is elaborated against.

    Attributes:
        ops: the table of ops.
        libraries: id of a spec -> the blocks it imports: name -> (block, its file).
        standard: blocks that ship with archc, likewise.
    """

    ops: Mapping[str, type[Op]]
    libraries: Mapping[int, Mapping[str, tuple[Block, Spec]]]
    standard: Mapping[str, tuple[Block, Spec]]


def elaborate(spec: Spec, choice: Choice, sources: Sources, sink: Diagnostics) -> Graph | None:
    """Turn a spec into a typed graph; None when there are errors (recorded in `sink`)."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION_LIMIT))
    try:
        return _Program(spec, choice, sources, sink).run()
    except RecursionError:
        sink.error("too-deep", "blocks, sections or definitions nest too deep", spec.span)
        return None
    finally:
        sys.setrecursionlimit(before)


class _Program:
    def __init__(self, spec: Spec, choice: Choice, sources: Sources, sink: Diagnostics) -> None:
        self.spec = spec
        self.choice = choice
        self.sink = sink
        self.sources = sources
        self.main = Module(spec, Env())
        self.modules: dict[int, Module] = {id(spec): self.main}
        self.builder = Builder(sink)
        self.elaborator = Elaborator(
            self.builder, sources.ops, self.main, self._attach(sources.standard)
        )
        self._bind_blocks()

    # -- modules --------------------------------------------------------------------------

    def _attach(self, blocks: Mapping[str, tuple[Block, Spec]]) -> dict[str, tuple[Block, Module]]:
        return {name: (block, self._module(spec)) for name, (block, spec) in blocks.items()}

    def _module(self, spec: Spec) -> Module:
        """The module of an imported file; its blocks see each other and its own params."""
        module = self.modules.get(id(spec))
        if module is None:
            module = Module(spec, Env())
            self.modules[id(spec)] = module
            module.blocks = self._attach(self.sources.libraries.get(id(spec), {}))
            module.blocks |= {name: (block, module) for name, block in spec.blocks.items()}
            self._define(module, {})
        return module

    def _bind_blocks(self) -> None:
        self.main.blocks = self._attach(self.sources.libraries.get(id(self.spec), {}))
        for name, block in self.spec.blocks.items():
            if name in self.sources.ops:
                self.sink.error(
                    "name-taken", f"`{name}` is an op; a block needs another name", block.span
                )
            self.main.blocks[name] = (block, self.main)

    def _evaluator(self, module: Module) -> Evaluator:
        elaborator = self.elaborator
        scope = LayerScope(module.env, None, False, elaborator.is_word)
        frame = Frame(module, module.env, "", {})
        return Evaluator(scope, frame, self.sink, elaborator.words)

    def _define(self, module: Module, given: Mapping[str, Node]) -> None:
        """Params and lets of a file: all lazy, so that their order does not matter."""

        def thunk(node: Node, name: str) -> object:
            value = self._evaluator(module).value(node, self.elaborator.is_enum_word)
            param = module.spec.params.get(name)
            if param is not None:
                check_kind(param, value, node.span)
            return value

        def define(name: str, span: Span, node: Node) -> None:
            module.env.thunks[name] = (span, lambda: thunk(node, name))

        for name, param in module.spec.params.items():
            if name in given:
                define(name, param.span, given[name])
            elif param.kind is None:
                define(name, param.span, param.default)
        for name, let in module.spec.lets.items():
            define(name, let.key.span, let.value)

    # -- params ---------------------------------------------------------------------------

    def _given(self) -> dict[str, Node]:
        given: dict[str, Node] = {}
        variant = self.choice.variant
        if variant is not None:
            if variant not in self.spec.variants:
                self._unknown_variant(variant)
            for name, argument in self.spec.variants.get(variant, {}).items():
                self._check_param(name, argument.key.span)
                given[name] = argument.value
        for name, other in self.spec.variants.items():
            for param, argument in other.items():
                if name != variant:
                    self._check_param(param, argument.key.span)
        for name, node in self.choice.overrides.items():
            self._check_param(name, node.span)
            given[name] = node
        self._require_params(given)
        return given

    def _check_param(self, name: str, span: Span) -> None:
        if name in self.spec.params:
            return
        close = closest(name, list(self.spec.params))
        listing = ", ".join(f"`{param}`" for param in self.spec.params) or "no params"
        self.sink.error(
            "unknown-param",
            f"the spec has no param `{name}`",
            span,
            help=[f"did you mean `{close}`?" if close else f"it has {listing}"],
        )

    def _unknown_variant(self, variant: str) -> None:
        close = closest(variant, list(self.spec.variants))
        listing = ", ".join(self.spec.variants) or "none"
        self.sink.error(
            "unknown-variant",
            f"`{self.spec.name}` has no variant `{variant}`",
            self.spec.span,
            help=[f"did you mean `{close}`?" if close else f"variants: {listing}"],
        )

    def _require_params(self, given: Mapping[str, Node]) -> None:
        for name, param in self.spec.params.items():
            if param.kind is not None and name not in given:
                help_ = [f"--set {name}=..."]
                if self.spec.variants:
                    help_.insert(0, f"choose a variant: {', '.join(self.spec.variants)}")
                self.sink.error(
                    "missing-param", f"param `{name}` needs a value", param.span, help=help_
                )

    # -- the run --------------------------------------------------------------------------

    def run(self) -> Graph | None:
        before = len(self.sink)
        given = self._given()
        if len(self.sink) > before:
            return None
        self._define(self.main, given)
        self._force_definitions()
        bound = bind_inputs(self.spec.inputs, self._evaluator(self.main), self.sink)
        if bound is None or self.spec.layers is None:
            return None
        inputs = bound.values
        self.builder.inputs.update((value.name, value) for value in inputs)
        self.builder.bounds = bound.bounds
        flow: Flow = inputs[0]
        frame = Frame(self.main, self.main.env, "", {"in": flow})
        level = self.builder.scope("", None, self.spec.span, self.spec.doc)
        place = Place(frame, level, self.main.env, False)
        try:
            last = self.elaborator.chain(self.spec.layers, flow, place)
        except TooManyLayers as limit:
            self.sink.error("expansion-limit", "the spec expands to too many layers", limit.span)
            return None
        outputs = self._outputs(last, place)
        warn_unused_names(self.spec, self.sink)
        if self.sink.has_errors or not outputs:
            return None
        return self._finish(bound, outputs)

    def _finish(self, bound: Inputs, outputs: Mapping[str, Value]) -> Graph | None:
        found = derive_preconditions(self.builder.nodes, bound.sizes)
        graph = Graph(
            name=self.choice.variant or self.spec.name,
            doc=self.spec.doc,
            inputs=bound.values,
            nodes=tuple(self.builder.nodes),
            outputs=outputs,
            scopes=self.builder.scopes,
            sizes={name: sizes for name, sizes in found.sizes.items() if not sizes.is_everything},
        )
        check_expectations(
            self.spec,
            graph,
            self.builder.flows,
            self._evaluator(self.main),
            not self.choice.overrides,
            self.sink,
        )
        warn_unused_layers(graph, self.sink)
        report_preconditions(found, bound.sizes, bound.places, self.sink)
        return None if self.sink.has_errors else graph

    def _force_definitions(self) -> None:
        """Evaluate every param and let once, so that a wrong one is reported even if unused."""
        for name in list(self.main.env.thunks):
            try:
                self.main.env.lookup(name)
            except ExpressionError as error:
                self.elaborator.report(error)
            except Poisoned:
                pass

    # -- outputs ---------------------------------------------------------------

    def _outputs(self, last: Flow, place: Place) -> dict[str, Value]:
        node = self.spec.outputs
        if node is None:
            return {} if last is None else {"output": last}
        outputs: dict[str, Value] = {}
        for name, reference in self._named_outputs(node):
            try:
                value = self.elaborator.reference(reference, last, place)
            except ExpressionError as error:
                self.elaborator.report(error)
            except (KeyError, Poisoned):
                pass
            else:
                if value is not None:
                    outputs[name] = value
        return outputs

    def _named_outputs(self, node: Node) -> list[tuple[str, Node]]:
        if isinstance(node, MappingNode):
            return [(entry.key.text, entry.value) for entry in node.entries]
        items = node.items if isinstance(node, SequenceNode) else (node,)
        named: list[tuple[str, Node]] = []
        for item in items:
            if isinstance(item, Scalar):
                named.append((item.text, item))
            else:
                self.sink.error("wrong-kind", "an output is the name of a layer", item.span)
        return named

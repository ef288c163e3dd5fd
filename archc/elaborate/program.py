"""Elaborating a whole spec: params and variant chosen, inputs bound, layers, outputs, checks."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from functools import partial

from archc.diagnostics import Diagnostics, Span
from archc.diagnostics.closest import closest
from archc.elaborate.arguments import Evaluator
from archc.elaborate.builder import MAX_LAYERS, Builder, TooManyLayers
from archc.elaborate.checkpoint import bind_renames
from archc.elaborate.checks import (
    check_expectations,
    note_fixed_batches,
    note_unflattened,
    report_preconditions,
    warn_unused_layers,
    warn_unused_names,
)
from archc.elaborate.elaborator import Elaborator
from archc.elaborate.env import Env, LayerScope, Poisoned
from archc.elaborate.findings import CallFindings
from archc.elaborate.frame import Frame, Module, Place
from archc.elaborate.imports import Library, with_blocks
from archc.elaborate.inputs import Inputs, bind_inputs
from archc.elaborate.keys import check_keys
from archc.elaborate.outputs import bind_outputs
from archc.elaborate.params import check_kind, define
from archc.elaborate.preprocess import bind_preprocess
from archc.elaborate.ties import apply_ties
from archc.graph import Graph, Value
from archc.graph.preconditions import derive_preconditions
from archc.graph.preprocess import Preprocess
from archc.graph.renames import Rename
from archc.ops.base import Op
from archc.records import dataclass, field
from archc.spec.expressions import ExpressionError
from archc.spec.read_chain import Vocabulary
from archc.spec.syntax import Block, Param, Spec
from archc.spec.tree import Node
from archc.types.dims import DimTooComplexError
from archc.types.sizes import SizeSet

RECURSION_LIMIT = 20_000
"""Python frames: room for blocks within sections within blocks, as deep as their limits allow."""

_SYMBOL = re.compile(r"[A-Z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chooses about a spec.

    Attributes:
        variant: name of a variant, or None for the params as declared.
        overrides: param name -> value as written (`--set num_classes=10`).
        max_layers: layers and turns of loops that the spec may unfold to.
    """

    variant: str | None = None
    overrides: Mapping[str, Node] = field(default_factory=dict)
    max_layers: int = MAX_LAYERS


@dataclass(frozen=True, slots=True)
class Sources:
    """The files and tables a spec is elaborated against.

    Attributes:
        ops: the table of ops.
        words: what starts a call in every file: ops and standard blocks.
        libraries: id of a spec -> the blocks it imports: name -> (block, its file).
        standard: blocks that ship with archc, likewise.
        incomplete: ids of specs of which an import could not be read.
    """

    ops: Mapping[str, type[Op]]
    words: Vocabulary
    libraries: Mapping[int, Library]
    standard: Library
    incomplete: Collection[int] = ()


def elaborate(spec: Spec, choice: Choice, sources: Sources, sink: Diagnostics) -> Graph | None:
    """Turn a spec into a typed graph.

    Returns:
        The graph; after errors (recorded in `sink`) what could be typed of it, without outputs;
        None when not even the inputs are known.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION_LIMIT))
    try:
        return _Program(spec, choice, sources, sink).run()
    except RecursionError:
        sink.error("too-deep", "blocks, sections or definitions nest too deep", spec.span)
        return None
    except DimTooComplexError as error:
        # Of a layer it is reported at the layer; this is a sum or a condition over several.
        sink.error("too-complex", f"what the layers need of the sizes: {error}", spec.span)
        return None
    finally:
        sys.setrecursionlimit(before)


def declared_inputs(
    spec: Spec, choice: Choice, sources: Sources, sink: Diagnostics
) -> tuple[Value, ...]:
    """The inputs of a spec; its layers are left alone. None of them after errors."""
    bound = _Program(spec, choice, sources, sink).bind()
    return () if bound is None else bound.values


class _Program:
    def __init__(self, spec: Spec, choice: Choice, sources: Sources, sink: Diagnostics) -> None:
        self.spec = spec
        self.choice = choice
        self.sink = CallFindings.into(sink)
        self.sources = sources
        self.modules: dict[int, Module] = {}
        self.preprocess: Mapping[str, Preprocess] = {}
        self.renames: tuple[Rename, ...] = ()
        self.builder = Builder(self.sink, max_layers=choice.max_layers)
        self.main = Module(spec, Env(), sources.words)
        self.elaborator = Elaborator(self.builder, sources.ops, self.main, not choice.overrides)
        self.elaborator.standard = self._attach(sources.standard)
        self._bind(self.main)

    # -- modules --------------------------------------------------------------------------

    def _attach(self, blocks: Library) -> dict[str, tuple[Block, Module]]:
        return {name: (block, self._module(spec)) for name, (block, spec) in blocks.items()}

    def _module(self, spec: Spec) -> Module:
        """The module of another file; its blocks see each other and its own params."""
        module = self.modules.get(id(spec))
        if module is None:
            module = Module(spec, Env(), self.sources.words)
            self._bind(module)
            self._define(module, {})
        return module

    def _bind(self, module: Module) -> None:
        """Give a module the blocks that it imports, then its own."""
        spec = module.spec
        self.modules[id(spec)] = module
        imported = self.sources.libraries.get(id(spec), {})
        own = {name: (block, spec) for name, block in spec.blocks.items()}
        module.blocks = self._attach(imported) | self._attach(own)
        module.words = with_blocks(module.words, {**imported, **own})
        module.incomplete = id(spec) in self.sources.incomplete

    def _evaluator(self, module: Module) -> Evaluator:
        """Evaluates at the top of a file, where no tensor enters."""
        words = self.elaborator.words_of(module)
        scope = LayerScope(module.env, None, False, words, self.elaborator.enums)
        frame = Frame(module, module.env, "", {})
        return Evaluator(scope, frame, self.sink, module.words)

    def _define(self, module: Module, given: Mapping[str, Node]) -> None:
        """Params and lets of a file: all lazy, so that their order does not matter."""
        spec = module.spec
        evaluator = self._evaluator(module)

        def value(param: Param, node: Node) -> object:
            anything = (lambda word: True) if param.kind == "text" else None
            result = evaluator.value(node, anything)
            check_kind(param, result, node.span)
            return result

        define(module.env, spec.params, spec.lets, evaluator.value, but=given)
        for name, node in given.items():
            param = spec.params[name]
            module.env.thunks[name] = (param.span, partial(value, param, node))

    # -- params ---------------------------------------------------------------------------

    def _given(self) -> dict[str, Node]:
        """Values of params: the variant's, then those set; only known params."""
        given: dict[str, Node] = {}
        for name, arguments in self.spec.variants.items():
            for param, argument in arguments.items():
                if self._check_param(param, argument.key.span) and name == self.choice.variant:
                    given[param] = argument.value
        for name, node in self.choice.overrides.items():
            if self._check_param(name, node.span):
                given[name] = node
        return given

    def _check_param(self, name: str, span: Span) -> bool:
        if name in self.spec.params:
            return True
        close = closest(name, list(self.spec.params))
        listing = ", ".join(f"`{param}`" for param in self.spec.params) or "no params"
        self.sink.error(
            "unknown-param",
            f"the spec has no param `{name}`",
            span,
            help=[f"did you mean `{close}`?" if close else f"it has {listing}"],
        )
        return False

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
        """Report params without a value; what uses them is not reported again."""
        for name, param in self.spec.params.items():
            if param.kind is None or name in given:
                continue
            self.main.env.fail(name, param.span)
            help_ = [f"--set {name}=..."]
            if self.spec.variants:
                help_.insert(0, f"choose a variant: {', '.join(self.spec.variants)}")
            self.sink.error(
                "missing-param", f"param `{name}` needs a value", param.span, help=help_
            )

    # -- the run --------------------------------------------------------------------------

    def bind(self) -> Inputs | None:
        """Give params their values and inputs their types; None after errors in the inputs."""
        given = self._given()
        self._define(self.main, given)
        self._require_params(given)
        self._force_definitions()
        return bind_inputs(self.spec.inputs, self._evaluator(self.main), self.sink)

    def run(self) -> Graph | None:
        if self.choice.variant is not None and self.choice.variant not in self.spec.variants:
            self._unknown_variant(self.choice.variant)
            return None
        bound = self.bind()
        if self.spec.layers is None:
            return None
        # An input that failed is no reason to stay silent about the layers.
        for declared in self.spec.inputs:
            self.builder.claim(declared.name.text, declared.name.span)
            self.builder.inputs[declared.name.text] = None
        if bound is not None:
            self.builder.inputs.update((value.name, value) for value in bound.values)
            self.builder.typer.bounds = bound.bounds
            self.preprocess = bind_preprocess(
                self.spec.preprocess, bound.values, self._evaluator(self.main), self.sink
            )
        flow = next(iter(self.builder.inputs.values()), None)
        frame = Frame(self.main, self.main.env, "", {"in": flow})
        level = self.elaborator.open("", None, [self.spec.layers], self.spec.span, self.spec.doc)
        place = Place(frame, level, self.main.env, False)
        try:
            last = self.elaborator.chain(self.spec.layers, flow, place)
        except TooManyLayers as limit:
            most = f"{self.choice.max_layers:,}"
            self.sink.error(
                "expansion-limit",
                f"the spec unfolds to more than {most} layers and turns of loops",
                limit.span,
                help=["to allow more: --max-layers"],
            )
            return None if bound is None else self._graph(bound, {}, {})
        self.renames = bind_renames(self.spec.checkpoint, self.sink)
        outputs = bind_outputs(self.elaborator, self.spec.outputs, last, place)
        self._check_defaults()
        if bound is None:
            return None
        apply_ties(self.builder.nodes, self.builder.ties, self.sink)
        check_keys(self.builder.nodes, self.sink)
        if not self.builder.nodes and not self.sink.has_errors:
            self.sink.error(
                "no-layers",
                "every layer is left out, by `if`, `when` or an empty `for`",
                self.spec.layers.span,
            )
        if self.sink.has_errors or not outputs:
            return self._graph(bound, {}, {})
        return self._finish(bound, outputs)

    def _check_defaults(self) -> None:
        """Report defaults of what is neither an op nor a block."""
        options = [*self.sources.ops, *self.main.blocks, *self.elaborator.standard]
        for name, (key, _) in self.spec.defaults.items():
            if name not in options and not self.main.incomplete:
                close = closest(name, options)
                self.sink.error(
                    "unknown-op",
                    f"there is no op or block `{name}`",
                    key.span,
                    help=[f"did you mean `{close}`?"] if close else [],
                )

    def _graph(
        self, bound: Inputs, outputs: Mapping[str, Value], sizes: Mapping[str, SizeSet]
    ) -> Graph:
        return Graph(
            name=self.choice.variant or self.spec.name,
            doc=self.spec.doc,
            inputs=bound.values,
            nodes=tuple(self.builder.nodes),
            outputs=outputs,
            scopes=self.builder.scopes,
            sizes={name: known for name, known in sizes.items() if not known.is_everything},
            promised={name: fed for name, fed in bound.sizes.items() if not fed.is_everything},
            preprocess=self.preprocess,
            renames=self.renames,
        )

    def _finish(self, bound: Inputs, outputs: Mapping[str, Value]) -> Graph:
        found = derive_preconditions(self.builder.nodes, bound.sizes)
        # A layer that works at every promised size demands nothing more.
        graph = self._graph(bound, outputs, {**bound.sizes, **found.sizes})
        if not self.choice.overrides:
            evaluator = self._evaluator(self.main)
            check_expectations(self.spec, graph, self.builder.flows, evaluator, self.sink)
        warn_unused_names(self.spec, self.sink)
        warn_unused_layers(graph, self.sink)
        if not self.sink.has_errors:
            note_fixed_batches(graph, self.sink)
            note_unflattened(graph, self.sink)
        report_preconditions(found, bound.sizes, bound.places, self.sink)
        return graph

    def _force_definitions(self) -> None:
        """Evaluate every param and let once, so that a wrong one is reported even if unused."""
        for name in list(self.main.env.thunks):
            try:
                self.main.env.lookup(name)
            except ExpressionError as error:
                self.elaborator.report(error)
            except Poisoned:
                pass

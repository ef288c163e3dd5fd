"""What a spec asserts of itself (`expect`), and what it holds for nothing (warnings)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.diagnostics import Diagnostic, Diagnostics, Label, Severity, Span
from archc.diagnostics.closest import closest
from archc.elaborate.arguments import Evaluator, shown
from archc.elaborate.env import Poisoned
from archc.elaborate.frame import Flow
from archc.graph import Graph, Node, Value
from archc.graph.costs import sample_macs
from archc.graph.preconditions import Demand, Preconditions
from archc.ops.conditions import Condition
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Argument, Spec
from archc.spec.tree import Mapping as MappingNode
from archc.spec.tree import Node as TreeNode
from archc.spec.tree import Sequence as SequenceNode
from archc.spec.words import block_words, spec_words
from archc.types import (
    Dim,
    Expr,
    format_dim,
    format_shape,
    provably_differ,
    provably_equal,
    symbol,
)
from archc.types.sizes import SizeSet, describe_sizes

WILDCARD = "any"


def check_expected_shape(
    expected: TreeNode, value: Value, evaluator: Evaluator, sink: Diagnostics
) -> None:
    """Compare a value's shape with the one written; `any` fits every size.

    Raises:
        ExpressionError: the expectation itself is wrong.
    """
    if not isinstance(expected, SequenceNode):
        raise ExpressionError(
            "wrong-kind", "a shape is a list such as [N, 64, 56, 56]", expected.span
        )
    wanted = evaluator.value(expected, lambda word: word == WILDCARD)
    assert isinstance(wanted, list)
    shape = value.type.shape
    fits = len(wanted) == len(shape) and all(
        want == WILDCARD or (isinstance(want, (int, Expr)) and provably_equal(want, dim))
        for want, dim in zip(wanted, shape, strict=True)
    )
    if fits:
        return
    written = "[" + ", ".join(_dim_text(want) for want in wanted) + "]"
    help_ = []
    if len(wanted) == len(shape) - 1:
        help_ = [f"write the batch axis, too: {format_shape(shape)}"]
    message = f"the shape is {format_shape(shape)}, not {written}"
    if partly := _where_they_agree(wanted, shape):
        message = f"the shape is {format_shape(shape)}, which is {written} only where {partly}"
    sink.error(
        "expect-failed",
        message,
        expected.span,
        "expected here",
        secondary=[Label(value.span, f"{format_shape(shape)} comes from here")],
        help=help_,
    )


def _where_they_agree(wanted: Sequence[object], shape: Sequence[Dim]) -> str:
    """What has to hold of symbolic sizes for two shapes to agree; empty when they never do."""
    if len(wanted) != len(shape):
        return ""
    conditions: list[str] = []
    for want, dim in zip(wanted, shape, strict=True):
        if want == WILDCARD:
            continue
        if not isinstance(want, (int, Expr)) or provably_differ(want, dim):
            return ""
        if not provably_equal(want, dim):
            conditions.append(f"{format_dim(dim)} = {format_dim(want)}")
    return " and ".join(conditions)


def _dim_text(want: object) -> str:
    return format_dim(want) if isinstance(want, (int, Expr)) else str(want)


def check_expectations(
    spec: Spec,
    graph: Graph,
    flows: Mapping[str, Flow],
    evaluator: Evaluator,
    sink: Diagnostics,
) -> None:
    """Compare the whole network, params as written, with the spec's `expect` section.

    Args:
        spec: the file.
        graph: the elaborated network.
        flows: path -> value, for `shapes`.
        evaluator: evaluates at the top of the file.
        sink: where findings go.
    """
    for key, argument in spec.expect.items():
        try:
            if key == "shapes":
                _check_shapes(argument, flows, evaluator, sink)
            elif key in _TOTALS:
                _check_total(argument, graph, spec, evaluator, sink)
            else:
                _unknown(argument, ["macs", "parameters", "shapes"], sink)
        except ExpressionError as error:
            sink.error(error.code, error.message, error.span, help=error.help)
        except Poisoned:
            pass


def _unknown(argument: Argument, options: Sequence[str], sink: Diagnostics) -> None:
    close = closest(argument.key.text, list(options))
    listing = ", ".join(f"`{option}`" for option in options)
    sink.error(
        "unknown-key",
        f"`expect` has no key `{argument.key.text}`",
        argument.key.span,
        help=[f"did you mean `{close}`?" if close else f"it takes {listing}"],
    )


def _check_shapes(
    argument: Argument, flows: Mapping[str, Flow], evaluator: Evaluator, sink: Diagnostics
) -> None:
    if not isinstance(argument.value, MappingNode):
        raise ExpressionError(
            "wrong-kind", "`shapes` maps layer paths to shapes", argument.value.span
        )
    for entry in argument.value.entries:
        path = entry.key.text
        if path not in flows:
            close = closest(path, list(flows))
            sink.error(
                "unknown-reference",
                f"there is no layer `{path}`",
                entry.key.span,
                help=[f"did you mean `{close}`?"] if close else [],
            )
            continue
        value = flows[path]
        if value is not None:
            check_expected_shape(entry.value, value, evaluator, sink)


def _check_total(
    argument: Argument, graph: Graph, spec: Spec, evaluator: Evaluator, sink: Diagnostics
) -> None:
    """A total is one number, or a mapping of variant names to numbers."""
    node: TreeNode | None = argument.value
    if isinstance(node, MappingNode):
        names = list(dict.fromkeys([*spec.variants, spec.name]))
        for entry in node.entries:
            if entry.key.text not in names:
                close = closest(entry.key.text, names)
                sink.error(
                    "unknown-variant",
                    f"there is no variant `{entry.key.text}`",
                    entry.key.span,
                    help=[f"did you mean `{close}`?" if close else f"it has {', '.join(names)}"],
                )
        node = next((entry.value for entry in node.entries if entry.key.text == graph.name), None)
    if node is None:
        return
    wanted = evaluator.value(node)
    total: Dim = sample_macs(graph) if argument.key.text == "macs" else graph.parameter_count
    if isinstance(wanted, bool) or not isinstance(wanted, (int, Expr)):
        raise ExpressionError(
            "wrong-type", f"`{argument.key.text}` is an integer, not {shown(wanted)}", node.span
        )
    if not provably_equal(wanted, total):
        sink.error(
            "expect-failed",
            f"`{graph.name}` has {_total_text(total)} {_TOTALS[argument.key.text]}, "
            f"not {_total_text(wanted)}",
            node.span,
            "expected here",
        )


_TOTALS = {"parameters": "parameters", "macs": "multiply-accumulates per sample"}


def _total_text(total: Dim) -> str:
    return f"{total:,}" if isinstance(total, int) else format_dim(total)


# -- warnings -----------------------------------------------------------------------------


def warn_unused_layers(graph: Graph, sink: Diagnostics) -> None:
    """Warn of layers whose result reaches no output, and of inputs that no layer reads."""
    reached = {value.name for value in graph.outputs.values()}
    dead: list[Node] = []
    for node in reversed(graph.nodes):
        if node.side is not None or any(value.name in reached for value in node.outputs):
            reached.update(value.name for value in node.inputs)
            continue
        # Only the last layer of a dead chain is named: the others die with it.
        dead.append(node)
        reached.update(value.name for value in node.inputs)
    for value in graph.inputs:
        if value.name not in reached:
            sink.warning(
                "unused-input",
                f"the input `{value.name}` is not used",
                value.span,
                help=[f"read it with `from: {value.name}`, or remove it"],
            )
    for node in reversed(dead):
        sink.warning(
            "unused-layer",
            f"the result of `{node.path}` is not used",
            node.span,
            help=["name it in `outputs`, read it with `from`, or remove it"],
        )


def warn_unused_names(spec: Spec, sink: Diagnostics) -> None:
    """Warn of blocks and params that no line of the file mentions."""
    words = set(spec_words(spec))
    for name, block in spec.blocks.items():
        if name not in words:
            sink.warning("unused-block", f"block `{name}` is never used", block.span)
    for name, param in spec.params.items():
        if name not in words:
            sink.warning("unused-param", f"param `{name}` is never used", param.span)
    for block in spec.blocks.values():
        inside = set(block_words(block))
        for name, param in block.params.items():
            if name not in inside:
                sink.warning(
                    "unused-param",
                    f"param `{name}` of block `{block.name}` is never used",
                    param.span,
                )


def note_fixed_batches(graph: Graph, sink: Diagnostics) -> None:
    """Say which inputs take one number of samples only: a batch axis may be missing."""
    for value in graph.inputs:
        size = value.type.shape[0]
        # One sample at a time is a deliberate choice, unless it looks like an image's channels.
        if isinstance(size, int) and (size > 1 or value.type.rank == 3):
            sink.add(
                Diagnostic(
                    "fixed-batch",
                    f"the first axis of `{value.name}` is the batch, here of exactly {size}",
                    Label(value.span),
                    help=(f"with any batch: {value.name}: {_with_batch(value)}",),
                    severity=Severity.NOTE,
                )
            )


def note_unflattened(graph: Graph, sink: Diagnostics) -> None:
    """Say where a linear layer works along the last axis of an image: `flatten` may be missing."""
    images: set[str] = set()
    told: set[Span] = set()  # a layer in a loop is told of once
    for node in graph.nodes:
        op = node.op
        image = op.channels_first or (
            op.pointwise and any(value.name in images for value in node.inputs)
        )
        if image and node.output.type.rank > 2:
            images.update(value.name for value in node.outputs)
        if node.op_name != "linear" or node.inputs[0].name not in images or node.span in told:
            continue
        told.add(node.span)
        entering = node.inputs[0]
        sink.add(
            Diagnostic(
                "linear-on-image",
                f"`{node.path}` works along the last axis of {entering.type}, which is space",
                Label(node.span),
                (Label(entering.span, f"{entering.type} comes from here"),),
                ("with `flatten` or `global_avgpool` in front, it sees the whole image",),
                Severity.NOTE,
            )
        )


def _with_batch(value: Value) -> str:
    shape = value.type.shape
    # Three axes are most likely those of an image, written without a batch.
    rest = shape if len(shape) in (1, 3) else shape[1:]
    return format_shape((symbol("N"), *rest))


def report_preconditions(
    found: Preconditions,
    promised: Mapping[str, SizeSet],
    places: Mapping[str, Span],
    sink: Diagnostics,
) -> None:
    """Say at each line what must hold of the symbolic sizes.

    What several layers demand is said at the one that demands most; what is implied by other
    demands is not said at all. A demand that the promised sizes do not meet is an error.

    Args:
        found: the demands.
        promised: symbol -> sizes that the spec promises to feed.
        places: symbol -> where it is promised.
        sink: where findings go.
    """
    for demand in found.demands:
        if found.conflict is not None and demand.symbol == found.conflict.symbol:
            continue
        if demand.symbol in promised:
            _report_broken_promise(demand, found, promised[demand.symbol], places, sink)
        else:
            _report_demand(demand, sink)
    if found.conflict is not None:
        demand = found.conflict
        others = [d for d in found.demands if d.symbol == demand.symbol and d is not demand]
        sink.error(
            "no-size",
            f"no size of {demand.symbol} fits: `{demand.node.op_name}` needs {demand.condition}",
            _place(demand.node, demand.condition),
            describe_sizes(demand.symbol, demand.sizes),
            secondary=[
                Label(_place(d.node, d.condition), describe_sizes(d.symbol, d.sizes))
                for d in others
            ],
        )
    for node, condition in found.unproved:
        sink.warning(
            "unproved",
            f"`{node.op_name}` works only where {condition}, which could not be settled",
            _place(node, condition),
            "depends on the size of the input",
            help=["fix the size in `inputs`, or feed only sizes for which it holds"],
        )


def _report_broken_promise(
    demand: Demand,
    found: Preconditions,
    promised: SizeSet,
    places: Mapping[str, Span],
    sink: Diagnostics,
) -> None:
    name = demand.symbol
    counterexample = next(size for size in promised.members() if size not in demand.sizes)
    sink.error(
        "unfit-size",
        f"`{demand.node.op_name}` needs {demand.condition}, but {name} = {counterexample} is "
        "promised",
        _place(demand.node, demand.condition),
        describe_sizes(name, demand.sizes),
        secondary=[Label(places[name], "promised here")],
        help=[f"the network works where {describe_sizes(name, found.sizes[name])}"],
    )


def _report_demand(demand: Demand, sink: Diagnostics) -> None:
    sink.add(
        Diagnostic(
            "precondition",
            f"`{demand.node.op_name}` needs {demand.condition}",
            Label(
                _place(demand.node, demand.condition),
                describe_sizes(demand.symbol, demand.sizes),
            ),
            severity=Severity.NOTE,
        )
    )


def _place(node: Node, condition: Condition) -> Span:
    return node.attribute_spans.get(condition.at or "", node.span)

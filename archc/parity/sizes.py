"""Sizes at which to compare, and inputs of those sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph
from archc.ops.conditions import Condition
from archc.types import DType, evaluate, format_shape, symbols_of
from archc.types.sizes import describe_sizes

BATCHES = (1, 2, 3)
_MORE_BATCHES = (4, 6, 8, 16)  # for networks that need, say, an even batch
_SIZES = (64, 97, 50, 128, 224, 32, 256, 299, 16, 384, 512, 8, 4, 2, 1)
_SMALLEST = 3
_MAX_TRIES = 4000


def choose_sizes(
    graph: Graph, batches: Sequence[int] | None = None, given: Mapping[str, int] | None = None
) -> tuple[list[dict[str, int]], list[Diagnostic]]:
    """Values for every symbolic dim: one assignment for each batch size.

    The batch is the symbol that is the first dim of the first input. Further symbols take sizes
    that meet all conditions of the graph, others for each batch where there are others, and at last
    the two smallest: sizes of 1 and 2 are where broadcasting and rounding go wrong.

    Args:
        graph: the network.
        batches: batch sizes, all of which must work; None for those of `BATCHES` that do.
        given: sizes that are fixed.

    Returns:
        The assignments, or none and the reason why there are none.
    """
    given = dict(given or {})
    symbols = _symbols(graph)
    unknown = [name for name in given if name not in symbols]
    if unknown:
        listed = ", ".join(symbols) or "none"
        reason = f"it leaves no size `{unknown[0]}` open"
        return [], [_refusal(graph, reason, f"its open sizes: {listed}")]
    batch = _batch_symbol(graph)
    is_fixed = batch is None or batch in given
    if is_fixed and batches is not None and set(batches) != {given.get(batch or "", 0)}:
        at = f" at {given[batch]}" if batch in given else ""
        return [], [_refusal(graph, f"its batch is fixed{at}", "leave the batch sizes away")]
    if is_fixed:
        wanted: Sequence[int] = (given.get(batch or "", 1),) * len(BATCHES)  # of other sizes
    else:
        wanted = batches if batches is not None else BATCHES + _MORE_BATCHES
    must_work = batches is not None or is_fixed
    runs: list[dict[str, int]] = []
    for index, count in enumerate(wanted):
        fixed = {**given, batch: count} if batch is not None else given
        found = _assignment(graph, symbols, fixed, index)
        if found is None and must_work:
            return [], [_unmet(graph, symbols, fixed)]
        if found is not None and found not in runs:
            runs.append(found)
        if batches is None and len(runs) == len(BATCHES):
            break
    if runs:
        runs += _smallest_runs(graph, symbols, given, batch, runs)
    return (runs, []) if runs else ([], [_unmet(graph, symbols, given)])


def _smallest_runs(
    graph: Graph,
    symbols: Sequence[str],
    given: Mapping[str, int],
    batch: str | None,
    runs: Sequence[Mapping[str, int]],
) -> list[dict[str, int]]:
    """Further runs at the smallest sizes that work, where any size but the batch is open."""
    counts = {} if batch is None else {batch: runs[-1][batch]}
    fixed = {**given, **counts}
    found = [_assignment(graph, symbols, fixed, skip, smallest=True) for skip in range(2)]
    return [run for i, run in enumerate(found) if run and run not in [*runs, *found[:i]]]


def unfeedable(graph: Graph) -> list[Diagnostic]:
    """Inputs that numpy cannot hold, so that no runtime can be fed from Python."""
    return [
        Diagnostic(
            "run-failed",
            f"input `{value.name}` is bfloat16, which NumPy does not have",
            Label(value.span),
            help=("declare the input as float32 and cast it in the network",),
        )
        for value in graph.inputs
        if value.type.dtype is DType.BFLOAT16 is not graph.dtype
    ]


def holds(condition: Condition, sizes: Mapping[str, int]) -> bool:
    """Whether a condition holds at concrete sizes."""
    left, right = evaluate(condition.left, sizes), evaluate(condition.right, sizes)
    if condition.relation == "equal":
        return left == right
    if condition.relation == "at-least":
        return left >= right
    return right != 0 and left % right == 0


def _symbols(graph: Graph) -> list[str]:
    """Names of the open sizes, in the order of the inputs."""
    dims = (dim for value in graph.inputs for dim in value.type.shape)
    return list(dict.fromkeys(name for dim in dims for name in sorted(symbols_of(dim))))


def _batch_symbol(graph: Graph) -> str | None:
    shape = graph.inputs[0].type.shape
    names = symbols_of(shape[0]) if shape else frozenset()
    return next(iter(names)) if len(names) == 1 and str(shape[0]) in names else None


def _assignment(
    graph: Graph,
    symbols: Sequence[str],
    fixed: Mapping[str, int],
    skip: int,
    *,
    smallest: bool = False,
) -> dict[str, int] | None:
    """The assignment number `skip` that meets all conditions, or the last one there is."""
    free = [name for name in symbols if name not in fixed]
    conditions = [condition for node in graph.nodes for condition in node.conditions]
    last = None
    choices = [_sizes_of(graph, name, smallest) for name in free]
    for values in islice(_candidates(choices), _MAX_TRIES):
        known = {**fixed, **dict(zip(free, values, strict=True))}
        sizes = {name: known[name] for name in symbols}
        if all(holds(condition, sizes) for condition in conditions):
            last = sizes
            if skip == 0:
                break
            skip -= 1
    return last


def _sizes_of(graph: Graph, name: str, smallest: bool) -> list[int]:
    """Sizes to try of one symbol: usual ones that it can have, and the smallest it can have."""
    allowed = graph.sizes.get(name)
    if allowed is None:
        return sorted(_SIZES) if smallest else list(_SIZES)
    usual, least = [size for size in _SIZES if size in allowed], allowed.first(_SMALLEST)
    return least + sorted(usual) if smallest else usual + least


def _candidates(choices: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    """Tuples of sizes: all alike, all different, then every combination."""
    if len(choices) > 1:
        for index, size in enumerate(choices[0]):
            if all(size in sizes for sizes in choices):
                yield (size,) * len(choices)
            yield tuple(sizes[(index + i) % len(sizes)] for i, sizes in enumerate(choices))
    yield from product(*choices)


def _unmet(graph: Graph, symbols: Sequence[str], fixed: Mapping[str, int]) -> Diagnostic:
    """Why no sizes work: the first condition that the fixed ones break, if they alone do."""
    for node in graph.nodes:
        for condition in node.conditions:
            names = symbols_of(condition.left) | symbols_of(condition.right)
            if names <= fixed.keys() and not holds(condition, fixed):
                span = node.attribute_spans.get(condition.at or "", node.span)
                at = ", ".join(f"{name} = {fixed[name]}" for name in sorted(names))
                message = f"`{graph.name}` does not work at {at}: {condition} is needed"
                help_ = tuple(describe_sizes(n, graph.sizes[n]) for n in names & graph.sizes.keys())
                return Diagnostic("run-failed", message, Label(span), help=help_)
    listed = ",".join(f"{name}=..." for name in symbols)
    reason = "no sizes were found that meet its conditions"
    return _refusal(graph, reason, f"give them: --at {listed}")


def _refusal(graph: Graph, reason: str, help_: str) -> Diagnostic:
    shapes = ", ".join(f"{value.name} {format_shape(value.type.shape)}" for value in graph.inputs)
    message = f"`{graph.name}` ({shapes}) cannot be run: {reason}"
    return Diagnostic("run-failed", message, Label(graph.inputs[0].span), help=(help_,))

"""Proof that two targets compute the same: torch, torch in float64, and onnxruntime.

The gate is calibrated against float64: with `e(y) = max|y - ref64| / max|ref64|`, onnxruntime's
error may be at most 16 times that of torch in float32, and 1e-6 at least. Fixed tolerances fail
correct deep networks and pass broken shallow ones.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph
from archc.ops.conditions import Condition
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, evaluate, symbols_of
from archc.weights import RandomisedWeights, WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FLOOR = 1e-6
FACTOR = 16.0
BATCHES = (1, 2, 3)
_SIZES = (32, 64, 97, 128, 224, 256, 16, 8, 512)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One output at one size.

    Attributes:
        output: its name.
        sizes: value of every symbolic dim.
        optimized: whether onnxruntime optimised the graph.
        torch_error: scaled error of torch in float32 against float64.
        ort_error: scaled error of onnxruntime against float64.
        problem: what differs other than numbers (shape, dtype, NaN positions); empty if nothing.
    """

    output: str
    sizes: Mapping[str, int]
    optimized: bool
    torch_error: float
    ort_error: float
    problem: str = ""

    @property
    def limit(self) -> float:
        """The largest error that passes."""
        return max(FLOOR, FACTOR * self.torch_error)

    @property
    def ok(self) -> bool:
        """Whether it passes the gate."""
        return not self.problem and self.ort_error <= self.limit


@dataclass(frozen=True, slots=True)
class Report:
    """All comparisons of one network.

    Attributes:
        name: the network.
        comparisons: one per output, size and optimisation level.
        diagnostics: why it could not be compared at all, if so.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    diagnostics: tuple[Diagnostic, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether there is something to compare and all of it passes."""
        return bool(self.comparisons) and all(c.ok for c in self.comparisons)


def verify_graph(
    graph: Graph,
    *,
    batches: Sequence[int] = BATCHES,
    sizes: Mapping[str, int] | None = None,
    opset: int = 20,
    seed: int = 0,
    weights: WeightSource | None = None,
    model: Path | None = None,
) -> Report:
    """Run both targets with the same weights and inputs, and compare.

    Args:
        graph: the network.
        batches: values of the batch symbol (the first dim of the first input).
        sizes: values of further symbolic dims.
        opset: ONNX operator set to write.
        seed: of weights and inputs.
        weights: weights to use; by default randomised ones, batch-norm statistics and biases
            included, because default initialisation hides mistakes.
        model: an ONNX file to compare instead of writing one.

    Raises:
        ModuleNotFoundError: torch or onnxruntime is not installed.
    """
    source = emit_torch(graph)
    if source.diagnostics:
        return Report(graph.name, (), tuple(source.diagnostics))
    weights = weights or RandomisedWeights(seed)
    with tempfile.TemporaryDirectory(prefix="archc-verify-") as folder:
        if model is None:
            model = Path(folder) / "model.onnx"
            problems = write_onnx(graph, weights, model, opset=opset).diagnostics
            if problems:
                return Report(graph.name, (), tuple(problems))
        module = load_module(source, weights).eval()
        runs = list(_sizes(graph, batches, sizes or {}))
        return Report(graph.name, tuple(_compare(graph, module, model, runs, seed)))


def _compare(
    graph: Graph, module: Any, model: Path, runs: Sequence[Mapping[str, int]], seed: int
) -> Iterator[Comparison]:
    inputs = [draw_inputs(graph, size, seed + index) for index, size in enumerate(runs)]
    single = [run_torch(graph, module, feed) for feed in inputs]
    double_module = copy.deepcopy(module).double()
    double = [run_torch(graph, double_module, _doubled(feed)) for feed in inputs]
    del double_module
    for optimized in (False, True):
        session = open_session(model, optimized=optimized)
        for size, feed, mine, reference in zip(runs, inputs, single, double, strict=True):
            results = session.run(None, feed)
            names = [output.name for output in session.get_outputs()]
            for name, theirs in zip(names, results, strict=True):
                yield compare(name, size, optimized, mine[name], theirs, reference[name])


def compare(
    name: str,
    sizes: Mapping[str, int],
    optimized: bool,
    torch_output: Array,
    ort_output: Array,
    reference: Array,
) -> Comparison:
    """Compare one output of two runtimes against float64."""
    import numpy as np

    problem = ""
    if torch_output.shape != ort_output.shape:
        problem = f"shapes differ: torch {torch_output.shape}, onnxruntime {ort_output.shape}"
    elif torch_output.dtype != ort_output.dtype:
        problem = f"dtypes differ: torch {torch_output.dtype}, onnxruntime {ort_output.dtype}"
    elif not np.issubdtype(torch_output.dtype, np.floating):
        if not np.array_equal(torch_output, ort_output):
            problem = "integer outputs differ"
    elif not np.array_equal(np.isfinite(torch_output), np.isfinite(ort_output)):
        problem = "NaN or infinity at different places"
    if problem:
        return Comparison(name, sizes, optimized, 0.0, float("inf"), problem)
    return Comparison(
        name,
        sizes,
        optimized,
        scaled_error(torch_output, reference),
        scaled_error(ort_output, reference),
    )


def scaled_error(output: Array, reference: Array) -> float:
    """`max|y - ref| / max|ref|` over the finite elements."""
    import numpy as np

    finite = np.isfinite(reference) & np.isfinite(output)
    if not finite.any():
        return 0.0
    difference = np.abs(output[finite].astype(np.float64) - reference[finite])
    scale = np.abs(reference[finite]).max()
    return float(difference.max() / scale) if scale > 0 else float(difference.max())


def open_session(model: Path, *, optimized: bool) -> Any:
    """An onnxruntime session on the CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    )
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run_torch(graph: Graph, module: Any, feed: Mapping[str, Array]) -> dict[str, Array]:
    """Run a torch module on named inputs; returns named outputs."""
    import torch

    with torch.no_grad():
        result = module(*(torch.from_numpy(feed[value.name]) for value in graph.inputs))
    if isinstance(result, dict):
        return {name: tensor.numpy() for name, tensor in result.items()}
    return {next(iter(graph.outputs)): result.numpy()}


def draw_inputs(graph: Graph, sizes: Mapping[str, int], seed: int) -> dict[str, Array]:
    """Random inputs at concrete sizes: standard normal floats, small non-negative integers."""
    import numpy as np

    rng = np.random.default_rng(seed)
    feed: dict[str, Array] = {}
    for value in graph.inputs:
        shape = tuple(evaluate(dim, sizes) for dim in value.type.shape)
        if value.type.dtype.is_floating:
            feed[value.name] = rng.standard_normal(shape).astype(value.type.dtype.value)
        elif value.type.dtype is DType.BOOL:
            feed[value.name] = rng.integers(0, 2, shape).astype(bool)
        else:
            feed[value.name] = rng.integers(0, 2, shape).astype(value.type.dtype.value)
    return feed


def _doubled(feed: Mapping[str, Array]) -> dict[str, Array]:
    import numpy as np

    return {
        name: array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in feed.items()
    }


# -- sizes --------------------------------------------------------------------------------


def _sizes(
    graph: Graph, batches: Sequence[int], given: Mapping[str, int]
) -> Iterator[dict[str, int]]:
    """Values for every symbolic dim: each batch size, and sizes the network can take."""
    first = graph.inputs[0].type.shape[0]
    batch = next(iter(symbols_of(first)), None)
    free = {
        name
        for value in graph.inputs
        for dim in value.type.shape
        for name in symbols_of(dim)
        if name != batch and name not in given
    }
    others = dict(given)
    if free:
        others |= _fitting(graph, free, given, batch)
    for count in batches if batch is not None and batch not in given else (1,):
        yield {**others, **({batch: count} if batch is not None else {}), **given}


def _fitting(
    graph: Graph, free: set[str], given: Mapping[str, int], batch: str | None
) -> dict[str, int]:
    conditions = [condition for node in graph.nodes for condition in node.conditions]
    for size in _SIZES:
        sizes = {**given, **dict.fromkeys(free, size)}
        known = {**sizes, **({batch: 1} if batch is not None else {})}
        if all(holds(condition, known) for condition in conditions):
            return sizes
    return dict.fromkeys(free, _SIZES[0])


def holds(condition: Condition, sizes: Mapping[str, int]) -> bool:
    """Whether a condition holds at concrete sizes."""
    left, right = evaluate(condition.left, sizes), evaluate(condition.right, sizes)
    if condition.relation == "equal":
        return left == right
    if condition.relation == "at-least":
        return left >= right
    return left % right == 0


# -- telling ------------------------------------------------------------------------------


def report_lines(report: Report) -> Iterator[str]:
    """The report as a person reads it."""
    yield f"{report.name}: scaled error against float64"
    for item in report.comparisons:
        sizes = ", ".join(f"{name}={size}" for name, size in sorted(item.sizes.items()))
        level = "optimized" if item.optimized else "as written"
        verdict = "ok" if item.ok else "FAILED"
        numbers = (
            f"torch {item.torch_error:.1e}  onnxruntime {item.ort_error:.1e}  "
            f"limit {item.limit:.1e}"
        )
        yield f"  {item.output}  {sizes:<12} {level:<10}  {item.problem or numbers}  {verdict}"


def failure(report: Report, graph: Graph) -> Diagnostic:
    """The diagnostic of a network that failed the gate."""
    worst = next(item for item in report.comparisons if not item.ok)
    sizes = ", ".join(f"{name}={size}" for name, size in sorted(worst.sizes.items()))
    reason = worst.problem or (
        f"scaled error {worst.ort_error:.1e}, where {worst.limit:.1e} is the limit"
    )
    return Diagnostic(
        "parity-failed",
        f"`{report.name}`: output `{worst.output}` differs between the targets "
        f"at {sizes}: {reason}",
        Label(graph.outputs[worst.output].span),
    )

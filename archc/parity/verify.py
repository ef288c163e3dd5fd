"""Running both targets with the same weights and inputs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph
from archc.parity.emulated import emulated
from archc.parity.gate import GATES, Comparison, Gate, compare
from archc.parity.report import Report
from archc.parity.sizes import choose_sizes, draw_inputs, unfeedable
from archc.runtime import RunError, first_line, open_model
from archc.types import DType
from archc.weights import CastWeights, RandomisedWeights, WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Feed = Mapping[str, Array]

Tell = Callable[[str], None]
"""Called with what is being done."""


class _TargetError(Exception):
    """What was generated fails, where the graph says that it works."""


def verify_graph(
    graph: Graph,
    *,
    batches: Sequence[int] | None = None,
    sizes: Mapping[str, int] | None = None,
    opset: int | None = None,
    seed: int = 0,
    weights: WeightSource | None = None,
    model: Path | None = None,
    source: Path | None = None,
    tell: Tell = lambda text: None,
) -> Report:
    """Run both targets with the same weights and inputs, and compare.

    Args:
        graph: the network.
        batches: values of the batch symbol (the first dim of the first input); by default 1, 2
            and 3.
        sizes: values of further symbolic dims; by default some that meet all conditions.
        opset: ONNX operator set to write; None for the usual one.
        seed: of weights and inputs.
        weights: weights to use; by default randomised ones, batch-norm statistics and biases
            included, because default initialisation hides mistakes.
        model: an ONNX file to compare instead of writing one.
        source: a file of PyTorch source to compare instead of emitting it.
        tell: told of every step.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    from archc.targets.onnx import write_onnx
    from archc.targets.torch import emit_torch, load_module

    runs, problems = choose_sizes(graph, batches, sizes)
    code = emit_torch(graph)
    problems = [*problems, *unfeedable(graph), *(d for d in code.diagnostics if d.is_error)]
    if problems:
        return Report(graph.name, (), tuple(problems))
    if source is not None:
        code = replace(code, text=source.read_text(encoding="utf-8"))
    weights = weights or CastWeights(RandomisedWeights(seed))
    with tempfile.TemporaryDirectory(prefix="archc-verify-") as folder:
        if model is None:
            tell(f"{graph.name}: writing ONNX")
            model = Path(folder) / "model.onnx"
            written = write_onnx(graph, weights, model, opset=opset)
            problems = [d for d in written.diagnostics if d.is_error]
            if problems:
                return Report(graph.name, (), tuple(problems))
        if graph.dtype is DType.BFLOAT16:
            model = emulated(model, Path(folder))
        tell(f"{graph.name}: loading PyTorch")
        module = load_module(code, weights).eval()
        try:
            return Report(graph.name, tuple(_compare(graph, module, model, runs, seed, tell)))
        except RunError as error:
            return Report(graph.name, (), (error.diagnostic,))
        except _TargetError as error:
            finding = Diagnostic("parity-failed", str(error), Label(graph.scopes[""].span))
            return Report(graph.name, (), (finding,))


def run_torch(graph: Graph, module: Any, feed: Feed) -> dict[str, Array]:
    """Run a torch module on named inputs; returns named outputs."""
    import torch

    with torch.no_grad():
        result = module(*(_tensor(feed[value.name], value.type.dtype) for value in graph.inputs))
    if isinstance(result, dict):
        return {name: _array(tensor) for name, tensor in result.items()}
    return {next(iter(graph.outputs)): _array(result)}


def _tensor(array: Array, dtype: DType) -> Any:
    """An input; numpy holds bfloat16 in float32."""
    import numpy as np
    import torch

    tensor = torch.from_numpy(array)
    short = dtype is DType.BFLOAT16 and array.dtype == np.float32
    return tensor.to(torch.bfloat16) if short else tensor


def _array(tensor: Any) -> Array:
    """A result; numpy holds bfloat16 in float32."""
    import torch

    array: Array = (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
    return array


def _compare(
    graph: Graph,
    module: Any,
    model: Path,
    runs: Sequence[Mapping[str, int]],
    seed: int,
    tell: Tell,
) -> Iterator[Comparison]:
    gate = GATES.get(graph.dtype, Gate())
    feeds = [draw_inputs(graph, size, seed + index) for index, size in enumerate(runs)]
    single = [_run(graph, module, feed, tell) for feed in feeds]
    module.double()
    double = [_run(graph, module, _doubled(feed), tell) for feed in feeds]
    for optimized in (False, True):
        tell(f"{graph.name}: running onnxruntime")
        session = open_model(model, optimized=optimized)
        for size, feed, mine, reference in zip(runs, feeds, single, double, strict=True):
            results = session.run(feed)
            if results.keys() != mine.keys():
                outputs = f"PyTorch has {sorted(mine)}, ONNX {sorted(results)}"
                raise _TargetError(f"`{graph.name}` has other outputs on each target: {outputs}")
            for name, theirs in results.items():
                yield compare(name, size, optimized, mine[name], theirs, reference[name], gate)


def _run(graph: Graph, module: Any, feed: Feed, tell: Tell) -> dict[str, Array]:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feed.items())
    tell(f"{graph.name}: running PyTorch on {shapes}")
    try:
        return run_torch(graph, module, feed)
    except Exception as error:  # torch raises whatever its operators do
        message = f"`{graph.name}` fails in PyTorch on {shapes}: {first_line(error)}"
        raise _TargetError(message) from error


def _doubled(feed: Feed) -> dict[str, Array]:
    import numpy as np

    return {
        name: array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in feed.items()
    }

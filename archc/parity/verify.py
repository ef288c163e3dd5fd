"""A spec's PyTorch form and another network, run with the same weights and inputs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph
from archc.output import OutputError, scratch_folder
from archc.parity.arrays import array_of, doubled, nudged, rounding_of, tensor_of
from archc.parity.draws import draw_inputs, draws_of
from archc.parity.emulated import emulated
from archc.parity.explain import Networks, Trial, explained
from archc.parity.gate import Comparison, compare, gate_of
from archc.parity.others import OnnxOther, Other, OtherError, TorchOther
from archc.parity.report import Report
from archc.parity.sizes import choose_sizes, unfeedable
from archc.records import replace
from archc.runtime import RunError, first_line
from archc.types import DType
from archc.weights import CastWeights, RandomisedWeights, WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Feed = Mapping[str, Array]

Tell = Callable[[str], None]
"""Called with what is being done."""


def verify_graph(
    graph: Graph,
    *,
    batches: Sequence[int] | None = None,
    sizes: Mapping[str, int] | None = None,
    opset: int | None = None,
    optimize: bool = True,
    seed: int = 0,
    weights: WeightSource | None = None,
    model: Path | None = None,
    source: Path | None = None,
    other: Other | None = None,
    draws: Sequence[str] | None = None,
    locate: bool = True,
    tell: Tell = lambda text: None,
) -> Report:
    """Run both targets with the same weights and inputs, compare, and say where they part.

    Args:
        graph: the network.
        batches: values of the batch symbol (the first dim of the first input); by default 1, 2
            and 3.
        sizes: values of further symbolic dims; by default some that meet all conditions.
        opset: ONNX operator set to write; None for the usual one.
        optimize: whether to write ONNX as a build for inference does.
        seed: of weights and inputs.
        weights: weights to use; by default randomised ones, batch-norm statistics and biases
            included, because default initialisation hides mistakes.
        model: an ONNX file to compare instead of writing one.
        source: a file of PyTorch source to compare instead of emitting it.
        other: a network to compare instead of an ONNX file.
        draws: kinds of inputs, of `DRAWS`; by default all that differ.
        locate: whether to look for the layer at fault.
        tell: told of every step.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    from archc.targets.onnx import for_inference, write_onnx
    from archc.targets.torch import emit_torch, load_module

    runs, problems = choose_sizes(graph, batches, sizes)
    code = emit_torch(graph)
    problems = [*problems, *unfeedable(graph), *(d for d in code.diagnostics if d.is_error)]
    if problems:
        return Report(graph.name, (), diagnostics=tuple(problems))
    if source is not None:
        code = replace(code, text=source.read_text(encoding="utf-8"))
    declared = weights or RandomisedWeights(seed)
    weights = CastWeights(declared)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder(tempfile.gettempdir()))
        except OutputError as error:
            return Report(graph.name, (), diagnostics=(error.diagnostic,))
        if other is None and model is None:
            tell(f"{graph.name}: writing ONNX")
            model = folder / "model.onnx"
            exported, stored, _ = for_inference(graph, declared, optimize=optimize)
            written = write_onnx(exported, stored, model, opset=opset)
            problems = [d for d in written.diagnostics if d.is_error]
            if problems:
                return Report(graph.name, (), diagnostics=tuple(problems))
        if other is None:
            assert model is not None
            if graph.dtype is DType.BFLOAT16:
                model = emulated(model, folder)
            other = OnnxOther(model, declared)
        tell(f"{graph.name}: loading PyTorch")
        own = TorchOther("PyTorch", load_module(code, weights).eval(), source)
        try:
            inputs = _inputs(graph, runs, draws or draws_of(graph), seed)
            trials = _trials(graph, own, inputs, tell)
            report = Report(graph.name, tuple(_compare(graph, other, trials, tell)), other.runtime)
            if report.ok or not locate:
                return report
            tell(f"{graph.name}: looking for the layer that differs")
            own = replace(own, module=load_module(code, weights).eval())
            return explained(Networks(graph, declared, own, other), report, trials)
        except (RunError, OtherError) as error:
            return Report(graph.name, (), other.runtime, (error.diagnostic,))


def run_torch(graph: Graph, module: Any, feed: Feed, *, double: bool = False) -> dict[str, Array]:
    """Run a torch module on named inputs; returns named outputs.

    Args:
        graph: the network.
        module: the module.
        feed: inputs by name.
        double: whether it is in float64, so that what it makes of whole numbers is, too.
    """
    import torch

    inputs = [tensor_of(feed[value.name], value.type.dtype) for value in graph.inputs]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if double else before)
    try:
        with torch.no_grad():
            result = module(*inputs)
    finally:
        torch.set_default_dtype(before)
    if isinstance(result, dict):
        return {name: array_of(tensor) for name, tensor in result.items()}
    return {next(iter(graph.outputs)): array_of(result)}


def _inputs(
    graph: Graph, runs: Sequence[Mapping[str, int]], draws: Sequence[str], seed: int
) -> list[tuple[Mapping[str, int], str, Feed]]:
    return [
        (sizes, draw, draw_inputs(graph, sizes, seed + index, draw))
        for index, sizes in enumerate(runs)
        for draw in draws
    ]


def _trials(
    graph: Graph,
    own: TorchOther,
    inputs: Sequence[tuple[Mapping[str, int], str, Feed]],
    tell: Tell,
) -> list[Trial]:
    single = [_run(graph, own.module, feed, tell) for _, _, feed in inputs]
    own.module.double()
    trials = []
    for (sizes, draw, feed), mine in zip(inputs, single, strict=True):
        wide = {name: doubled(array) for name, array in feed.items()}
        double = _run(graph, own.module, wide, tell, double=True)

        def again(feed: Feed = feed) -> dict[str, Array]:
            return _run(graph, own.module, _nudged(graph, feed), tell, double=True)

        trials.append(Trial(sizes, draw, feed, mine, double, again))
    return trials


def _nudged(graph: Graph, feed: Feed) -> dict[str, Array]:
    """The inputs in float64, each element off by one rounding of its own precision."""
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        value.name: nudged(feed[value.name], rounding_of(value.type.dtype), 0.0, rng)
        for value in graph.inputs
    }


def _compare(
    graph: Graph, other: Other, trials: Sequence[Trial], tell: Tell
) -> Iterator[Comparison]:
    gate = gate_of(graph.dtype)
    for level in other.levels:
        tell(f"{graph.name}: running {other.runtime}")
        run = other.open(graph, level)
        for trial in trials:
            for name, theirs in run(trial.feed).items():
                yield compare(
                    name,
                    trial.sizes,
                    level,
                    trial.single[name],
                    theirs,
                    trial.double[name],
                    gate,
                    draw=trial.draw,
                    runtime=other.runtime,
                    rounded=lambda trial=trial, name=name: trial.nudged()[name],  # type: ignore[misc]
                )


def _run(
    graph: Graph, module: Any, feed: Feed, tell: Tell, *, double: bool = False
) -> dict[str, Array]:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feed.items())
    tell(f"{graph.name}: running PyTorch on {shapes}")
    try:
        return run_torch(graph, module, feed, double=double)
    except Exception as error:  # torch raises whatever its operators do
        message = f"`{graph.name}` fails in PyTorch on {shapes}: {first_line(error)}"
        place = Label(graph.scopes[""].span)
        raise OtherError(Diagnostic("parity-failed", message, place)) from error

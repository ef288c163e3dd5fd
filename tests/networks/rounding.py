"""What rounding makes of a network: whether an error at its end is that of legal layers.

A network may amplify what its layers round: a difference of nearly equal values, a norm of values
that are nearly the same. So an error at the end alone tells no mistake. Two things tell it from
rounding. Each layer, alone and fed what torch feeds it, has to pass the gate. And the error at the
end has to be what such layers make: the network is run in float64, layer by layer, with every
value off by the rounding of the layer that made it, in random directions (Monte Carlo arithmetic:
Parker, Pierce and Eggert 2000, doi 10.1109/5992.852391), and what that changes is the measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from archc.graph import Graph, Node
from archc.parity.attributes import Emitted
from archc.parity.gate import compare, scaled_error
from archc.parity.layers import LayerRun, run_layers
from archc.parity.segments import OnnxFile
from archc.targets.onnx.emit import emit_onnx
from archc.weights import WeightSource

Array = np.ndarray
Results = dict[str, Array]

ROUNDING = 2.0**-24
"""The largest relative error of one rounding to float32."""

SAMPLES = 3
"""Random directions of rounding that are tried."""

_CANCELLING: dict[str, Callable[[Any], float]] = {
    "elu": lambda op: op.alpha,
    "celu": lambda op: op.alpha,
    "selu": lambda op: 1.7580993408473766,
}
"""Factor of `exp(x) - 1`, which onnxruntime takes as a difference: right to a unit in the last
place of 1 and no better near 0 (docs/parity.md)."""


@dataclass(frozen=True)
class Form:
    """A network as it was written.

    Attributes:
        graph: its layers as they are in the model.
        weights: of these layers.
        model: with weights.
        optimise: whether onnxruntime may rewrite it.
    """

    graph: Graph
    weights: WeightSource
    model: onnx.ModelProto
    optimise: bool


@dataclass(frozen=True)
class Rounded:
    """What legal rounding makes of a network.

    Attributes:
        wrong: the first layer that does not pass the gate on its own; empty if all do.
        samples: results in float64 with all values off by roundings.
    """

    wrong: str
    samples: list[Results]

    def error(self, name: str, truth: Array) -> float:
        """The largest scaled error of an output."""
        return max(scaled_error(results[name], truth) for results in self.samples)


def rounded(form: Form, feed: Mapping[str, Array], sizes: Mapping[str, int], seed: int) -> Rounded:
    """Run a network layer by layer, each alone in onnxruntime, and in float64 with roundings."""
    alone = _Alone(form, feed, sizes)
    samples: list[Results] = []
    wrong = ""
    for run in _disturbed(form.graph, form.weights, feed, sizes, seed, samples):
        wrong = wrong or alone.check(run)
    ends = form.graph.outputs.items()
    return Rounded(wrong, [{name: values[v.name] for name, v in ends} for values in samples])


def amplified(
    graph: Graph, weights: WeightSource, feed: Mapping[str, Array], sizes: Mapping[str, int]
) -> dict[str, float]:
    """Output -> the largest scaled error that roundings of the network's own dtype make of it."""
    unit = float(np.finfo(graph.dtype.value).eps) / 2
    samples: list[Results] = []
    exact: Results = {}
    for run in _disturbed(graph, weights, feed, sizes, 0, samples, unit):
        exact |= {v.name: x for v, x in zip(run.node.outputs, run.exact, strict=True)}
    return {
        name: max(scaled_error(values[end.name], exact[end.name]) for values in samples)
        for name, end in graph.outputs.items()
        if end.name in exact
    }


def _disturbed(
    graph: Graph,
    weights: WeightSource,
    feed: Mapping[str, Array],
    sizes: Mapping[str, int],
    seed: int,
    samples: list[Results],
    unit: float = ROUNDING,
) -> Iterator[LayerRun]:
    """The layers in turn; `samples` gets all values in float64, each off by roundings."""
    rng = np.random.default_rng(seed)
    samples += [{n: _off(x, unit, 0.0, rng) for n, x in feed.items()} for _ in range(SAMPLES)]
    for run in run_layers(graph, weights, feed, sizes):
        floor = ROUNDING * cancelling(run.node)
        for values in samples:
            made = run.module.run([values[value.name] for value in run.node.inputs])
            for value, array in zip(run.node.outputs, made, strict=True):
                values[value.name] = _off(array, unit, floor, rng)
        yield run


def cancelling(node: Node) -> float:
    """The number whose rounding a layer's result carries, however small that result is."""
    return _CANCELLING.get(node.op_name, lambda op: 0.0)(node.op)


def _off(x: Array, unit: float, floor: float, rng: np.random.Generator) -> Array:
    """An array in float64, every element off by one rounding of its own, or `floor` at least."""
    if x.dtype.kind != "f":
        return x
    x = x.astype(np.float64)
    return np.asarray(x + rng.choice([-1.0, 1.0], x.shape) * (unit * np.abs(x) + floor))


class _Alone:
    """Runs the layers of a model one by one in onnxruntime, on what torch feeds them."""

    def __init__(self, form: Form, feed: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
        header, _ = emit_onnx(form.graph, form.model.opset_import[0].version)
        assert header is not None
        self._form, self._sizes = form, sizes
        self._names = Emitted(header).values
        self._file = OnnxFile(Path("model.onnx"), form.model)
        self._known = {self._names.get(name, name): x for name, x in feed.items()}

    def check(self, run: LayerRun) -> str:
        """What is wrong with a layer; empty if nothing is."""
        names = [self._names.get(value.name, "") for value in run.node.outputs]
        problems = []
        if all(name in self._file.values and name not in self._known for name in names):
            segment = self._file.segment(names, self._known.keys())
            given = {name: self._known[name] for name in segment.inputs}
            found = self._file.run(segment, given, optimized=self._form.optimise)
            problems = [self._problem(run, i, found[name]) for i, name in enumerate(names)]
        for name, array in zip(names, run.single, strict=True):
            self._known.setdefault(name, array)
        return next(filter(None, problems), "")

    def _problem(self, run: LayerRun, index: int, found: Array) -> str:
        truth = run.double[index]
        verdict = compare(
            run.node.outputs[index].name,
            self._sizes,
            self._form.optimise,
            run.single[index],
            found,
            truth,
            rounded=lambda: run.nudged(index),
        )
        if verdict.ok:
            return ""
        layer = f"`{run.node.path}` ({run.node.op_name})"
        if verdict.problem:
            return f"{layer} alone: {verdict.problem}"
        if np.abs(found - truth).max() <= 2 * ROUNDING * cancelling(run.node):
            return ""
        return f"{layer} alone: error {verdict.ort_error:.2e} over {verdict.limit:.2e}"

"""What rounding makes of a network: whether an error at its end is that of legal layers.

An error at the end alone tells no mistake of a network that amplifies what its layers round. Two
things tell it from rounding: each layer, alone and fed what torch feeds it, has to pass the gate;
and the error at the end has to be what such layers make (`archc.parity.rounding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from archc.graph import Graph
from archc.parity.attributes import Emitted
from archc.parity.gate import compare, scaled_error
from archc.parity.layers import LayerRun
from archc.parity.rounding import disturbed
from archc.parity.segments import OnnxFile
from archc.targets.onnx.emit import emit_onnx
from archc.weights import WeightSource

Array = np.ndarray
Results = dict[str, Array]


CANCELLING = """
archc: 1
name: cancelling
inputs: {x: [N, 1]}
layers:
  small: {channel_affine: , mul: 0.01}
  bent: tanh
  rest: {sub: , from: [bent, small]}
"""
"""A network that amplifies what its layers round, where `x` is small."""


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
    for run in disturbed(form.graph, form.weights, feed, sizes, seed, samples):
        wrong = wrong or alone.check(run)
    ends = form.graph.outputs.items()
    return Rounded(wrong, [{name: values[v.name] for name, v in ends} for values in samples])


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
            absolute=run.absolute,
            rounded=lambda: run.nudged(index),
        )
        if verdict.ok:
            return ""
        layer = f"`{run.node.path}` ({run.node.op_name})"
        if verdict.problem:
            return f"{layer} alone: {verdict.problem}"
        return f"{layer} alone: error {verdict.ort_error:.2e} over {verdict.limit:.2e}"

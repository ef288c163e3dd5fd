"""Rounding that a network amplifies is told from mistakes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from archc.parity.arrays import SINGLE, doubled
from archc.parity.draws import draw_inputs
from archc.parity.gate import compare
from archc.targets.torch import emit_torch, load_module
from archc.weights import RandomisedWeights
from tests.installed import exact_near_zero
from tests.networks.check import compiled, problem_of, run_module
from tests.networks.rounding import CANCELLING, Form, rounded
from tests.ops.harness import onnx_model, run_onnx

NEAR_ZERO = """
archc: 1
name: near_zero
inputs: {x: [N, 1]}
layers:
  small: {channel_affine: , mul: 1e-3, add: -5e-3}
  bent: elu
"""
SIZES = {"N": 1}
EXACT = exact_near_zero()  # otherwise nothing tells torch's own error from onnxruntime's


class Run:
    """A network in torch, in float64, and as a model that a test may break."""

    def __init__(self, text: str, seed: int) -> None:
        self.graph, self.seed = compiled(text), seed
        self.feed = draw_inputs(self.graph, SIZES, seed)
        weights = RandomisedWeights(seed)
        module = load_module(emit_torch(self.graph), weights).eval()
        self.mine = run_module(self.graph, module, self.feed)
        wide = {name: doubled(x) for name, x in self.feed.items()}
        self.truth = run_module(self.graph, module.double(), wide)
        self.form = Form(self.graph, weights, onnx_model(self.graph, weights, 20), False)

    def passes_plainly(self) -> bool:
        (theirs,) = run_onnx(self.form.model, list(self.feed.values()), False)
        ((name, mine),) = self.mine.items()
        return compare(name, SIZES, False, mine, theirs, self.truth[name]).ok

    def problem(self) -> str:
        return problem_of(self.form, self.feed, SIZES, self.mine, self.truth, self.seed)

    def node(self, operator: str) -> onnx.NodeProto:
        return next(n for n in self.form.model.graph.node if n.op_type == operator)


def first_that_fails(text: str) -> Run:
    """The first seed at which onnxruntime's own rounding breaks the plain gate."""
    return next(run for run in (Run(text, seed) for seed in range(60)) if not run.passes_plainly())


@pytest.mark.parametrize("text", [CANCELLING, NEAR_ZERO] if EXACT else [CANCELLING])
def test_amplified_rounding_is_no_mistake(text: str) -> None:
    assert first_that_fails(text).problem() == ""


def test_a_wrong_layer_is_named_whatever_amplifies_it() -> None:
    cancelling = first_that_fails(CANCELLING)
    cancelling.node("Tanh").op_type = "Softsign"
    assert "`bent` (tanh) alone" in cancelling.problem()


@pytest.mark.skipif(not EXACT, reason="torch's ELU is as inexact as onnxruntime's")
def test_a_wrong_layer_is_named_near_zero() -> None:
    near_zero = first_that_fails(NEAR_ZERO)
    near_zero.node("Elu").attribute[0].f = 1.001
    assert "`bent` (elu) alone" in near_zero.problem()


def test_a_wrong_edge_is_named() -> None:
    run = first_that_fails(CANCELLING)
    names = run.node("Sub").input
    names[0], names[1] = names[1], names[0]
    assert "`rest` (sub) alone" in run.problem()


def test_the_measure_is_what_analysis_says() -> None:
    """Of tanh(x) - x, about -x**3 / 3, where both terms are off by a rounding."""
    run = Run(CANCELLING, 6)
    (x,) = run.feed.values()
    expected = 3 * SINGLE / (0.01 * float(x[0, 0])) ** 2
    ((name, truth),) = run.truth.items()
    found = rounded(run.form, run.feed, SIZES, 0)
    assert found.wrong == ""
    assert 0.1 * expected < found.error(name, truth) < 4 * expected
    assert all(np.isfinite(values[name]).all() for values in found.samples)

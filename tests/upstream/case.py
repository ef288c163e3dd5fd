"""A case of another project's tests as a network of one layer, and what both targets make of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.graph.graph import WeightRef
from archc.parity import compare
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, evaluate
from tests.ops.harness import onnx_model, run_onnx
from tests.upstream.refusals import reason_of

Array = np.ndarray
Arrays = Sequence[Array]
NAME = "layer"


class ExcludedError(Exception):
    """The case does not translate into a layer.

    Args:
        reason: why, in a sentence that the page prints.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Layer:
    """What a case becomes.

    Attributes:
        op: word of the language.
        attributes: only those that the case gives, so that defaults are compared too.
        inputs: what is fed.
        weights: parameters and buffers, named without the layer's path.
        view: from the results of the suite to the layout of the layer's results.
        references: attributes that name an input, e.g. `{"mask": 3}`.
        outputs: how many results it has.
        first: the first of its results that is looked at.
    """

    op: str
    attributes: Mapping[str, Any]
    inputs: Sequence[Any]
    weights: Mapping[str, Any] = field(default_factory=dict)
    view: Callable[[Any], Any] = lambda result: result
    references: Mapping[str, int] = field(default_factory=dict)
    outputs: int = 1
    first: int = 0


@dataclass(frozen=True)
class Expected:
    """What a suite expects of a case.

    Attributes:
        single: results in float32.
        double: results in float64; None where the suite has none.
        rtol: the suite's own tolerance for `single`, where it states one.
        atol: likewise.
    """

    single: Arrays
    double: Arrays | None = None
    rtol: float | None = None
    atol: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        status: passed, excluded, or failed.
        reason: why it is excluded, or what failed.
        exact: whether torch's result equals the suite's bit by bit.
    """

    status: Literal["passed", "excluded", "failed"]
    reason: str = ""
    exact: bool = False


class _Given:
    """Weights that a case brings along."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays

    def array(self, ref: WeightRef) -> Array:
        return np.array(self._arrays[ref.key.removeprefix(f"{NAME}.")])

    def chunks(self, ref: WeightRef) -> Any:
        yield memoryview(np.ascontiguousarray(self.array(ref))).cast("B")


def spec_of(layer: Layer) -> str:
    """The spec, as text."""
    names = [f"x{i}" for i in range(len(layer.inputs))]
    inputs = {
        name: {"shape": list(x.shape), "dtype": DType(x.dtype.name).value}
        for name, x in zip(names, layer.inputs, strict=True)
    }
    told = {key: names[index] for key, index in layer.references.items()}
    chained = [name for name in names if name not in told.values()]
    body = {"op": layer.op, **layer.attributes, **told, "from": chained}
    spec: dict[str, Any] = {
        "archc": 1,
        "name": "upstream",
        "inputs": inputs,
        "layers": {NAME: body},
    }
    if layer.outputs > 1:
        spec["outputs"] = {
            f"y{i}": f"{NAME}.{i}" if i else NAME for i in range(layer.first, layer.outputs)
        }
    return json.dumps(spec)


def run(layer: Layer, expected: Expected) -> Outcome:
    """Build the layer for both targets and hold it against what the suite expects.

    Raises:
        ExcludedError: archc refuses it, and is meant to.
    """
    if any(x.ndim == 0 for x in layer.inputs):
        raise ExcludedError("a tensor without axes: an input of a network has one at least")
    if any(0 in x.shape for x in layer.inputs):
        raise ExcludedError("a size of 0: every size in a network is 1 at least")
    if any(x.dtype.name not in {dtype.value for dtype in DType} for x in layer.inputs):
        raise ExcludedError("a dtype that no layer takes")
    checked = check_source(Source("upstream.yaml", spec_of(layer)))
    if checked.graph is None:
        finding = next(d for d in checked.diagnostics if d.is_error)
        reason = reason_of(layer.op, finding)
        if reason is None:
            return Outcome("failed", f"{finding.code}: {finding.message} | {spec_of(layer)}")
        raise ExcludedError(reason)
    try:
        return _compared(checked.graph, layer, expected)
    except AssertionError as error:
        return Outcome("failed", f"{error} | {spec_of(layer)}")


def _compared(graph: Graph, layer: Layer, expected: Expected) -> Outcome:
    owned = {ref.key.removeprefix(f"{NAME}.") for ref in graph.weights()}
    assert owned == set(layer.weights), f"weights {sorted(owned)}, not {sorted(layer.weights)}"
    for ref in graph.weights():
        found = layer.weights[ref.key.removeprefix(f"{NAME}.")]
        assert found.shape == ref.weight.shape, f"{ref.key}: {ref.weight.shape}, not {found.shape}"
    weights = _Given(layer.weights)
    code = emit_torch(graph)
    assert not code.diagnostics, code.diagnostics
    module = load_module(code, weights).eval()
    single = _torch(module, layer.inputs)
    double = _torch(module.double(), [_doubled(x) for x in layer.inputs])
    exact = _agree(graph, single, double, expected)
    model = onnx_model(graph, weights, 20)
    reference = expected.double if expected.double is not None else double
    for optimise in (False, True):
        results = run_onnx(model, layer.inputs, optimise)
        assert len(results) == len(single), f"onnxruntime has {len(results)} outputs"
        for mine, theirs, truth in zip(single, results, reference, strict=True):
            found = compare("y", {}, optimise, mine, theirs, truth)
            error = found.problem or f"error {found.ort_error:.1e} over {found.limit:.1e}"
            assert found.ok, f"onnxruntime (optimised: {optimise}): {error}"
        _assert_close("onnxruntime", results, expected)
    return Outcome("passed", exact=exact)


def _torch(module: Any, inputs: Arrays) -> list[Array]:
    with torch.no_grad():
        result = module(*(torch.from_numpy(np.array(x)) for x in inputs))
    parts = list(result.values()) if isinstance(result, dict) else result
    return [y.numpy() for y in (parts if isinstance(parts, (list, tuple)) else [parts])]


def _doubled(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _agree(graph: Graph, single: Arrays, double: Arrays, expected: Expected) -> bool:
    """Hold the PyTorch target against the suite; whether it is equal bit by bit."""
    types = [value.type for value in graph.outputs.values()]
    assert len(single) == len(expected.single), f"{len(single)} results"
    for type_, y, wanted in zip(types, single, expected.single, strict=True):
        assert tuple(evaluate(dim, {}) for dim in type_.shape) == wanted.shape, (
            type_,
            wanted.shape,
        )
        assert y.shape == wanted.shape and y.dtype == wanted.dtype, (y.dtype, wanted.dtype)
        assert type_.dtype.value == wanted.dtype.name, (type_, wanted.dtype)
    if all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(single, expected.single, strict=False)
    ):
        return True
    if expected.rtol is not None:
        _assert_close("PyTorch", single, expected)
        return False
    assert expected.double is not None
    for y, wanted, truth in zip(single, expected.single, expected.double, strict=True):
        found = compare("y", {}, False, wanted, y, truth)
        assert found.ok, f"PyTorch: {found.problem or f'error {found.ort_error:.1e}'}"
    for y, truth in zip(double, expected.double, strict=True):
        found = compare("y", {}, False, truth, y, truth)
        assert found.ok, f"PyTorch in float64: {found.problem or f'error {found.ort_error:.1e}'}"
    return False


def _assert_close(target: str, results: Arrays, expected: Expected) -> None:
    """The suite's own tolerance, where it has one."""
    if expected.rtol is None:
        return
    for y, wanted in zip(results, expected.single, strict=True):
        try:
            np.testing.assert_allclose(y, wanted, rtol=expected.rtol, atol=expected.atol or 0.0)
        except AssertionError as error:
            raise AssertionError(f"{target}: {' '.join(str(error).split())[:160]}") from None

"""Holds one case against everything that is known of it.

The declared shape, torch's and onnxruntime's are one; values of the generated source, of the
ONNX model as written and of the optimised one agree with the reference by the gate; so do
gradients of inputs and parameters; attributes of ONNX nodes are those of the spec; training mode
does what it has to; the work is what torch counts.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from archc.graph import Graph
from archc.graph.costs import total_cost
from archc.ops.conditions import Refusal
from archc.parity.arrays import SINGLE, kernel_error, nudged
from archc.targets.onnx import emit_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import Dim, DType, TensorType, evaluate, symbol
from archc.weights import RandomisedWeights, WeightSource
from tests.installed import opsets
from tests.ops.harness import (
    LAYER,
    Array,
    Reference,
    Tensor,
    assert_declared_shapes,
    layer_graph,
    onnx_model,
    run_onnx,
    scaled_error,
)
from tests.properties.cases import PROPERTIES, Case
from tests.properties.statements import BUFFERS, assert_attributes

OPSETS = opsets(17, 18, 19, 20, 22, 23)
FACTOR, FLOOR = 16.0, 1e-6
DRAWS = 8


@dataclass(frozen=True)
class Setting:
    """How a case is run.

    Attributes:
        axes: which axes have symbolic sizes.
        opset: ONNX operator set.
        seed: of weights and inputs.
        scale: standard deviation of the inputs.
    """

    axes: frozenset[int]
    opset: int
    seed: int
    scale: float


@dataclass(frozen=True)
class Prepared:
    """A case as archc takes it.

    Attributes:
        graph: the layer, some of its sizes symbols.
        sizes: what the symbols stand for.
        refused: whether ONNX has nothing for it.
    """

    graph: Graph
    sizes: Mapping[str, int]
    refused: bool


def check(case: Case, setting: Setting) -> bool:
    """Hold a case against its reference; False if archc refuses it."""
    prepared = prepare(case, setting)
    if prepared is None:
        return False
    _Run(case, prepared.graph, prepared.sizes, setting).check(prepared.refused)
    return True


def prepare(case: Case, setting: Setting) -> Prepared | None:
    """The layer of a case; None if archc refuses it, or float32 cannot compute it."""
    own = PROPERTIES[case.name]
    try:
        static = layer_graph(case.name, case.op, case.types)
    except Refusal:
        return None
    if not own.steady(case):
        return None
    graph, sizes = _symbolic(case, setting.axes, static)
    refused = _refused(graph, setting.opset)
    if refused and sizes and own.may_refuse(case, True, setting.opset):
        graph, sizes = static, {}
        refused = _refused(graph, setting.opset)
    assert not refused or own.may_refuse(case, False, setting.opset), refused
    return Prepared(graph, sizes, bool(refused))


def _refused(graph: Graph, opset: int) -> list[str]:
    """Codes of the errors for which ONNX refuses."""
    model, diagnostics = emit_onnx(graph, opset)
    codes = [diagnostic.code for diagnostic in diagnostics if diagnostic.is_error]
    assert (model is None) == bool(codes)
    assert set(codes) <= {"unsupported-opset", "unsupported-by-target"}
    return codes


def _symbolic(case: Case, axes: frozenset[int], static: Graph) -> tuple[Graph, dict[str, int]]:
    """The case with equal sizes along `axes` as one symbol each, where they may be."""
    sizes: dict[str, int] = {}
    types = []
    for type_ in case.types:
        dims: list[Dim] = list(type_.shape)
        for axis, size in enumerate(type_.shape):
            if axis in axes and isinstance(size, int) and size > 1:
                name = f"D{axis}x{size}"
                sizes[name] = size
                dims[axis] = symbol(name)
        types.append(TensorType(tuple(dims), type_.dtype))
    if not sizes:
        return static, {}
    try:
        graph = layer_graph(case.name, case.op, types)
    except Refusal:
        return static, {}
    # A symbol that has to be a certain number is none.
    if any(condition.relation == "equal" for condition in graph.nodes[0].conditions):
        return static, {}
    return graph, sizes


class _Run:
    """One case at one setting."""

    def __init__(
        self, case: Case, graph: Graph, sizes: Mapping[str, int], setting: Setting
    ) -> None:
        self.case, self.graph, self.sizes, self.setting = case, graph, sizes, setting
        self.own = PROPERTIES[case.name]
        self.reference = self.own.reference(case.op)
        self.weights = RandomisedWeights(setting.seed)
        self.rng = np.random.default_rng(setting.seed)
        self.inputs = self._draw(min(setting.scale, self.own.largest))

    def _draw(self, scale: float) -> list[Array]:
        arrays = []
        bounds = self.case.op.index_bounds(self.case.types)
        for type_, bound in zip(self.case.types, bounds, strict=True):
            shape = tuple(dim for dim in type_.shape if isinstance(dim, int))
            numbers: Array = scale * self.rng.standard_normal(shape)
            if not type_.dtype.is_floating:
                numbers = self.rng.integers(0, bound or self.case.below, shape)
            arrays.append(np.asarray(numbers).astype(type_.dtype.value))
        if self.case.edge is not None:
            self.case.edge(arrays)
        return arrays

    def check(self, refused: bool) -> None:
        """All that the module's docstring says; nothing of ONNX where that refuses."""
        source = emit_torch(self.graph)
        assert not source.diagnostics
        module = load_module(source, self.weights).eval()
        self._check_state(module)
        given = [torch.from_numpy(array.copy()) for array in self.inputs]
        results = module(*given)
        for tensor, array in zip(given, self.inputs, strict=True):
            # An activation in place must not write over what is not its own.
            np.testing.assert_array_equal(tensor.numpy(), array)
        assert isinstance(results, torch.Tensor) == (len(self.graph.outputs) == 1)
        found = {"torch": _values(results)}
        if not refused:
            model = onnx_model(self.graph, self.weights, self.setting.opset)
            assert_attributes(self.case, model, self.setting.opset)
            if self.sizes and model.graph.value_info:
                assert_declared_shapes(model, self.inputs, self.sizes)
            for optimise in (False, True):
                name = "onnx optimised" if optimise else "onnx"
                found[name] = run_onnx(model, self.inputs, optimise=optimise)
        self._check_values(found)
        self._check_gradients(module)
        self._check_work()
        self._check_training(module)
        _forget_source()

    def _check_state(self, module: torch.nn.Module) -> None:
        """Weights that the constructor makes are those declared; loading would replace them."""
        with torch.device("meta"):
            state = type(module)().state_dict()
        declared = {ref.key: ref.weight for ref in self.graph.weights()}
        assert state.keys() == declared.keys()
        for key, weight in declared.items():
            shape = tuple(evaluate(dim, self.sizes) for dim in weight.shape)
            assert shape == state[key].shape, (key, shape, state[key].shape)
            assert state[key].dtype is getattr(torch, weight.dtype.value), key

    # -- values ---------------------------------------------------------------------------

    def _check_values(self, found: Mapping[str, Sequence[Array]]) -> None:
        truth = self._referred(torch.float64)
        single = self._referred(torch.float32)
        rounded = [nudged(x, SINGLE, 0.0, self.rng) for x in self.inputs]
        nearby = self._referred(torch.float64, rounded)
        exact = self.own.exact(self.case.op)
        drift = self.own.drift(self.case)
        floor = kernel_error(self.case.op)
        largest = max((float(np.max(np.abs(x))) for x in self.inputs), default=0.0)
        types = [value.type for value in self.graph.outputs.values()]
        for target, results in found.items():
            assert len(results) == len(types) == len(truth), target
            for type_, y, y32, near, y64 in zip(types, results, single, nearby, truth, strict=True):
                self._assert_type(target, type_, y, y64)
                limit = _limit(y64, y32, near, exact)
                scale = max(float(np.max(np.abs(y64), initial=0.0)), 1e-30)
                kernel = 0.0 if target == "torch" else floor  # onnxruntime's
                limit += (drift * largest + kernel) / scale
                error = scaled_error(y, y64)
                assert error <= limit, f"{target}: error {error:.2e} over {limit:.2e}"

    def _referred(self, dtype: torch.dtype, inputs: Sequence[Array] | None = None) -> list[Array]:
        given = [_as(torch.from_numpy(x), dtype) for x in (inputs or self.inputs)]
        with torch.no_grad():
            return _values(self.reference(given, _own_weights(self.graph, self.weights, dtype)))

    def _assert_type(self, target: str, type_: TensorType, found: Array, truth: Array) -> None:
        declared = tuple(evaluate(dim, self.sizes) for dim in type_.shape)
        assert declared == found.shape == truth.shape, (target, declared, found.shape, truth.shape)
        assert DType(found.dtype.name) is type_.dtype, target

    # -- gradients ------------------------------------------------------------------------

    def _check_gradients(self, module: torch.nn.Module) -> None:
        """Of a random product with the outputs, by inputs and parameters."""
        parameters = dict(module.named_parameters())
        trained = {ref.key for ref in self.graph.weights() if not ref.weight.buffer}
        assert set(parameters) == trained
        buffers = BUFFERS.get(self.case.name, set())
        assert trained == {r.key for r in self.graph.weights() if r.weight.name not in buffers}
        if not self.own.smooth(self.case):
            return
        found = self._gradients(torch.float32, lambda xs, ws: module(*xs), parameters)
        if not found:
            return
        exact = self._gradients(torch.float64, self.reference, None)
        single = self._gradients(torch.float32, self.reference, None)
        rounded = [nudged(x, SINGLE, 0.0, self.rng) for x in self._gentle()]
        nearby = self._gradients(torch.float64, self.reference, None, rounded)
        assert found.keys() == exact.keys()
        drift = self.own.drift(self.case)
        for name, gradient in found.items():
            limit = _limit(exact[name], single[name], nearby[name], False)
            limit += 64 * drift + self.own.fused
            error = scaled_error(gradient, exact[name])
            if error > limit:  # one draw of roundings may cancel out by chance
                limit = max(limit, FACTOR * self._by_rounding(name, exact[name]))
            assert error <= limit, f"gradient of {name}: error {error:.2e} over {limit:.2e}"

    def _by_rounding(self, name: str, exact: Array) -> float:
        """The largest error of a gradient that rounding the inputs makes, of several draws."""
        errors = []
        for _ in range(DRAWS):
            rounded = [nudged(x, SINGLE, 0.0, self.rng) for x in self._gentle()]
            near = self._gradients(torch.float64, self.reference, None, rounded)
            errors.append(scaled_error(near[name], exact))
        return max(errors)

    def _gentle(self) -> list[Array]:
        """The inputs, as small as gradients need them."""
        factor = min(1.0, self.own.gentle / min(self.setting.scale, self.own.largest))
        return [x * x.dtype.type(factor) if x.dtype.kind == "f" else x for x in self.inputs]

    def _gradients(
        self,
        dtype: torch.dtype,
        function: Reference,
        parameters: Mapping[str, Tensor] | None,
        inputs: Sequence[Array] | None = None,
    ) -> dict[str, Array]:
        """By input (`x0`, `x1`, ...) and by parameter."""
        given = [_as(torch.from_numpy(x), dtype) for x in (inputs or self._gentle())]
        weights = _own_weights(self.graph, self.weights, dtype)
        if parameters is None:
            keys = {r.key for r in self.graph.weights() if not r.weight.buffer}
            own = {key: weights[_short(key)].requires_grad_() for key in keys}
        else:
            own = dict(parameters)
        leaves = {f"x{i}": x.requires_grad_() for i, x in enumerate(given) if x.is_floating_point()}
        leaves |= own
        outputs = [y for y in _tensors(function(given, weights)) if y.requires_grad]
        if not leaves or not outputs:
            return {}
        rng = np.random.default_rng(self.setting.seed)
        factors = [_as(torch.from_numpy(rng.standard_normal(y.shape)), dtype) for y in outputs]
        total = sum((y * f).sum() for y, f in zip(outputs, factors, strict=True))
        assert isinstance(total, torch.Tensor)
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        return {
            name: (torch.zeros_like(leaf) if grad is None else grad).detach().numpy()
            for (name, leaf), grad in zip(leaves.items(), found, strict=True)
        }

    # -- work and training ----------------------------------------------------------------

    def _check_work(self) -> None:
        """Multiply-accumulates are those that torch's counter finds."""
        claimed = evaluate(total_cost(self.graph).flops, self.sizes)
        if self.own.work is None:
            assert claimed == 0
            return
        given = [torch.from_numpy(x) for x in self.inputs]
        weights = _own_weights(self.graph, self.weights, torch.float32)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.own.work(self.case.op)(given, weights)
        assert claimed == counter.get_total_flops()

    def _check_training(self, module: torch.nn.Module) -> None:
        if self.own.training is not None:
            self.own.training(self.case, self.setting.seed, module)
            return
        given = [torch.from_numpy(x) for x in self.inputs]
        with torch.no_grad():
            still = _values(module(*given))
            trained = _values(module.train()(*given))
        assert all(map(np.array_equal, still, trained))


def _limit(y64: Array, y32: Array, near: Array, exact: bool) -> float:
    """The scaled error allowed: 16 times what float32, or rounding the inputs alone, makes."""
    unavoidable = max(scaled_error(y32, y64), scaled_error(near, y64))
    return 0.0 if exact else max(FLOOR, FACTOR * unavoidable)


def _as(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype) if x.is_floating_point() else x


def _short(key: str) -> str:
    return key.removeprefix(f"{LAYER}.")


def _own_weights(graph: Graph, weights: WeightSource, dtype: torch.dtype) -> dict[str, Tensor]:
    """The layer's weights by their own names."""
    return {
        _short(ref.key): _as(torch.from_numpy(weights.array(ref).copy()), dtype)
        for ref in graph.weights()
    }


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, torch.Tensor):
        yield result
    else:
        yield from result.values() if isinstance(result, Mapping) else result


def _values(result: Any) -> list[Array]:
    return [y.detach().numpy() for y in _tensors(result)]


def _forget_source() -> None:
    """Drop the generated modules: thousands of cases would keep thousands of them."""
    for name in [name for name in sys.modules if name.startswith("archc_generated_")]:
        linecache.cache.pop(str(sys.modules.pop(name).__file__), None)

"""Runs one layer through every target and holds the results against a plain torch reference.

A graph is typed by `archc.graph`, its weights are drawn at random (never the values that layers
start with: they hide faults), and then four things have to agree: the reference in float64, the
reference in float32, the generated PyTorch source, and the ONNX model in onnxruntime, once as
written and once optimised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

import numpy as np
import onnx
import onnxruntime as ort
import torch

from archc.diagnostics import Source, Span
from archc.graph import Graph, Node, Scope, Value
from archc.graph.typing import type_node
from archc.ops.base import Op
from archc.targets.onnx import onnx_bytes
from archc.targets.torch import emit_torch, load_module
from archc.types import DType, TensorType, evaluate
from archc.weights import RandomisedWeights, WeightSource

Array = np.ndarray
Tensor = torch.Tensor
Reference = Callable[[list[Tensor], dict[str, Tensor]], Tensor | Sequence[Tensor]]
"""From inputs and weights (named without the layer's path) to the results."""

SPAN = Span(Source("net.yaml", "layer"), 0, 5)
LAYER = "layer"


def layer_graph(op_name: str, op: Op, types: Sequence[TensorType]) -> Graph:
    """A network of one layer that reads one input per type.

    Raises:
        Refusal: the layer cannot work on these inputs.
    """
    inputs = tuple(Value(f"x{i}", type_, SPAN) for i, type_ in enumerate(types))
    return graph_of(inputs, [type_node(LAYER, op_name, op, inputs, SPAN)])


def graph_of(inputs: Sequence[Value], nodes: Sequence[Node]) -> Graph:
    """A network of typed nodes; the results are those of the last one, called y0, y1, ..."""
    outputs = {f"y{i}": value for i, value in enumerate(nodes[-1].outputs)}
    scopes = {"": Scope("", None, SPAN)}
    return Graph("net", "", tuple(inputs), tuple(nodes), outputs, scopes)


def draw_inputs(
    types: Sequence[TensorType],
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    scale: float,
    bounds: Sequence[int | None] = (),
) -> list[Array]:
    """Random values for the inputs, symbolic dims taken from `sizes`.

    Integers are zeros and ones, or lie below the input's number in `bounds`.
    """
    arrays = []
    for type_, bound in zip_longest(types, bounds):
        shape = tuple(evaluate(dim, sizes) for dim in type_.shape)
        dtype = np.dtype(type_.dtype.value)
        if type_.dtype.is_floating:
            arrays.append((scale * rng.standard_normal(shape)).astype(dtype))
        else:
            arrays.append(rng.integers(0, bound or 2, shape).astype(dtype))
    return arrays


def onnx_model(graph: Graph, weights: WeightSource, opset: int) -> onnx.ModelProto:
    """The checked ONNX model with its weights inside."""
    model = onnx.load_from_string(onnx_bytes(graph, weights, opset))
    onnx.checker.check_model(model, full_check=True)
    _assert_inference_agrees(model)
    return model


def _assert_inference_agrees(model: onnx.ModelProto) -> None:
    """Shapes that ONNX infers on its own are those written."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(bare, strict_mode=True, data_prop=True).graph
    found = {info.name: info.type.tensor_type for info in (*inferred.value_info, *inferred.output)}
    for info in (*model.graph.value_info, *model.graph.output):
        written, own = info.type.tensor_type, found[info.name]
        assert own.elem_type == written.elem_type, info.name
        assert not own.HasField("shape") or _agree(own.shape, written.shape), (info.name, own)


def _agree(own: onnx.TensorShapeProto, written: onnx.TensorShapeProto) -> bool:
    """Whether both have the same rank and no static size contradicts the other."""
    if len(own.dim) != len(written.dim):
        return False
    return all(
        a.dim_value == b.dim_value
        for a, b in zip(own.dim, written.dim, strict=True)
        if a.HasField("dim_value")
    )


def assert_declared_shapes(
    model: onnx.ModelProto, inputs: Sequence[Array], sizes: Mapping[str, int]
) -> None:
    """Every value between the nodes has the shape and dtype that are written, at these sizes.

    Inference alone does not tell where a shape hangs on the numbers in a tensor.
    """
    told = onnx.ModelProto()
    told.CopyFrom(model)
    told.graph.output.extend(told.graph.value_info)
    results = run_onnx(told, inputs, optimise=False)
    for info, array in zip(told.graph.output, results, strict=True):
        tensor = info.type.tensor_type
        # A dim is written as an expression of Python.
        shape = tuple(
            eval(dim.dim_param, {}, dict(sizes)) if dim.dim_param else dim.dim_value
            for dim in tensor.shape.dim
        )
        assert array.shape == shape, (info.name, array.shape, shape)
        assert array.dtype == onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type), info.name


def run_onnx(model: onnx.ModelProto, inputs: Sequence[Array], optimise: bool) -> list[Array]:
    """The results of onnxruntime on the CPU."""
    options = ort.SessionOptions()
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    results: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
    return results


def run_torch(graph: Graph, weights: WeightSource, inputs: Sequence[Array]) -> list[Array]:
    """The results of the generated source in evaluation mode."""
    source = emit_torch(graph)
    assert not source.diagnostics
    module = load_module(source, weights).eval()
    with torch.no_grad():
        return _arrays(module(*(torch.from_numpy(x) for x in inputs)))


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x


def _arrays(result: Tensor | Sequence[Tensor] | Mapping[str, Tensor]) -> list[Array]:
    if isinstance(result, Tensor):
        return [result.numpy()]
    return [y.numpy() for y in (result.values() if isinstance(result, Mapping) else result)]


def run_reference(
    reference: Reference,
    graph: Graph,
    weights: WeightSource,
    inputs: Sequence[Array],
    *,
    double: bool,
) -> list[Array]:
    """The results of the reference, in float64 or in the dtypes given."""
    change = _double if double else lambda x: x
    own = {
        ref.key.removeprefix(f"{LAYER}."): change(torch.from_numpy(weights.array(ref)))
        for ref in graph.weights()
    }
    with torch.no_grad():
        return _arrays(reference([change(torch.from_numpy(x)) for x in inputs], own))


def scaled_error(result: Array, exact: Array) -> float:
    """`max|y - exact| / max|exact|`, absolute where exact is all zeros."""
    if result.dtype.kind != "f":
        return 0.0 if np.array_equal(result, exact) else np.inf
    error = float(np.max(np.abs(result.astype(np.float64) - exact)))
    largest = float(np.max(np.abs(exact)))
    return error / largest if largest > 0.0 else error


def assert_parity(
    graph: Graph,
    reference: Reference,
    *,
    sizes: Mapping[str, int] | None = None,
    opset: int = 20,
    seed: int = 0,
    scale: float = 1.0,
    exact: bool = False,
    drift: float = 0.0,
) -> None:
    """Hold the generated source and the ONNX model of a graph against a reference.

    The scaled error may be 16 times what torch's own float32 arithmetic makes, or what rounding
    the inputs alone makes (a norm over two nearly equal values amplifies it), and 1e-6 always.

    Args:
        graph: the network.
        reference: what it has to compute.
        sizes: values of the symbolic dims.
        opset: ONNX operator set.
        seed: of weights and inputs.
        scale: standard deviation of the inputs.
        exact: whether every result must equal the reference's bit by bit (values only move).
        drift: absolute error per largest input that comes on top, for layers that interpolate
            at rounded positions.
    """
    rng = np.random.default_rng(seed)
    weights = RandomisedWeights(seed)
    entering = [value.type for value in graph.inputs]
    bounds = graph.nodes[0].op.index_bounds(entering) if len(graph.nodes) == 1 else ()
    inputs = draw_inputs(entering, sizes or {}, rng, scale, bounds)
    truth = run_reference(reference, graph, weights, inputs, double=True)
    single = run_reference(reference, graph, weights, inputs, double=False)
    rounded = [_rounded(x, rng) for x in inputs]
    nearby = run_reference(reference, graph, weights, rounded, double=True)
    model = onnx_model(graph, weights, opset)
    results = {
        "torch": run_torch(graph, weights, inputs),
        "onnx as written": run_onnx(model, inputs, optimise=False),
        "onnx optimised": run_onnx(model, inputs, optimise=True),
    }
    types = [value.type for value in graph.outputs.values()]
    largest = max((float(np.max(np.abs(x))) for x in inputs), default=0.0)
    for target, found in results.items():
        assert len(found) == len(types) == len(truth), target
        for type_, y, y32, near, y64 in zip(types, found, single, nearby, truth, strict=True):
            _assert_type(target, type_, y, y64, sizes or {})
            unavoidable = max(scaled_error(y32, y64), scaled_error(near, y64))
            bound = 0.0 if exact else max(1e-6, 16.0 * unavoidable)
            if drift:
                bound += drift * largest / max(float(np.max(np.abs(y64))), 1e-30)
            error = scaled_error(y, y64)
            assert error <= bound, f"{target}: error {error:.2e} over {bound:.2e}"


def _rounded(x: Array, rng: np.random.Generator) -> Array:
    """The input in float64, each element off by one rounding of float32."""
    if x.dtype.kind != "f":
        return x
    return x.astype(np.float64) * (1.0 + 2.0**-24 * rng.choice([-1.0, 1.0], x.shape))


def _assert_type(
    target: str, type_: TensorType, found: Array, truth: Array, sizes: Mapping[str, int]
) -> None:
    declared = tuple(evaluate(dim, sizes) for dim in type_.shape)
    assert declared == found.shape == truth.shape, target
    assert DType(found.dtype.name) is type_.dtype, target

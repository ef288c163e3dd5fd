"""Holds the types written into an ONNX model against what two others find.

`assert_inference_agrees` asks onnx, which knows every static size and few symbolic ones;
`assert_runtime_agrees` runs the model and looks at every value, symbolic sizes included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import onnxruntime as ort

NUMPY = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(double)": "float64"}


def check(data: bytes) -> onnx.ModelProto:
    """The model, checked by onnx, its types those that onnx infers."""
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert_inference_agrees(model)
    return model


def assert_inference_agrees(model: onnx.ModelProto) -> None:
    """Every value has a type in the model, and none that onnx contradicts."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(
        bare, check_type=True, strict_mode=True, data_prop=True
    ).graph
    inferred = {info.name: info.type.tensor_type for info in (*graph.value_info, *graph.output)}
    written = {info.name: info.type.tensor_type for info in _typed(model)}
    assert {name for node in model.graph.node for name in node.output} == set(written)
    own = {dim for info in (*_typed(model), *model.graph.input) for dim in _names(info)}
    for name, mine in written.items():
        theirs = inferred[name]
        assert theirs.elem_type == mine.elem_type, name
        if theirs.HasField("shape"):
            assert len(theirs.shape.dim) == len(mine.shape.dim), name
            for a, b in zip(mine.shape.dim, theirs.shape.dim, strict=True):
                assert _agree(a, b, own), (name, mine.shape, theirs.shape)


def _typed(model: onnx.ModelProto) -> Iterator[onnx.ValueInfoProto]:
    yield from model.graph.value_info
    yield from model.graph.output


def _names(info: onnx.ValueInfoProto) -> Iterator[str]:
    for dim in info.type.tensor_type.shape.dim:
        if dim.HasField("dim_param"):
            yield dim.dim_param


def _agree(
    mine: onnx.TensorShapeProto.Dimension, theirs: onnx.TensorShapeProto.Dimension, own: set[str]
) -> bool:
    """Whether two dims are equal where onnx knows one; names it made up mean that it does not."""
    if theirs.HasField("dim_value"):
        return mine.HasField("dim_value") and mine.dim_value == theirs.dim_value
    if theirs.dim_param in own:
        return mine.dim_param == theirs.dim_param
    return True


def run(data: bytes, feed: Mapping[str, np.ndarray], *, optimise: bool = True) -> list[np.ndarray]:
    """The outputs, computed by onnxruntime on the CPU."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    results: list[np.ndarray] = session.run(None, dict(feed))
    return results


def assert_runtime_agrees(model: onnx.ModelProto, sizes: Mapping[str, int]) -> None:
    """Every value has the written dtype and shape when the model runs at these sizes."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    exposed.graph.output.extend(model.graph.value_info)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        exposed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    feed = {}
    for item in session.get_inputs():
        shape = [sizes[dim] if isinstance(dim, str) else dim for dim in item.shape]
        feed[item.name] = rng.integers(0, 3, shape).astype(NUMPY[item.type])
    results = session.run(None, feed)
    for info, result in zip(exposed.graph.output, results, strict=True):
        tensor = info.type.tensor_type
        shape = tuple(_size(dim, sizes) for dim in tensor.shape.dim)
        assert (result.shape, result.dtype) == (
            shape,
            onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type),
        ), info.name


def _size(dim: onnx.TensorShapeProto.Dimension, sizes: Mapping[str, int]) -> int:
    if dim.HasField("dim_value"):
        return dim.dim_value
    return int(eval(dim.dim_param, {"max": max, "min": min}, dict(sizes)))

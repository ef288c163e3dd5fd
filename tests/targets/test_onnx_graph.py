"""The ONNX graph: names, types, outputs, metadata, and what is left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from archc.diagnostics import SpecError
from archc.graph.precision import in_dtype
from archc.ops.base import OnnxEmitter, Op, Operand, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.initial import Constant
from archc.targets.onnx import MIN_OPSET, emit_onnx, max_opset, onnx_bytes, opsets
from archc.types import DType, TensorType
from archc.weights import DrawnWeights, RandomisedWeights
from tests.targets.graphs import Net, small_net, tensor
from tests.targets.onnx_types import assert_runtime_agrees, check, run

WEIGHTS = RandomisedWeights(0)


def nodes_of(model: onnx.ModelProto) -> list[tuple[str, str, list[str], list[str]]]:
    return [(n.name, n.op_type, list(n.input), list(n.output)) for n in model.graph.node]


def dims_of(info: onnx.ValueInfoProto) -> list[int | str]:
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param
        for dim in info.type.tensor_type.shape.dim
    ]


# -- a whole network --------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [MIN_OPSET, 20, max_opset()])
def test_network_is_valid_and_typed_at_every_value(opset: int) -> None:
    model = check(onnx_bytes(small_net(), WEIGHTS, opset))
    assert [(item.domain, item.version) for item in model.opset_import] == [("", opset)]
    for sizes in ({"N": 1, "H": 16, "W": 17}, {"N": 3, "H": 9, "W": 4}):
        assert_runtime_agrees(model, sizes)


def test_symbolic_dims_are_the_printed_expressions() -> None:
    model = check(onnx_bytes(small_net(), WEIGHTS))
    shapes = {info.name: dims_of(info) for info in model.graph.value_info}
    assert shapes["stem.conv"] == ["N", 8, "(H + 1)//2 - 1", "(W + 1)//2 - 1"]
    assert dims_of(model.graph.input[0]) == ["N", 3, "H", "W"]
    assert dims_of(model.graph.output[0]) == ["N", 5]


def test_names_are_layer_paths_and_keys() -> None:
    model = check(onnx_bytes(small_net(), WEIGHTS))
    for name, _, _, outputs in nodes_of(model):
        layer = name.split("/")[0]
        assert layer in {node.path for node in small_net().nodes}
        assert outputs == (["output"] if name == "head" else [name])
    keys = {ref.key for ref in small_net().weights()}
    names = {tensor.name for tensor in model.graph.initializer if "/" not in tensor.name}
    assert keys - names == {"stem.bn.num_batches_tracked"}  # read by no node
    assert names < keys


def test_weights_are_the_source_s() -> None:
    graph = small_net()
    model = onnx.load_from_string(onnx_bytes(graph, WEIGHTS))
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    refs = [ref for ref in graph.weights() if ref.key in stored]
    assert len(refs) == 10
    for ref in refs:
        np.testing.assert_array_equal(stored[ref.key], WEIGHTS.array(ref), strict=True)


def test_results_are_those_of_numpy() -> None:
    net = Net(x=["N", 6])
    hidden = net.add("fc", "linear", attributes={"out": 4})
    acted = net.add("act", "relu")
    net.add("sum", "add", hidden, acted, hidden)
    graph = net.graph()
    x = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    w, b = (WEIGHTS.array(ref) for ref in graph.weights())
    fc = x @ w.T + b
    (result,) = run(onnx_bytes(graph, WEIGHTS), {"x": x})
    np.testing.assert_allclose(result, 2 * fc + np.maximum(fc, 0), rtol=1e-5, atol=1e-6)


def test_metadata_say_where_everything_comes_from() -> None:
    graph = small_net()
    model = check(onnx_bytes(graph, WEIGHTS))
    assert model.ir_version == 10
    assert model.producer_name == "archc"
    assert model.graph.name == "net"
    assert model.doc_string == "A net."
    about = {item.key: item.value for item in model.metadata_props}
    assert about == {
        "archc.version": model.producer_version,
        "archc.model": "net",
        "archc.doc": "A net.",
        "archc.spec": "net.yaml",
        "archc.preconditions": about["archc.preconditions"],
    }
    node = next(node for node in model.graph.node if node.name == "branch")
    assert {item.key: item.value for item in node.metadata_props} == {
        "archc.layer": "branch",
        "archc.spec": "net.yaml",
        "archc.line": str(graph.node("branch").span.line),
    }


def test_preconditions_are_written_once() -> None:
    net = Net(x=["N", 4, "H", "W"])
    first = net.add("pool", "maxpool", attributes={"kernel": 2})
    fold = {"pattern": "b c (h p) w -> b (c p) h w", "p": 2}
    net.add("fold", "rearrange", first, attributes=fold)
    net.add("again", "rearrange", first, attributes=fold)
    net.add("other", "rearrange", first, attributes={**fold, "p": 3})  # read by nothing
    outputs = {"a": net.nodes[1].output, "b": net.nodes[2].output}
    about = {p.key: p.value for p in check(onnx_bytes(net.graph(outputs), WEIGHTS)).metadata_props}
    assert about["archc.preconditions"].split("\n") == ["H >= 2", "W >= 2", "(H//2) % 2 == 0"]


# -- outputs, aliases, what is left out -------------------------------------------------------


def test_layers_that_do_nothing_leave_no_node() -> None:
    net = Net(x=["N", 4])
    net.add("fc", "linear", attributes={"out": 4})
    net.add("drop", "dropout", attributes={"p": 0.5})
    net.add("same", "identity")
    net.add("act", "relu")
    model = check(onnx_bytes(net.graph(), WEIGHTS))
    assert [node[0] for node in nodes_of(model)] == ["fc", "act"]


def test_an_alias_as_output_renames_what_it_stands_for() -> None:
    net = Net(x=["N", 4])
    fc = net.add("fc", "linear", attributes={"out": 4})
    drop = net.add("drop", "dropout", fc, attributes={"p": 0.5})
    net.add("act", "relu", fc)
    model, _ = emit_onnx(net.graph({"y": drop, "z": net.nodes[-1].output}))
    assert model is not None
    assert nodes_of(model.header) == [
        ("fc", "Gemm", ["x", "fc.weight", "fc.bias"], ["y"]),
        ("act", "Relu", ["y"], ["z"]),
    ]
    assert model.values == {"x": "x", "fc": "y", "drop": "y", "act": "z"}


def test_every_output_carries_its_name() -> None:
    net = Net(x=["N", 4])
    act = net.add("act", "relu")
    outputs = {"first": act, "second": act, "copy": net.inputs[0]}
    data = onnx_bytes(net.graph(outputs), WEIGHTS)
    model = check(data)
    assert [(op, ins, outs) for _, op, ins, outs in nodes_of(model)] == [
        ("Relu", ["x"], ["first"]),
        ("Identity", ["first"], ["second"]),
        ("Identity", ["x"], ["copy"]),
    ]
    x = np.array([[-1, 2, -3, 4]], np.float32)
    for result, expected in zip(run(data, {"x": x}), [x.clip(0), x.clip(0), x], strict=True):
        np.testing.assert_array_equal(result, expected)


def test_a_graph_of_no_nodes() -> None:
    net = Net(x=["N", 4])
    net.add("same", "identity")
    data = onnx_bytes(net.graph(), WEIGHTS)
    assert [node[1] for node in nodes_of(check(data))] == ["Identity"]
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(run(data, {"x": x})[0], x)


def test_another_layer_makes_room_for_the_name_of_an_output() -> None:
    net = Net(x=["N", 4])
    taken = net.add("y", "relu")
    net.add("act", "sigmoid")
    model = check(onnx_bytes(net.graph({"y": net.nodes[-1].output}), WEIGHTS))
    assert nodes_of(model) == [
        ("y", "Relu", ["x"], ["y_1"]),
        ("act", "Sigmoid", ["y_1"], ["y"]),
    ]
    assert taken.name == "y"


def test_an_output_read_by_other_layers() -> None:
    net = Net(x=["N", 4])
    act = net.add("act", "relu")
    net.add("sum", "add", act, net.inputs[0])
    data = onnx_bytes(net.graph({"act": act, "sum": net.nodes[-1].output}), WEIGHTS)
    assert nodes_of(check(data)) == [
        ("act", "Relu", ["x"], ["act"]),
        ("sum", "Add", ["act", "x"], ["sum"]),
    ]


def test_several_outputs_of_one_layer() -> None:
    net = Net(x=["N", 6])
    net.add("parts", "split", attributes={"sizes": [1, 5]})
    first, second = net.nodes[-1].outputs
    net.add("act", "relu", second)
    model = check(onnx_bytes(net.graph({"a": first, "b": net.nodes[-1].output}), WEIGHTS))
    assert nodes_of(model) == [
        ("parts", "Split", ["x", "parts/Constant"], ["a", "parts:1"]),
        ("act", "Relu", ["parts:1"], ["b"]),
    ]


def test_training_layers_and_what_only_feeds_them_are_left_out() -> None:
    net = Net(x=["N", 4])
    act = net.add("act", "relu")
    net.add("aux_in", "linear", act, attributes={"out": 3}, side="training")
    aux = net.add("aux", "relu", side="training")
    net.add("unread", "linear", act, attributes={"out": 2}, side="always")
    net.add("head", "linear", act, attributes={"out": 2})
    graph = net.graph({"y": net.nodes[-1].output, "aux": aux})
    model = check(onnx_bytes(graph, WEIGHTS))
    assert [node[0] for node in nodes_of(model)] == ["act", "head"]
    assert {t.name for t in model.graph.initializer} == {"head.weight", "head.bias"}
    assert [output.name for output in model.graph.output] == ["y"]


def test_a_tied_weight_is_one_initializer() -> None:
    net = Net(x=["N", 4])
    net.add("a", "linear", attributes={"out": 4, "bias": False})
    net.add("b", "linear", attributes={"out": 4, "bias": False}, keys={"weight": "a.weight"})
    model = check(onnx_bytes(net.graph(), WEIGHTS))
    assert [t.name for t in model.graph.initializer] == ["a.weight"]


class Scale(Op):
    """A layer whose weight has the layer's own path as its key."""

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        return x

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        return (Weight("", (4,), Constant(3.0)),)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        return g.op("Mul", x, g.weight(""))


class Table(Scale):
    """The same weight, not multiplied with anything."""

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        return TensorType((4,))

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        return g.weight("")


def test_a_weight_keeps_its_key_when_its_layer_has_the_same_name() -> None:
    net = Net(x=["N", 4])
    net.add("scale", Scale())
    net.add("act", "relu")
    model = check(onnx_bytes(net.graph(), WEIGHTS))
    assert nodes_of(model) == [
        ("scale", "Mul", ["x", "scale"], ["scale_1"]),
        ("act", "Relu", ["scale_1"], ["output"]),
    ]


def test_a_weight_as_output() -> None:
    net = Net(x=["N", 4])
    net.add("table", Table())
    data = onnx_bytes(net.graph(), DrawnWeights())
    assert nodes_of(check(data)) == [("output/Identity", "Identity", ["table"], ["output"])]
    np.testing.assert_array_equal(run(data, {"x": np.ones((1, 4), np.float32)})[0], [3, 3, 3, 3])


# -- what an op may ask for -------------------------------------------------------------------


class Probe(Op):
    """Calls the emitter in ways that no op does yet."""

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        return x

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        scalar = g.constant(0.5, DType.FLOAT32)
        again = g.constant([0.5], DType.FLOAT32, ())
        assert (scalar.name, scalar.type.shape) == (again.name, again.type.shape) != ("", (1,))
        assert g.constant([0.5], DType.FLOAT32).name != scalar.name
        shifted = g.op("Add", x, scalar, type=x.type)
        clipped = g.op("Clip", shifted, None, g.constant(2.0, DType.FLOAT32), type=x.type)
        return g.op("Clip", clipped, g.constant(1.0, DType.FLOAT32), None)


def test_optional_inputs_shared_constants_and_auxiliary_nodes() -> None:
    net = Net(x=["N", 2])
    net.add("a", Probe())
    net.add("b", Probe())
    data = onnx_bytes(net.graph(), WEIGHTS)
    model = check(data)
    half, two, one = "a/Constant", "a/Constant_2", "a/Constant_3"
    assert nodes_of(model) == [
        ("a/Add", "Add", ["x", half], ["a/Add"]),
        ("a/Clip", "Clip", ["a/Add", "", two], ["a/Clip"]),
        ("a", "Clip", ["a/Clip", one], ["a"]),
        ("b/Add", "Add", ["a", half], ["b/Add"]),
        ("b/Clip", "Clip", ["b/Add", "", two], ["b/Clip"]),
        ("b", "Clip", ["b/Clip", one], ["output"]),
    ]
    result = run(data, {"x": np.array([[-3, 9]], np.float32)})[0]
    np.testing.assert_array_equal(result, [[1.5, 2]])


class Picky(Op):
    """Refuses everything, and says so in every way."""

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        if x.rank == 0:
            raise Refusal("wrong-rank", "none")
        return x

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        g.require_opset(g.opset, "always there")
        g.require_opset(23, "its operator came with 23")
        g.refuse("`probe` has no exact form in ONNX", help=["leave it away"])
        return g.op("Relu", x)


def test_refusals_are_located_and_collected() -> None:
    net = Net(x=["N", 2])
    caller = net.line()
    net.add("first", Picky(), calls=(caller,))
    net.add("second", Picky())
    model, findings = emit_onnx(net.graph(), 20)
    assert model is None
    assert [(f.code, f.primary.span.line) for f in findings if f.primary] == [
        ("unsupported-by-target", 3),
        ("unsupported-opset", 3),
        ("unsupported-by-target", 4),
        ("unsupported-opset", 4),
    ]
    assert findings[1].message == "`probe` needs ONNX opset 23, not 20: its operator came with 23"
    assert findings[1].help == ("--opset 23",)
    assert [label.span.line for label in findings[1].secondary] == [2]
    assert findings[0].help == ("leave it away",)
    with pytest.raises(SpecError, match=r"net\.yaml:3:1: error\[unsupported-opset\]"):
        onnx_bytes(net.graph(), WEIGHTS)


@pytest.mark.parametrize("opset", [0, MIN_OPSET - 1, max_opset() + 1, 10**9])
def test_an_opset_out_of_range(opset: int) -> None:
    model, findings = emit_onnx(small_net(), opset)
    assert model is None
    assert [finding.code for finding in findings] == ["unsupported-opset"]
    assert f"{MIN_OPSET} to {max_opset()}" in findings[0].message


def test_an_opset_that_only_a_later_runtime_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old onnxruntime takes fewer than onnx defines, and bfloat16 needs one of those."""
    monkeypatch.setattr(opsets, "_runtime_opset", lambda wanted: 21)
    opsets.max_opset.cache_clear()
    try:
        _, (unknown,) = emit_onnx(small_net(), 22)
        _, (untaken, *_) = emit_onnx(in_dtype(small_net(), DType.BFLOAT16), 21)
    finally:
        opsets.max_opset.cache_clear()
    later = "install an onnxruntime that takes opset 22: this one takes up to 21"
    assert unknown.message.endswith("take 17 to 21")
    assert unknown.help == (later, "--opset 20")
    assert untaken.message.startswith("`conv` in bfloat16 needs ONNX opset 22, not 21")
    assert untaken.help == (later,)


@pytest.mark.parametrize("name", ["x", "fc.weight"])
def test_an_output_with_the_name_of_another_value(name: str) -> None:
    net = Net(x=["N", 4])
    net.add("fc", "linear", attributes={"out": 4})
    model, findings = emit_onnx(net.graph({name: net.nodes[-1].output}))
    assert model is None
    assert [finding.code for finding in findings] == ["unsupported-by-target"]
    assert f"`{name}`" in findings[0].message


def test_nothing_to_export() -> None:
    net = Net(x=["N", 4])
    net.add("aux", "relu", side="training")
    model, findings = emit_onnx(net.graph())
    assert model is None
    assert [(f.code, f.primary and f.primary.span.line) for f in findings] == [
        ("unsupported-by-target", 2)
    ]


@pytest.mark.parametrize("dtype", [DType.FLOAT64, DType.INT64, DType.INT32, DType.FLOAT16])
def test_dtypes_of_inputs_carry_through(dtype: DType) -> None:
    net = Net(x=tensor(["N", 2], dtype))
    net.add("sum", "add", net.inputs[0], net.inputs[0])
    data = onnx_bytes(net.graph(), WEIGHTS)
    check(data)
    x = np.array([[1, 2]], dtype.value)
    np.testing.assert_array_equal(run(data, {"x": x})[0], x + x, strict=True)


def test_torch_is_never_imported() -> None:
    code = """
import sys
from tests.targets.graphs import small_net
from archc.targets.onnx import onnx_bytes
from archc.weights import DrawnWeights
assert onnx_bytes(small_net(), DrawnWeights())
print(*sorted({"torch", "onnxruntime"} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == ""

"""Sizes that only the run knows: constants, 0 and -1 for Reshape, and computed ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import given, settings

from archc.ops.base import OnnxEmitter, Op, Operand
from archc.ops.conditions import ShapeContext
from archc.targets.onnx import onnx_bytes
from archc.targets.onnx.sizes import reshape_entries
from archc.types import DType, TensorType, ceil_div, dim_max, dim_min, evaluate, symbol
from archc.weights import DrawnWeights
from tests.targets.graphs import Net
from tests.targets.onnx_types import assert_runtime_agrees, check, run
from tests.types.dim_trees import NAMES, SYMBOLS, Tree, environments, trees

N, H, W = symbol("N"), symbol("H"), symbol("W")


class Sizes(Op):
    """Yields the given dims as an int64 vector."""

    dims: tuple[Any, ...]

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        return TensorType((len(self.dims),), DType.INT64)

    def to_onnx(self, g: OnnxEmitter, *xs: Operand) -> Operand:
        # An extra node, because the vector itself may be a constant.
        return g.op("Identity", g.dims(self.dims))


class Reshape(Op):
    """Reshapes to any dims."""

    dims: tuple[Any, ...]

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        return x.with_shape(self.dims)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        return g.op("Reshape", x, g.dims(self.dims, like=x))


def built(*ops: Op, **inputs: list[int | str]) -> tuple[bytes, onnx.ModelProto]:
    net = Net(**inputs)
    outputs = {f"y{i}": net.add(f"layer{i}", op, net.inputs[0]) for i, op in enumerate(ops)}
    data = onnx_bytes(net.graph(outputs), DrawnWeights())
    return data, check(data)


def sizes_at(data: bytes, **shapes: tuple[int, ...]) -> list[list[int]]:
    feed = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return [list(map(int, result)) for result in run(data, feed)]


# -- any expression ---------------------------------------------------------------------------


@settings(max_examples=60)
@given(trees(), trees(kinds="q", leaves=5), environments())
def test_any_expression_is_computed_as_python_does(
    tree: Tree, other: Tree, sizes: dict[str, int]
) -> None:
    wanted = [tree.run(SYMBOLS), other.run(SYMBOLS), 7]
    data, _ = built(Sizes(dims=(*wanted, *wanted)), x=list(NAMES))
    expected = [evaluate(dim, sizes) for dim in wanted]
    shape = tuple(sizes[name] for name in NAMES)
    assert sizes_at(data, x=shape) == [[*expected, *expected]]


def test_floor_of_a_negative_number() -> None:
    dims = ((2 - H) // 3, (3 - 2 * W) // H, (1 - H * W) % 5)
    data, _ = built(Sizes(dims=dims), x=["H", "W"])
    for h, w in ((1, 1), (7, 2), (3, 9), (10, 10)):
        assert sizes_at(data, x=(h, w)) == [[(2 - h) // 3, (3 - 2 * w) // h, (1 - h * w) % 5]]


def test_a_product_with_one_over_a_size_survives_the_optimiser() -> None:
    dims = (1 % W, H * (1 // W), 1 // (W + 1))
    data, _ = built(Sizes(dims=dims), x=["H", "W"])
    for h, w in ((5, 1), (5, 2), (7, 9)):
        assert sizes_at(data, x=(h, w)) == [[1 % w, h * (1 // w), 0]]


def test_maxima_minima_and_ceilings() -> None:
    dims = (dim_max(H - 7, 0), dim_min(H, W, 4), ceil_div(H, W), H * H)
    data, _ = built(Sizes(dims=dims), x=["H", "W"])
    for h, w in ((1, 1), (9, 2), (3, 9)):
        assert sizes_at(data, x=(h, w)) == [[max(h - 7, 0), min(h, w, 4), -(-h // w), h * h]]


def test_static_sizes_are_a_constant() -> None:
    _, model = built(Sizes(dims=(2, 3)), x=["N", 4])
    assert [node.op_type for node in model.graph.node] == ["Identity"]


def test_a_floor_that_cannot_be_negative_is_a_plain_division() -> None:
    _, model = built(Sizes(dims=((H + 1) // 2,)), x=["N", "H"])
    assert [node.op_type for node in model.graph.node] == ["Shape", "Add", "Div", "Identity"]


def test_each_expression_is_computed_once() -> None:
    first, second = Sizes(dims=(H // 2, 5, H // 2)), Sizes(dims=(H // 2 + 1, H // 2))
    data, model = built(first, second, x=["N", "H"])
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Div") == operators.count("Shape") == 1
    assert sizes_at(data, x=(1, 9)) == [[4, 5, 4], [5, 4]]


def test_a_size_that_an_operand_has_is_read_off_it() -> None:
    net = Net(x=["N", 4, "H"])
    pooled = net.add("pool", "slice", attributes={"dim": 2, "step": 2})
    half = pooled.type.shape[2]
    net.add("size", Sizes(dims=(half, N)), pooled)
    data = onnx_bytes(net.graph(), DrawnWeights())
    assert [node.op_type for node in check(data).graph.node] == [
        *("Slice", "Shape", "Shape", "Concat", "Identity")
    ]
    assert sizes_at(data, x=(3, 4, 7)) == [[4, 3]]


def test_a_symbol_of_another_input() -> None:
    data, _ = built(Sizes(dims=(W + 1,)), x=["N", 4], y=["N", "W"])
    assert sizes_at(data, x=(1, 4), y=(1, 6)) == [[7]]


# -- Reshape ----------------------------------------------------------------------------------


def test_entries_of_a_reshape() -> None:
    assert reshape_entries([2, 3], [6]) == [2, 3]
    assert reshape_entries([N, 12], [N, 3, 4]) == [0, 12]
    assert reshape_entries([N, H * W, 8], [N, 8, H, W]) == [0, -1, 8]
    assert reshape_entries([N * H, 4], [N, H, 4]) == [-1, 4]
    # One axis only can be worked out: the one that is longest to compute.
    assert reshape_entries([N, W, 4, H // 2, 2], [N, 4, H, W]) == [0, W, 4, -1, 2]


def test_reshape_of_the_usual_kind_needs_no_computation() -> None:
    for dims in ((N, 12), (N, H * W, 8), (N * H * W, 8)):
        shape = ["N", 3, 4] if dims == (N, 12) else ["N", "H", "W", 8]
        _, model = built(Reshape(dims=dims), x=shape)
        assert [node.op_type for node in model.graph.node] == ["Reshape"]


def test_reshape_with_what_is_left_computed() -> None:
    data, model = built(Reshape(dims=(N, 8, H * W, W, H)), x=["N", "W", "W", "H", "H", 8])
    assert_runtime_agrees(model, {"N": 2, "H": 3, "W": 5})
    x = np.arange(2 * 5 * 5 * 3 * 3 * 8, dtype=np.float32).reshape(2, 5, 5, 3, 3, 8)
    np.testing.assert_array_equal(run(data, {"x": x})[0], x.reshape(2, 8, 15, 5, 3))

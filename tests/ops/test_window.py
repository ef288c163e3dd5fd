"""Windows of images, lookups and relative positions: numbers against torch, shapes, messages."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.graph import Graph, Value
from archc.graph.typing import type_node
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.table import OPS
from archc.targets.torch import emit_torch, load_module
from archc.types import Dim, DType, TensorType, symbol
from archc.weights import DrawnWeights, RandomisedWeights
from tests.installed import each_opset
from tests.ops.harness import LAYER, SPAN, Tensor, assert_parity, graph_of, layer_graph
from tests.zoo.oracle import torchvision_models

N, T = symbol("N"), symbol("T")
Shape = tuple[Dim, ...]
OPSETS = each_opset(17, 18, 20, 23)


def graph(name: str, attributes: dict[str, Any], *types: TensorType) -> Graph:
    return layer_graph(name, OPS[name].model_validate(attributes), types)


def padded(x: Tensor, window: int) -> Tensor:
    height, width = (-(-size // window) * window for size in x.shape[1:3])
    result = x.new_zeros((x.shape[0], height, width, *x.shape[3:]))
    result[:, : x.shape[1], : x.shape[2]] = x
    return result


def shifts(x: Tensor, window: int, shift: int) -> tuple[int, int]:
    return tuple(shift if size > window else 0 for size in x.shape[1:3])


def partition(x: Tensor, window: int, shift: int) -> Tensor:
    """Window by window, position by position."""
    x = padded(x, window)
    down, right = shifts(x, window, shift)
    height, width = x.shape[1:3]
    windows = [
        [
            x[:, (top + i + down) % height, (left + j + right) % width]
            for i in range(window)
            for j in range(window)
        ]
        for top in range(0, height, window)
        for left in range(0, width, window)
    ]
    return torch.stack([torch.stack(places, dim=1) for places in windows], dim=1)


def mask(x: Tensor, window: int, shift: int) -> Tensor:
    """Whether two positions of a window were neighbours before the shift."""
    x = padded(x, window)
    down, right = shifts(x, window, shift)
    height, width = x.shape[1:3]
    found = []
    for top in range(0, height, window):
        for left in range(0, width, window):
            wrapped = [
                (top + i + down >= height, left + j + right >= width)
                for i in range(window)
                for j in range(window)
            ]
            found.append([[0.0 if a == b else -100.0 for b in wrapped] for a in wrapped])
    return torch.tensor(found, dtype=x.dtype)


@st.composite
def images(draw):
    window = draw(st.integers(1, 4))
    shift = draw(st.integers(0, window - 1))
    height, width, channels = (draw(st.integers(1, most)) for most in (9, 9, 3))
    return window, shift, (draw(st.integers(1, 2)), height, width, channels)


@settings(max_examples=40, deadline=None)
@given(images(), st.integers(0, 1000))
def test_windows_are_parted_position_by_position(case, seed: int) -> None:
    window, shift, shape = case
    parted = graph("window_partition", {"window": window, "shift": shift}, TensorType(shape))
    assert_parity(parted, lambda xs, _: partition(xs[0], window, shift), seed=seed, exact=True)


@settings(max_examples=40, deadline=None)
@given(images(), st.integers(0, 1000))
def test_merged_windows_are_the_image_again(case, seed: int) -> None:
    window, shift, shape = case
    attributes = {"window": window, "shift": shift}
    x = Value("x", TensorType(shape), SPAN)
    part = type_node(
        "part", "window_partition", OPS["window_partition"].model_validate(attributes), [x], SPAN
    )
    merge = OPS["window_merge"].model_validate({**attributes, "like": True})
    back = type_node("back", "window_merge", merge, [part.output, x], SPAN)
    assert back.output.type.shape == shape
    assert_parity(graph_of([x], [part, back]), lambda inputs, _: inputs[0], seed=seed, exact=True)


@settings(max_examples=30, deadline=None)
@given(images())
def test_masks_keep_apart_what_the_shift_brought_together(case) -> None:
    window, shift, shape = case
    masked = graph("window_mask", {"window": window, "shift": shift}, TensorType(shape))
    assert_parity(masked, lambda inputs, _: mask(inputs[0], window, shift), exact=True)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(6, 9), (7, 8), (3, 7)])
def test_batches_of_any_size_on_every_opset(opset: int, shift: int, size) -> None:
    shape = (N, *size, 2)
    parted = graph("window_partition", {"window": 3, "shift": shift}, TensorType(shape))
    assert_parity(
        parted,
        lambda xs, _: partition(xs[0], 3, shift),
        sizes={"N": 3},
        opset=opset,
        exact=True,
    )


def test_attention_within_windows_is_torchvisions() -> None:
    """The ops together against `shifted_window_attention`, at a size that pads and shifts."""
    swin = torchvision_models().swin_transformer
    torch.manual_seed(0)
    x = torch.randn(2, 10, 7, 6)
    weights = [torch.randn(18, 6), torch.randn(6, 6)]
    bias = torch.randn(1, 2, 9, 9)
    theirs = swin.shifted_window_attention(
        x, *weights, bias, [3, 3], 2, shift_size=[1, 1], training=False
    )
    window, shift = 3, 1
    parted = partition(x, window, shift)
    qkv = parted @ weights[0].T
    query, key, value = qkv.unflatten(-1, (3, 2, 3)).permute(3, 0, 1, 4, 2, 5)
    scores = query @ key.transpose(-2, -1) * 3**-0.5 + bias + mask(x, window, shift).unsqueeze(1)
    mixed = (scores.softmax(-1) @ value).transpose(-3, -2).flatten(-2) @ weights[1].T
    merge = graph(
        "window_merge",
        {"window": window, "shift": shift, "like": True},
        TensorType(tuple(mixed.shape)),
        TensorType(tuple(x.shape)),
    )
    ours = load_module(emit_torch(merge))(mixed, x)
    torch.testing.assert_close(ours, theirs)


def rows(inputs: list[Tensor], _: dict[str, Tensor]) -> Tensor:
    table, index = inputs
    return torch.stack([table[i] for i in index.flatten()]).reshape(*index.shape, *table.shape[1:])


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("table", "index"), [((2, 3), (4,)), ((2,), (N, 5)), ((3, T, 2), (2, N)), ((2, 4), ())]
)
def test_rows_are_looked_up(table: Shape, index: Shape, opset: int) -> None:
    types = TensorType(table), TensorType(index, DType.INT64)
    sizes = {"N": 3, "T": 2}
    assert_parity(graph("lookup", {}, *types), rows, sizes=sizes, opset=opset, exact=True)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("window", [1, 2, 5, 7])
def test_relative_indices_are_torchvisions_in_every_target(window: int, flat: bool) -> None:
    made = graph("relative_index", {"window": window, "flat": flat})
    (ref,) = made.weights()
    assert (ref.key, ref.weight.buffer, ref.weight.dtype) == (LAYER, True, DType.INT64)
    attention = torchvision_models().swin_transformer.ShiftedWindowAttention
    theirs = attention(4, [window, window], [0, 0], 1).relative_position_index
    theirs = theirs if flat else theirs.reshape(window**2, window**2)
    drawn = torch.from_numpy(DrawnWeights(0).array(ref))
    own = load_module(emit_torch(made)).state_dict()[LAYER]
    for found in (drawn, own):
        assert found.dtype == theirs.dtype
        assert torch.equal(found, theirs)
    chunks = b"".join(bytes(chunk) for chunk in DrawnWeights(0).chunks(ref))
    assert chunks == theirs.numpy().tobytes()


@pytest.mark.parametrize("window", [2, 7, 8, 16])
def test_relative_coords_are_torchvisions_in_every_target(window: int) -> None:
    made = graph("relative_coords", {"window": window})
    (ref,) = made.weights()
    assert (ref.key, ref.weight.buffer) == (LAYER, True)
    attention = torchvision_models().swin_transformer.ShiftedWindowAttentionV2
    theirs = attention(4, [window, window], [0, 0], 1).relative_coords_table
    assert torch.equal(load_module(emit_torch(made)).state_dict()[LAYER], theirs)
    drawn = torch.from_numpy(DrawnWeights(0).array(ref))
    # The logarithm of a vector may be off by one rounding.
    torch.testing.assert_close(drawn, theirs, rtol=2.0**-22, atol=0.0)
    # What is computed is not put at random either.
    assert torch.equal(torch.from_numpy(RandomisedWeights(1).array(ref)), drawn)


# -- refusals -----------------------------------------------------------------------------


def refusal(name: str, attributes: dict[str, Any], *inputs: TensorType) -> Refusal:
    with pytest.raises(Refusal) as caught:
        OPS[name].model_validate(attributes).infer(ShapeContext(), *inputs)
    return caught.value


@pytest.mark.parametrize("name", ["window_partition", "window_mask"])
def test_windows_need_a_fixed_image_with_channels_last(name: str) -> None:
    assert refusal(name, {"window": 3}, TensorType((N, T, 6, 2))).code == "symbolic-weight"
    assert refusal(name, {"window": 3}, TensorType((N, 6, 2))).code == "wrong-rank"
    found = refusal(name, {"window": 3, "shift": 3}, TensorType((N, 6, 6, 2)))
    assert (found.code, found.at) == ("bad-value", "shift")


def test_what_is_merged_must_be_the_windows_of_the_image() -> None:
    like = TensorType((N, 6, 6, 2))
    found = refusal("window_merge", {"window": 3, "like": True}, TensorType((N, 4, 4, 2)), like)
    assert found.message == (
        "[N, 4, 4, 2] are not the windows of [N, 6, 6, 2]: there are 4 of 9 positions"
    )
    assert [index for index, _ in found.because] == [0, 1]


def test_indices_are_int64() -> None:
    found = refusal("lookup", {}, TensorType((3, 2)), TensorType((4,)))
    assert found.code == "wrong-dtype"
    assert found.because[0][0] == 1


def test_a_window_of_one_has_no_offsets() -> None:
    assert refusal("relative_coords", {"window": 1}).at == "window"

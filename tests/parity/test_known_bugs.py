"""What torch, onnx and onnxruntime get wrong, and archc writes around (docs/parity.md).

Each test says in which versions it was reproduced, and runs in those alone. It fails when the bug
is gone: the detour that the test names can then be dropped, once the oldest supported version is
without it too. What is not gone must be known of the versions that CI runs (constraints.txt), so
that raising them there means looking again here. `.ci/versions oldest` runs the other end.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from archc.runtime import open_session
from tests.installed import exact_near_zero

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "parity.md"
ALL = ("1.20", "1.32")  # of onnxruntime: the oldest and the newest that were tried
OLDEST = {"onnx": "1.17", "onnxruntime": ALL[0]}
KNOWN: list[tuple[str, str, str]] = []


def minor(text: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in text.split(".")[:2])


def known_in(package: str, first: str, last: str) -> pytest.MarkDecorator:
    """Skips a test outside the versions (minor ones, both included) that it is known for."""
    KNOWN.append((package, first, last))
    installed = version(package)
    return pytest.mark.skipif(
        not minor(first) <= minor(installed) <= minor(last),
        reason=f"known of {package} {first} to {last}, and {installed} is installed",
    )


def run(nodes, feed, constants=None, *, optimized=False, opset=20):
    """The output `y` of a few nodes in onnxruntime."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in feed.items()
    ]
    initializers = [onnx.numpy_helper.from_array(a, name) for name, a in (constants or {}).items()]
    graph = helper.make_graph(nodes, "bug", inputs, [onnx.ValueInfoProto(name="y")], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    session = open_session(model.SerializeToString(), optimized=optimized)
    return session.run(["y"], feed)[0]


def scaled(found, truth) -> float:
    return float(np.abs(found - truth).max() / np.abs(truth).max())


@known_in("onnxruntime", *ALL)
def test_division_of_integers_is_fused_as_of_fractions() -> None:
    """`(1 // x) * y` becomes `y // x`; written as a maximum in archc/targets/onnx/sizes.py."""
    nodes = [
        helper.make_node("Div", ["one", "x"], ["q"]),
        helper.make_node("Mul", ["q", "z"], ["y"]),
    ]
    feed = {"x": np.array([2]), "z": np.array([6])}
    one = {"one": np.array([1])}
    assert run(nodes, feed, one).tolist() == [0]
    assert run(nodes, feed, one, optimized=True).tolist() == [3]


@known_in("onnxruntime", *ALL)
def test_pool_refuses_padding_of_the_kernel() -> None:
    """Padding as wide as the kernel, dilated or not; a Pad before it in archc/ops/pool.py."""
    node = helper.make_node(
        "MaxPool", ["x"], ["y"], kernel_shape=[2], pads=[2, 2], dilations=[3], strides=[1]
    )
    feed = {"x": np.arange(8, dtype=np.float32).reshape(1, 1, 8)}
    with pytest.raises(Exception, match=r"pad|Pad"):
        run([node], feed)


@known_in("onnxruntime", "1.32", "1.32")  # 1.20 takes it
def test_transposed_convolution_refuses_output_padding_of_the_stride() -> None:
    """Output padding below the dilation but not the stride; archc/ops/conv_transpose.py."""
    x, weight = np.ones((1, 1, 3), np.float32), np.ones((1, 1, 2), np.float32)
    options = {"strides": [1], "dilations": [2]}
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], output_padding=[1], **options)
    with pytest.raises(Exception, match=r"output_padding|output padding"):
        run([node], {"x": x}, {"w": weight})
    module = torch.nn.functional.conv_transpose1d
    made = module(torch.from_numpy(x), torch.from_numpy(weight), output_padding=1, dilation=2)
    assert made.shape == (1, 1, 6)


@known_in("onnxruntime", "1.20", "1.20")
def test_mean_divides_by_what_hangs_over() -> None:
    """Padding that counts, with `ceil_mode`: so do elements beyond it; archc/ops/pool.py."""
    x = np.ones((1, 1, 4), np.float32)
    options = {"kernel_shape": [3], "strides": [2], "pads": [1, 1], "count_include_pad": 1}
    found = run([helper.make_node("AveragePool", ["x"], ["y"], ceil_mode=1, **options)], {"x": x})
    pool = torch.nn.AvgPool1d(3, 2, padding=1, ceil_mode=True)
    assert found[0, 0, -1] == pytest.approx(1 / 3)
    assert pool(torch.from_numpy(x))[0, 0, -1] == pytest.approx(1 / 2)


@known_in("onnxruntime", "1.20", "1.20")
def test_cos_has_no_float64() -> None:
    """Sin has it; archc/ops/rope.py takes the sine a quarter of a turn ahead."""
    feed = {"x": np.zeros(2)}
    assert run([helper.make_node("Sin", ["x"], ["y"])], feed).tolist() == [0, 0]
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        run([helper.make_node("Cos", ["x"], ["y"])], feed)


@known_in("onnxruntime", "1.20", "1.20")
def test_layer_norm_cancels() -> None:
    """The variance is a difference of squares; nothing is written around it."""
    x = (10 + 0.01 * np.random.default_rng(0).standard_normal((4, 64))).astype(np.float32)
    constants = {"s": np.ones(64, np.float32), "b": np.zeros(64, np.float32)}
    node = helper.make_node("LayerNormalization", ["x", "s", "b"], ["y"], epsilon=1e-5)
    truth = torch.nn.LayerNorm(64).double()(torch.from_numpy(x).double()).detach().numpy()
    mine = scaled(torch.nn.LayerNorm(64)(torch.from_numpy(x)).detach().numpy(), truth)
    assert scaled(run([node], {"x": x}, constants), truth) > 16 * mine


@known_in("onnxruntime", "1.20", "1.20")
def test_static_quantisation_loses_the_weights_of_a_message(tmp_path: Path) -> None:
    """A ModelProto is emptied into a file that is gone later; archc/quantization gives a path."""
    weight = np.ones((64, 64), np.float32)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = [onnx.numpy_helper.from_array(weight, "w")]
    graph = helper.make_graph([node], "bug", [value], [result], weights)
    opset = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    feeds = iter([{"x": np.ones((1, 64), np.float32)}])
    reader = type("Reader", (CalibrationDataReader,), {"get_next": lambda self: next(feeds, None)})
    with pytest.raises(Exception, match="doesn't exist"):
        quantize_static(model, tmp_path / "made.onnx", reader())


@known_in("onnxruntime", *ALL)
def test_resize_copies_an_axis_whose_size_stays() -> None:
    """Whatever the scale says of positions; archc/ops/resize.py."""
    x = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4)
    node = helper.make_node(
        "Resize",
        ["x", "", "scales"],
        ["y"],
        mode="cubic",
        cubic_coeff_a=-0.75,
        coordinate_transformation_mode="half_pixel",
    )
    scales = np.array([1, 1, 1, 1.2], np.float32)  # floor(4 * 1.2) = 4
    found = run([node], {"x": x}, {"scales": scales})
    mine = torch.nn.functional.interpolate(
        torch.from_numpy(x), scale_factor=(1.0, 1.2), mode="bicubic", recompute_scale_factor=False
    )
    assert np.array_equal(found, x)
    assert scaled(found, mine.numpy()) > 0.01


@known_in("onnxruntime", *ALL)
def test_resize_divides_by_a_rounded_ratio() -> None:
    """Positions are x / float32(out / in), torch's x * float32(in / out); archc/ops/nearest.py."""
    differing = 0
    for size in range(1, 40):
        for out in range(1, 40):
            x = np.arange(size, dtype=np.float32).reshape(1, 1, size)
            node = helper.make_node(
                "Resize",
                ["x", "", "", "sizes"],
                ["y"],
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )
            found = run([node], {"x": x}, {"sizes": np.array([1, 1, out])})
            mine = torch.nn.functional.interpolate(torch.from_numpy(x), size=out).numpy()
            differing += not np.array_equal(found, mine)
    assert differing > 0


@known_in("onnxruntime", "1.32", "1.32")
def test_a_transpose_is_moved_past_resize_with_sizes_of_some_axes() -> None:
    """It takes the sizes of `axes` for all of them; archc/ops/resize.py gives all."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Resize", ["t", "", "", "sizes"], ["r"], mode="linear", axes=[2, 3]),
        helper.make_node("Transpose", ["r"], ["y"], perm=[0, 2, 3, 1]),
    ]
    feed = {"x": np.zeros((1, 8, 7, 9), np.float32)}
    sizes = {"sizes": np.array([7, 7])}
    assert run(nodes, feed, sizes).shape == (1, 7, 7, 9)
    with pytest.raises(Exception, match="does not match the number of axes"):
        run(nodes, feed, sizes, optimized=True)


@known_in("onnxruntime", "1.32", "1.32")
def test_a_transpose_is_moved_past_a_cubic_resize_that_has_no_kernel_then() -> None:
    """archc/ops/resize.py puts a Reshape between."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Resize", ["t", "", "scales"], ["r"], mode="cubic"),
        helper.make_node("Transpose", ["r"], ["y"], perm=[0, 2, 3, 1]),
    ]
    feed = {"x": np.zeros((1, 8, 6, 6), np.float32)}
    scales = {"scales": np.array([1, 1, 0.5, 0.5], np.float32)}
    assert run(nodes, feed, scales).shape == (1, 4, 3, 6)
    with pytest.raises(Exception, match="'Cubic' mode only supports"):
        run(nodes, feed, scales, optimized=True)


@known_in("onnxruntime", *ALL)
def test_lrn_cancels() -> None:
    """Large `alpha * x**2` at torch's own pace; archc/ops/lrn.py spells it out."""
    rng = np.random.default_rng(0)
    x = (1000 * rng.standard_normal((1, 8, 4, 4))).astype(np.float32)
    node = helper.make_node("LRN", ["x"], ["y"], size=5, alpha=1.0, beta=0.75, bias=1.0)
    module = torch.nn.LocalResponseNorm(5, alpha=1.0, beta=0.75, k=1.0)
    truth = module(torch.from_numpy(x).double()).numpy()
    mine = scaled(module(torch.from_numpy(x)).numpy(), truth)
    assert scaled(run([node], {"x": x}), truth) > 16 * mine


@known_in("onnxruntime", *ALL)
@pytest.mark.parametrize("operator", ["Elu", "Selu", "Celu"])
def test_elu_cancels(operator) -> None:
    """`exp(x) - 1` as a difference: right to the rounding of 1, however small the result.

    archc/ops/smooth.py keeps the operator: `2 * t / (1 - t)` with `t = tanh(x / 2)` is exact near
    0, and eight passes over memory instead of one.
    """
    x = np.linspace(-1e-3, -1e-4, 200, dtype=np.float32)
    module = getattr(torch.nn, operator.upper())()
    truth = module(torch.from_numpy(x).double()).numpy()
    found = run([helper.make_node(operator, ["x"], ["y"])], {"x": x})
    torch_error = scaled(module(torch.from_numpy(x)).numpy(), truth)
    assert torch_error < 2e-7 or not exact_near_zero()
    assert scaled(found, truth) > 1e-5
    assert np.abs(found - truth).max() < 2**-22
    nodes = [
        helper.make_node("Mul", ["x", "half"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Sub", ["one", "t"], ["d"]),
        helper.make_node("Div", ["t", "d"], ["q"]),
        helper.make_node("Mul", ["q", "two"], ["y"]),
    ]
    constants = {"half": np.float32([0.5]), "one": np.float32([1]), "two": np.float32([2])}
    assert scaled(run(nodes, {"x": x}, constants), np.expm1(x.astype(np.float64))) < 1e-6


@known_in("onnxruntime", *ALL)
def test_sigmoid_is_right_to_a_rounding_of_one() -> None:
    """However small the result: archc/ops/smooth.py keeps the operator, which is one pass.

    LSTM and GRU hold it, and give no choice.
    """
    x = np.linspace(-20, -10, 2000, dtype=np.float32)
    truth = 1 / (1 + np.exp(-x.astype(np.float64)))
    found = run([helper.make_node("Sigmoid", ["x"], ["y"])], {"x": x})
    assert scaled(torch.sigmoid(torch.from_numpy(x)).numpy(), truth) < 2e-7
    assert scaled(found, truth) > 1e-4
    assert np.abs(found - truth).max() < 3 * 2**-24
    assert (found[x < -18.5] == 0).all()
    nodes = [
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("Exp", ["n"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["a"]),
        helper.make_node("Reciprocal", ["a"], ["y"]),
    ]
    assert scaled(run(nodes, {"x": x}, {"one": np.float32([1])}), truth) < 1e-6


@known_in("onnxruntime", *ALL)
def test_lrn_refuses_even_windows_and_other_ranks() -> None:
    """ONNX has them; archc/ops/lrn.py."""
    for shape, size in (((1, 8, 4, 4), 4), ((1, 8, 4), 3)):
        node = helper.make_node("LRN", ["x"], ["y"], size=size)
        with pytest.raises(Exception, match=r"LRN|size|dim"):
            run([node], {"x": np.ones(shape, np.float32)})


@known_in("onnxruntime", *ALL)
@pytest.mark.parametrize("operator", ["GlobalAveragePool", "InstanceNormalization"])
def test_long_sums_are_added_up_in_order(operator) -> None:
    """Off by many times torch's error over 148,225 elements; nothing is written around it."""
    x = np.random.default_rng(0).random((1, 2, 385, 385), np.float32)
    constants = {"s": np.ones(2, np.float32), "b": np.zeros(2, np.float32)}
    more = ["s", "b"] if operator == "InstanceNormalization" else []
    found = run([helper.make_node(operator, ["x", *more], ["y"])], {"x": x}, constants)
    module = torch.nn.InstanceNorm2d(2) if more else torch.nn.AdaptiveAvgPool2d(1)
    truth = module(torch.from_numpy(x).double()).numpy()
    mine = scaled(module(torch.from_numpy(x)).numpy(), truth)
    assert scaled(found, truth) > 4 * mine


@known_in("onnx", "1.17", "1.17")
def test_reference_evaluator_counts_what_hangs_over() -> None:
    """onnx's own AveragePool with ceil_mode: never the only oracle of a test here."""
    x = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    node = helper.make_node(
        "AveragePool",
        ["x"],
        ["y"],
        kernel_shape=[2],
        strides=[2],
        pads=[1, 1],
        ceil_mode=1,
        count_include_pad=1,
    )
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    graph = helper.make_graph([node], "bug", [value], [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    pool = torch.nn.AvgPool1d(2, 2, padding=1, ceil_mode=True)
    mine = pool(torch.from_numpy(x)).numpy()
    (found,) = ReferenceEvaluator(model).run(None, {"x": x})
    assert found.shape != mine.shape or scaled(found, mine) > 1e-3


@known_in("torch", "2.6", "2.14")
def test_local_response_norm_views_permuted_volumes() -> None:
    x = torch.randn(2, 5, 4, 3, 6).permute(0, 2, 4, 1, 3)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        torch.nn.functional.local_response_norm(x, 3)


def test_every_reproduction_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    here = Path(__file__).read_text(encoding="utf-8")
    tests = set(re.findall(r"^def (test_\w+)", here, re.MULTILINE))
    tests = {name for name in tests if not name.endswith(("_the_page", "_are_looked_at"))}
    assert set(re.findall(r"`(test_\w+)`", text)) == tests


def test_versions_of_ci_are_looked_at() -> None:
    """What an old version alone has aside, CI runs it all; the page says with which versions."""
    pinned = dict(
        re.findall(r"^(\w+)==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    )
    for package, _, last in KNOWN:
        old = last == OLDEST.get(package)
        assert old or minor(last) >= minor(pinned[package]), package
    text = PAGE.read_text(encoding="utf-8")
    assert f"onnxruntime {pinned['onnxruntime']}, onnx {pinned['onnx']}" in text

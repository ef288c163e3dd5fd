"""What torch, onnx and onnxruntime get wrong, and archc writes around (docs/parity.md).

Each test passes while the installed version has the bug, and fails when it is gone: the detour
that the test names can then be dropped, once the oldest supported version is without it too.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from archc.runtime import open_session

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


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


def test_pool_refuses_padding_of_the_kernel() -> None:
    """Padding as wide as the kernel, dilated or not; a Pad before it in archc/ops/pool.py."""
    node = helper.make_node(
        "MaxPool", ["x"], ["y"], kernel_shape=[2], pads=[2, 2], dilations=[3], strides=[1]
    )
    feed = {"x": np.arange(8, dtype=np.float32).reshape(1, 1, 8)}
    with pytest.raises(Exception, match=r"pad|Pad"):
        run([node], feed)


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


def test_lrn_cancels() -> None:
    """Large `alpha * x**2` at torch's own pace; archc/ops/lrn.py spells it out."""
    rng = np.random.default_rng(0)
    x = (1000 * rng.standard_normal((1, 8, 4, 4))).astype(np.float32)
    node = helper.make_node("LRN", ["x"], ["y"], size=5, alpha=1.0, beta=0.75, bias=1.0)
    module = torch.nn.LocalResponseNorm(5, alpha=1.0, beta=0.75, k=1.0)
    truth = module(torch.from_numpy(x).double()).numpy()
    mine = scaled(module(torch.from_numpy(x)).numpy(), truth)
    assert scaled(run([node], {"x": x}), truth) > 16 * mine


def test_lrn_refuses_even_windows_and_other_ranks() -> None:
    """ONNX has them; archc/ops/lrn.py."""
    for shape, size in (((1, 8, 4, 4), 4), ((1, 8, 4), 3)):
        node = helper.make_node("LRN", ["x"], ["y"], size=size)
        with pytest.raises(Exception, match=r"LRN|size|dim"):
            run([node], {"x": np.ones(shape, np.float32)})


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
    try:
        (found,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
    except Exception:
        return  # it does not run at all
    assert found.shape != mine.shape or scaled(found, mine) > 1e-3


def test_local_response_norm_views_permuted_volumes() -> None:
    x = torch.randn(2, 5, 4, 3, 6).permute(0, 2, 4, 1, 3)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        torch.nn.functional.local_response_norm(x, 3)


def test_every_reproduction_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    here = Path(__file__).read_text(encoding="utf-8")
    tests = set(re.findall(r"^def (test_\w+)", here, re.MULTILINE))
    tests = {name for name in tests if not name.endswith("_the_page")}
    assert set(re.findall(r"`(test_\w+)`", text)) == tests


def test_versions_are_those_of_the_page() -> None:
    """The page says which onnxruntime it speaks of; another one may have fewer bugs."""
    text = PAGE.read_text(encoding="utf-8")
    (shown,) = re.findall(r"onnxruntime (\d+\.\d+)\.\d+, onnx", text)
    installed = tuple(map(int, ort.__version__.split(".")[:2]))
    assert installed >= tuple(map(int, shown.split(".")))

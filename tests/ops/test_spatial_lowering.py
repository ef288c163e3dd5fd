"""The generated text of spatial ops: what a person would write, and every ONNX attribute."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from archc.ops.table import OPS
from archc.runtime import open_session
from archc.targets.onnx import onnx_bytes
from archc.targets.onnx.emit import emit_onnx
from archc.targets.torch import emit_torch
from archc.types import Dim, TensorType, symbol
from archc.weights import DrawnWeights
from tests.graph.specs import graph_of
from tests.installed import opsets
from tests.ops.harness import layer_graph

N, H, W = symbol("N"), symbol("H"), symbol("W")
IMAGE = (N, 3, 32, 32)
Shape = tuple[Dim, ...]


def source(name: str, attributes: dict[str, Any], *shapes: Shape) -> str:
    """The generated module without line breaks, so that wrapping does not matter."""
    graph = layer_graph(name, OPS[name].model_validate(attributes), [*map(TensorType, shapes)])
    text = emit_torch(graph).text
    return " ".join(text.split()).replace("( ", "(").replace(", )", ")").replace(" )", ")")


@pytest.mark.parametrize(
    ("name", "attributes", "shapes", "written"),
    [
        (
            "conv",
            {"out": 64, "kernel": 7, "stride": 2, "padding": 3, "bias": False},
            [IMAGE],
            "nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)",
        ),
        ("conv", {"out": 6}, [IMAGE], "nn.Conv2d(3, 6, kernel_size=1)"),
        (
            "conv",
            {"out": 6, "kernel": [1, 7], "padding": "half", "dilation": [1, 2], "groups": 3},
            [IMAGE],
            "nn.Conv2d(3, 6, kernel_size=(1, 7), padding=(0, 6), dilation=(1, 2), groups=3)",
        ),
        (
            "conv",
            {"out": 6, "kernel": 4, "padding": "same", "padding_mode": "circular"},
            [(N, 3, 9)],
            'nn.Conv1d(3, 6, kernel_size=4, padding="same", padding_mode="circular")',
        ),
        (
            "conv",
            {"out": 6, "kernel": 2, "padding": [[0, 1], [1, 2]], "padding_mode": "reflect"},
            [IMAGE],
            'F.pad(x, (1, 2, 0, 1), mode="reflect")',
        ),
        (
            "conv_transpose",
            {"out": 6, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1},
            [(N, 3, 9, 9, 9)],
            "nn.ConvTranspose3d(3, 6, kernel_size=3, stride=2, padding=1, output_padding=1)",
        ),
        ("maxpool", {"kernel": 3, "stride": 2}, [IMAGE], "nn.MaxPool2d(kernel_size=3, stride=2)"),
        ("maxpool", {"kernel": 2, "stride": [2, 2]}, [IMAGE], "nn.MaxPool2d(kernel_size=2)"),
        (
            "maxpool",
            {"kernel": 3, "stride": 1, "padding": 1, "ceil": True},
            [IMAGE],
            "nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True)",
        ),
        (
            "maxpool",
            {"kernel": 2, "stride": 1, "padding": "same"},
            [IMAGE],
            'F.pad(x, (0, 1, 0, 1), value=float("-inf"))',
        ),
        (
            "avgpool",
            {"kernel": 3, "stride": 1, "padding": 1, "count_include_pad": False, "divisor": 4},
            [IMAGE],
            "nn.AvgPool2d(kernel_size=3, stride=1, padding=1, count_include_pad=False, "
            "divisor_override=4)",
        ),
        ("adaptive_avgpool", {"size": 1}, [IMAGE], "nn.AdaptiveAvgPool2d(1)"),
        ("adaptive_maxpool", {"size": [7, 6]}, [IMAGE], "nn.AdaptiveMaxPool2d((7, 6))"),
        ("global_avgpool", {}, [IMAGE], "x.mean((2, 3))"),
        (
            "pad",
            {"padding": [[1, 2], [3, 4]], "value": 0.5},
            [IMAGE],
            "F.pad(x, (3, 4, 1, 2), value=0.5)",
        ),
        ("pad_to", {"multiple": 2, "dims": [1, 2]}, [(N, 7, 7, 3)], "F.pad(x, (0, 0, 0, 1, 0, 1))"),
        (
            "resize",
            {"scale": 2, "mode": "linear"},
            [IMAGE],
            'F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)',
        ),
        ("resize", {"size": [4, 5]}, [IMAGE], 'F.interpolate(x, size=(4, 5), mode="nearest")'),
        (
            "resize",
            {"like": True},
            [IMAGE, (N, 1, 64, W)],
            'F.interpolate(x0, size=x1.shape[2:], mode="nearest")',
        ),
    ],
)
def test_torch_source_is_what_a_person_would_write(
    name: str, attributes: dict[str, Any], shapes: list[Shape], written: str
) -> None:
    assert written in source(name, attributes, *shapes)


def nodes(
    name: str, attributes: dict[str, Any], *shapes: Shape, opset: int = 20
) -> list[onnx.NodeProto]:
    graph = layer_graph(name, OPS[name].model_validate(attributes), [*map(TensorType, shapes)])
    emitted, diagnostics = emit_onnx(graph, opset)
    assert emitted is not None, diagnostics
    return list(emitted.header.graph.node)


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


@pytest.mark.parametrize(
    ("name", "attributes", "written"),
    [
        (
            "conv",
            {"out": 6, "kernel": [2, 3], "padding": "same", "groups": 3},
            {
                "kernel_shape": [2, 3],
                "strides": [1, 1],
                "pads": [0, 1, 1, 1],
                "dilations": [1, 1],
                "group": 3,
            },
        ),
        (
            "conv_transpose",
            {"out": 6, "kernel": 3, "stride": 2, "padding": 1, "output_padding": [1, 0]},
            {
                "kernel_shape": [3, 3],
                "strides": [2, 2],
                "pads": [1, 1, 1, 1],
                "output_padding": [1, 0],
                "dilations": [1, 1],
                "group": 1,
            },
        ),
        (
            "maxpool",
            {"kernel": 3, "stride": 2, "padding": 1, "ceil": True},
            {
                "kernel_shape": [3, 3],
                "strides": [2, 2],
                "pads": [1, 1, 1, 1],
                "dilations": [1, 1],
                "ceil_mode": 1,
            },
        ),
        (
            # The window that torch drops is left out by the padding, not by ceil_mode.
            "maxpool",
            {"kernel": 2, "stride": 3, "padding": 1, "ceil": True},
            {
                "kernel_shape": [2, 2],
                "strides": [3, 3],
                "pads": [1, 1, 1, 1],
                "dilations": [1, 1],
                "ceil_mode": 0,
            },
        ),
        (
            "avgpool",
            {"kernel": 3, "stride": 2, "padding": 1},
            {
                "kernel_shape": [3, 3],
                "strides": [2, 2],
                "pads": [1, 1, 1, 1],
                "ceil_mode": 0,
                "count_include_pad": 1,
            },
        ),
        (
            "adaptive_avgpool",
            {"size": [8, 16]},
            {
                "kernel_shape": [4, 2],
                "strides": [4, 2],
                "pads": [0, 0, 0, 0],
                "ceil_mode": 0,
                "count_include_pad": 0,
            },
        ),
        (
            "resize",
            {"scale": 2, "mode": "bilinear"},
            {"mode": b"linear", "coordinate_transformation_mode": b"half_pixel"},
        ),
        (
            "resize",
            {"scale": 2, "mode": "bicubic", "align_corners": True},
            {
                "mode": b"cubic",
                "coordinate_transformation_mode": b"align_corners",
                "cubic_coeff_a": -0.75,
                "exclude_outside": 0,
            },
        ),
        (
            "resize",
            {"scale": 2},
            {
                "mode": b"nearest",
                "coordinate_transformation_mode": b"asymmetric",
                "nearest_mode": b"floor",
            },
        ),
    ],
)
def test_onnx_attributes_are_all_written(
    name: str, attributes: dict[str, Any], written: dict[str, Any]
) -> None:
    (node,) = (n for n in nodes(name, attributes, IMAGE) if n.op_type not in ("Reshape", "Shape"))
    assert attributes_of(node) == written


CEIL = {"kernel": 3, "stride": 2, "padding": 1, "ceil": True}
APART = ["AveragePool", "Expand", "AveragePool", "Div"]


@pytest.mark.parametrize(
    ("name", "attributes", "shape", "opset", "types"),
    [
        ("adaptive_avgpool", {"size": 1}, (N, 3, 7, 7), 20, ["GlobalAveragePool"]),
        ("adaptive_avgpool", {"size": 1}, (N, 3, 65, 64), 20, ["ReduceMean", "ReduceMean"]),
        ("adaptive_avgpool", {"size": 1}, (N, 3, H, W), 20, ["ReduceMean", "ReduceMean"]),
        ("adaptive_maxpool", {"size": 1}, (N, 3, H, W), 20, ["GlobalMaxPool"]),
        ("adaptive_avgpool", {"size": 4}, (N, 3, 14, 14), 20, ["MatMul", "MatMul"]),
        ("adaptive_avgpool", {"size": [4, 1]}, (N, 3, 14, W), 20, ["MatMul", "ReduceMean"]),
        ("adaptive_avgpool", {"size": [14, 4]}, (N, 3, 14, 14), 20, ["MatMul"]),
        (
            "adaptive_avgpool",
            {"size": 7},
            (N, 3, 14, H * 7),
            20,
            ["MatMul", "Reshape", "ReduceMean"],
        ),
        ("adaptive_maxpool", {"size": 4}, (N, 3, 14), 20, ["Gather", "ReduceMax"]),
        # Padding that counts: what hangs over, where it does, is divided out.
        ("avgpool", CEIL, (N, 3, 15), 20, ["AveragePool"]),
        ("avgpool", CEIL, (N, 3, 14), 20, APART),
        ("avgpool", CEIL, (N, 3, W), 20, ["AveragePool", "Add", *APART[1:]]),
        ("avgpool", {**CEIL, "count_include_pad": False}, (N, 3, 14), 20, ["AveragePool"]),
        ("avgpool", {**CEIL, "stride": 3, "kernel": 2}, (N, 3, W), 20, ["AveragePool"]),
        ("pad_to", {"multiple": 2}, (N, 3, 14), 20, []),
        ("conv", {"out": 4, "padding": 1, "padding_mode": "reflect"}, IMAGE, 17, ["Pad", "Conv"]),
        ("conv", {"out": 4, "padding_mode": "reflect"}, IMAGE, 17, ["Conv"]),
        ("resize", {"size": [32, 7]}, IMAGE, 20, ["Resize"]),
        ("resize", {"size": 1681}, (N, 3, 41), 20, ["Gather"]),
    ],
)
def test_onnx_nodes(
    name: str, attributes: dict[str, Any], shape: Shape, opset: int, types: list[str]
) -> None:
    found = [node.op_type for node in nodes(name, attributes, shape, opset=opset)]
    assert [t for t in found if t not in ("Shape", "Concat", "Identity")] == types


@pytest.mark.parametrize("how", ["[7, 7], mode: bilinear", ", scale: 0.5, mode: bicubic"])
@pytest.mark.parametrize("opset", opsets(17, 20, 23))
def test_a_resize_between_transposes_loads_in_every_runtime(opset: int, how: str) -> None:
    """Random networks found that onnxruntime moves the Transpose, and cannot go on."""
    graph = graph_of(
        "archc: 1\nname: net\ninputs: {x: [N, 8, 7, 9]}\nlayers:\n"
        f"  - {{permute: [0, 3, 1, 2]}}\n  - {{resize: {how}}}\n  - {{permute: [0, 2, 3, 1]}}\n"
    )
    model = onnx_bytes(graph, DrawnWeights(), opset)
    x = np.random.default_rng(0).standard_normal((2, 8, 7, 9)).astype(np.float32)
    plain, moved = (
        open_session(model, optimized=level).run(None, {"x": x})[0] for level in (False, True)
    )
    assert plain.shape[0] == 2
    np.testing.assert_allclose(moved, plain, atol=1e-6)


def test_bins_of_unknown_size_are_refused_for_onnx_alone() -> None:
    op = OPS["adaptive_avgpool"].model_validate({"size": 7})
    graph = layer_graph("adaptive_avgpool", op, [TensorType((N, 3, H, 14))])
    emitted, diagnostics = emit_onnx(graph, 20)
    assert emitted is None
    (diagnostic,) = diagnostics
    assert diagnostic.code == "unsupported-by-target"
    assert "cuts a height of H into 7 bins" in diagnostic.message
    assert "write numbers for height and width in `inputs`" in diagnostic.help[0]
    assert "nn.AdaptiveAvgPool2d(7)" in emit_torch(graph).text


def test_circular_padding_needs_the_opset_that_has_it() -> None:
    op = OPS["pad"].model_validate({"padding": 1, "mode": "circular"})
    graph = layer_graph("pad", op, [TensorType(IMAGE)])
    emitted, diagnostics = emit_onnx(graph, 18)
    assert emitted is None
    (diagnostic,) = diagnostics
    assert diagnostic.code == "unsupported-opset"
    assert diagnostic.help == ("--opset 19",)

"""What the lowering writes: attributes, nodes, and what acts in training only."""

from __future__ import annotations

from functools import partial
from typing import Any

import onnx
import pytest
import torch

from archc.graph import Graph
from archc.ops.table import OPS
from archc.targets.onnx import emit_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types import Dim, DType, TensorType, symbol
from tests.installed import needs_opset, opsets
from tests.ops.core_cases import MOVING
from tests.ops.core_listed import LISTED, SIZES, Listed, Shape
from tests.ops.core_reference import FUNCTIONS, reference
from tests.ops.harness import assert_parity, layer_graph

OPSETS = opsets(17, 18, 20, 23)


def named(listed: Listed) -> str:
    name, attributes, shapes = listed
    text = " ".join(f"{key}={value}" for key, value in attributes.items())
    return f"{name} {text} {' '.join(str(list(shape)) for shape in shapes)}"


def symbolic(shape: Shape) -> tuple[Dim, ...]:
    return tuple(symbol(dim) if isinstance(dim, str) else dim for dim in shape)


def graph_of(
    name: str, attributes: dict[str, Any], *shapes: Shape, dtype: DType = DType.FLOAT32
) -> Graph:
    types = [TensorType(symbolic(shape), dtype) for shape in shapes]
    return layer_graph(name, OPS[name].model_validate(attributes), types)


def test_every_op_is_listed() -> None:
    assert {name for name, _, _ in LISTED} == set(FUNCTIONS)


@pytest.mark.parametrize("listed", LISTED, ids=named)
def test_targets_agree_with_torch_on_every_opset(listed: Listed) -> None:
    name, attributes, shapes = listed
    graph = graph_of(name, attributes, *shapes)
    check = partial(reference, name, graph.nodes[0].op)
    for opset in OPSETS:
        assert_parity(graph, check, sizes=SIZES, opset=opset, scale=2.0, exact=name in MOVING)


@pytest.mark.parametrize(
    "listed", [item for item in LISTED if item[0] in MOVING - {"dropout", "drop_path"}], ids=named
)
def test_ops_that_move_values_take_integers(listed: Listed) -> None:
    name, attributes, shapes = listed
    graph = graph_of(name, attributes, *shapes, dtype=DType.INT64)
    assert_parity(graph, partial(reference, name, graph.nodes[0].op), sizes=SIZES, exact=True)


def nodes_of(graph: Graph, opset: int = 20) -> list[tuple[str, dict[str, Any]]]:
    model, diagnostics = emit_onnx(graph, opset)
    assert model is not None, diagnostics
    return [
        (node.op_type, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
        for node in model.header.graph.node
    ]


@pytest.mark.parametrize(
    ("name", "attributes", "operator", "written"),
    [
        ("hardsigmoid", {}, "HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
        ("leaky_relu", {"slope": 0.2}, "LeakyRelu", {"alpha": 0.2}),
        ("elu", {"alpha": 0.7}, "Elu", {"alpha": 0.7}),
        ("celu", {"alpha": 0.7}, "Celu", {"alpha": 0.7}),
        ("gelu", {}, "Gelu", {"approximate": b"none"}),
        ("gelu", {"approximate": "tanh"}, "Gelu", {"approximate": b"tanh"}),
        ("softmax", {"dim": -3}, "Softmax", {"axis": 1}),
        ("batchnorm", {"eps": 1e-3}, "BatchNormalization", {"epsilon": 1e-3}),
        ("layernorm", {"eps": 1e-6}, "LayerNormalization", {"axis": -1, "epsilon": 1e-6}),
        ("instancenorm", {"eps": 1e-3}, "InstanceNormalization", {"epsilon": 1e-3}),
        ("lrn", {"size": 5}, "LRN", {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}),
        ("flatten", {}, "Flatten", {"axis": 1}),
        ("hardswish", {}, "HardSwish", {}),
    ],
)
def test_one_operator_with_its_attributes(
    name: str, attributes: dict[str, Any], operator: str, written: dict[str, Any]
) -> None:
    graph = graph_of(name, attributes, ("N", 6, 4, 4))
    ((found, values),) = nodes_of(graph)
    assert found == operator
    assert values == pytest.approx(written) if _numeric(written) else values == written


def _numeric(written: dict[str, Any]) -> bool:
    return all(isinstance(value, (int, float)) for value in written.values())


def operators(name: str, attributes: dict[str, Any], shape: Shape, opset: int = 20) -> list[str]:
    return [operator for operator, _ in nodes_of(graph_of(name, attributes, shape), opset)]


@needs_opset(23)
def test_new_operators_are_written_where_the_opset_has_them() -> None:
    text: Shape = ("N", 5, 12)
    assert operators("gelu", {}, text, 19) == ["Div", "Erf", "Add", "Mul", "Mul"]
    assert operators("gelu", {}, text, 20) == ["Gelu"]
    assert operators("rmsnorm", {}, text, 22)[-2:] == ["Div", "Mul"]
    assert operators("rmsnorm", {}, text, 23) == ["RMSNormalization"]


def test_rearrange_writes_no_node_that_changes_nothing() -> None:
    image: Shape = ("N", 6, "H", "W")
    written = {
        "b c h w -> b h w c": ["Transpose"],
        "b c h w -> b (h w) c": ["Transpose", "Reshape"],
        "b c h w -> b (c h) w": ["Reshape"],
        "b (g c) h w -> b (c g) h w": ["Reshape", "Transpose", "Reshape"],
    }
    for pattern, expected in written.items():
        sizes = {"g": 2} if "g" in pattern else {}
        found = operators("rearrange", {"pattern": pattern, **sizes}, image)
        # A target shape may have to be worked out first.
        assert [op for op in found if op in ("Reshape", "Transpose")] == expected


@pytest.mark.parametrize(
    "listed", [item for item in LISTED if item[0] in ("rearrange", "flatten")], ids=named
)
def test_source_that_regroups_axes_names_no_runtime_size(listed: Listed) -> None:
    name, attributes, shapes = listed
    text = emit_torch(graph_of(name, attributes, *shapes)).text
    assert ".shape[" not in text
    assert ".size(" not in text


@pytest.mark.parametrize(
    "listed",
    [item for item in LISTED if item[0] in ("dropout", "drop_path", "identity")],
    ids=named,
)
def test_nothing_is_computed_for_what_acts_in_training_only(listed: Listed) -> None:
    name, attributes, shapes = listed
    computed = [op for op, _ in nodes_of(graph_of(name, attributes, *shapes))]
    assert computed in ([], ["Identity"])


def test_a_local_norm_takes_volumes_whose_axes_were_permuted() -> None:
    # torch's own function raises for these (docs/parity.md).
    x = torch.randn(2, 5, 4, 3, 6).permute(0, 2, 4, 1, 3)
    module = module_of(graph_of("lrn", {"size": 3}, ("N", 4, "D", "H", "W")))
    assert torch.equal(module(x), module(x.contiguous()))


def module_of(graph: Graph) -> torch.nn.Module:
    return load_module(emit_torch(graph))


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    module = module_of(graph_of("drop_path", {"p": 0.25}, ("N", 3, "H", "W")))
    x = torch.rand(4000, 3, 2, 2) + 0.5
    y = module(x)
    kept = (y != 0).flatten(1)
    assert torch.equal(kept.all(1), kept.any(1))
    assert torch.allclose(y[kept.all(1)], x[kept.all(1)] / 0.75)
    assert abs(kept.all(1).float().mean().item() - 0.75) < 0.03
    assert torch.equal(module.eval()(x), x)


def test_drop_path_of_everything_leaves_zeros() -> None:
    module = module_of(graph_of("drop_path", {"p": 1.0}, ("N", 3)))
    assert torch.equal(module(torch.ones(5, 3)), torch.zeros(5, 3))


def test_drop_path_compiles_and_exports() -> None:
    module = module_of(graph_of("drop_path", {"p": 0.5}, ("N", 3)))
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    rows = compiled(torch.ones(64, 3))
    assert set(rows.unique().tolist()) == {0.0, 2.0}
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(module.eval(), (torch.ones(4, 3),), dynamic_shapes=({0: batch},))
    assert torch.equal(exported.module()(torch.ones(7, 3)), torch.ones(7, 3))

"""Networks in float16 and bfloat16: every op on both targets, files, weights, refusals."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archc
from archc.cli import archc as cli
from archc.compile import check_source
from archc.diagnostics import Source, SpecError
from archc.graph import Graph
from archc.graph.precision import in_dtype
from archc.parity import verify_graph
from archc.targets.onnx.opsets import ask_for
from archc.types import DType
from archc.weights.bfloat16 import bfloat16_bits, bfloat16_values
from tests.installed import each_opset, needs_opset
from tests.ops import core_cases, spatial_cases
from tests.ops.test_core_parity import static_graph

SOME = settings(
    max_examples=int(os.environ.get("ARCHC_EXAMPLES", "4")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FAMILIES = {**core_cases.FAMILIES, **spatial_cases.FAMILIES}
SHORT = [DType.FLOAT16, DType.BFLOAT16]
WRITTEN = [DType.FLOAT16, pytest.param(DType.BFLOAT16, marks=needs_opset(22))]
MISSING = "not implemented for"  # torch's CPU has no avg_pool3d for fewer bits

NET = """
archc: 1
name: small
inputs: {image: [N, 3, 8, 8]}
layers:
  conv: {conv: 4, kernel: 3}
  norm: batchnorm
  act: relu
  pool: global_avgpool
  head: {linear: 2}
"""


def graph_of(text: str) -> Graph:
    checked = check_source(Source("net.yaml", text))
    assert checked.graph is not None, checked.diagnostics
    return checked.graph


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(NET, encoding="utf-8")
    return path


def assert_agree(graph: Graph, opset: int | None = None, seed: int = 0) -> None:
    report = verify_graph(graph, opset=opset, seed=seed)
    if any(MISSING in found.message for found in report.diagnostics):
        return
    assert not report.diagnostics, report.diagnostics
    assert report.ok, [item for item in report.comparisons if not item.ok]


@pytest.mark.parametrize("dtype", WRITTEN)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_op_agrees(family: str, dtype: DType) -> None:
    @SOME
    @given(FAMILIES[family], st.integers(0, 2**16))
    def check(case: core_cases.Case, seed: int) -> None:
        graph = static_graph(case)
        if graph is not None:
            assert_agree(in_dtype(graph, dtype), seed=seed)

    check()


# -- values that fewer bits do not hold --------------------------------------------------------

NORMS = {
    "rmsnorm": "rmsnorm",
    "rmsnorm without weight": "{rmsnorm: , affine: false}",
    "batchnorm": "{batchnorm: , track_running_stats: false}",
    "groupnorm": "{groupnorm: 2}",
    "layernorm": "{layernorm: }",
}


@pytest.mark.parametrize("opset", each_opset(20, 23))
@pytest.mark.parametrize("norm", NORMS)
def test_squares_of_a_norm_do_not_overflow(norm: str, opset: int) -> None:
    # The scaled input reaches thousands; its squares are beyond 65504.
    text = f"archc: 1\ninputs: {{x: [N, 4, 8]}}\nlayers: [{{scale: 2000}}, {NORMS[norm]}]\n"
    graph = in_dtype(graph_of(text), DType.FLOAT16)
    assert_agree(graph, opset)


def test_a_network_that_overflows_is_not_called_equal() -> None:
    text = "archc: 1\ninputs: {x: [N, 4]}\nlayers: [{scale: 60000}, {scale: 60000}]\n"
    report = verify_graph(in_dtype(graph_of(text), DType.FLOAT16))
    assert not report.ok


def test_bfloat16_rounds_as_torch_does() -> None:
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, 1e-40, 1.00390625, 1.01171875]
    floats = np.concatenate([rng.standard_normal(1000), special]).astype(np.float32)
    expected = torch.from_numpy(floats).bfloat16().float().numpy()
    np.testing.assert_array_equal(bfloat16_values(bfloat16_bits(floats)), expected)


# -- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", WRITTEN)
def test_onnx_is_of_the_dtype_throughout(small: Path, tmp_path: Path, dtype: DType) -> None:
    (path,) = archc.build(small, tmp_path / "m.onnx", dtype=dtype.value)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    wanted = getattr(onnx.TensorProto, dtype.name)
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    assert {info.type.tensor_type.elem_type for info in values} == {wanted}
    floats = {item.data_type for item in model.graph.initializer} - {onnx.TensorProto.INT64}
    assert floats == {wanted}
    default = next(item.version for item in model.opset_import)
    assert default == (20 if dtype is DType.FLOAT16 else 22)


@pytest.mark.parametrize("dtype", SHORT)
def test_source_and_module_are_of_the_dtype(small: Path, tmp_path: Path, dtype: DType) -> None:
    wanted = getattr(torch, dtype.value)
    source, weights = archc.build(small, tmp_path / "m.py", to="torch", dtype=dtype.value)
    assert f"self.to({wanted})" in source.read_text(encoding="utf-8")
    module = archc.load(small, dtype=dtype.value)
    stored = safetensors.torch.load_file(weights)
    for key, value in module.state_dict().items():
        assert value.dtype is (wanted if value.is_floating_point() else torch.int64)
        assert torch.equal(value, stored[key])
    exact = archc.load(small).state_dict()
    assert torch.equal(module.state_dict()["conv.weight"], exact["conv.weight"].to(wanted))
    assert module(torch.ones(2, 3, 8, 8, dtype=wanted)).dtype is wanted


@pytest.mark.parametrize("dtype", WRITTEN)
def test_checkpoints_of_float32_are_rounded_and_own_ones_kept(
    small: Path, tmp_path: Path, dtype: DType
) -> None:
    _, wide = archc.build(small, tmp_path / "wide.py", to="torch", seed=5)
    _, short = archc.build(small, tmp_path / "short.py", to="torch", seed=5, dtype=dtype.value)
    files = [
        archc.build(
            small, tmp_path / f"{i}.onnx", dtype=dtype.value, weights=weights, optimize=False
        )[0]
        for i, weights in enumerate((wide, short))
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


@needs_opset(22)
def test_a_weight_beyond_float16_is_refused(small: Path, tmp_path: Path) -> None:
    _, path = archc.build(small, tmp_path / "wide.py", to="torch")
    state = safetensors.torch.load_file(path)
    state["head.weight"][0, 0] = 70000.0
    safetensors.torch.save_file(state, path)
    target = tmp_path / "m.onnx"
    with pytest.raises(SpecError) as caught:
        archc.build(small, target, dtype="float16", weights=path)
    (found,) = caught.value.diagnostics
    assert found.code == "weights-overflow"
    assert "`head.weight` holds 70000, and 65504 is" in found.message
    assert not target.exists()
    archc.build(small, target, dtype="bfloat16", weights=path)


def test_an_opset_without_the_dtype_is_refused_at_the_layer(small: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        archc.build(small, tmp_path / "m.onnx", dtype="bfloat16", opset=20)
    assert [found.code for found in caught.value.diagnostics] == ["unsupported-opset"]
    (found,) = caught.value.diagnostics
    assert found.message.startswith("`conv` in bfloat16 needs ONNX opset 22, not 20")
    assert found.help == (ask_for(22),)
    assert found.primary is not None and found.primary.span.line == 6


def test_an_unknown_dtype_is_refused(small: Path) -> None:
    with pytest.raises(ValueError, match="there are float32, float16, bfloat16"):
        archc.build(small, dtype="float8")


@pytest.mark.parametrize("target", ["onnx", "torch"])
@pytest.mark.parametrize("dtype", WRITTEN)
def test_what_was_built_is_verified(
    small: Path, target: str, dtype: DType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small.parent)
    for command in (["build", "small.yaml", "--to", target, "--verify"], ["verify", "small.yaml"]):
        result = CliRunner().invoke(cli, [*command, "--dtype", dtype.value])
        assert result.exit_code == 0, result.output
        assert result.output.count("  ok") == 6


@needs_opset(22)
def test_a_model_of_bfloat16_is_no_partner(small: Path, tmp_path: Path) -> None:
    archc.build(small, tmp_path / "m.onnx", dtype="bfloat16")
    arguments = ["verify", str(small), "--dtype", "bfloat16", "--against", str(tmp_path / "m.onnx")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "cannot be compared in bfloat16" in result.stderr


def test_a_model_of_float16_is_one(small: Path, tmp_path: Path) -> None:
    archc.build(small, tmp_path / "m.onnx", dtype="float16")
    arguments = ["verify", str(small), "--dtype", "float16", "--against", str(tmp_path / "m.onnx")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.count("  ok") == 6

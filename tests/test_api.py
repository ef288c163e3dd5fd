"""The Python API: check, load, build, verify."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

import archc
from archc.runtime import open_session

ROOT = Path(__file__).parents[1]
LENET5 = ROOT / "specs" / "lenet5.yaml"

# What a small network may have: a block used twice, batch norm, dropout, a residual, params.
SPEC = """\
archc: 1
name: tiny-net
params: {classes: 5, width: 8, act: relu, deep: true, stages: [1, 2]}
inputs: {image: [N, 3, 16, 16]}
blocks:
  unit:
    params: {out: int, stride: 1}
    residual:
      conv1: {conv: out, kernel: 3, stride: stride, padding: 1, bias: false}
      bn1: batchnorm
      act: act
      conv2: {conv: out, kernel: 3, padding: 1, bias: false}
      bn2: batchnorm
    shortcut: {if stride > 1 or in_channels != out: [{conv: out, kernel: 1, stride: stride}]}
layers:
  stem: {conv: width, kernel: 3, padding: 1}
  for s in stages:
    "unit{s}": {unit: width * s, stride: s}
  if deep:
    drop: {dropout: 0.5}
  pool: {adaptive_avgpool: 1}
  flat: flatten
  fc: {linear: classes}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


# -- check ------------------------------------------------------------------------------------


def test_check_returns_a_typed_graph(spec) -> None:
    checked = archc.check(spec)
    assert checked.ok
    assert str(checked.graph.outputs["output"].type) == "[N, 5]"
    assert checked.files == (spec,)


def test_check_returns_diagnostics_as_values(tmp_path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("archc: 1\ninputs: {x: [N, 3]}\nlayers: [{liner: 4}, {conv: 4}]\n", "utf-8")
    checked = archc.check(path)
    assert not checked.ok
    assert checked.graph is None
    assert [(d.code, d.primary.span.line) for d in checked.diagnostics] == [("unknown-op", 3)]


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_may_be_text_or_paths(spec, kind) -> None:
    assert archc.check(kind(spec)).ok


def test_params_are_keywords(spec) -> None:
    graph = archc.check(spec, classes=7, act="gelu", deep=False, stages=[1, 2, 4]).graph
    assert str(graph.outputs["output"].type) == "[N, 7]"
    names = {node.op_name for node in graph.nodes}
    assert "gelu" in names
    assert not {"relu", "dropout"} & names
    assert graph.node("unit4.conv1").op.out == 32


def test_wrong_params_are_diagnostics(spec) -> None:
    assert [d.code for d in archc.check(spec, clases=7).diagnostics] == ["unknown-param"]
    assert not archc.check(spec, classes="many").ok
    assert not archc.check(spec, classes=1.5).ok


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")])
def test_params_that_no_spec_can_hold(spec, value) -> None:
    with pytest.raises(TypeError, match="param 'classes'"):
        archc.check(spec, classes=value)


# -- load -------------------------------------------------------------------------------------


def test_module_is_the_written_source_executed(spec, tmp_path) -> None:
    model = archc.load(spec)
    (source, _) = archc.build(spec, to="torch")
    assert inspect.getsource(inspect.getmodule(type(model))) == source.read_text(encoding="utf-8")


def test_module_holds_the_written_numbers(spec) -> None:
    from safetensors.torch import load_file

    (_, weights) = archc.build(spec, to="torch", seed=3)
    stored, state = load_file(weights), archc.load(spec, seed=3).state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[key], state[key]) for key in state)
    again = archc.load(spec, weights=weights, seed=4).state_dict()
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_seeds_are_different_and_reproducible(spec) -> None:
    first, same, other = (archc.load(spec, seed=seed).fc.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_two_modules_share_nothing(spec) -> None:
    first, second = archc.load(spec), archc.load(spec)
    with torch.no_grad():
        first.fc.weight.zero_()
    assert second.fc.weight.abs().sum() > 0


def test_module_trains(spec, x) -> None:
    model = archc.load(spec, deep=False)
    assert model.training
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    labels = torch.tensor([0, 1, 2, 3])
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert model.unit1.bn1.num_batches_tracked == 20


def test_training_mode_matters(spec, x) -> None:
    model = archc.load(spec)
    assert not torch.equal(model(x), model(x))  # dropout
    model.eval()
    assert torch.equal(model(x), model(x))


def test_module_compiles_whole(spec, x) -> None:
    model = archc.load(spec).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))


def test_module_exports_with_a_dynamic_batch(spec, x) -> None:
    model = archc.load(spec).eval()
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: batch},)).module()
    more = torch.cat([x, x, x])
    torch.testing.assert_close(exported(more), model(more))


def test_module_is_copied_deeply(spec, x) -> None:
    model = archc.load(spec).eval()
    clone = copy.deepcopy(model)
    assert torch.equal(clone(x), model(x))
    with torch.no_grad():
        clone.fc.bias += 1
    assert not torch.equal(clone(x), model(x))


def test_module_and_its_state_are_pickled(spec, x) -> None:
    model = archc.load(spec).eval()
    other = archc.load(spec, seed=9).eval()
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(pickle.loads(pickle.dumps(model.state_dict())))
    assert torch.equal(other(x), model(x))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


def test_traceback_shows_the_generated_source(spec) -> None:
    model = archc.load(spec)
    with pytest.raises(RuntimeError) as caught:
        model(torch.zeros(1, 4, 16, 16))
    assert "x = self.stem(x)" in "".join(traceback.format_exception(caught.value))


def test_double_precision_is_double_throughout(spec, x) -> None:
    model = archc.load(spec).eval().double()
    assert model(x.double()).dtype == torch.float64


# -- build ------------------------------------------------------------------------------------


def test_build_writes_where_it_is_told(spec, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    assert archc.build(spec) == (Path("tiny-net.onnx"),)
    assert archc.build(spec, tmp_path / "out" / "n.onnx") == (tmp_path / "out" / "n.onnx",)
    assert archc.build(spec, "out/n.py", to="torch") == (
        Path("out/n.py"),
        Path("out/n.safetensors"),
    )


def test_built_model_computes_what_the_module_does(spec, x) -> None:
    (path,) = archc.build(spec, classes=3, seed=2, opset=18)
    model = archc.load(spec, classes=3, seed=2).eval()
    (got,) = open_session(path).run(None, {"image": x.numpy()})
    np.testing.assert_allclose(got, model(x).detach().numpy(), atol=1e-5)


def test_trained_weights_reach_onnx(spec, x, tmp_path) -> None:
    model = archc.load(spec)
    for _ in range(3):
        model(x)  # moves the statistics of batch norm
    with torch.no_grad():
        model.fc.weight *= 3
    model.eval()
    torch.save(model.state_dict(), "trained.pth")
    (path,) = archc.build(spec, weights="trained.pth")
    (got,) = open_session(path).run(None, {"image": x.numpy()})
    np.testing.assert_allclose(got, model(x).detach().numpy(), atol=1e-5)


def test_errors_are_raised_with_their_diagnostics(spec, tmp_path) -> None:
    spec.write_text(SPEC.replace("dropout", "drop_out"), encoding="utf-8")
    for call in (archc.load, archc.build, archc.verify):
        with pytest.raises(archc.SpecError) as caught:
            call(spec)
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code == "unknown-op"
        assert f"{spec}:20:12: error[unknown-op]: " in str(caught.value)


def test_a_part_of_a_checkpoint(spec, tmp_path) -> None:
    from safetensors.torch import load_file

    (_, weights) = archc.build(spec, tmp_path / "old.py", to="torch", classes=7)
    loaded = archc.load(spec, weights=weights, allow_missing=["fc.*"], seed=2).state_dict()
    fresh, stored = archc.load(spec, seed=2).state_dict(), load_file(weights)
    for key, tensor in loaded.items():
        expected = fresh[key] if key.startswith("fc.") else stored[key]
        assert torch.equal(tensor, torch.as_tensor(expected))
    path = tmp_path / "more.pth"
    torch.save({**loaded, "aux.weight": torch.ones(1)}, path)
    archc.build(spec, tmp_path / "net.onnx", weights=path, ignore_unexpected=["aux.*"])
    with pytest.raises(TypeError, match="about a file of weights"):
        archc.load(spec, allow_missing=["fc.*"])


def test_a_model_that_takes_pixels(spec, tmp_path) -> None:
    with pytest.raises(archc.SpecError) as refused:
        archc.build(spec, with_preprocess=True)
    assert refused.value.diagnostics[-1].code == "no-preprocess"
    with pytest.raises(ValueError, match="for the target 'onnx' in float32"):
        archc.build(spec, to="torch", with_preprocess=True)
    spec.write_text(SPEC.replace("blocks:", "preprocess: {crop: 16}\nblocks:"))
    (path,) = archc.build(spec, with_preprocess=True)
    (declared,) = open_session(path).get_inputs()
    assert (declared.type, declared.shape) == ("tensor(uint8)", ["N", "H", "W", 3])


def test_trained_weights_are_only_replaced_by_force(spec, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    (_, weights) = archc.build(spec, to="torch")
    save_file(load_file(weights), weights)
    trained = weights.read_bytes()
    with pytest.raises(archc.SpecError) as refused:
        archc.build(spec, to="torch")
    assert [finding.code for finding in refused.value.diagnostics] == ["overwrites-weights"]
    assert weights.read_bytes() == trained
    archc.build(spec, to="torch", force=True)
    assert weights.read_bytes() != trained


def test_errors_of_output_and_weights_are_raised_too(spec, tmp_path) -> None:
    def code_of(**options: object) -> str:
        with pytest.raises(archc.SpecError) as caught:
            archc.build(spec, **options)
        return caught.value.diagnostics[-1].code

    before = spec.read_bytes()
    assert code_of(output=spec) == "overwrites-input"
    assert code_of(output=tmp_path / "none" / "n.onnx") == "unwritable-output"
    assert code_of(output="n.txt") == "unwritable-output"
    assert code_of(weights="none.pth") == "missing-file"
    assert code_of(opset=3) == "unsupported-opset"
    (_, weights) = archc.build(spec, to="torch", classes=3)
    assert code_of(weights=weights) == "weights-mismatch"
    assert spec.read_bytes() == before
    with pytest.raises(archc.SpecError):
        archc.load(spec, weights=weights)


def test_unknown_target(spec) -> None:
    with pytest.raises(ValueError, match="there are onnx, torch"):
        archc.build(spec, to="tensorflow")


# -- verify -----------------------------------------------------------------------------------


def test_verify_reports_every_comparison(spec) -> None:
    report = archc.verify(spec, batches=[1, 4])
    assert report.ok
    # Once for each draw of the inputs.
    found = dict.fromkeys((c.sizes["N"], c.optimized) for c in report.comparisons)
    assert list(found) == [(1, False), (4, False), (1, True), (4, True)]
    assert all(c.ort_error <= c.limit for c in report.comparisons)
    assert any(c.ort_error > 0 for c in report.comparisons)


def test_verify_takes_sizes(spec) -> None:
    spec.write_text(SPEC.replace("[N, 3, 16, 16]", "[N, 3, H, W]"), encoding="utf-8")
    report = archc.verify(spec, sizes={"H": 9, "W": 12}, batches=[2])
    assert report.ok
    assert {tuple(c.sizes.items()) for c in report.comparisons} == {(("N", 2), ("H", 9), ("W", 12))}
    with pytest.raises(archc.SpecError, match="no size `T`"):
        archc.verify(spec, sizes={"T": 9})


# -- the package ------------------------------------------------------------------------------


def test_names_are_found_lazily() -> None:
    assert dir(archc) == sorted(archc.__all__)
    for name in archc.__all__:
        assert getattr(archc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        archc.biuld  # noqa: B018


@pytest.mark.parametrize("call", ["load", "verify"])
def test_missing_torch_is_said_with_the_way_to_install_it(call) -> None:
    code = f"import sys; sys.modules['torch'] = None; import archc; archc.{call}({str(LENET5)!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = result.stderr.splitlines()[-1]
    install = "pip install 'archc[torch]'"
    assert last == f"ModuleNotFoundError: archc.{call} needs PyTorch: {install}"

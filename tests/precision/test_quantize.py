"""`archc quantize`: what it writes, what it says of it, and what it refuses."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import archc
from archc.cli import archc as program
from archc.runtime import open_model

SPEC = """\
archc: 1
name: small
inputs: {image: [N, 3, 8, 8]}
preprocess: {resize: [8, 8], mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
layers:
  conv: {conv: 8, kernel: 3}
  norm: batchnorm
  act: relu
  flat: flatten
  head: {linear: 4}
"""

Cli = Callable[..., Result]


@pytest.fixture
def cli(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Cli:
    """The command, in a folder of its own, which holds at the end what it should and no more."""
    monkeypatch.chdir(tmp_path)
    system = tmp_path_factory.mktemp("system")
    monkeypatch.setattr(tempfile, "tempdir", str(system))

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(program, ["quantize", *arguments], prog_name="archc")
        assert result.exit_code == code, result.output
        assert not isinstance(result.exception, Exception) or isinstance(
            result.exception, SystemExit
        )
        assert not list(tmp_path.rglob("*.archc-*"))
        assert {path.name for path in system.iterdir()} <= {".ses"}
        return result

    return run


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SPEC, encoding="utf-8")
    (path,) = archc.build(tmp_path / "small.yaml", tmp_path / "small.onnx")
    return path


def arrays(path: Path, count: int = 20, **more: Any) -> str:
    rng = np.random.default_rng(count)
    image = rng.standard_normal((count, 3, 8, 8)).astype(np.float32)
    np.savez(path, image=image, **more)
    return path.name


def images(folder: Path, count: int = 10) -> str:
    rng = np.random.default_rng(0)
    (folder / "deeper").mkdir(parents=True)
    for index in range(count):
        place = folder / "deeper" if index % 2 else folder
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{index}.png")
    return folder.name


def operators(path: Path) -> list[str]:
    model = onnx.load(path)
    onnx.checker.check_model(model)
    return [node.op_type for node in model.graph.node]


# -- what is written ---------------------------------------------------------------------------


def test_static_writes_integers_and_measures_them(cli: Cli, small: Path, tmp_path: Path) -> None:
    shown = arrays(tmp_path / "shown.npz", 20)
    result = cli("small.onnx", "--static", "--calibration", shown)
    assert "wrote small.int8.onnx" in result.output
    assert "calibrated on 16 samples" in result.output
    assert "on 4 samples that were held out" in result.output
    path = tmp_path / "small.int8.onnx"
    assert "DequantizeLinear" in operators(path)
    weights = {item.name: item for item in onnx.load(path).graph.initializer}
    (conv,) = (item for name, item in weights.items() if name == "conv.weight_quantized")
    assert conv.data_type == TensorProto.INT8
    scales = numpy_helper.to_array(weights["conv.weight_scale"])
    assert scales.shape == (8,)  # one for each output channel
    zeros = {item.data_type for name, item in weights.items() if name.endswith("zero_point")}
    assert TensorProto.UINT8 in zeros  # of activations


def test_what_the_model_says_of_itself_stays(cli: Cli, small: Path, tmp_path: Path) -> None:
    cli("small.onnx", "--static", "--calibration", arrays(tmp_path / "shown.npz"))
    float_model, quantized = open_model(small), open_model(tmp_path / "small.int8.onnx")
    assert float_model.preprocess
    assert quantized.preprocess == float_model.preprocess
    assert quantized.demands == float_model.demands
    assert quantized.inputs == float_model.inputs


def test_dynamic_leaves_convolutions_alone(cli: Cli, small: Path, tmp_path: Path) -> None:
    result = cli("small.onnx", "--dynamic", "-o", "dynamic.onnx")
    found = operators(tmp_path / "dynamic.onnx")
    assert "Conv" in found and "ConvInteger" not in found
    assert "MatMulInteger" in found
    assert "its accuracy is not measured: --evaluate PATH does" in result.output


@pytest.mark.parametrize("way", ["static", "dynamic"])
def test_weights_keep_to_7_bits_unless_told_otherwise(small: Path, tmp_path: Path, way) -> None:
    arrays(tmp_path / "shown.npz")
    shown = tmp_path / "shown.npz" if way == "static" else None
    for full_range, largest in ((False, 64), (True, 127)):
        made = tmp_path / f"{full_range}.onnx"
        archc.quantize(small, made, calibration=shown, full_range=full_range)
        weights = [
            np.abs(numpy_helper.to_array(tensor).astype(int)).max()
            for tensor in onnx.load(made).graph.initializer
            if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1
        ]
        assert weights and max(weights) in (largest - 1, largest)


@pytest.mark.parametrize("way", ["static", "dynamic"])
def test_sums_of_large_products_do_not_overflow(tmp_path: Path, way: str) -> None:
    """On x86 without VNNI, two products of 255 and 127 are more than 16 bits hold."""
    weight = np.full((64, 8), 1.0, np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8])],
        [numpy_helper.from_array(weight, "w")],
    )
    opset = helper.make_opsetid("", 20)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / "m.onnx")
    np.savez(tmp_path / "shown.npz", x=np.linspace(0.5, 1, 640, dtype=np.float32).reshape(10, 64))
    made = archc.quantize(
        tmp_path / "m.onnx",
        tmp_path / "q.onnx",
        calibration=tmp_path / "shown.npz" if way == "static" else None,
        evaluation=tmp_path / "shown.npz",
    )
    assert made.change is not None and made.change.outputs[0].largest < 0.02


def test_what_it_says_is_so(small: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 4, 12)
    arrays(tmp_path / "shown.npz", 30)
    arrays(tmp_path / "other.npz", 12, labels=labels)
    made = archc.quantize(
        small,
        tmp_path / "q.onnx",
        calibration=tmp_path / "shown.npz",
        evaluation=tmp_path / "other.npz",
    )
    assert made.calibrated == 30
    assert made.size == (tmp_path / "q.onnx").stat().st_size
    assert made.was == small.stat().st_size
    change = made.change
    assert change is not None and change.count == 12
    feed = {"image": np.load(tmp_path / "other.npz")["image"]}
    exact, found = (open_model(path).run(feed)["output"] for path in (small, made.path))
    assert change.agreement == pytest.approx((exact.argmax(1) == found.argmax(1)).mean())
    assert change.accuracy == pytest.approx(
        ((exact.argmax(1) == labels).mean(), (found.argmax(1) == labels).mean())
    )
    (output,) = change.outputs
    difference = np.abs(found.astype(np.float64) - exact)
    assert output.largest == pytest.approx(difference.max() / np.abs(exact).max())
    assert 0.0 < output.typical < 0.1
    assert output.typical == pytest.approx(
        np.sqrt(np.square(difference).mean() / np.square(exact.astype(np.float64)).mean())
    )


def test_images_are_made_to_inputs_as_the_model_says(cli: Cli, small: Path, tmp_path: Path) -> None:
    result = cli("small.onnx", "--static", "--calibration", images(tmp_path / "pictures"))
    assert "calibrated on 8 samples" in result.output
    path = tmp_path / "small.int8.onnx"
    weights = {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}
    # Pixels of 0 to 255 become -2 to 2; a range of 0 to 1 would have a quarter of this step.
    assert float(weights["image_scale"]) == pytest.approx(4 / 255, rel=0.1)


def test_a_spec_is_built_first(cli: Cli, small: Path, tmp_path: Path) -> None:
    archc.build(tmp_path / "small.yaml", tmp_path / "w.py", to="torch")
    shown = arrays(tmp_path / "shown.npz")
    options = ("--static", "--calibration", shown)
    cli("small.yaml", "--weights", "w.safetensors", *options, "-o", "of_spec.onnx")
    cli("small.onnx", *options, "-o", "of_model.onnx")
    feed = {"image": np.load(tmp_path / shown)["image"]}
    one, other = (open_model(tmp_path / f"of_{name}.onnx").run(feed) for name in ("spec", "model"))
    np.testing.assert_array_equal(one["output"], other["output"])


def test_a_model_of_others_is_fine(cli: Cli, tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")
    float_ = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", float_, [2, 8])],  # a fixed batch of two
        [helper.make_tensor_value_info("y", float_, [2, 8])],
        [weight],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "o.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((10, 8)))
    result = cli("o.onnx", "--static", "--calibration", "x.npz")
    assert "on 2 samples that were held out" in result.output


def test_the_terminal_stays_clean(small: Path, tmp_path: Path) -> None:
    shown = arrays(tmp_path / "shown.npz")
    done = subprocess.run(
        [sys.executable, "-m", "archc", "quantize", small.name, "--static", "--calibration", shown],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("wrote small.int8.onnx")
    assert "WARNING" not in done.stdout


def test_logging_is_left_as_it_was(small: Path, tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.manager.disable)
    archc.quantize(small, tmp_path / "q.onnx")
    assert (list(root.handlers), root.manager.disable) == before


def test_the_folder_for_temporary_files_stays_that_of_the_process(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread's files do not come to lie in a folder that is about to go."""
    system = tmp_path / "system"
    system.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(system))
    quantize = importlib.import_module("onnxruntime.quantization.quantize")
    real = quantize.save_and_reload_model_with_shape_infer
    seen: list[Path] = []
    ours: list[list[str]] = []

    def spied(model: Any) -> Any:
        with ThreadPoolExecutor(1) as other:
            seen.append(Path(other.submit(tempfile.mkdtemp).result()))
        with quantize.tempfile.TemporaryDirectory() as folder:
            ours.append([part for part in Path(folder).parts if part.endswith(".archc-dir")])
        return real(model)

    monkeypatch.setattr(quantize, "save_and_reload_model_with_shape_infer", spied)
    archc.quantize(small, tmp_path / "q.onnx")
    assert [folder.parent for folder in seen] == [system]
    assert seen[0].is_dir()
    assert len(ours[0]) == 1
    with quantize.tempfile.TemporaryDirectory() as folder:  # nobody quantises: as it always is
        assert Path(folder).parent == system


def test_two_threads_quantise_at_once(small: Path, tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.manager.disable, sys.stdout, sys.stderr)
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(lambda i: archc.quantize(small, tmp_path / f"q{i}.onnx"), range(4)))
    assert (list(root.handlers), root.manager.disable, sys.stdout, sys.stderr) == before
    assert len({one.path.read_bytes() for one in made}) == 1
    assert not list(tmp_path.glob("*.archc-*"))


KILLED = """\
import os, pkgutil, signal, sys
from unittest import mock
from archc.cli import main

real = pkgutil.resolve_name(sys.argv[1])
calls = 0

def kill(*arguments, **options):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)

with mock.patch(sys.argv[1], kill):
    main(sys.argv[3:])
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("archc.artifacts.build_graph", 1),
        ("onnx.save", 1),
        ("onnxruntime.quantization.quantize_static", 1),
        ("onnxruntime.quantization.quantize.create_calibrator", 1),
        ("archc.quantization.quantiser.open_model", 2),
        ("archc.quantization.quantiser.measured", 1),
        ("archc.output.record.Commit.run", 1),
    ],
)
def test_what_a_kill_leaves_goes_with_the_next_output(
    cli: Cli, small: Path, tmp_path: Path, place: str, call: int
) -> None:
    (_, weights) = archc.build(tmp_path / "small.yaml", tmp_path / "small.py", to="torch")
    samples = arrays(tmp_path / "x.npz")
    system = Path(tempfile.gettempdir())
    before = set(tmp_path.iterdir())
    command = ["small.yaml", "--weights", weights.name, "--static", "--calibration", samples]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, place, str(call), "quantize", *command],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(system)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    # `.ses` is onnxruntime's own, made when it is imported.
    assert {path.name for path in system.iterdir()} <= {".ses"}
    left = set(tmp_path.iterdir()) - before
    assert left
    assert all(".archc-" in path.name for path in left), left
    cli("small.onnx", "--dynamic", "-o", "other.onnx")
    assert set(tmp_path.iterdir()) == {*before, tmp_path / "other.onnx"}


# -- what is refused ---------------------------------------------------------------------------


def test_usage(cli: Cli, small: Path) -> None:
    for arguments, said in (
        (["small.onnx"], "say how: --static --calibration PATH, or --dynamic"),
        (["small.onnx", "--static"], "--static and --calibration go together"),
        (["small.onnx", "--dynamic", "--calibration", "x"], "go together"),
        (["small.yaml", "--dynamic"], "give --weights"),
        (["small.onnx", "--dynamic", "--weights", "w"], "are for specs"),
        (["small.onnx", "--dynamic", "-o", "q"], "-o q.onnx"),
    ):
        assert said in cli(*arguments, code=2).stderr


def static(cli: Cli, samples: str) -> str:
    result = cli("small.onnx", "--static", "--calibration", samples, code=1)
    assert not Path("small.int8.onnx").exists()
    return result.stderr


def test_samples_that_cannot_be_used(cli: Cli, small: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "`empty` holds no images" in static(cli, "empty")
    assert "neither a folder of images nor an .npz" in static(cli, "small.yaml")
    assert "there is no file `none.npz`" in static(cli, "none.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    assert "`broken.npz` cannot be read" in static(cli, "broken.npz")
    np.savez(tmp_path / "sizes.npz", image=np.zeros((4, 3, 9, 8), np.float32))
    assert "takes [N, 3, 8, 8] float32; `sizes.npz` has the shape" in static(cli, "sizes.npz")
    np.savez(tmp_path / "names.npz", picture=np.zeros((4, 3, 8, 8), np.float32))
    assert "the model has no input `picture`" in static(cli, "names.npz")
    few = arrays(tmp_path / "few.npz", 4, labels=np.zeros(5, np.int64))
    assert "as many samples of each input: `image` 4, `labels` 5" in static(cli, few)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.png").write_bytes(b"no image")
    assert "is no image that can be read" in static(cli, "bad")


def test_models_that_cannot_be_quantized(cli: Cli, small: Path, tmp_path: Path) -> None:
    cli("small.onnx", "--dynamic", "-o", "q.onnx")
    assert "`q.onnx` is quantized already" in cli("q.onnx", "--dynamic", code=1).stderr
    archc.build(tmp_path / "small.yaml", tmp_path / "half.onnx", dtype="float16")
    assert "is not in float32" in cli("half.onnx", "--dynamic", code=1).stderr
    (tmp_path / "text.onnx").write_text("no model")
    assert "is no ONNX model" in cli("text.onnx", "--dynamic", code=1).stderr
    (tmp_path / "act.yaml").write_text("archc: 1\ninputs: {x: [N, 4]}\nlayers: [relu]\n")
    archc.build(tmp_path / "act.yaml", tmp_path / "act.onnx")
    assert "no convolution and no matrix product" in cli("act.onnx", "--dynamic", code=1).stderr
    assert (
        "input of this command" in cli("small.onnx", "--dynamic", "-o", "small.onnx", code=1).stderr
    )

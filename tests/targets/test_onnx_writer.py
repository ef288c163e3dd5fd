"""Writing ONNX files: streamed bytes, external data, complete or absent, the same every time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from archc.graph import Graph
from archc.graph.graph import WeightRef
from archc.targets.onnx import emit_onnx, onnx_bytes, write_onnx, writer
from archc.weights import DrawnWeights, RandomisedWeights
from tests.targets.graphs import SPEC, Net, small_net
from tests.targets.onnx_types import check, run

ROOT = Path(__file__).parents[2]
WEIGHTS = RandomisedWeights(0)


def wide_net(features: int = 600, layers: int = 3) -> Graph:
    """Weights of more than a chunk, biases that are small, and one in between."""
    net = Net(x=["N", features])
    for index in range(layers):
        net.add(f"fc{index}", "linear", attributes={"out": features})
    net.add("wide", "linear", attributes={"out": 2000})
    net.add("head", "linear", attributes={"out": 3})
    return net.graph()


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


# -- one file ---------------------------------------------------------------------------------


def test_the_file_is_what_onnx_itself_would_read_and_write(tmp_path: Path) -> None:
    graph, path = wide_net(), tmp_path / "net.onnx"
    written = write_onnx(graph, WEIGHTS, path)
    assert (written.files, written.diagnostics) == ((path,), ())
    model = check(path.read_bytes())
    assert path.read_bytes() == onnx_bytes(graph, WEIGHTS)
    stored = initializers(model)
    for ref in graph.weights():
        np.testing.assert_array_equal(stored[ref.key], WEIGHTS.array(ref), strict=True)
    # Nothing but the order of fields differs from a serialisation by protobuf.
    emitted, _ = emit_onnx(graph)
    assert emitted is not None
    assert not emitted.header.graph.initializer
    whole = onnx.ModelProto()
    whole.CopyFrom(emitted.header)
    whole.graph.initializer.extend(model.graph.initializer)
    assert whole.SerializeToString(deterministic=True) == model.SerializeToString(
        deterministic=True
    )


def test_progress_tells_every_byte(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    graph = wide_net()
    total = sum(ref.weight.numel * 4 for ref in graph.weights())
    for external in (False, True):
        calls.clear()
        write_onnx(
            graph,
            WEIGHTS,
            tmp_path / "net.onnx",
            external=external,
            progress=lambda done, of: calls.append((done, of)),
        )
        assert calls == sorted(calls)
        assert calls[-1] == (total, total)
        assert len(calls) >= 10


def test_weights_are_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    net = Net(x=["N", 2048])
    for index in range(8):
        net.add(f"fc{index}", "linear", attributes={"out": 2048, "bias": False})
    graph = net.graph()
    size = 8 * 2048 * 2048 * 4
    for external in (False, True):
        tracemalloc.start()
        write_onnx(graph, DrawnWeights(), tmp_path / "net.onnx", external=external)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < size / 6, (external, peak)


# -- external data ----------------------------------------------------------------------------


def test_external_data_stand_in_a_file_named_by_content(tmp_path: Path) -> None:
    graph, path = wide_net(), tmp_path / "net.onnx"
    written = write_onnx(graph, WEIGHTS, path, external=True)
    assert written.diagnostics == ()
    model, data = written.files
    assert model == path
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert data == tmp_path / f"net.onnx.{digest[:16]}.data"
    assert set(tmp_path.iterdir()) == {path, data}
    onnx.checker.check_model(str(path), full_check=True)
    loaded = onnx.load(path)
    assert initializers(loaded).keys() == initializers(check(onnx_bytes(graph, WEIGHTS))).keys()
    for key, array in initializers(onnx.load_from_string(onnx_bytes(graph, WEIGHTS))).items():
        np.testing.assert_array_equal(initializers(loaded)[key], array, strict=True)
    x = np.random.default_rng(0).standard_normal((2, 600)).astype(np.float32)
    (inside,) = run(onnx_bytes(graph, WEIGHTS), {"x": x})
    (outside,) = run(str(path), {"x": x})
    np.testing.assert_array_equal(inside, outside)


def test_external_tensors_are_aligned_and_small_ones_stay(tmp_path: Path) -> None:
    written = write_onnx(wide_net(), WEIGHTS, tmp_path / "net.onnx", external=True)
    model = onnx.load(written.files[0], load_external_data=False)
    end = 0
    outside = set()
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            assert len(tensor.raw_data) < 1024
            continue
        outside.add(tensor.name)
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert place["location"] == written.files[1].name
        offset, length = int(place["offset"]), int(place["length"])
        assert offset % (65536 if length >= 1 << 20 else 4096) == 0
        assert offset >= end
        end = offset + length
    assert end == written.files[1].stat().st_size
    assert "head.bias" not in outside
    assert {"fc0.weight", "fc0.bias", "wide.weight"} <= outside


def test_weights_that_are_all_small_need_no_second_file(tmp_path: Path) -> None:
    net = Net(x=["N", 3])
    net.add("fc", "linear", attributes={"out": 2})
    written = write_onnx(net.graph(), WEIGHTS, tmp_path / "net.onnx", external=True)
    assert [file.name for file in written.files] == ["net.onnx"]
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]
    check((tmp_path / "net.onnx").read_bytes())


def test_a_model_that_would_not_fit_goes_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, path = wide_net(), tmp_path / "net.onnx"
    size = len(onnx_bytes(graph, WEIGHTS))
    monkeypatch.setattr(writer, "MAX_INLINE", size)
    assert len(write_onnx(graph, WEIGHTS, path).files) == 1
    monkeypatch.setattr(writer, "MAX_INLINE", size - 1)
    assert len(write_onnx(graph, WEIGHTS, path).files) == 2
    path.unlink()
    refused = write_onnx(graph, WEIGHTS, path, external=False)
    assert [finding.code for finding in refused.diagnostics] == ["model-too-large"]
    assert "--external-data" in refused.diagnostics[0].help[0]
    assert refused.files == ()
    assert not path.exists()


def test_the_old_model_finds_its_data_after_a_new_one_was_written(tmp_path: Path) -> None:
    graph, path = wide_net(), tmp_path / "net.onnx"
    write_onnx(graph, DrawnWeights(1), path, external=True)
    old = tmp_path / "old.onnx"
    old.write_bytes(path.read_bytes())
    write_onnx(graph, DrawnWeights(2), path, external=True)
    for model, weights in ((old, DrawnWeights(1)), (path, DrawnWeights(2))):
        ref = next(graph.weights())
        np.testing.assert_array_equal(initializers(onnx.load(model))[ref.key], weights.array(ref))


@pytest.mark.exhaustive
def test_a_network_of_more_than_two_gib(tmp_path: Path) -> None:
    net = Net(x=["N", 16384])
    for index in range(3):
        net.add(f"fc{index}", "linear", attributes={"out": 16384, "bias": False})
    graph, path = net.graph(), tmp_path / "net.onnx"
    written = write_onnx(graph, Zeros(), path)
    assert len(written.files) == 2
    assert written.files[1].stat().st_size == 3 * 2**30
    x = np.ones((1, 16384), np.float32)
    np.testing.assert_array_equal(run(str(path), {"x": x})[0], np.zeros((1, 16384)))


class Zeros(DrawnWeights):
    """Zeros, quickly."""

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        left = ref.weight.numel * 4
        block = memoryview(bytes(1 << 22))
        while left:
            yield block[:left]
            left -= len(block[:left])


# -- complete or absent -----------------------------------------------------------------------


class Failing(DrawnWeights):
    """Fails in the middle of the last weight but one."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        data = next(super().chunks(ref))
        if ref.key == "head.weight":
            yield data[:100]
            raise self._error
        yield from super().chunks(ref)


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("broken"), OSError("gone")])
def test_a_failure_leaves_what_was_there(
    tmp_path: Path, error: BaseException, external: bool
) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("old")
    with pytest.raises(type(error)):
        write_onnx(wide_net(), Failing(error), path, external=external)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


class Short(DrawnWeights):
    """Yields less than it should."""

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        for chunk in super().chunks(ref):
            yield chunk[:-4]


def test_a_source_that_yields_too_little_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(ValueError, match=r"fc0\.weight: \d+ bytes of data where 1440000"):
        write_onnx(wide_net(), Short(), path)
    assert not path.exists()


def test_an_output_that_cannot_be_written_is_a_diagnostic(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("spec")
    for path, code in (
        (tmp_path / "none" / "net.onnx", "unwritable-output"),
        (tmp_path, "unwritable-output"),
        (spec, "overwrites-input"),
    ):
        written = write_onnx(wide_net(), WEIGHTS, path, inputs=[spec])
        assert [finding.code for finding in written.diagnostics] == [code]
        assert written.files == ()
    assert spec.read_text() == "spec"


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    # A limit on file size stands in for a full disk: both fail in the middle of a write.
    code = """
import resource, signal, sys
from tests.targets.test_onnx_writer import WEIGHTS, wide_net
from archc.targets.onnx import write_onnx
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
for external in (False, True):
    written = write_onnx(wide_net(), WEIGHTS, sys.argv[1], external=external)
    print([(finding.code, finding.message) for finding in written.diagnostics])
"""
    path = tmp_path / "net.onnx"
    path.write_text("old")
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    inline, external = result.stdout.splitlines()
    assert inline == f"[('unwritable-output', 'cannot write `{path}`: file too large')]"
    assert external == f"[('unwritable-output', 'cannot write `{path}.data`: file too large')]"
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


# -- the same every time ----------------------------------------------------------------------


def test_bytes_do_not_depend_on_process_hash_seed_or_folder(tmp_path: Path) -> None:
    code = """
import hashlib
from tests.targets.graphs import small_net
from archc.targets.onnx import onnx_bytes
from archc.weights import DrawnWeights
print(hashlib.sha256(onnx_bytes(small_net(), DrawnWeights(3))).hexdigest())
"""
    digests = set()
    for seed, folder in (("0", ROOT), ("1", tmp_path), ("12345", ROOT)):
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(result.stdout.strip())
    digests.add(hashlib.sha256(onnx_bytes(small_net(), DrawnWeights(3))).hexdigest())
    assert len(digests) == 1


def test_the_folder_of_the_spec_is_not_in_the_model() -> None:
    assert b"some/folder" in SPEC.name.encode()
    assert b"some/folder" not in onnx_bytes(small_net(), WEIGHTS)

"""Writing `.safetensors` without having the network in memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

from archc.graph.graph import WeightRef
from archc.weights import DrawnWeights, RandomisedWeights, is_unchanged, save_safetensors
from tests.targets.graphs import Net, small_net

WEIGHTS = RandomisedWeights(0)


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    graph, path = small_net(), tmp_path / "net.safetensors"
    assert save_safetensors(graph, WEIGHTS, path) == []
    read = safetensors.numpy.load_file(path)
    refs = {ref.key: ref for ref in graph.weights()}
    assert read.keys() == refs.keys()
    for key, array in read.items():
        np.testing.assert_array_equal(array, WEIGHTS.array(refs[key]), strict=True)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata.pop("archc.sha256").isalnum()
    assert metadata == {"format": "pt"}
    assert safetensors.torch.load_file(path)["stem.bn.num_batches_tracked"].dtype == torch.int64


def test_every_tensor_is_aligned_to_its_elements(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = Net(x=["N", 3])
    net.add("odd", "linear", attributes={"out": 1})
    net.add("unsqueezed", "unsqueeze", attributes={"dim": 2})
    net.add("bn", "batchnorm")
    save_safetensors(net.graph(), WEIGHTS, path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    sizes = {"F32": 4, "I64": 8}
    tensors = {key: entry for key, entry in header.items() if key != "__metadata__"}
    assert {entry["dtype"] for entry in tensors.values()} == set(sizes)
    for entry in tensors.values():
        assert entry["data_offsets"][0] % sizes[entry["dtype"]] == 0


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first, second):
        save_safetensors(small_net(), DrawnWeights(1), path)
    assert first.read_bytes() == second.read_bytes()


def test_weights_are_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    net = Net(x=["N", 2048])
    for index in range(6):
        net.add(f"fc{index}", "linear", attributes={"out": 2048})
    graph = net.graph()
    tracemalloc.start()
    save_safetensors(graph, DrawnWeights(), tmp_path / "net.safetensors")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < graph.parameter_count * 4 / 4


class Failing(DrawnWeights):
    """Fails at the last weight."""

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        if ref.key == "head.bias":
            raise KeyboardInterrupt
        return super().chunks(ref)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_text("old")
    try:
        save_safetensors(small_net(), Failing(), path)
    except KeyboardInterrupt:
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]
    else:
        raise AssertionError("the interruption was swallowed")


def test_an_output_that_cannot_be_written_is_a_diagnostic(tmp_path: Path) -> None:
    findings = save_safetensors(small_net(), WEIGHTS, tmp_path / "none" / "net.safetensors")
    assert [finding.code for finding in findings] == ["unwritable-output"]


def test_every_changed_byte_is_seen(tmp_path: Path) -> None:
    net = Net(x=["N", 3])
    net.add("a", "linear", attributes={"out": 2})
    path = tmp_path / "w.safetensors"
    assert not save_safetensors(net.graph(), DrawnWeights(), path)
    content = path.read_bytes()
    assert is_unchanged(path)
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])
        assert not is_unchanged(path), index
    for changed in (content + b"\0", content[:-1]):
        path.write_bytes(changed)
        assert not is_unchanged(path)

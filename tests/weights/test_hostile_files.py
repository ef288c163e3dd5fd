"""Checkpoints of strangers: refused before they take memory, and never by an exception."""

from __future__ import annotations

import copy
import io
import json
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archc.compile import check_source
from archc.diagnostics import Diagnostic, Source
from archc.graph import Graph
from archc.runtime import RunError, read_arrays
from archc.weights import load_weights

SPEC = "archc: 1\nname: net\ninputs: {x: [N, 3]}\nlayers: {fc: {linear: 2}}\n"
GOOD = {"fc.weight": ("F32", [2, 3], [0, 24]), "fc.bias": ("F32", [2], [24, 32])}


@pytest.fixture(scope="module")
def graph() -> Graph:
    checked = check_source(Source("net.yaml", SPEC))
    assert checked.graph is not None
    return checked.graph


def refusal(path: Path, graph: Graph) -> Diagnostic:
    """The one reason why a file is no checkpoint; found without much memory."""
    tracemalloc.start()
    try:
        found, problems = load_weights(path, graph)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is None
    assert peak < 64 << 20
    assert problems[0].is_error and str(path) in problems[0].message
    return problems[0]


# -- .safetensors -------------------------------------------------------------------------------


def entry(dtype: str, shape: list[int], offsets: list[int]) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def header_of(**changes: Any) -> bytes:
    """The header of a good file, with some of its entries changed."""
    entries = {key: entry(*value) for key, value in GOOD.items()}
    return json.dumps(
        {**entries, **{key.replace("_", "."): v for key, v in changes.items()}}
    ).encode()


def write(path: Path, header: bytes, data: bytes = bytes(32), length: int | None = None) -> None:
    size = len(header) if length is None else length
    path.write_bytes(struct.pack("<Q", size) + header + data)


def test_the_good_file_is_good(tmp_path: Path, graph: Graph) -> None:
    write(tmp_path / "w.safetensors", header_of())
    assert load_weights(tmp_path / "w.safetensors", graph)[1] == []


TWICE = (
    header_of()[:-1] + b', "fc.bias": ' + json.dumps(entry("F32", [2], [24, 32])).encode() + b"}"
)

BAD_HEADERS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "empty": (b"", {"data": b""}),
    "no JSON": (b"{", {}),
    "no object": (b"[]", {}),
    "no UTF-8": (b'{"\xff": 1}', {}),
    "deeply nested": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}),
    "longer than the file": (header_of(), {"length": 10_000}),
    "longer than memory": (header_of(), {"length": 2**63}),
    "longer than allowed": (header_of(), {"length": 100_000_001}),
    "a key twice": (TWICE, {}),
    "an overlap": (header_of(fc_bias=entry("F32", [2], [16, 24])), {}),
    "a gap": (header_of(fc_bias=entry("F32", [2], [28, 36])), {"data": bytes(36)}),
    "offsets that go back": (header_of(fc_bias=entry("F32", [2], [32, 24])), {}),
    "offsets below zero": (header_of(fc_bias=entry("F32", [2], [-8, 0])), {}),
    "offsets beyond the file": (header_of(fc_bias=entry("F32", [2], [24, 2**60])), {}),
    "data that nobody owns": (header_of(), {"data": bytes(40)}),
    "data that is cut off": (header_of(), {"data": bytes(31)}),
    "a shape of another size": (header_of(fc_bias=entry("F32", [3], [24, 32])), {}),
    "a shape below zero": (header_of(fc_bias=entry("F32", [-2], [24, 32])), {}),
    "a shape that overflows": (header_of(fc_bias=entry("F32", [2**32, 2**32, 2], [24, 32])), {}),
    "an unknown dtype": (header_of(fc_bias=entry("F31", [2], [24, 32])), {}),
    "an entry that is none": (header_of(fc_bias=7), {}),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_a_header_that_is_none(tmp_path: Path, graph: Graph, case: str) -> None:
    header, options = BAD_HEADERS[case]
    write(tmp_path / "w.safetensors", header, **options)
    found = refusal(tmp_path / "w.safetensors", graph)
    assert found.code == "bad-weights-file"
    assert "cannot be read" in found.message
    assert len(found.message) < 1000


@pytest.mark.parametrize(
    ("dtype", "shape"), [("F64", [1]), ("I8", [8]), ("F16", [4]), ("F32", [1, 2])]
)
def test_what_does_not_fit_is_said_before_it_is_read(
    tmp_path: Path, graph: Graph, dtype: str, shape: list[int]
) -> None:
    header = header_of(fc_bias=entry(dtype, shape, [24, 32]))
    write(tmp_path / "w.safetensors", header)
    assert refusal(tmp_path / "w.safetensors", graph).code == "weights-mismatch"


# -- .pth ---------------------------------------------------------------------------------------


def good_state() -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)}


def repacked(path: Path, **members: bytes) -> None:
    """A good file, with members of it replaced by compressed ones."""
    buffer = io.BytesIO()
    torch.save(good_state(), buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            word = info.filename.rpartition("/")[2].replace(".", "_")
            new.writestr(info.filename, members.get(word, old.read(info)))


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, graph: Graph) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("w/data/0", "w", force_zip64=True) as member:
            for _ in range(200):
                member.write(bytes(1 << 20))
        archive.writestr("w/data.pkl", b"")
    assert (tmp_path / "w.pth").stat().st_size < 1 << 20
    found = refusal(tmp_path / "w.pth", graph)
    assert found.code == "bad-weights-file"
    assert "would unpack to 209,715,200" in found.message


def test_members_that_share_their_data(tmp_path: Path, graph: Graph) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("w/data/0", bytes(1 << 20))
        for number in range(1, 200):
            again = copy.copy(archive.filelist[0])
            again.filename = again.orig_filename = f"w/data/{number}"
            archive.filelist.append(again)
        archive._didModify = True
    assert "would unpack to 209,715,200" in refusal(tmp_path / "w.pth", graph).message


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", b"\x80\x02c__main__\nx\n.", b"\xff" * 100])
def test_a_pickle_that_is_none(tmp_path: Path, graph: Graph, content: bytes) -> None:
    repacked(tmp_path / "w.pth", data_pkl=content)
    assert refusal(tmp_path / "w.pth", graph).code == "bad-weights-file"


def test_a_giant_without_strides(tmp_path: Path, graph: Graph) -> None:
    giant = torch.ones(1).expand(1 << 20, 1 << 20)
    torch.save({**good_state(), "fc.weight": giant}, tmp_path / "w.pth")
    found = refusal(tmp_path / "w.pth", graph)
    assert "`fc.weight` is [1048576, 1048576], 4,398,046,511,104 bytes" in found.message
    assert found.message.endswith("of which 4 are stored")


def test_a_small_tensor_may_repeat_its_numbers(tmp_path: Path, graph: Graph) -> None:
    torch.save({**good_state(), "fc.weight": torch.ones(1).expand(2, 3)}, tmp_path / "w.pth")
    found, problems = load_weights(tmp_path / "w.pth", graph)
    assert problems == [] and found is not None
    (ref, *_) = graph.weights()
    np.testing.assert_array_equal(found.array(ref), np.ones((2, 3), np.float32))


def test_a_tensor_without_numbers(tmp_path: Path, graph: Graph) -> None:
    meta = torch.empty(2, 3, device="meta")
    torch.save({**good_state(), "fc.weight": meta}, tmp_path / "w.pth")
    assert "meta float32" in refusal(tmp_path / "w.pth", graph).message


def test_a_legacy_file_that_promises_too_much(tmp_path: Path, graph: Graph) -> None:
    torch.save(good_state(), tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "w.pth").read_bytes()
    for size in (6, 2):  # elements, as the pickle and the storage behind it count them
        data = data.replace(struct.pack("<Q", size), struct.pack("<Q", 1 << 40))
    (tmp_path / "w.pth").write_bytes(data)
    assert refusal(tmp_path / "w.pth", graph).code == "bad-weights-file"


# -- .npz ---------------------------------------------------------------------------------------


def test_an_archive_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(1 << 20))
        # What is told of the sizes is what is believed; the data need not be there.
        archive.filelist[0].file_size = 1 << 31
        archive._didModify = True
    with pytest.raises(RunError, match="would unpack to 2,147,483,648"):
        read_arrays(None, str(path))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(-1,)", "(9999999999999999999999,)", "x"])
def test_an_array_that_promises_too_much(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", member)
    with pytest.raises(RunError) as caught:
        read_arrays(None, str(tmp_path / "x.npz"))  # type: ignore[arg-type]
    assert caught.value.diagnostic.code == "bad-input-file"

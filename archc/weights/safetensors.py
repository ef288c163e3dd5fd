"""Writing `.safetensors`, weight by weight.

The safetensors library writes only what is in memory as a whole; the format is a length, a JSON
header and the data. Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from archc.diagnostics import Diagnostic
from archc.graph.graph import Graph, WeightRef
from archc.output import OutputError, OutputFile, atomic_file
from archc.types import DType
from archc.weights.ahead import made_ahead
from archc.weights.guards import MAX_HEADER
from archc.weights.source import WeightSource

_MARK = "archc.sha256"
"""Metadata: the hash of the whole file, with zeros where the hash stands."""

_UNSIGNED = b"0" * 64
_SIGNED = re.compile(rb'"archc\.sha256":"([0-9a-f]{64})"')

DTYPE_NAMES: dict[DType, str] = {
    DType.FLOAT32: "F32",
    DType.FLOAT64: "F64",
    DType.FLOAT16: "F16",
    DType.BFLOAT16: "BF16",
    DType.INT64: "I64",
    DType.INT32: "I32",
    DType.INT8: "I8",
    DType.UINT8: "U8",
    DType.BOOL: "BOOL",
}


def save_safetensors(graph: Graph, weights: WeightSource, path: str | Path) -> list[Diagnostic]:
    """Write every weight of a network, buffers included, to a file of its own.

    Args:
        graph: the network.
        weights: where the numbers come from.
        path: the file; it appears when it is complete.

    Returns:
        Why it could not be written, if so.
    """
    try:
        with atomic_file(path) as file:
            write_safetensors(graph, weights, file)
    except OutputError as error:
        return [error.diagnostic]
    return []


def write_safetensors(graph: Graph, weights: WeightSource, file: OutputFile) -> None:
    """Write every weight of a network, buffers included, to an open file.

    A tied weight is written once; the metadata say under which key it is to be found, as
    `safetensors.torch.save_model` writes and `load_model` reads it.

    Raises:
        OutputError: the disk is full or the like.
    """
    # Large elements first, as the library does: every tensor is then aligned to its elements.
    refs = sorted(graph.weights(), key=lambda ref: -ref.weight.dtype.itemsize)
    header = _header(refs, graph.ties())
    digest = hashlib.sha256(header)
    file.write(header)
    with made_ahead(weights, refs) as made:
        for ref in refs:
            for chunk in made.chunks(ref):
                digest.update(chunk)
                file.write(chunk)
    file.amend(header.index(_UNSIGNED), digest.hexdigest().encode())


def is_unchanged(path: Path) -> bool:
    """Whether a file is as `write_safetensors` wrote it, and so holds nothing of a person's.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.read(8)
        length = int.from_bytes(size, "little")
        if len(size) < 8 or length > MAX_HEADER:
            return False
        header = file.read(length)
        signature = _SIGNED.search(header)
        if signature is None:
            return False
        unsigned = header[: signature.start(1)] + _UNSIGNED + header[signature.end(1) :]
        digest = hashlib.sha256(size + unsigned)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest().encode() == signature[1]


def data_offsets(path: Path) -> dict[str, int]:
    """Key -> where the data of a tensor begin in a file that is known to be sound."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
    return {
        key: 8 + length + entry["data_offsets"][0]
        for key, entry in entries.items()
        if key != "__metadata__"
    }


def _header(refs: list[WeightRef], ties: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {
        "__metadata__": {"format": "pt", _MARK: _UNSIGNED.decode(), **ties}
    }
    offset = 0
    for ref in refs:
        end = offset + ref.weight.nbytes
        entries[ref.key] = {
            "dtype": DTYPE_NAMES[ref.weight.dtype],
            "shape": list(ref.weight.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text

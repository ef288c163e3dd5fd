"""Writing `.safetensors`, weight by weight.

The safetensors library writes only what is in memory as a whole; the format is a length, a JSON
header and the data. Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from archc.diagnostics import Diagnostic
from archc.graph.graph import Graph, WeightRef
from archc.output import OutputError, OutputFile, atomic_file
from archc.types import DType
from archc.weights.source import WeightSource

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
    file.write(_header(refs, graph.ties()))
    for ref in refs:
        for chunk in weights.chunks(ref):
            file.write(chunk)


def _header(refs: list[WeightRef], ties: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt", **ties}}
    offset = 0
    for ref in refs:
        end = offset + ref.weight.numel * ref.weight.dtype.itemsize
        entries[ref.key] = {
            "dtype": DTYPE_NAMES[ref.weight.dtype],
            "shape": list(ref.weight.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text

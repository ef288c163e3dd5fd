"""What a checkpoint is held to before a library reads it.

A checkpoint may come from a stranger. Reading one must not take more memory than the file is large.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

MAX_HEADER = 100_000_000
"""Bytes of the header of a `.safetensors` file; the library refuses more."""

MAX_PICKLE = 256 << 20
"""Bytes of the pickle in a file of torch.save; a tensor takes about a hundred."""

MAX_GROWTH = 64 << 20
"""Bytes that a file may unpack to, or a tensor have, more than are stored of it."""


def zip_problem(path: Path) -> str | None:
    """Why a zip file is not read as a file of torch.save; None for any other file.

    torch.save stores tensors without compression, so what it wrote is not larger than the file.
    """
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        return f"it is cut off, or no file of torch.save ({error})"
    size = path.stat().st_size
    unpacked = sum(member.file_size for member in members)
    if unpacked > size + MAX_GROWTH:
        return f"its {size:,} bytes would unpack to {unpacked:,}"
    if any(m.filename.endswith(".pkl") and m.file_size > MAX_PICKLE for m in members):
        return f"its pickle is larger than {MAX_PICKLE:,} bytes"
    return None


def tensor_problem(key: str, tensor: Any) -> str | None:
    """Why a tensor is not read: it repeats a few numbers so often that it fills the memory."""
    if str(tensor.layout) != "torch.strided" or tensor.device.type != "cpu":
        return None
    whole = tensor.numel() * tensor.element_size()
    stored = tensor.untyped_storage().nbytes()
    if whole - stored <= MAX_GROWTH:
        return None
    return f"`{key}` is {list(tensor.shape)}, {whole:,} bytes, of which {stored:,} are stored"


def header_problem(path: Path) -> str | None:
    """Why the header of a `.safetensors` file is none: what the library does not look at.

    It holds lengths, offsets, shapes and dtypes against each other and against the size of the
    file, but takes the last of several tensors of one name.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, path.stat().st_size):
            return f"its header would be of {length:,} bytes"
        text = file.read(length)
    try:
        json.loads(text, object_pairs_hook=_distinct)
    except _RepeatedKey as error:
        return f"its header has `{error}` twice"
    except (ValueError, RecursionError):
        return "its header is no JSON"
    return None


class _RepeatedKey(Exception):  # noqa: N818 - never leaves this module
    """A key that an object has twice."""


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKey(key[:200])
        found[key] = value
    return found

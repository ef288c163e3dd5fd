"""External data of a model: the files beside it that hold its weights.

A model may come from a stranger, and it names these files. Newer releases of onnxruntime and onnx
keep to the model's folder themselves; older ones that archc works with do not.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_KEY = b"\x0a\x08location"
"""How the name of a file of external data begins in a serialised model, whatever stands around."""


def escaping_data(path: str | Path) -> str | None:
    """Why the external data of a model must not be read; None when there is no reason.

    Args:
        path: a file, which need not be a model.

    Returns:
        A clause about the first file that lies outside the model's folder or is none.
    """
    path = Path(path)
    if not _mentions_data(path):
        return None
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # no model: onnxruntime says so in its own words
        return None
    folders = {path.parent.resolve(), path.resolve().parent}
    for tensor in _external(model):
        location = next((e.value for e in tensor.external_data if e.key == "location"), "")
        reason = _reason(path.parent, location, folders)
        if reason is not None:
            return f"it keeps `{tensor.name}` in `{location[:200]}`, {reason}"
    return None


def _mentions_data(path: Path) -> bool:
    """Whether external data are possible: most models have none, and need not be parsed here."""
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return data.find(_KEY) >= 0
        except ValueError:  # an empty file
            return False


def _external(model: Any) -> Iterator[Any]:
    """Every tensor with external data, wherever in the model it stands."""
    from onnx import TensorProto

    stack = [model]
    while stack:
        message = stack.pop()
        if isinstance(message, TensorProto):
            if message.external_data:
                yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                stack += [value] if hasattr(value, "ListFields") else value


def _reason(folder: Path, location: str, folders: set[Path]) -> str | None:
    try:
        if Path(location).is_absolute() or "\0" in location:
            return "which is no path inside the model's folder"
        target = (folder / location).resolve()
        if not any(target.is_relative_to(root) for root in folders):
            return "outside the model's folder"
        if not target.exists():
            return "which does not exist"
        return None if target.is_file() else "which is not a file"
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, half a surrogate
        return "which is no name of a file"

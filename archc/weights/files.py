"""Checkpoint files: what is in them, and their tensors part by part."""

from __future__ import annotations

import errno
import math
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from archc.diagnostics import Diagnostic
from archc.types import DType
from archc.weights.guards import header_problem, tensor_problem, zip_problem
from archc.weights.safetensors import DTYPE_NAMES, data_offsets

if TYPE_CHECKING:
    from archc.weights.source import Array

SUFFIXES = (".safetensors", ".pth", ".pt")

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_TENSORS_ALONE = "save the tensors alone: torch.save(model.state_dict(), path)"
_DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}


class Stored(NamedTuple):
    """A tensor in a file; the dtype is text where archc has no such dtype."""

    shape: tuple[int, ...]
    dtype: DType | str


class Checkpoint(Protocol):
    """An open file of tensors."""

    @property
    def tensors(self) -> Mapping[str, Stored]:
        """What it holds."""
        ...

    def rows(self, key: str, start: int, stop: int) -> Array:
        """Part of a tensor along its first axis; the whole of one without axes.

        The array may be a view of the file.
        """
        ...


class BadFileError(Exception):
    """A file that is no checkpoint.

    Attributes:
        diagnostic: what to tell the person.
    """

    def __init__(self, code: str, message: str, path: Path, *help: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, help=help, path=str(path))


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a `.safetensors` file, or a `.pth` or `.pt` file without running any code in it.

    Raises:
        BadFileError: it cannot be read, or is no checkpoint.
    """
    _check_readable(path)
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _Safetensors(path)
    if suffix in SUFFIXES:
        return _Pickled(path)
    raise BadFileError(
        "bad-weights-file",
        f"`{path}` is no checkpoint that archc knows by its suffix",
        path,
        f"weights are read from {', '.join(SUFFIXES[:-1])} and {SUFFIXES[-1]} files",
    )


def _check_readable(path: Path) -> None:
    try:
        if not path.exists():
            raise BadFileError("missing-file", f"there is no file `{path}`", path)
        if not path.is_file():
            raise BadFileError("not-a-file", f"`{path}` is not a file", path)
        path.open("rb").close()
    except (OSError, ValueError) as error:  # the latter for a NUL character
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFileError("unreadable-file", f"cannot read `{path}`: {reason}", path) from error


class _Safetensors:
    """A `.safetensors` file, judged by the library and read part by part.

    The library maps the file into memory, where all of it that was read stays until the end.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            problem = header_problem(path)
            if problem is not None:
                raise _corrupt(path, problem)
            self._file = cast("Any", safe_open(path, framework="numpy"))
        except (SafetensorError, OSError) as error:
            raise _corrupt(path, str(error).partition("\n")[0]) from error
        self.tensors = {key: self._stored(key) for key in self._file.keys()}  # noqa: SIM118
        self._path = path
        self._starts = data_offsets(path)

    def _stored(self, key: str) -> Stored:
        part = self._file.get_slice(key)
        name = part.get_dtype()
        return Stored(tuple(part.get_shape()), _DTYPES.get(name, name))

    def rows(self, key: str, start: int, stop: int) -> Array:
        """See `Checkpoint.rows`."""
        import numpy as np

        shape, dtype = self.tensors[key]
        if not shape:
            whole: Array = self._file.get_tensor(key)
            return whole
        if not isinstance(dtype, DType) or dtype is DType.BFLOAT16:  # numpy has none
            part: Array = self._file.get_slice(key)[start:stop]
            return part
        numbers = np.empty((stop - start, *shape[1:]), np.dtype(dtype.value).newbyteorder("<"))
        data = numbers.reshape(-1).view(np.uint8).data
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._starts[key] + start * math.prod(shape[1:]) * dtype.itemsize)
            done = 0
            while done < len(data):
                count = file.readinto(data[done:])
                if not count:
                    raise OSError(errno.EIO, "the file has become shorter", str(self._path))
                done += count
        return numbers


class _Pickled:
    """A file of torch.save, mapped into memory where its format allows."""

    def __init__(self, path: Path) -> None:
        self._tensors = _state_dict(path)
        self.tensors = {key: _stored(tensor) for key, tensor in self._tensors.items()}

    def rows(self, key: str, start: int, stop: int) -> Array:
        """See `Checkpoint.rows`."""
        tensor = self._tensors[key].detach()
        part = tensor[start:stop] if tensor.dim() else tensor
        array: Array = part.numpy(force=True)  # also where a bit says that it is negated
        return array


def _stored(tensor: Any) -> Stored:
    name = str(tensor.dtype).removeprefix("torch.")
    if str(tensor.layout) != "torch.strided":
        return Stored(tuple(tensor.shape), f"sparse {name}")
    if tensor.device.type != "cpu":  # `meta`: a shape without numbers
        return Stored(tuple(tensor.shape), f"{tensor.device.type} {name}")
    known = name in DType._value2member_map_
    return Stored(tuple(tensor.shape), DType(name) if known else name)


def _state_dict(path: Path) -> dict[str, Any]:
    """The tensors of a pickled checkpoint, also of one that a training loop has wrapped."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise BadFileError(
            "missing-extra",
            f"`{path}` is a PyTorch checkpoint, and PyTorch is not installed",
            path,
            "pip install 'archc[torch]'",
        ) from error
    problem = zip_problem(path)
    if problem is not None:
        raise _corrupt(path, problem)
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except Exception as error:  # on bytes that are no checkpoint torch raises all kinds
        raise _refused(path, str(error)) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if isinstance(content, dict) and content:
        others = [key for key, value in content.items() if not isinstance(value, torch.Tensor)]
        if not others and all(isinstance(key, str) for key in content):
            problems = (tensor_problem(key, tensor) for key, tensor in content.items())
            for problem in filter(None, problems):
                raise _corrupt(path, problem)
            return content
    raise _no_state_dict(path, content)


def _refused(path: Path, error: str) -> BadFileError:
    found = re.search(r"GLOBAL ([\w.]+)", error)
    if found is None and "TorchScript" not in error:
        return _corrupt(path, "it is cut off, or no file of torch.save")
    held = f"a `{found.group(1)}`" if found else "a TorchScript program"
    return BadFileError(
        "bad-weights-file",
        f"`{path}` holds {held}, and loading anything but tensors could run code",
        path,
        _TENSORS_ALONE,
    )


def _no_state_dict(path: Path, content: object) -> BadFileError:
    held = f"a {type(content).__name__}"
    if isinstance(content, dict):
        kinds = [f"{key}: {type(value).__name__}" for key, value in content.items()]
        more = f" and {len(kinds) - 5} more" if len(kinds) > 5 else ""
        held = f"a dict of {', '.join(kinds[:5])}{more}" if kinds else "an empty dict"
    return BadFileError(
        "bad-weights-file",
        f"`{path}` holds {held}, where a dict of tensors is needed",
        path,
        _TENSORS_ALONE,
    )


def _corrupt(path: Path, reason: str) -> BadFileError:
    return BadFileError("bad-weights-file", f"`{path}` cannot be read: {reason}", path)

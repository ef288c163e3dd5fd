"""What goes into a model: arrays from files or chance, held to what the model declares."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archc.diagnostics.closest import closest
from archc.runtime.images import read_image
from archc.runtime.model import (
    DEFAULT_SIZE,
    Model,
    ModelInput,
    RunError,
    check_readable,
    first_line,
)

_FREELY_UNPACKED = 1 << 30  # bytes of arrays that any archive may unpack to
_RATIO = 20  # real numbers do not compress any better

_BROKEN_FILE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy raises on a file that is not as it should be."""


def random_feed(model: Model, at: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Random inputs: standard normal floats, zeros and ones for integers.

    Raises:
        RunError: `at` names a size that the model does not have, or there is no memory for so
            much input.
    """
    import numpy as np

    model.check_sizes(at)
    at = {**_fitting(model), **at}
    rng = np.random.default_rng(seed)
    feed: dict[str, Any] = {}
    for declared in model.inputs:
        shape = declared.sizes(at)
        is_float = declared.dtype.startswith("float")
        try:
            numbers = rng.standard_normal(shape) if is_float else rng.integers(0, 2, shape)
            feed[declared.name] = np.asarray(numbers).astype(declared.dtype)
        except (MemoryError, ValueError) as error:  # the latter for more than can be counted
            message = f"input `{declared.name}` of {list(shape)} does not fit into memory"
            raise RunError("run-failed", message, model.path) from error
    return feed


def _fitting(model: Model) -> dict[str, int]:
    """The next larger size where the usual one is none that the model works for."""
    batches = {declared.shape[0] for declared in model.inputs if declared.shape}
    return {
        name: next((size for size in sizes.members() if size >= DEFAULT_SIZE), DEFAULT_SIZE)
        for name, sizes in model.demands.items()
        if name not in batches and not sizes.is_empty
    }


def read_feed(model: Model, files: Sequence[str], *, preprocess: bool = True) -> dict[str, Any]:
    """Inputs from files, in the model's order: `.npy`, one `.npz` by name, or images.

    An array without the batch axis is taken as a batch of one.

    Args:
        model: the model.
        files: one for each input, or one `.npz`.
        preprocess: whether images are made to inputs as the model's metadata say.

    Raises:
        RunError: a file cannot be read, or does not fit the input.
    """
    for path in files:
        check_readable(path)
    if len(files) == 1 and files[0].lower().endswith(".npz"):
        return fitting_feed(model, _archive(model, files[0]), files[0])
    if len(files) != len(model.inputs):
        listed = ", ".join(f"`{declared.name}` {declared}" for declared in model.inputs)
        raise RunError(
            "run-failed",
            f"the model takes {_count(len(model.inputs), 'input')}, not {len(files)}",
            model.path,
            f"its inputs: {listed}",
        )
    arrays = {
        declared.name: _array(path)
        if path.lower().endswith(".npy")
        else read_image(path, declared, model.image_steps(declared.name, preprocess))
        for declared, path in zip(model.inputs, files, strict=True)
    }
    return fitting_feed(model, arrays, *files)


def read_arrays(model: Model, path: str) -> dict[str, Any]:
    """The arrays of an `.npz` by name, as they are stored.

    Raises:
        RunError: it cannot be read.
    """
    check_readable(path)
    return _archive(model, path)


def fitting_feed(model: Model, arrays: Mapping[str, Any], *files: str) -> dict[str, Any]:
    """Arrays as the model takes them: every input, in its rank, sizes and dtype.

    Args:
        model: the model.
        arrays: by the inputs' names, a batch axis of one may be missing.
        files: where they come from: one file, or one for each input.

    Raises:
        RunError: an input is missing or superfluous, or an array does not fit.
    """
    names = [declared.name for declared in model.inputs]
    for name in arrays:
        if name not in names:
            close = closest(name, names)
            help_ = f"did you mean `{close}`?" if close else f"its inputs: {', '.join(names)}"
            raise RunError("run-failed", f"the model has no input `{name}`", files[0], help_)
    feed: dict[str, Any] = {}
    bound: dict[str, tuple[int, str]] = {}
    sources = files if len(files) == len(names) else files[:1] * len(names)
    for declared, file in zip(model.inputs, sources, strict=True):
        if declared.name not in arrays:
            raise RunError("run-failed", f"there is no array for `{declared.name}`", file)
        feed[declared.name] = _fitted(declared, arrays[declared.name], file, bound)
    return feed


def _fitted(declared: ModelInput, array: Any, file: str, bound: dict[str, tuple[int, str]]) -> Any:
    """The array as the input takes it; `bound` holds open sizes seen so far, and where."""
    import numpy as np

    if not np.can_cast(array.dtype, declared.dtype, casting="same_kind"):
        raise _unfit(declared, f"holds {array.dtype}", file)
    if array.ndim == len(declared.shape) - 1:
        array = array[None]
    shape = list(array.shape)
    if len(shape) != len(declared.shape):
        raise _unfit(declared, f"has the shape {shape}", file)
    for size, dim in zip(shape, declared.shape, strict=True):
        if isinstance(dim, int) and dim != size:
            raise _unfit(declared, f"has the shape {shape}", file)
        if isinstance(dim, str):
            known, where = bound.setdefault(dim, (size, declared.name))
            if known != size:
                message = f"has the shape {shape}, and `{dim}` is {known} in `{where}`"
                raise _unfit(declared, message, file)
    return np.ascontiguousarray(array.astype(declared.dtype))


def _unfit(declared: ModelInput, what: str, file: str) -> RunError:
    return RunError(
        "run-failed", f"input `{declared.name}` takes {declared}; `{file}` {what}", file
    )


def _array(path: str) -> Any:
    loaded = _loaded(path)
    if hasattr(loaded, "files"):
        raise RunError("bad-input-file", f"`{path}` is an archive of arrays: name it .npz", path)
    return loaded


def _archive(model: Model, path: str) -> dict[str, Any]:
    """The arrays of an `.npz` by name; numpy's own names arr_0, arr_1 stand for the order."""
    if zipfile.is_zipfile(path):
        _check_ratio(path)
    archive = _loaded(path)
    if not hasattr(archive, "files"):
        raise RunError("bad-input-file", f"`{path}` is a single array: name it .npy", path)
    try:
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except _BROKEN_FILE as error:
        raise _broken(path, error) from error
    numbered = {f"arr_{index}": item.name for index, item in enumerate(model.inputs)}
    if set(arrays) == set(numbered):
        return {numbered[name]: array for name, array in arrays.items()}
    return arrays


def _check_ratio(path: str) -> None:
    """Refuse a small archive that would fill the memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except _BROKEN_FILE as error:
        raise _broken(path, error) from error
    size = Path(path).stat().st_size
    if unpacked > max(_FREELY_UNPACKED, _RATIO * size):
        message = f"`{path}` of {size:,} bytes would unpack to {unpacked:,}"
        help_ = "store it without compression: np.savez"
        raise RunError("bad-input-file", message, path, help_)


def _loaded(path: str) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except _BROKEN_FILE as error:
        raise _broken(path, error) from error


def _broken(path: str, error: Exception) -> RunError:
    kind = "archive" if path.lower().endswith(".npz") else "array"
    return RunError(
        "bad-input-file",
        f"`{path}` cannot be read: {first_line(error)}",
        path,
        f"a NumPy {kind} without Python objects is needed: np.save{'z' if kind != 'array' else ''}",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

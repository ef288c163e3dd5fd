"""Running an exported model: inputs from files, an image or chance; the results to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archc.diagnostics import Diagnostic

DEFAULT_SIZE = 224
_NUMPY_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


class RunError(Exception):
    """A model or an input that cannot be run.

    Attributes:
        diagnostic: what to tell the person.
    """

    def __init__(self, code: str, message: str, path: str, *help: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, help=help, path=path)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input as the model declares it; symbolic dims are names."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str

    def sizes(self, at: Mapping[str, int]) -> tuple[int, ...]:
        """Concrete sizes: those given, else batch 1 and 224."""
        return tuple(
            dim if isinstance(dim, int) else at.get(dim or "", 1 if axis == 0 else DEFAULT_SIZE)
            for axis, dim in enumerate(self.shape)
        )


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded ONNX model."""

    path: str
    session: Any
    inputs: tuple[ModelInput, ...]

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Run it on named arrays; returns named arrays.

        Raises:
            RunError: onnxruntime refuses the inputs.
        """
        names = [output.name for output in self.session.get_outputs()]
        try:
            results = self.session.run(names, dict(feed))
        except Exception as error:
            raise RunError("run-failed", _first_line(error), self.path) from error
        return dict(zip(names, results, strict=True))


def open_model(path: str) -> Model:
    """Load a model into onnxruntime on the CPU.

    Raises:
        RunError: there is no such file, or it is no model.
    """
    import onnxruntime as ort

    file = Path(path)
    if not file.exists():
        raise RunError("missing-file", f"there is no file `{path}`", path)
    if not file.is_file():
        raise RunError("not-a-file", f"`{path}` is not a file", path)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RunError(
            "bad-model",
            f"`{path}` is no ONNX model that onnxruntime can load: {_first_line(error)}",
            path,
            "write one with `archc build SPEC --to onnx`",
        ) from error
    inputs = tuple(
        ModelInput(item.name, tuple(item.shape), _NUMPY_DTYPES.get(item.type, "float32"))
        for item in session.get_inputs()
    )
    return Model(path, session, inputs)


def random_feed(model: Model, at: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Random inputs: standard normal floats, zeros and ones for integers."""
    import numpy as np

    rng = np.random.default_rng(seed)
    feed: dict[str, Any] = {}
    for declared in model.inputs:
        shape = declared.sizes(at)
        if declared.dtype.startswith(("float", "bfloat")):
            feed[declared.name] = rng.standard_normal(shape).astype(declared.dtype)
        else:
            feed[declared.name] = rng.integers(0, 2, shape).astype(declared.dtype)
    return feed


def read_feed(model: Model, files: Sequence[str], at: Mapping[str, int]) -> dict[str, Any]:
    """Inputs from files, in the model's order: `.npy`, `.npz` by name, or images.

    Raises:
        RunError: a file cannot be read, or does not fit the input.
    """
    import numpy as np

    if len(files) == 1 and files[0].endswith(".npz"):
        with _opened(files[0]) as archive:
            return {name: archive[name] for name in archive.files}
    if len(files) != len(model.inputs):
        raise RunError(
            "run-failed",
            f"the model has {len(model.inputs)} inputs, but {len(files)} files are given",
            model.path,
        )
    feed: dict[str, Any] = {}
    for declared, path in zip(model.inputs, files, strict=True):
        array = _opened(path) if path.endswith(".npy") else read_image(path, declared, at)
        if array.ndim == len(declared.shape) - 1:
            array = array[None]
        feed[declared.name] = np.ascontiguousarray(array.astype(declared.dtype))
    return feed


def _opened(path: str) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise RunError("missing-file", f"there is no file `{path}`", path) from error
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            "bad-input-file", f"`{path}` is no NumPy file: {_first_line(error)}", path
        ) from error


def read_image(path: str, declared: ModelInput, at: Mapping[str, int]) -> Any:
    """An image file as [1, C, H, W] in 0..1, resized to the model's input.

    Raises:
        RunError: it is no image, or the model takes none.
    """
    import numpy as np

    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise RunError(
            "missing-extra", "reading images needs pillow", path, "pip install 'archc[image]'"
        ) from error
    shape = declared.sizes(at)
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise RunError(
            "run-failed", f"input `{declared.name}` {list(declared.shape)} takes no image", path
        )
    try:
        with Image.open(path) as image:
            mode = "L" if shape[1] == 1 else "RGB"
            resized = image.convert(mode).resize((shape[3], shape[2]), Image.Resampling.BILINEAR)
    except FileNotFoundError as error:
        raise RunError("missing-file", f"there is no file `{path}`", path) from error
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise RunError(
            "bad-input-file",
            f"`{path}` is no image that can be read",
            path,
            "give a .npy file or an image",
        ) from error
    pixels = np.asarray(resized, dtype=np.float32) / 255.0
    planes = pixels[None, None] if shape[1] == 1 else pixels.transpose(2, 0, 1)[None]
    return np.repeat(planes, shape[0], axis=0)


def top_k(output: Any, count: int) -> list[list[tuple[int, float]]]:
    """The largest entries of each row of a [batch, classes] output."""
    import numpy as np

    rows = []
    for row in output.reshape(len(output), -1):
        best = np.argsort(-row, kind="stable")[:count]
        rows.append([(int(index), float(row[index])) for index in best])
    return rows


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__

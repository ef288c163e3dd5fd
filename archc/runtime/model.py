"""A model in onnxruntime, and what can go wrong with it, as diagnostics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archc.diagnostics import Diagnostic
from archc.graph.preprocess import Preprocess
from archc.records import dataclass, field
from archc.runtime.external import escaping_data
from archc.runtime.metadata import read_demands, read_preprocess, unmet_demands
from archc.types.sizes import SizeSet

DEFAULT_SIZE = 224
"""What a size that the model leaves open is, where nothing says else; a batch is 1."""

_NUMPY_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16)},
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (32, 64)},
}

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


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
    """An input as the model declares it.

    Attributes:
        name: as the model has it.
        shape: sizes; a symbolic one is its name, one that is not known at all is None.
        dtype: numpy's name of the element type.
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str

    def sizes(self, at: Mapping[str, int]) -> tuple[int, ...]:
        """Concrete sizes: those given, else batch 1 and `DEFAULT_SIZE`."""
        return tuple(
            dim if isinstance(dim, int) else at.get(dim or "", 1 if axis == 0 else DEFAULT_SIZE)
            for axis, dim in enumerate(self.shape)
        )

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"[{dims}] {self.dtype}"


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded ONNX model.

    Attributes:
        path: as the person gave it.
        session: onnxruntime's.
        inputs: in the model's order.
        demands: sizes that fit, by the name of the dim; empty when the model does not say.
        preprocess: what makes an input of an image, by the input's name; likewise.
    """

    path: str
    session: Any
    inputs: tuple[ModelInput, ...]
    demands: Mapping[str, SizeSet] = field(default_factory=dict)
    preprocess: Mapping[str, Preprocess] = field(default_factory=dict)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the sizes that the model leaves open, in the order of its inputs."""
        dims = (dim for declared in self.inputs for dim in declared.shape)
        return tuple(dict.fromkeys(dim for dim in dims if isinstance(dim, str)))

    def check_sizes(self, at: Mapping[str, int]) -> None:
        """Refuse sizes for names that the model does not have.

        Raises:
            RunError: there is such a name.
        """
        for name in at:
            if name not in self.symbols:
                listed = ", ".join(self.symbols) or "none"
                raise RunError(
                    "run-failed",
                    f"the model leaves no size `{name}` open",
                    self.path,
                    f"its open sizes: {listed}",
                )

    def image_steps(self, name: str, wanted: bool) -> Preprocess | None:
        """What makes an input of an image: what the model says, or only the order of its axes."""
        steps = self.preprocess.get(name)
        return steps if wanted or steps is None else Preprocess(layout=steps.layout)

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Run it on named arrays; returns named arrays.

        Raises:
            RunError: the sizes are none that the network works for, or onnxruntime refuses.
        """
        shapes = [
            (item.shape, tuple(feed[item.name].shape)) for item in self.inputs if item.name in feed
        ]
        for sentence in unmet_demands(self.demands, shapes):
            raise RunError("run-failed", sentence, self.path)
        names = [output.name for output in self.session.get_outputs()]
        try:
            results = self.session.run(names, dict(feed))
        except Exception as error:  # its exceptions share no documented base
            message = f"onnxruntime cannot run the model: {first_line(error)}"
            raise RunError("run-failed", message, self.path) from error
        return dict(zip(names, results, strict=True))


def open_model(path: str | Path, *, optimized: bool = True) -> Model:
    """Load a model into onnxruntime on the CPU.

    Args:
        path: an ONNX file.
        optimized: whether onnxruntime may rewrite the graph.

    Raises:
        RunError: there is no such file, it is no model, or it has inputs other than tensors.
    """
    path = str(path)
    check_readable(path)
    problem = escaping_data(path)
    if problem is not None:
        help_ = "a model and its data lie in one folder"
        raise RunError("bad-model", f"`{path}` is refused: {problem}", path, help_)
    try:
        session = open_session(path, optimized=optimized)
    except Exception as error:  # its exceptions share no documented base
        raise RunError(
            "bad-model",
            f"`{path}` is no ONNX model that onnxruntime can load: {first_line(error)}",
            path,
            "write one with `archc build SPEC --to onnx`",
        ) from error
    inputs = tuple(_declared(item, path) for item in session.get_inputs())
    metadata = session.get_modelmeta().custom_metadata_map
    return Model(path, session, inputs, read_demands(metadata), read_preprocess(metadata))


def open_session(model: str | Path | bytes, *, optimized: bool = True) -> Any:
    """An onnxruntime session on the CPU that is silent about what it finds.

    Args:
        model: a path, or a serialised model.
        optimized: whether onnxruntime may rewrite the graph.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    )
    source = str(model) if isinstance(model, Path) else model
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def check_readable(path: str) -> None:
    """Refuse a path that names no file, or one that cannot be read.

    Raises:
        RunError: `missing-file`, `not-a-file` or `unreadable-file`.
    """
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            raise RunError("not-a-file", f"`{path}` is not a file", path)
        file.open("rb").close()
    except FileNotFoundError as error:
        raise RunError("missing-file", f"there is no file `{path}`", path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError("unreadable-file", f"cannot read `{path}`: {reason}", path) from error


def first_line(error: Exception) -> str:
    """The gist of an error of onnxruntime or numpy."""
    lines = str(error).strip().splitlines()
    return _PREFIX.sub("", lines[0])[:300] if lines else type(error).__name__


def _declared(item: Any, path: str) -> ModelInput:
    dtype = _NUMPY_DTYPES.get(item.type)
    if dtype is None:
        raise RunError("run-failed", f"input `{item.name}` takes {item.type}, not numbers", path)
    # Some exporters write -1 for a size that is open.
    shape = tuple(None if isinstance(dim, int) and dim < 0 else dim for dim in item.shape)
    return ModelInput(item.name, shape, dtype)

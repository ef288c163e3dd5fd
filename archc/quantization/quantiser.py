"""Quantising by onnxruntime: statically with samples, or the matrix products alone as they run."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.output import atomic_file
from archc.quantization.change import Change, measured
from archc.quantization.folders import quantiser_folder
from archc.quantization.samples import Samples
from archc.records import dataclass
from archc.runtime import Model, RunError, first_line, open_model

if TYPE_CHECKING:
    import onnx

MAX_SIZE = 2 * 10**9
"""Bytes of a model that the quantiser holds as one message."""

_ONE = threading.Lock()
"""Held while the quantiser runs: to keep it quiet, what it prints and logs is taken from the whole
process, which two threads would put back in the wrong order."""

_HELD_OUT = 5  # every fifth sample is held out where no others are given
_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger"}
_WEIGHTY = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantising has left.

    Attributes:
        path: the file written.
        size: its bytes.
        was: bytes of the float model.
        calibrated: how many samples the ranges of activations come from.
        change: what it changed, where there were samples to see it.
    """

    path: Path
    size: int
    was: int
    calibrated: int
    change: Change | None


def quantize_model(
    model: str | Path,
    output: str | Path,
    *,
    calibration: Samples | None,
    evaluation: Samples | None = None,
    full_range: bool = False,
    inputs: Sequence[str | Path] = (),
) -> Quantized:
    """Write a model in 8-bit integers.

    With samples to calibrate on, weights become int8, each output channel with its own scale, and
    activations uint8 with the range that the samples show (QDQ format). Without, the matrix
    products alone become integers: their weights are stored so, their inputs quantized in every
    run. (Convolutions done likewise are several times slower than in float.)

    Threads may call it at the same time; the quantiser itself runs in one after the other. While it
    runs, nothing that the process prints or logs is seen.

    Args:
        model: the float model.
        output: where to write.
        calibration: samples that show the ranges of activations; None quantises dynamically.
        evaluation: samples to measure the change on. By default every fifth of the calibration
            samples, which is then not calibrated on.
        full_range: whether weights take all of int8, or stay between -64 and 64. x86 processors
            without VNNI add two products of uint8 and int8 in 16 bits, which larger ones overflow.
        inputs: files that must not be overwritten.

    Raises:
        RunError: the model is none that can be quantized, or a sample does not fit.
        OutputError: the file cannot be written.
    """
    import onnx

    exact = open_model(model)
    proto = _loaded(exact)
    shown, held_out = _parted(calibration, evaluation)
    given = [model, *inputs]
    # Beside the output, where the next one finds what a kill has left; refused before the work.
    with atomic_file(output, inputs=given) as file, quantiser_folder(Path(output).parent) as folder:
        made, whole = folder / "quantized.onnx", folder / "float.onnx"
        with _ONE, _silence():
            try:
                if calibration is None:
                    _dynamic(proto, made, full_range)
                else:
                    onnx.save(proto, whole)
                    _static(whole, made, calibration, shown, full_range)
            except RunError:
                raise
            except Exception as error:  # the quantiser raises whatever it meets
                message = f"onnxruntime cannot quantize the model: {first_line(error)}"
                raise RunError("run-failed", message, str(model)) from error
        quantized = open_model(made)
        samples = evaluation or calibration
        change = measured(exact, quantized, samples, held_out) if samples and held_out else None
        data = made.read_bytes()
        file.write(data)
    return Quantized(Path(output), len(data), _size(Path(model)), len(shown), change)


def _parted(calibration: Samples | None, evaluation: Samples | None) -> tuple[list[int], list[int]]:
    """Samples to calibrate on, and those to measure the change on."""
    count = calibration.count if calibration is not None else 0
    if evaluation is not None:
        return list(range(count)), list(range(evaluation.count))
    held_out = list(range(_HELD_OUT - 1, count, _HELD_OUT))
    return [i for i in range(count) if i % _HELD_OUT != _HELD_OUT - 1], held_out


def _loaded(model: Model) -> onnx.ModelProto:
    """The model as a message, held against what can be quantized.

    Raises:
        RunError: it is too large, quantized already, not float32, or has nothing to quantize.
    """
    import onnx

    if _size(Path(model.path)) > MAX_SIZE:
        message = f"`{model.path}` is larger than the 2 GB that onnxruntime quantizes"
        raise RunError("run-failed", message, model.path)
    proto = onnx.load(model.path)
    types = {node.op_type for node in proto.graph.node}
    if types & _QUANTIZED:
        raise RunError("run-failed", f"`{model.path}` is quantized already", model.path)
    short = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    if any(item.data_type in short for item in proto.graph.initializer):
        raise RunError(
            "run-failed",
            f"`{model.path}` is not in float32, from which onnxruntime quantizes",
            model.path,
            "build it without --dtype",
        )
    if not types & _WEIGHTY:
        message = f"`{model.path}` has no convolution and no matrix product to quantize"
        raise RunError("run-failed", message, model.path)
    return proto


def _size(path: Path) -> int:
    """Bytes of a model, with the file that holds its weights."""
    files = [path, *path.parent.glob(f"{path.name}*.data")]
    return sum(file.stat().st_size for file in files)


def _static(
    model: Path, made: Path, samples: Samples, shown: Sequence[int], full_range: bool
) -> None:
    """Quantise from a file: of a message, onnxruntime 1.20 loses the weights."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    if not shown:
        raise ValueError("there are no samples to calibrate on")
    quantize_static(
        model,
        made,
        _reader(samples.feeds(shown)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=not full_range,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _dynamic(proto: onnx.ModelProto, made: Path, full_range: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        proto,
        made,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=not full_range,
        weight_type=QuantType.QInt8,
    )


def _reader(feeds: Iterator[Any]) -> Any:
    """The feeds as onnxruntime asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out one feed after the other."""

        def get_next(self) -> Any:
            """The next feed, None at the end."""
            return next(feeds, None)

    return Reader()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what the quantiser prints and logs off the terminal.

    Its first warning would also give the root logger a handler, for good.
    """
    root = logging.getLogger()
    handlers, disabled = list(root.handlers), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers

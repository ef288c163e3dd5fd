"""Models in 8-bit integers against the float ones, and against the same done to torch's export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.sessions import exports, milliseconds, ratio_of, run_times

ABOUT = (
    "`archc quantize` of archc's own file, and onnxruntime's same quantiser with the same settings "
    "on the TorchScript export of the same weights, as torchvision draws them: resnet50 calibrated "
    "on 32 images of noise (activations uint8, weights int8 per channel), vit_b_16 with its matrix "
    "products alone. onnxruntime on the CPU, 2 threads, batch 1, sessions in turn, medians of 11. "
    "The change is the root mean square of the difference over that of the float model, on 16 "
    "other images. Takes about 4 minutes."
)

_MODELS = (("resnet50", True), ("vit_b_16", False))


def table(folder: Path) -> Iterator[str]:
    yield (
        "| network | float, ms | archc int8, ms | export int8, ms | over float | over export int8 "
        "| archc's change | export's change |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name, static in _MODELS:
        files = exports(name, folder)
        changes = {key: _quantized(files[key], static) for key in ("archc", "script")}
        made = {key: _beside(files[key]) for key in changes}
        times = run_times(
            {"float": files["archc"], "ours": made["archc"], "theirs": made["script"]}, 1
        )
        cells = [milliseconds(times[key]) for key in ("float", "ours", "theirs")]
        ratios = [f"{ratio_of(times[key], times['ours']):.2f}" for key in ("float", "theirs")]
        shown = [f"{changes[key]:.1e}" for key in ("archc", "script")]
        yield f"| {name} | {' | '.join([*cells, *ratios, *shown])} |"


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.stem}.int8")


def _quantized(file: Path, static: bool) -> float:
    """Quantise a model; returns what that changes of its output."""
    from archc.quantization import quantize_model, read_samples
    from archc.runtime import open_model

    rng = np.random.default_rng(0)
    model = open_model(file)
    paths = []
    for count, kind in ((32, "shown"), (16, "held out")):
        images = rng.standard_normal((count, 3, 224, 224), dtype=np.float32)
        paths.append(file.with_name(f"{kind}.npz"))
        np.savez(paths[-1], **{model.inputs[0].name: images})
    shown, held_out = (read_samples(model, str(path)) for path in paths)
    done = quantize_model(
        file, _beside(file), calibration=shown if static else None, evaluation=held_out
    )
    assert done.change is not None
    return done.change.outputs[0].typical

"""Running exports in onnxruntime against those of torch's exporters with the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.sessions import ROUNDS, exports, milliseconds, ratio_of, run_times, session_of

ABOUT = (
    "onnxruntime on the CPU, 2 threads, archc's export against the faster of torch's two exporters "
    "(TorchScript, and the newer one where onnxscript is installed) with the same weights, as "
    "torchvision draws them. Sessions run in turn; medians of 11. The last two columns are for the "
    "default opset and for `--opset 23`, which has attention as one operator. Then the time to "
    "create a session. Takes about 12 minutes."
)

MODELS = (
    "resnet50",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "densenet121",
)


def table(folder: Path) -> Iterator[str]:
    yield "| network | batch | archc, ms | at opset 23, ms | export, ms | times faster | at 23 |"
    yield "|---|---|---|---|---|---|---|"
    for name in MODELS:
        files = exports(name, folder)
        for batch in (1, 8):
            times = run_times(files, batch)
            peer = _fastest_peer(times)
            cells = [milliseconds(times[key]) for key in (*_OURS, peer)]
            ratios = [f"{ratio_of(times[peer], times[key]):.2f}" for key in _OURS]
            yield f"| {name} | {batch} | {' | '.join([*cells, *ratios])} |"
    yield ""
    yield "| network | archc loads, ms | export loads, ms | times faster |"
    yield "|---|---|---|---|"
    ratios = []
    for name in MODELS:
        times = _load_times(exports(name, folder))
        peer = _fastest_peer(times)
        ratios.append(ratio_of(times[peer], times["archc"]))
        ours, theirs = milliseconds(times["archc"]), milliseconds(times[peer])
        yield f"| {name} | {ours} | {theirs} | {ratios[-1]:.2f} |"
    yield f"| geometric mean | | | {statistics.geometric_mean(ratios):.2f} |"


_OURS = ("archc", "archc23")


def _fastest_peer(times: dict[str, list[float]]) -> str:
    return min(times.keys() - _OURS, key=lambda key: statistics.median(times[key]))


def _load_times(files: dict[str, Path]) -> dict[str, list[float]]:
    """Seconds to create a session of each model, in turn."""
    times: dict[str, list[float]] = {key: [] for key in files}
    for _ in range(ROUNDS):
        for key, file in files.items():
            start = time.perf_counter()
            session_of(file)
            times[key].append(time.perf_counter() - start)
    return times

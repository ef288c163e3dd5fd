"""Running exports in onnxruntime against those of torch's exporters with the same weights."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ARCHC, ROOT

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
THREADS = 2
ROUNDS = 11

_EXPORT = """
import sys, torch
from importlib.util import find_spec
sys.path.insert(0, {root!r})
from safetensors.torch import save_file
from tests.zoo.oracle import torchvision_models
torch.manual_seed(0)
name, folder = {name!r}, {folder!r}
model = torchvision_models().get_model(name, weights=None).eval()
save_file({{k: v.contiguous() for k, v in model.state_dict().items()}}, f"{{folder}}/w.safetensors")
x = torch.randn(2, 3, 224, 224)
common = dict(input_names=["x"], external_data=False, verbose=False)
torch.onnx.export(model, (x,), f"{{folder}}/script.onnx", dynamo=False,
                  dynamic_axes={{"x": {{0: "N"}}}}, **common)
if find_spec("onnxscript"):
    shapes = ({{0: torch.export.Dim("N")}},)
    torch.onnx.export(model, (x,), f"{{folder}}/export.onnx", dynamo=True, dynamic_shapes=shapes,
                      **common)
"""


def table(folder: Path) -> Iterator[str]:
    yield "| network | batch | archc, ms | at opset 23, ms | export, ms | times faster | at 23 |"
    yield "|---|---|---|---|---|---|---|"
    for name in MODELS:
        files = _exports(name, folder)
        for batch in (1, 8):
            times = _run_times(files, batch)
            peer = _fastest_peer(times)
            cells = [_ms(times[key]) for key in (*_OURS, peer)]
            ratios = [f"{_ratio(times[peer], times[key]):.2f}" for key in _OURS]
            yield f"| {name} | {batch} | {' | '.join([*cells, *ratios])} |"
    yield ""
    yield "| network | archc loads, ms | export loads, ms | times faster |"
    yield "|---|---|---|---|"
    ratios = []
    for name in MODELS:
        times = _load_times(_exports(name, folder))
        peer = _fastest_peer(times)
        ratios.append(_ratio(times[peer], times["archc"]))
        yield f"| {name} | {_ms(times['archc'])} | {_ms(times[peer])} | {ratios[-1]:.2f} |"
    yield f"| geometric mean | | | {statistics.geometric_mean(ratios):.2f} |"


_OURS = ("archc", "archc23")


def _fastest_peer(times: dict[str, list[float]]) -> str:
    return min(times.keys() - _OURS, key=lambda key: statistics.median(times[key]))


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.1f}"


def _load_times(files: dict[str, Path]) -> dict[str, list[float]]:
    """Seconds to create a session of each model, in turn."""
    times: dict[str, list[float]] = {key: [] for key in files}
    for _ in range(ROUNDS):
        for key, file in files.items():
            start = time.perf_counter()
            _session(file)
            times[key].append(time.perf_counter() - start)
    return times


def _exports(name: str, folder: Path) -> dict[str, Path]:
    """The same network and weights by archc and by torch's exporters."""
    home = folder / name
    if not home.exists():
        home.mkdir()
        code = _EXPORT.format(root=str(ROOT), name=name, folder=str(home))
        _call([sys.executable, "-c", code])
        build = [*ARCHC, "build", name, "--to", "onnx"]
        build += ["--weights", str(home / "w.safetensors")]
        _call([*build, "-o", str(home / "archc.onnx")])
        _call([*build, "--opset", "23", "-o", str(home / "archc23.onnx")])
    return {file.stem: file for file in sorted(home.glob("*.onnx"))}


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{command[:5]} failed:\n{done.stdout}{done.stderr}")


def _session(file: Path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = THREADS
    # Threads that wait by spinning would take the processor from the session that runs next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _run_times(files: dict[str, Path], batch: int) -> dict[str, list[float]]:
    """Seconds of each round, the models in turn and every other round in reverse."""
    import numpy as np

    sessions = {key: _session(file) for key, file in files.items()}
    x = np.random.default_rng(0).standard_normal((batch, 3, 224, 224)).astype(np.float32)
    feeds = {key: {session.get_inputs()[0].name: x} for key, session in sessions.items()}
    times: dict[str, list[float]] = {key: [] for key in files}
    for round_ in range(ROUNDS + 1):
        keys = list(files) if round_ % 2 else list(files)[::-1]
        for key in keys:
            start = time.perf_counter()
            sessions[key].run(None, feeds[key])
            if round_:  # the first round allocates
                times[key].append(time.perf_counter() - start)
    return times


def _ratio(peer: list[float], ours: list[float]) -> float:
    """Median of the ratios round by round."""
    return statistics.median(p / o for p, o in zip(peer, ours, strict=True))

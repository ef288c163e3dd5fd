"""The same network and weights as ONNX by archc and by torch, and sessions of onnxruntime."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import ARCHC, ROOT

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
for parameter in model.parameters():  # a head of zeros would hide what is before it
    if parameter.dim() > 1 and not parameter.any():
        torch.nn.init.normal_(parameter, std=0.02)
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


def exports(name: str, folder: Path) -> dict[str, Path]:
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


def session_of(file: Path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = THREADS
    # Threads that wait by spinning would take the processor from the session that runs next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def run_times(files: dict[str, Path], batch: int) -> dict[str, list[float]]:
    """Seconds of each round, the models in turn and every other round in reverse."""
    import numpy as np

    sessions = {key: session_of(file) for key, file in files.items()}
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


def ratio_of(peer: list[float], ours: list[float]) -> float:
    """Median of the ratios round by round."""
    return statistics.median(p / o for p, o in zip(peer, ours, strict=True))


def milliseconds(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.1f}"

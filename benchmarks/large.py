"""Networks beyond what a single ONNX file can hold: memory stays small, and they run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ARCHC, python, run, spec

ABOUT = (
    "Built as external data, then loaded and run by onnxruntime. Each is measured once; the "
    "second needs 11 GB of disk and of memory for onnxruntime, and is left out where the disk has "
    "less. Takes about 3 minutes."
)

_WIDE = """\
archc: 1
name: wide
inputs: {x: [N, 8192]}
layers:
  - for _ in range(37):
      - {linear: 8192}
      - relu
"""  # 37 matrices of 8192 x 8192 float32: 9.9 GB

_RUN = """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession({path!r}, providers=["CPUExecutionProvider"])
(out, *_) = session.run(None, {{session.get_inputs()[0].name: np.ones({shape}, np.float32)}})
assert np.isfinite(out).all()
"""


def table(folder: Path) -> Iterator[str]:
    wide = folder / "wide.yaml"
    wide.write_text(_WIDE, encoding="utf-8")
    yield "| network | size, GB | build, s | CPU s | peak MB | load and run, s |"
    yield "|---|---|---|---|---|---|"
    for name, network, shape, room in (
        ("vit_h_14", spec("vit", "vit_h_14"), (1, 3, 224, 224), 3e9),
        ("37 linear layers of 8192", (str(wide),), (1, 8192), 11e9),
    ):
        if shutil.disk_usage(folder).free < room:
            yield f"| {name} | too little room on the disk | | | | |"
            continue
        out = folder / "large" / "large.onnx"
        out.parent.mkdir()
        budget = ["--max-parameters", "4000000000"]
        built = run([*ARCHC, "build", *network, "--to", "onnx", "-o", str(out), *budget])
        size = sum(file.stat().st_size for file in out.parent.iterdir()) / 1e9
        ran = run(python(_RUN.format(path=str(out), shape=shape)))
        shutil.rmtree(out.parent)
        yield (
            f"| {name} | {size:.1f} | {built.seconds:.1f} | {built.cpu:.1f} "
            f"| {built.megabytes:.0f} | {ran.seconds:.1f} |"
        )

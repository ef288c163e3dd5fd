"""How far a build is from a bare program that draws as many numbers and writes as many bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from archc.compile import check_file
from archc.ops.initial import Uniform
from benchmarks.measure import ARCHC, SPECS, alternate, python, spec

ABOUT = (
    "A whole build against a whole Python process that does nothing but draw as many numbers of "
    "the same distributions with numpy and write them. Takes about 1 minute."
)

_BARE = """
import json, os
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as archc does: half of the import of numpy
import numpy as np
file = os.open({out!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for count, uniform in json.loads({weights!r}):
    rng = np.random.Generator(np.random.SFC64(count))
    while count:
        size = min(count, 1 << 18)
        if uniform is None:
            numbers = np.zeros(size, np.float32)
        elif uniform:
            words = rng.integers(0, 2**64 - 1, -(-size // 2), dtype=np.uint64, endpoint=True)
            numbers = words.view(np.int32)[:size].astype(np.float32)
            numbers *= np.float32(0.1 / 2**31)
        else:
            numbers = rng.standard_normal(size, dtype=np.float32)
            numbers *= np.float32(0.1)
        data = numbers.data.cast("B")
        for start in range(0, len(data), 1 << 20):
            os.write(file, data[start : start + (1 << 20)])
        count -= size
"""


def table(folder: Path) -> Iterator[str]:
    yield "| network | archc build, s | bare program, s | times slower | in CPU time |"
    yield "|---|---|---|---|---|"
    for family, name in (("resnet", "resnet152"), ("vgg", "vgg16")):
        graph = check_file(str(SPECS / f"{family}.yaml"), name).graph
        assert graph is not None
        weights = [
            (
                ref.weight.numel,
                isinstance(ref.weight.init, Uniform) if len(ref.weight.shape) > 1 else None,
            )
            for ref in graph.weights()
        ]
        mine, bare = folder / "o.onnx", folder / "bare"
        code = _BARE.format(out=str(bare), weights=json.dumps(weights))
        ours = [*ARCHC, "build", *spec(family, name), "--to", "onnx", "-o", str(mine)]
        pair = alternate(ours, python(code), written=(mine, bare))
        yield (
            f"| {name} | {pair.ours.seconds:.2f} | {pair.peer.seconds:.2f} "
            f"| {1 / pair.ratio:.1f} | {1 / pair.cpu_ratio:.1f} |"
        )

"""Building with the weights of a file against copying that file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ARCHC, alternate, median, run, spec

ABOUT = (
    "`archc build --weights x.safetensors` against `cp x.safetensors`, and against a check, which "
    "is its start-up. Takes about 1 minute."
)


def table(folder: Path) -> Iterator[str]:
    yield "| network | build, s (MB) | cp, s | check, s | build / (cp + check) |"
    yield "|---|---|---|---|---|"
    copy = shutil.which("cp")
    if copy is None:
        yield "| no `cp` here | | | | |"
        return
    for family, name in (("resnet", "resnet152"), ("vgg", "vgg16")):
        network = spec(family, name)
        run([*ARCHC, "build", *network, "--to", "torch", "-o", str(folder / f"{name}.py")])
        weights = str(folder / f"{name}.safetensors")
        mine, theirs = folder / "o.onnx", folder / "copy"
        ours = [*ARCHC, "build", *network, "--to", "onnx", "--weights", weights, "-o", str(mine)]
        pair = alternate(ours, [copy, weights, str(theirs)], written=(mine, theirs))
        check = median([run([*ARCHC, "check", *network]) for _ in range(5)]).seconds
        yield (
            f"| {name} | {pair.ours.seconds:.2f} ({pair.ours.megabytes:.0f}) "
            f"| {pair.peer.seconds:.2f} | {check:.2f} "
            f"| {pair.ours.seconds / (pair.peer.seconds + check):.1f} |"
        )

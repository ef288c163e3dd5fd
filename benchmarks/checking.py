"""Checking against what people do for a summary: torchvision on the meta device, torchinfo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ARCHC, ROOT, alternate, python, spec

ABOUT = (
    "`archc check` against torchvision's model on the meta device, counted by torchinfo. "
    "Takes about 2 minutes."
)

_SUMMARY = """
import sys, torch
sys.path.insert(0, {root!r})
from tests.zoo.oracle import meta_model
import torchinfo
torchinfo.summary(meta_model({name!r}), input_size=(1, 3, 224, 224), device="meta", verbose=0)
"""


def table(folder: Path) -> Iterator[str]:
    yield "| network | check, s (MB) | torchinfo, s (MB) | times faster | in CPU time |"
    yield "|---|---|---|---|---|"
    for family, name in (("resnet", "resnet152"), ("vgg", "vgg16"), ("densenet", "densenet201")):
        pair = alternate(
            [*ARCHC, "check", *spec(family, name)],
            python(_SUMMARY.format(root=str(ROOT), name=name)),
        )
        yield (
            f"| {name} | {pair.ours.seconds:.2f} ({pair.ours.megabytes:.0f}) "
            f"| {pair.peer.seconds:.2f} ({pair.peer.megabytes:.0f}) "
            f"| {pair.ratio:.1f} | {pair.cpu_ratio:.1f} |"
        )

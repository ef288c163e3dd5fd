"""Building ONNX files with fresh weights against the exporters of torch."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import ARCHC, ROOT, alternate, python, spec

ABOUT = (
    "Fresh weights to an ONNX file, against `torch.onnx.export` of torchvision's model: the "
    "exporter that traces TorchScript, and the newer one where onnxscript is installed. "
    "Takes about 8 minutes, with the newer exporter 20."
)

NETWORKS = (
    ("resnet", "resnet152"),
    ("vgg", "vgg16"),
    ("swin", "swin_t"),
    ("vit", "vit_b_16"),
    ("efficientnet", "efficientnet_b0"),
    ("densenet", "densenet201"),
    ("convnext", "convnext_tiny"),
)

_EXPORT = """
import sys, torch
sys.path.insert(0, {root!r})
from tests.zoo.oracle import torchvision_models
model = torchvision_models().get_model({name!r}, weights=None).eval()
torch.onnx.export(model, (torch.randn(1, 3, 224, 224),), {out!r}, dynamo={dynamo},
                  dynamic_axes=None if {dynamo} else {{"x": {{0: "N"}}}}, input_names=["x"])
"""


def table(folder: Path) -> Iterator[str]:
    exporters = {"TorchScript": False}
    if find_spec("onnxscript"):
        exporters["dynamo"] = True
    yield "| network | exporter | build, s (MB) | export, s (MB) | times faster | in CPU time |"
    yield "|---|---|---|---|---|---|"
    mine, theirs = folder / "o.onnx", folder / "theirs.onnx"
    for family, name in NETWORKS:
        ours = [*ARCHC, "build", *spec(family, name), "--to", "onnx", "-o", str(mine)]
        for exporter, dynamo in exporters.items():
            code = _EXPORT.format(root=str(ROOT), name=name, out=str(theirs), dynamo=dynamo)
            pair = alternate(ours, python(code), written=(mine, theirs))
            yield (
                f"| {name} | {exporter} | {pair.ours.seconds:.2f} ({pair.ours.megabytes:.0f}) "
                f"| {pair.peer.seconds:.2f} ({pair.peer.megabytes:.0f}) "
                f"| {pair.ratio:.1f} | {pair.cpu_ratio:.1f} |"
            )

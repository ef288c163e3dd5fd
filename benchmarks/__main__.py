"""All benchmarks: `python -m benchmarks` prints the tables of docs/performance.md.

Each figure is a ratio against a named peer measured in turn in the same run; medians of five.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import Pair, alternate, run

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "specs"
ARCHC = [sys.executable, "-m", "archc"]

EXPORT = """
import sys, torch
sys.path.insert(0, {root!r})
from tests.zoo.oracle import torchvision_models
model = torchvision_models().get_model({name!r}, weights=None).eval()
torch.onnx.export(model, (torch.randn(1, 3, 224, 224),), {out!r}, dynamo={dynamo},
                  dynamic_axes=None if {dynamo} else {{"x": {{0: "N"}}}}, input_names=["x"])
"""

SUMMARY = """
import sys, torch
sys.path.insert(0, {root!r})
from tests.zoo.oracle import meta_model
import torchinfo
torchinfo.summary(meta_model({name!r}), input_size=(1, 3, 224, 224), device="meta", verbose=0)
"""


def layers_spec(count: int) -> str:
    """A network of about `count` layers over symbolic N, H and W, in residual blocks."""
    return "\n".join(
        [
            "archc: 1",
            "name: deep",
            "inputs: {x: [N, 8, H, W]}",
            "layers:",
            f"  - for _ in range({count // 4}):",
            "      - residual: [{conv: 8, kernel: 3, padding: 1}, batchnorm]",
            "        then: relu",
            "",
        ]
    )


def scaling(folder: Path) -> Iterator[str]:
    yield "| layers | check, s | peak MB | build to ONNX, s |"
    yield "|---|---|---|---|"
    for count in (1_000, 10_000, 100_000):
        spec = folder / f"deep{count}.yaml"
        spec.write_text(layers_spec(count), encoding="utf-8")
        checks = sorted((run([*ARCHC, "check", str(spec)]) for _ in range(5)), key=_seconds)
        out = folder / "deep.onnx"
        builds = sorted(
            (run([*ARCHC, "build", str(spec), "--to", "onnx", "-o", str(out)]) for _ in range(3)),
            key=_seconds,
        )
        yield (
            f"| {count:,} | {checks[2].seconds:.2f} | {checks[2].megabytes:.0f} "
            f"| {builds[1].seconds:.2f} |"
        )


def _seconds(one) -> float:
    return one.seconds


def checking(folder: Path) -> Iterator[str]:
    yield "| spec | check, s | torchinfo on meta tensors, s | times faster |"
    yield "|---|---|---|---|"
    for spec, name in (("resnet", "resnet152"), ("vgg", "vgg16"), ("densenet", "densenet201")):
        pair = alternate(
            [*ARCHC, "check", str(SPECS / f"{spec}.yaml"), "--variant", name],
            [sys.executable, "-c", SUMMARY.format(root=str(ROOT), name=name)],
        )
        yield _row(name, pair)


def building(folder: Path) -> Iterator[str]:
    yield "| model | archc build, s (MB) | torch.onnx.export, s (MB) | times faster |"
    yield "|---|---|---|---|"
    for spec, name in (
        ("resnet", "resnet152"),
        ("vgg", "vgg16"),
        ("efficientnet", "efficientnet_b0"),
        ("densenet", "densenet201"),
    ):
        ours = [*ARCHC, "build", str(SPECS / f"{spec}.yaml"), "--variant", name, "--to", "onnx"]
        out = str(folder / "theirs.onnx")
        # The newer exporter needs onnxscript, which archc does not.
        for dynamo in (False, True) if find_spec("onnxscript") else (False,):
            code = EXPORT.format(root=str(ROOT), name=name, out=out, dynamo=dynamo)
            pair = alternate(
                [*ours, "-o", str(folder / "ours.onnx")], [sys.executable, "-c", code], rounds=3
            )
            label = f"{name} ({'dynamo' if dynamo else 'legacy'} exporter)"
            yield _row(label, pair, memory=True)


def _row(name: str, pair: Pair, *, memory: bool = False) -> str:
    ours, peer = (
        f"{one.seconds:.2f} ({one.megabytes:.0f})" if memory else f"{one.seconds:.2f}"
        for one in (pair.ours, pair.peer)
    )
    return f"| {name} | {ours} | {peer} | {pair.ratio:.1f} |"


TABLES = {"scaling": scaling, "checking": checking, "building": building}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="|".join(TABLES), help="default: all")
    chosen = parser.parse_args().tables or list(TABLES)
    unknown = set(chosen) - set(TABLES)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}")
    print(f"{platform.machine()}, Python {platform.python_version()}")
    for name in chosen:
        print(f"\n## {name.capitalize()}\n", flush=True)
        with tempfile.TemporaryDirectory(prefix="archc-bench-") as folder:
            for line in TABLES[name](Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()

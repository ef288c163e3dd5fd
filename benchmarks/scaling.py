"""Long networks: time and memory of a check and a build grow with the layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ARCHC, median, run

ABOUT = "Residual blocks over symbolic N, H and W; medians of five. Takes about 4 minutes."


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


def table(folder: Path) -> Iterator[str]:
    yield "| layers | check, s | CPU s | MB | build to ONNX, s | CPU s | MB |"
    yield "|---|---|---|---|---|---|---|"
    for count in (1_000, 10_000, 100_000):
        spec = folder / f"deep{count}.yaml"
        spec.write_text(layers_spec(count), encoding="utf-8")
        out = str(folder / "deep.onnx")
        cells = []
        more = ["--max-layers", str(4 * count)]  # the default is less than the largest
        for command in (["check", str(spec)], ["build", str(spec), "--to", "onnx", "-o", out]):
            one = median([run([*ARCHC, *command, *more]) for _ in range(5)])
            cells += [f"{one.seconds:.2f}", f"{one.cpu:.2f}", f"{one.megabytes:.0f}"]
        yield f"| {count:,} | {' | '.join(cells)} |"

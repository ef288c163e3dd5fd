"""What a comparison found, as a person and as a program reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph
from archc.parity.divergence import Divergence, comparison_data
from archc.parity.gate import Comparison
from archc.records import dataclass, field


@dataclass(frozen=True, slots=True)
class Report:
    """All comparisons of one network.

    Attributes:
        name: the network.
        comparisons: one per output, input and optimisation level.
        runtime: what ran the network that is compared with torch.
        diagnostics: why it could not be compared at all, if so.
        divergence: where the two part, if they do and a layer can be told.
        note: by what measure it passes, where that is not the usual one.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    runtime: str = "onnxruntime"
    diagnostics: tuple[Diagnostic, ...] = field(default=())
    divergence: Divergence | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is something to compare and all of it passes."""
        return bool(self.comparisons) and all(item.ok for item in self.comparisons)


def report_lines(report: Report) -> Iterator[str]:
    """The report: a line for each output, size and level, of the input that does worst."""
    yield f"{report.name}: scaled error against float64"
    worst: dict[tuple[str, str, bool | None], Comparison] = {}
    for item in report.comparisons:
        key = (item.output, _sizes(item), item.optimized)
        if key not in worst or item.badness > worst[key].badness:
            worst[key] = item
    rows = [(item.output, _sizes(item), _level(item.optimized)) for item in worst.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, item in zip(rows, worst.values(), strict=True):
        cells = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        numbers = (
            f"torch {item.torch_error:.1e}  {report.runtime} {item.ort_error:.1e}  "
            f"limit {item.limit:.1e}"
        )
        verdict = "ok" if item.ok else "FAILED"
        yield f"  {cells}  {item.problem or numbers}  {verdict}"
    if report.note:
        yield f"{report.name}: {report.note}"
    if report.divergence is not None:
        yield f"{report.name}: where it diverges (scaled error of a layer alone, and so far)"
        yield from report.divergence.lines()


def failures(report: Report, graph: Graph) -> list[Diagnostic]:
    """The diagnostics of a network that failed the gate: where it diverges, and what follows."""
    worst = max((item for item in report.comparisons if not item.ok), key=_badness)
    reason = worst.problem or (
        f"scaled error {worst.ort_error:.1e}, where {worst.limit:.1e} is the limit"
    )
    at = f" at {_sizes(worst)}" if worst.sizes else ""
    message = f"`{report.name}`: output `{worst.output}` differs{at}: {reason}"
    failed = Diagnostic("parity-failed", message, Label(graph.outputs[worst.output].span))
    if report.divergence is None:
        return [failed]
    return [report.divergence.diagnostic(), failed]


def report_data(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "name": report.name,
        "ok": report.ok,
        "runtime": report.runtime,
        "comparisons": [
            {
                "output": item.output,
                "sizes": dict(item.sizes),
                "optimized": item.optimized,
                "draw": item.draw,
                **(comparison_data(item) or {}),
            }
            for item in report.comparisons
        ],
        "divergence": report.divergence.as_data() if report.divergence else None,
        "note": report.note,
    }


def _badness(item: Comparison) -> float:
    return item.badness


def _level(optimized: bool | None) -> str:
    if optimized is None:
        return "eager"
    return "optimized" if optimized else "as written"


def _sizes(item: Comparison) -> str:
    return ", ".join(f"{name}={size}" for name, size in item.sizes.items())

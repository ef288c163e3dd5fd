"""What a comparison found, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph
from archc.parity.gate import Comparison
from archc.records import dataclass, field


@dataclass(frozen=True, slots=True)
class Report:
    """All comparisons of one network.

    Attributes:
        name: the network.
        comparisons: one per output, size and optimisation level.
        diagnostics: why it could not be compared at all, if so.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    diagnostics: tuple[Diagnostic, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether there is something to compare and all of it passes."""
        return bool(self.comparisons) and all(item.ok for item in self.comparisons)


def report_lines(report: Report) -> Iterator[str]:
    """The report, a line for each comparison."""
    yield f"{report.name}: scaled error against float64"
    rows = [
        (item.output, _sizes(item), "optimized" if item.optimized else "as written")
        for item in report.comparisons
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, item in zip(rows, report.comparisons, strict=True):
        cells = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        numbers = (
            f"torch {item.torch_error:.1e}  onnxruntime {item.ort_error:.1e}  "
            f"limit {item.limit:.1e}"
        )
        verdict = "ok" if item.ok else "FAILED"
        yield f"  {cells}  {item.problem or numbers}  {verdict}"


def failure(report: Report, graph: Graph) -> Diagnostic:
    """The diagnostic of a network that failed the gate."""
    worst = max((item for item in report.comparisons if not item.ok), key=_badness)
    reason = worst.problem or (
        f"scaled error {worst.ort_error:.1e}, where {worst.limit:.1e} is the limit"
    )
    at = f" at {_sizes(worst)}" if worst.sizes else ""
    message = f"`{report.name}`: output `{worst.output}` differs between the targets{at}: {reason}"
    return Diagnostic("parity-failed", message, Label(graph.outputs[worst.output].span))


def _badness(item: Comparison) -> float:
    return item.ort_error / item.limit


def _sizes(item: Comparison) -> str:
    return ", ".join(f"{name}={size}" for name, size in item.sizes.items())

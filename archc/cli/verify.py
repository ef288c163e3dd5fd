"""`archc verify`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from archc.cli.checking import check_file
from archc.cli.options import (
    SPEC,
    budget_option,
    dtype_option,
    opset_option,
    optimize_option,
    parse_sizes,
    seed_option,
    spec_options,
)
from archc.cli.printing import EXIT_ERRORS, complaints, need_torch, print_diagnostics, print_line
from archc.cli.progress import Progress
from archc.diagnostics import Diagnostic
from archc.diagnostics.machine import diagnostic_data, dump_json
from archc.graph.budget import over_budget
from archc.graph.precision import in_dtype
from archc.records import dataclass
from archc.types import DType

if TYPE_CHECKING:
    from archc.graph import Graph
    from archc.parity import Report


@click.command("verify")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...", type=SPEC)
@spec_options
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(),
    help="Compare with model.onnx, or with the torch module that module.py:name makes.",
)
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(),
    help="Weights to use: .safetensors, or .pth (default: random, or those of an ONNX file).",
)
@opset_option
@optimize_option
@dtype_option
@seed_option("Of weights and inputs.")
@budget_option
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(min=1),
    multiple=True,
    help="Batch size to try; may be repeated (default: 1, 2, 3).",
)
@click.option(
    "--at",
    metavar="H=224,W=224",
    callback=parse_sizes,
    help="Sizes of symbolic dims (default: some that work).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="A table for people, or everything for programs.",
)
def command(
    specs: tuple[str, ...],
    variant: str | None,
    overrides: dict[str, str],
    against: str | None,
    weights: str | None,
    opset: int | None,
    optimize: bool,
    dtype: str,
    seed: int,
    batches: tuple[int, ...],
    at: dict[str, int],
    max_parameters: int,
    form: str,
) -> None:
    """Prove that the PyTorch module and the ONNX graph of each SPEC compute the same.

    Both are built with the same random weights (batch-norm statistics and biases included) and
    run on the same inputs; onnxruntime, with graph optimisation off and on, must be as close to a
    float64 run as torch is. Where it is not, the first layer that diverges is named.

    --against compares SPEC with a network of somebody else's: an ONNX file, with the weights that
    it holds, or a torch module, which is given weights by their keys. The Python file that is
    named there is executed.
    """
    need_torch("`archc verify`")
    if against is not None and len(specs) > 1:
        raise click.UsageError("--against takes one SPEC")
    task = _Task(against, weights, opset, optimize, DType(dtype), seed, batches, at)
    verdicts = [_checked(spec, variant, overrides, max_parameters, task, form) for spec in specs]
    if form == "json":
        click.echo(dump_json({"version": 1, "networks": [item.as_data() for item in verdicts]}))
    if not all(item.ok for item in verdicts):
        raise SystemExit(EXIT_ERRORS)


@dataclass(frozen=True, slots=True)
class _Task:
    """What is asked of every spec."""

    against: str | None
    weights: str | None
    opset: int | None
    optimize: bool
    dtype: DType
    seed: int
    batches: tuple[int, ...]
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What was found of one spec."""

    spec: str
    graph: Graph | None
    report: Report | None
    problems: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        return self.report is not None and self.report.ok

    def as_data(self) -> dict[str, Any]:
        from archc.parity import failures, report_data

        found = list(self.problems)
        if self.report is not None and self.graph is not None and self.report.comparisons:
            found += [] if self.report.ok else failures(self.report, self.graph)
        data: dict[str, Any] = {"spec": self.spec}
        data |= report_data(self.report) if self.report else {"ok": False}
        return data | {"diagnostics": [diagnostic_data(item) for item in found]}


def _checked(
    spec: str,
    variant: str | None,
    overrides: dict[str, str],
    max_parameters: int,
    task: _Task,
    form: str,
) -> _Verdict:
    """Check one spec and compare it; printed at once where a person reads."""
    checked = check_file(spec, variant, overrides)
    problems = complaints(checked.diagnostics)
    if checked.ok and checked.graph is not None:
        refused = over_budget(checked.graph, max_parameters)
        problems += [refused] if refused is not None else []
    graph = None if any(item.is_error for item in problems) else checked.graph
    report = None
    if graph is not None:
        graph = in_dtype(graph, task.dtype)
        report = _compared(graph, task)
        problems += report.diagnostics
    if form == "text":
        print_diagnostics(problems)
        if report is not None and graph is not None and not report.diagnostics:
            print_report(report, graph)
    return _Verdict(spec, graph, report, tuple(problems))


def _compared(graph: Graph, task: _Task) -> Report:
    with Progress() as progress:
        from archc.parity import verify_spec

        return verify_spec(
            graph,
            against=task.against,
            weights=task.weights,
            batches=task.batches or None,
            sizes=task.sizes,
            opset=task.opset,
            optimize=task.optimize,
            seed=task.seed,
            tell=progress.show,
        )


def print_report(report: Report, graph: Graph) -> bool:
    """Print what a comparison found; returns whether it passed."""
    from archc.parity import failures, report_lines

    if report.diagnostics:
        print_diagnostics(report.diagnostics)
        return False
    for line in report_lines(report):
        print_line(line)
    if not report.ok:
        print_diagnostics(failures(report, graph))
    return report.ok

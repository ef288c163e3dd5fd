"""`archc verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archc.cli.checking import check_file
from archc.cli.options import (
    SPEC,
    budget_option,
    dtype_option,
    opset_option,
    parse_sizes,
    seed_option,
    spec_options,
)
from archc.cli.printing import EXIT_ERRORS, complaints, need_torch, print_diagnostics, print_line
from archc.cli.progress import Progress
from archc.graph.budget import over_budget
from archc.graph.precision import in_dtype
from archc.types import DType

if TYPE_CHECKING:
    from archc.graph import Graph
    from archc.parity import Report


@click.command("verify")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...", type=SPEC)
@spec_options
@opset_option
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
def command(
    specs: tuple[str, ...],
    variant: str | None,
    overrides: dict[str, str],
    opset: int | None,
    dtype: str,
    seed: int,
    batches: tuple[int, ...],
    at: dict[str, int],
    max_parameters: int,
) -> None:
    """Prove that the PyTorch module and the ONNX graph of each SPEC compute the same.

    Both are built with the same random weights (batch-norm statistics and biases included) and
    run on the same inputs; onnxruntime, with graph optimisation off and on, must be as close to a
    float64 run as torch is.
    """
    need_torch("`archc verify`")
    ok = True
    for spec in specs:
        graph = _checked(spec, variant, overrides, max_parameters, DType(dtype))
        ok = graph is not None and _verify(graph, opset, seed, batches, at) and ok
    if not ok:
        raise SystemExit(EXIT_ERRORS)


def _checked(
    spec: str, variant: str | None, overrides: dict[str, str], max_parameters: int, dtype: DType
) -> Graph | None:
    """The graph of a spec; None after errors (printed)."""
    checked = check_file(spec, variant, overrides)
    print_diagnostics(complaints(checked.diagnostics))
    if not checked.ok or checked.graph is None:
        return None
    refused = over_budget(checked.graph, max_parameters)
    if refused is not None:
        print_diagnostics([refused])
        return None
    return in_dtype(checked.graph, dtype)


def _verify(
    graph: Graph, opset: int | None, seed: int, batches: tuple[int, ...], sizes: dict[str, int]
) -> bool:
    with Progress() as progress:
        from archc.parity import verify_graph

        report = verify_graph(
            graph,
            batches=batches or None,
            sizes=sizes,
            opset=opset,
            seed=seed,
            tell=progress.show,
        )
    return print_report(report, graph)


def print_report(report: Report, graph: Graph) -> bool:
    """Print what a comparison found; returns whether it passed."""
    from archc.parity import failure, report_lines

    if report.diagnostics:
        print_diagnostics(report.diagnostics)
        return False
    for line in report_lines(report):
        print_line(line)
    if not report.ok:
        print_diagnostics([failure(report, graph)])
    return report.ok

"""`archc verify`."""

from __future__ import annotations

import click

from archc.cli.shared import (
    EXIT_ERRORS,
    checked_or_exit,
    fail,
    import_or_exit,
    parse_sizes,
    print_diagnostics,
    spec_options,
)


@click.command("verify")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@spec_options
@click.option("--opset", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights and inputs.")
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(min=1),
    multiple=True,
    help="Batch size to try; may be repeated (default 1, 2, 3).",
)
@click.option("--at", metavar="H=224,W=224", callback=parse_sizes, help="Sizes of symbolic dims.")
def command(
    specs: tuple[str, ...],
    variant: str | None,
    overrides: dict[str, str],
    opset: int,
    seed: int,
    batches: tuple[int, ...],
    at: dict[str, int],
) -> None:
    """Prove that the PyTorch module and the ONNX graph of each SPEC compute the same.

    Both are built with the same random weights (batch-norm statistics and biases included) and
    run on the same inputs; onnxruntime, with graph optimisation off and on, must be as close to a
    float64 run as torch is.
    """
    import_or_exit("torch", "torch")
    ok = True
    for spec in specs:
        ok = _verify(spec, variant, overrides, opset, seed, batches, at) and ok
    if not ok:
        raise SystemExit(EXIT_ERRORS)


def _verify(
    spec: str,
    variant: str | None,
    overrides: dict[str, str],
    opset: int,
    seed: int,
    batches: tuple[int, ...],
    sizes: dict[str, int],
) -> bool:
    graph = checked_or_exit(spec, variant, overrides).graph
    assert graph is not None
    from archc.parity import BATCHES, failure, report_lines, verify_graph

    report = verify_graph(graph, batches=batches or BATCHES, sizes=sizes, opset=opset, seed=seed)
    if report.diagnostics:
        fail(report.diagnostics)
    for line in report_lines(report):
        click.echo(line)
    if not report.ok:
        print_diagnostics([failure(report, graph)])
    return report.ok

"""`archc build`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archc.cli.shared import (
    EXIT_ERRORS,
    checked_or_exit,
    fail,
    import_or_exit,
    print_diagnostics,
    spec_options,
)

if TYPE_CHECKING:
    from archc.artifacts import Target
    from archc.graph import Graph
    from archc.weights import WeightSource


@click.command("build")
@click.argument("spec")
@click.option(
    "--to",
    "target",
    type=click.Choice(["onnx", "torch"]),
    required=True,
    help="ONNX file, or PyTorch source with its weights as safetensors.",
)
@click.option("-o", "--output", metavar="FILE", help="Where to write (default: the model's name).")
@spec_options
@click.option(
    "--weights", metavar="FILE", help="Weights to use: .safetensors, or .pth (needs torch)."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the weights drawn without a file."
)
@click.option(
    "--opset",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="ONNX operator set.",
)
@click.option(
    "--external-data/--no-external-data",
    default=None,
    help="ONNX weights in a file of their own (default: only above 2 GB).",
)
@click.option("--verify", is_flag=True, help="Compare both targets after writing (needs torch).")
def command(
    spec: str,
    target: Target,
    output: str | None,
    variant: str | None,
    overrides: dict[str, str],
    weights: str | None,
    seed: int,
    opset: int,
    external_data: bool | None,
    verify: bool,
) -> None:
    """Build SPEC (`-` is standard input): check it, then write it for the chosen target.

    Without --weights, weights are drawn as the spec declares: the same seed gives the same numbers
    for both targets. Files appear complete or not at all.
    """
    if verify:
        import_or_exit("torch", "torch")
    graph = checked_or_exit(spec, variant, overrides).graph
    assert graph is not None
    from archc.artifacts import build_graph, default_output

    path = default_output(graph, target) if output is None else Path(output)
    source = _weights(weights, graph, seed)
    bar = _Progress(f"writing {path.name}")
    written = build_graph(
        graph,
        target,
        path,
        source,
        opset=opset,
        external_data=external_data,
        spec=None if spec == "-" else Path(spec),
        progress=bar.update,
    )
    bar.close()
    if written.diagnostics:
        fail(written.diagnostics)
    for file in written.files:
        click.echo(f"wrote {file} ({_size(file.stat().st_size)})")
    if verify:
        _verify(graph, source, path if target == "onnx" else None, opset, seed)


def _weights(path: str | None, graph: Graph, seed: int) -> WeightSource:
    from archc.weights import DrawnWeights, load_weights

    if path is None:
        return DrawnWeights(seed)
    if path.endswith((".pth", ".pt", ".bin")):
        import_or_exit("torch", "torch")
    loaded, problems = load_weights(path, graph)
    if loaded is None or problems:
        fail(problems)
    return loaded


def _verify(graph: Graph, weights: WeightSource, model: Path | None, opset: int, seed: int) -> None:
    from archc.parity import failure, report_lines, verify_graph

    report = verify_graph(graph, weights=weights, model=model, opset=opset, seed=seed)
    if report.diagnostics:
        fail(report.diagnostics)
    for line in report_lines(report):
        click.echo(line)
    if not report.ok:
        print_diagnostics([failure(report, graph)])
        raise SystemExit(EXIT_ERRORS)


class _Progress:
    """A line on standard error for work over a second, on a terminal only."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.started = time.monotonic()
        self.shown = False
        self.enabled = sys.stderr.isatty()

    def update(self, done: int, total: int) -> None:
        if not self.enabled or time.monotonic() - self.started < 1.0:
            return
        self.shown = True
        share = done / total if total else 1.0
        click.echo(f"\r{self.title}: {share:4.0%} of {_size(total)}", err=True, nl=False)

    def close(self) -> None:
        if self.shown:
            click.echo("\r\x1b[K", err=True, nl=False)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"

"""`archc build`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from archc.cli.checking import checked_or_exit
from archc.cli.options import (
    SPEC,
    budget_option,
    dtype_option,
    opset_option,
    optimize_option,
    seed_option,
    spec_options,
)
from archc.cli.printing import (
    EXIT_ERRORS,
    fail,
    need_torch,
    print_diagnostics,
    print_line,
)
from archc.cli.progress import Progress, format_size
from archc.compile import Checked, with_images
from archc.graph.precision import in_dtype
from archc.types import DType

if TYPE_CHECKING:
    from archc.alternatives import SpecAlternatives
    from archc.artifacts import Target, Written
    from archc.graph import Graph
    from archc.weights import Exceptions, WeightSource

_ONNX_ONLY = {
    "opset": "--opset",
    "external_data": "--external-data",
    "optimize": "--optimize",
    "with_preprocess": "--with-preprocess",
}


@click.command("build")
@click.argument("spec", type=SPEC)
@click.option(
    "--to",
    "target",
    type=click.Choice(["onnx", "torch"]),
    help="ONNX file, or PyTorch source with its weights as safetensors.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    help="Where to write (default: the model's name, in the working folder).",
)
@spec_options
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(),
    help="Weights to use: .safetensors, or .pth (needs torch).",
)
@click.option(
    "--allow-missing",
    metavar="PATTERN",
    multiple=True,
    help="Weights (fc.*) that FILE may lack or hold in another shape: they are drawn.",
)
@click.option(
    "--ignore-unexpected",
    metavar="PATTERN",
    multiple=True,
    help="Tensors of FILE (aux.*) that the network may have no place for.",
)
@seed_option("Of the weights that are drawn.")
@opset_option
@dtype_option
@click.option(
    "--external-data/--no-external-data",
    default=None,
    help="ONNX weights in a file of their own (default: only above 2 GB).",
)
@optimize_option
@click.option(
    "--with-preprocess",
    is_flag=True,
    help="Compile crop and normalisation into the model: it takes uint8 images [N, H, W, C].",
)
@budget_option
@click.option("--force", is_flag=True, help="Replace weights that archc did not write, too.")
@click.option("--sync", is_flag=True, help="Wait until the disk has the files.")
@click.option("--verify", is_flag=True, help="Compare both targets after writing (needs torch).")
@click.pass_context
def command(
    ctx: click.Context,
    spec: str,
    target: Target | None,
    output: str | None,
    variant: str | None,
    overrides: dict[str, str],
    weights: str | None,
    allow_missing: tuple[str, ...],
    ignore_unexpected: tuple[str, ...],
    seed: int,
    opset: int | None,
    dtype: str,
    external_data: bool | None,
    optimize: bool,
    with_preprocess: bool,
    max_parameters: int,
    force: bool,
    sync: bool,
    verify: bool,
) -> None:
    """Build SPEC (`-` is standard input): check it, then write it for the chosen target.

    Without --weights, weights are drawn as the spec declares: the same seed gives the same numbers
    for both targets. Files appear complete or not at all.
    """
    if target is None:
        raise click.UsageError(f"say what to build: archc build {spec} --to onnx (or --to torch)")
    _refuse_combinations(ctx, target)
    if verify:
        need_torch("`--verify`")
    from archc.alternatives import SpecAlternatives
    from archc.weights import CastWeights, DrawnWeights, Exceptions

    checked = checked_or_exit(spec, variant, overrides)
    alternatives = SpecAlternatives(checked, overrides)
    if with_preprocess:
        checked = with_images(checked)
        if checked.graph is None:
            fail(found for found in checked.diagnostics if found.is_error)
    assert checked.graph is not None
    graph = in_dtype(checked.graph, DType(dtype))
    checked = replace(checked, graph=graph)
    source: WeightSource = CastWeights(DrawnWeights(seed))
    if weights is not None:
        exceptions = Exceptions(allow_missing, ignore_unexpected)
        source = _loaded(weights, graph, exceptions, alternatives, seed)
    written = _write(
        checked,
        target,
        output,
        source,
        weights,
        opset=opset,
        external_data=external_data,
        optimize=optimize,
        max_parameters=max_parameters,
        force=force,
        sync=sync,
    )
    print_diagnostics(written.diagnostics)
    if not written.files:
        raise SystemExit(EXIT_ERRORS)
    for file in written.files:
        print_line(f"wrote {file} ({format_size(file.stat().st_size)})")
    for phrase in written.optimised:
        print_line(f"  {phrase}")
    if verify and not _verify(graph, target, written, source, opset, seed):
        raise SystemExit(EXIT_ERRORS)


def _refuse_combinations(ctx: click.Context, target: Target) -> None:
    """Refuse options that mean nothing together."""
    for name, option in _ONNX_ONLY.items() if target == "torch" else ():
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} is for --to onnx")
    chosen = ctx.params
    if chosen["weights"] is None and (chosen["allow_missing"] or chosen["ignore_unexpected"]):
        raise click.UsageError("--allow-missing and --ignore-unexpected are for --weights")
    if chosen["with_preprocess"] and chosen["dtype"] != DType.FLOAT32.value:
        raise click.UsageError("--with-preprocess computes in float32: leave --dtype out")


def _loaded(
    path: str, graph: Graph, exceptions: Exceptions, others: SpecAlternatives, seed: int
) -> WeightSource:
    from archc.weights import load_weights

    loaded, problems = load_weights(
        path, graph, exceptions=exceptions, alternatives=others, seed=seed
    )
    if loaded is None:
        fail(problems)
    print_diagnostics(problems)
    return loaded


def _write(
    checked: Checked,
    target: Target,
    output: str | None,
    source: WeightSource,
    weights: str | None,
    *,
    opset: int | None,
    external_data: bool | None,
    optimize: bool,
    max_parameters: int,
    force: bool,
    sync: bool,
) -> Written:
    from archc.artifacts import build_graph, default_output

    graph = checked.graph
    assert graph is not None
    path = default_output(graph, target) if output is None else Path(output)
    with Progress() as progress:
        return build_graph(
            graph,
            target,
            path,
            source,
            opset=opset,
            external_data=external_data,
            optimize=optimize,
            max_parameters=max_parameters,
            force=force,
            sync=sync,
            inputs=[*checked.files, *([Path(weights)] if weights is not None else [])],
            progress=lambda done, total: progress.show(
                f"writing {path.name}: {done / total:4.0%} of {format_size(total)}"
            ),
        )


def _verify(
    graph: Graph,
    target: Target,
    written: Written,
    weights: WeightSource,
    opset: int | None,
    seed: int,
) -> bool:
    """Compare what was just written, read back, with the other target."""
    from archc.cli.verify import print_report
    from archc.parity import verify_graph
    from archc.weights import load_weights

    main = written.files[0]
    if target == "torch":
        loaded, problems = load_weights(written.files[1], graph)
        if loaded is None:
            fail(problems)
        weights = loaded
    with Progress() as progress:
        report = verify_graph(
            graph,
            weights=weights,
            model=main if target == "onnx" else None,
            source=main if target == "torch" else None,
            opset=opset,
            seed=seed,
            tell=progress.show,
        )
    return print_report(report, graph)

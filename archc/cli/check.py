"""`archc check`."""

from __future__ import annotations

import click

from archc.cli.shared import EXIT_ERRORS, format_option, print_diagnostics, spec_options
from archc.compile import Checked, check_file
from archc.diagnostics import Diagnostic
from archc.elaborate.checks import macs
from archc.types import format_dim


@click.command("check")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@spec_options
@click.option("--all-variants", is_flag=True, help="Check every variant of each spec.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what is wrong.")
@format_option
def command(
    specs: tuple[str, ...],
    variant: str | None,
    overrides: dict[str, str],
    all_variants: bool,
    quiet: bool,
    output_format: str,
) -> None:
    """Prove the shapes of every SPEC (`-` is standard input) without building anything.

    All errors of a file are reported at once, each with its place, cause and a suggestion.
    """
    if all_variants and variant is not None:
        raise click.UsageError("--variant and --all-variants exclude each other")
    results = [
        result for spec in specs for result in _check(spec, variant, overrides, all_variants)
    ]
    print_diagnostics(
        _distinct(results), output_format, to_stdout=output_format not in {"full", "concise"}
    )
    if output_format == "full" and not quiet:
        for result in results:
            if result.ok:
                click.echo(_line(result))
    if not all(result.ok for result in results):
        raise SystemExit(EXIT_ERRORS)


def _check(
    spec: str, variant: str | None, overrides: dict[str, str], all_variants: bool
) -> list[Checked]:
    first = check_file(spec, variant, overrides)
    if not all_variants or first.spec is None or not first.spec.variants or spec == "-":
        return [first]
    return [check_file(spec, name, overrides) for name in first.spec.variants]


def _distinct(results: list[Checked]) -> list[Diagnostic]:
    """Findings of all results, those that several variants share once."""
    seen: dict[tuple[object, ...], Diagnostic] = {}
    for result in results:
        for diagnostic in result.diagnostics:
            seen.setdefault((*diagnostic.sort_key(), diagnostic.message), diagnostic)
    return list(seen.values())


def _line(result: Checked) -> str:
    graph = result.graph
    assert graph is not None and result.source is not None
    inputs = ", ".join(f"{value.name} {value.type}" for value in graph.inputs)
    outputs = ", ".join(f"{name} {value.type}" for name, value in graph.outputs.items())
    total = macs(graph)
    work = f"{total:,}" if isinstance(total, int) else format_dim(total)
    return (
        f"{result.source.name}: {graph.name} is sound: {inputs} -> {outputs}; "
        f"{len(graph.nodes):,} layers, {graph.parameter_count:,} parameters, {work} MACs"
    )

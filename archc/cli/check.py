"""`archc check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from archc.cli.checking import budgets, check_file
from archc.cli.options import SPEC, format_option, spec_options
from archc.cli.printing import EXIT_ERRORS, complaints, print_diagnostics, print_line
from archc.compile import Checked, check_source
from archc.diagnostics import Diagnostic
from archc.graph.costs import total_macs
from archc.spec.shipped import find_spec
from archc.types import evaluate, format_dim, symbols_of
from archc.types.sizes import describe_sizes


@click.command("check")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...", type=SPEC)
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
    found = _distinct(results)
    print_diagnostics(
        complaints(found) if quiet else found,
        output_format,
        to_stdout=output_format not in {"full", "concise"},
    )
    if output_format == "full" and not quiet:
        for result in results:
            if result.ok:
                print_line(_line(result))
                for demand in _demands(result):
                    print_line(demand)
    if not all(result.ok for result in results):
        raise SystemExit(EXIT_ERRORS)


def _check(
    spec: str, variant: str | None, overrides: dict[str, str], all_variants: bool
) -> list[Checked]:
    shipped = find_spec(spec) if all_variants else None
    if shipped is not None and shipped.variant is not None:
        family = shipped.path.stem
        raise click.UsageError(f"`{spec}` is one variant: archc check {family} --all-variants")
    first = check_file(spec, variant, overrides)
    if not all_variants or first.spec is None or first.source is None or not first.spec.variants:
        return [first]
    # The text is read once: standard input has no second time.
    folder = Path.cwd() if spec == "-" else Path(first.source.name).parent
    return [
        check_source(first.source, folder, name, overrides, ops=first.ops, budgets=budgets())
        for name in first.spec.variants
    ]


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
    total = total_macs(graph)
    symbols = symbols_of(total)
    if len(symbols) <= 1:  # the batch, or nothing
        where = "".join(f" at {name} = 1" for name in symbols)
        work = f"{evaluate(total, dict.fromkeys(symbols, 1)):,} MACs{where}"
    else:
        work = f"{format_dim(total)} MACs"
    return (
        f"{result.source.name}: {graph.name} is sound: {inputs} -> {outputs}; "
        f"{len(graph.nodes):,} layers, {graph.parameter_count:,} parameters, {work}"
    )


def _demands(result: Checked) -> Iterator[str]:
    """What the network demands of its symbolic sizes, a line each."""
    assert result.graph is not None
    for name, sizes in sorted(result.graph.sizes.items()):
        yield f"  {describe_sizes(name, sizes)}: {', '.join(map(str, sizes.first(3)))}, ..."

"""`archc show`."""

from __future__ import annotations

import os
import shutil
import sys

import click

from archc.cli.checking import check_file
from archc.cli.options import SPEC, parse_sizes, spec_options
from archc.cli.printing import EXIT_ERRORS, complaints, print_diagnostics, use_color
from archc.cli.sizes import checked_at
from archc.targets.report import (
    Report,
    build_report,
    report_csv,
    report_json,
    report_markdown,
    report_text,
)


@click.command("show")
@click.argument("spec", type=SPEC)
@spec_options
@click.option(
    "--at",
    "sizes",
    metavar="N=8,H=320",
    callback=parse_sizes,
    help="Show the network at these sizes of its symbolic dims.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json", "csv"]),
    default="text",
    show_default=True,
    help="A table for people, or every layer for programs.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    help="Show deeper levels of the layer tree as one line each.",
)
@click.option("--full", is_flag=True, help="Write repeats out.")
def command(
    spec: str,
    variant: str | None,
    overrides: dict[str, str],
    sizes: dict[str, int],
    form: str,
    depth: int | None,
    full: bool,
) -> None:
    """Show every layer of SPEC: shape, the arithmetic behind it, parameters, work, memory.

    The last column is the receptive field: size, /stride, and where the field of the first
    position starts. Blocks that repeat are shown once (x36); JSON and CSV hold all layers. Of a
    spec with errors it shows the layers that can be typed, and the errors.
    """
    if form in {"json", "csv"} and (depth is not None or full):
        raise click.UsageError(f"--depth and --full are for tables: {form} holds every layer")
    checked = checked_at(check_file(spec, variant, overrides), sizes)
    if checked.partial is not None:
        report = build_report(checked.partial, complete=checked.ok)
        color = use_color(sys.stdout)
        click.echo(_text(report, form, depth, full, color), nl=False, color=color)
    print_diagnostics(complaints(checked.diagnostics))
    if not checked.ok:
        raise SystemExit(EXIT_ERRORS)


def _text(report: Report, form: str, depth: int | None, full: bool, color: bool) -> str:
    if form == "json":
        return report_json(report)
    if form == "csv":
        return report_csv(report)
    if form == "md":
        return report_markdown(report, depth=depth, unfold=full)
    return report_text(report, width=_width(), color=color, depth=depth, unfold=full)


def _width() -> int | None:
    """Columns to fit; None where nothing has to fit, as in a file or a pipe."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    if on_terminal or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size((100, 24)).columns
    return None

"""What commands share: options about a spec, and printing what was found."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

import click

from archc.compile import Checked, check_file
from archc.diagnostics import Diagnostic
from archc.diagnostics.render import OutputFormat, render
from archc.diagnostics.text import summary

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_ERRORS = 1


def spec_options(command: Command) -> Command:
    """Options that choose a variant and set params."""
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PARAM=VALUE",
        callback=_parse_overrides,
        help="Set a param of the spec; may be repeated.",
    )(command)
    return click.option("--variant", metavar="NAME", help="Which variant of the spec.")(command)


def format_option(command: Command) -> Command:
    """The option that chooses how diagnostics are printed."""
    return click.option(
        "--output-format",
        type=click.Choice([item.value for item in OutputFormat]),
        default=OutputFormat.FULL.value,
        show_default=True,
        help="How diagnostics are printed.",
    )(command)


def _parse_overrides(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    overrides: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"write PARAM=VALUE, not {value!r}", ctx, param)
        overrides[name.strip()] = text
    return overrides


def parse_sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, int]:
    """Callback of options that take `NAME=SIZE,...`."""
    sizes: dict[str, int] = {}
    for part in filter(None, (value or "").split(",")):
        name, equals, text = part.partition("=")
        if not equals or not text.strip().isdigit() or int(text) < 1:
            raise click.BadParameter(f"write NAME=SIZE, not {part!r}", ctx, param)
        sizes[name.strip()] = int(text)
    return sizes


def use_color(stream: Any) -> bool:
    """Whether a stream takes colours: a terminal, and NO_COLOR is not set."""
    return not os.environ.get("NO_COLOR") and bool(stream.isatty())


def print_diagnostics(
    diagnostics: Iterable[Diagnostic],
    output_format: str = OutputFormat.FULL.value,
    *,
    to_stdout: bool = False,
) -> None:
    """Print findings: for a person on standard error, for a program where it reads."""
    found = list(diagnostics)
    chosen = OutputFormat(output_format)
    stream = sys.stdout if to_stdout else sys.stderr
    for_people = chosen in {OutputFormat.FULL, OutputFormat.CONCISE}
    if for_people and not found:
        return
    width = shutil.get_terminal_size((100, 24)).columns
    text = render(found, chosen, color=for_people and use_color(stream), width=width)
    click.echo(text.rstrip("\n"), file=stream)
    if chosen is OutputFormat.FULL:
        click.echo(summary(found), file=stream)


def checked_or_exit(spec: str, variant: str | None, overrides: dict[str, str]) -> Checked:
    """Check a spec; print what was found, and leave with exit code 1 when there are errors."""
    checked = check_file(spec, variant, overrides)
    print_diagnostics(checked.diagnostics)
    if not checked.ok:
        raise SystemExit(EXIT_ERRORS)
    return checked


def fail(diagnostics: Iterable[Diagnostic]) -> NoReturn:
    """Print findings and leave with exit code 1."""
    print_diagnostics(diagnostics)
    raise SystemExit(EXIT_ERRORS)


def import_or_exit(module: str, extra: str) -> None:
    """Make sure a package of an optional extra is there; else say how to install it."""
    if importlib.util.find_spec(module) is not None:
        return
    fail(
        [
            Diagnostic(
                "missing-extra",
                f"this needs {module}, which is not installed",
                help=(f"pip install 'archc[{extra}]'",),
            )
        ]
    )

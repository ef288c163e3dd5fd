"""Options that several commands take, and how their values are completed in a shell."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from archc.diagnostics.render import OutputFormat
from archc.graph.budget import MAX_PARAMETERS

Command = TypeVar("Command", bound=Callable[..., Any])

SPEC = click.Path(allow_dash=True)
"""The type of an argument that names a spec: shells complete file names; the check reads it."""

_SIZE = re.compile(r"[0-9]{1,9}")


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
    return click.option(
        "--variant",
        metavar="NAME",
        help="Which variant of the spec.",
        shell_complete=_complete_variant,
    )(command)


def format_option(command: Command) -> Command:
    """The option that chooses how diagnostics are printed."""
    return click.option(
        "--output-format",
        type=click.Choice([item.value for item in OutputFormat]),
        default=OutputFormat.FULL.value,
        show_default=True,
        help="How diagnostics are printed.",
    )(command)


def opset_option(command: Command) -> Command:
    """The option that chooses the ONNX operator set."""
    return click.option(
        "--opset",
        type=click.IntRange(min=1),
        default=20,
        show_default=True,
        help="ONNX operator set.",
    )(command)


def seed_option(help: str) -> Callable[[Command], Command]:
    """The option that seeds what is drawn; `help` says what that is."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help=help
    )


def budget_option(command: Command) -> Command:
    """The option that raises the budget of parameters."""
    return click.option(
        "--max-parameters",
        type=click.IntRange(min=1),
        default=MAX_PARAMETERS,
        show_default=True,
        help="Refuse larger networks before anything is allocated.",
    )(command)


def parse_sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, int]:
    """Callback of options that take `NAME=SIZE,...`."""
    sizes: dict[str, int] = {}
    for part in filter(None, (value or "").split(",")):
        name, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not _SIZE.fullmatch(text) or int(text) < 1:
            raise click.BadParameter(f"write NAME=SIZE, not {part!r}", ctx, param)
        sizes[name] = int(text)
    return sizes


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


def _complete_variant(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The variants of the specs that the line names already."""
    from archc.compile import check_file

    # `--variant` without a value ends click's parsing: what it has not assigned is in `args`.
    names: dict[str, None] = {}
    for word in ctx.args:
        checked = check_file(word) if word.endswith((".yaml", ".yml")) else None
        if checked is not None and checked.spec is not None:
            names |= dict.fromkeys(checked.spec.variants)
    return [name for name in names if name.startswith(incomplete)]

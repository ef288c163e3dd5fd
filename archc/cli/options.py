"""Options that several commands take, and how their values are completed in a shell."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from archc.cli.checking import enable_plugins, raise_budget
from archc.diagnostics.render import OutputFormat
from archc.elaborate.builder import MAX_LAYERS
from archc.graph.budget import MAX_PARAMETERS
from archc.graph.precision import PRECISIONS
from archc.spec.files import MAX_FILE_SIZE
from archc.types import DType

Command = TypeVar("Command", bound=Callable[..., Any])


class SpecName(click.Path):
    """The type of an argument that names a spec, by its file or its name in the zoo."""

    name = "spec"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files; names of the zoo beside them, once a letter tells which are meant."""
        names = _shipped(incomplete) if incomplete else []
        if not names:
            return super().shell_complete(ctx, param, incomplete)
        # A shell completes files by itself only where it is given nothing else.
        files = [path for path in Path().iterdir() if path.name.startswith(incomplete)]
        shown = sorted(f"{path.name}/" if path.is_dir() else path.name for path in files)
        return [CompletionItem(word) for word in (*names, *shown)]


class NetworkName(click.types.StringParamType):
    """The type of an option that names a network of the zoo."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of the zoo."""
        return [CompletionItem(name) for name in _shipped(incomplete)]


def _shipped(incomplete: str) -> list[str]:
    from archc.spec.shipped import shipped_names

    return [name for name in shipped_names() if name.startswith(incomplete)]


SPEC = SpecName(allow_dash=True)
NETWORK = NetworkName()

_SIZE = re.compile(r"[0-9]{1,9}")


def spec_options(command: Command) -> Command:
    """Options that choose a variant, set params, enable plugins and raise budgets."""
    for name, limit, said in (
        ("--max-layers", MAX_LAYERS, "Layers and turns of loops that the spec may unfold to."),
        ("--max-file-size", MAX_FILE_SIZE, "Bytes of the spec, and of every file it imports."),
    ):
        command = click.option(
            name,
            type=click.IntRange(min=1),
            default=limit,
            show_default=True,
            expose_value=False,
            callback=raise_budget,
            help=said,
        )(command)
    command = click.option(
        "--plugin",
        multiple=True,
        metavar="MODULE",
        expose_value=False,
        callback=enable_plugins,
        help="A Python module with further ops; may be repeated.",
    )(command)
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
        show_default="20; 22 for bfloat16",
        help="ONNX operator set.",
    )(command)


def dtype_option(command: Command) -> Command:
    """The option that chooses the dtype of the network."""
    return click.option(
        "--dtype",
        type=click.Choice([dtype.value for dtype in PRECISIONS]),
        default=DType.FLOAT32.value,
        show_default=True,
        help="What weights and results are, inputs and outputs too.",
    )(command)


def optimize_option(command: Command) -> Command:
    """The option that chooses between ONNX for inference and ONNX name for name."""
    return click.option(
        "--optimize/--no-optimize",
        default=True,
        show_default=True,
        help="Write ONNX for fast inference, or every layer and weight under its own name.",
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
    from archc.spec.shipped import shipped_files

    # `--variant` without a value ends click's parsing: what it has not assigned is in `args`.
    names: dict[str, None] = {}
    for word in ctx.args:
        named = word.endswith((".yaml", ".yml")) or word in shipped_files()
        checked = check_file(word) if named else None
        if checked is not None and checked.spec is not None:
            names |= dict.fromkeys(checked.spec.variants)
    return [name for name in names if name.startswith(incomplete)]

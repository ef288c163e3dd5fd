"""The command line: `archc COMMAND`. Commands are imported when they are run."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from archc import __version__

COMMANDS = {
    "build": "Write ONNX or PyTorch source from a spec.",
    "check": "Prove a spec's shapes before anything is built.",
    "expand": "Print a spec with everything expanded: no params, blocks or loops.",
    "explain": "Explain a diagnostic code.",
    "run": "Run an ONNX model with onnxruntime.",
    "verify": "Prove that the PyTorch and ONNX forms of a spec compute the same.",
}
"""Name -> one line for the overview; each has a module of its name in this package."""


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"archc.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in sorted(COMMANDS)])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="archc")
def archc() -> None:
    """Compile neural-network architectures: YAML layer lists to ONNX and PyTorch.

    Shapes are proved before anything is built. Exit codes: 0 fine, 1 errors in the input, 2 wrong
    usage.

    Shell completion: eval "$(_ARCHC_COMPLETE=bash_source archc)" (or zsh_source, fish_source).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `archc` program."""
    archc(args=None if arguments is None else list(arguments), prog_name="archc")

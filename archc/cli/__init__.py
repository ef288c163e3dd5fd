"""The command line: `archc COMMAND`. Commands are imported when they are run."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from archc.cli.startup import start_sooner
from archc.version import __version__

COMMANDS = {
    "build": "Write ONNX or PyTorch source from a spec.",
    "check": "Prove a spec's shapes before anything is built.",
    "expand": "Print a spec with everything expanded: no params, blocks or loops.",
    "explain": "Explain a diagnostic code, or a layer of a spec.",
    "list": "List the networks of the zoo.",
    "new": "Start a spec, from a template or from a network of the zoo.",
    "quantize": "Write a model in 8-bit integers, and say what that changes.",
    "run": "Run an ONNX model with onnxruntime.",
    "show": "Show every layer: shape, arithmetic, parameters, work, memory.",
    "verify": "Prove that the PyTorch and ONNX forms of a spec compute the same.",
}
"""Name -> one line for the overview; each has a module of its name in this package."""

EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h: neither 1 nor 2 may mean a fault of archc
_SIGNALLED = 128  # how a shell reports the end by a signal: 128 + its number


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(_unknown_command(name))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in sorted(COMMANDS)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options; click's own way to list commands imports all of them."""
        names = [name for name in sorted(COMMANDS) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with _no_traceback():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _no_traceback():
            return super().invoke(ctx)


@contextmanager
def _no_traceback() -> Iterator[None]:
    """End the program with a line, whatever escapes; click takes care of wrong usage."""
    try:
        yield
    except KeyboardInterrupt:
        _leave("interrupted", _SIGNALLED + signal.SIGINT)
    except BrokenPipeError:
        _leave("", _SIGNALLED + 13)  # SIGPIPE, which Windows has no name for
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _leave(f"{error.strerror or error}{where}", 1)
    except MemoryError:
        _leave("out of memory", 1)
    except Exception as error:
        if os.environ.get("ARCHC_TRACEBACK"):
            raise
        from archc.cli.checking import blamed_plugin

        blamed = blamed_plugin(error)
        if blamed is not None:
            _leave(f"{blamed}\nARCHC_TRACEBACK=1 shows where it happened.", 1)
        _leave(
            f"internal error: {type(error).__name__}: {error}\n"
            "This is a fault of archc; please report it with the spec. "
            "ARCHC_TRACEBACK=1 shows where it happened.",
            EXIT_INTERNAL,
        )


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="archc")
def archc() -> None:
    """Compile neural-network architectures: YAML layer lists to ONNX and PyTorch.

    Shapes are proved before anything is built. Exit codes: 0 fine, 1 errors in the input, 2 wrong
    usage, 70 a fault of archc.

    Shell completion: eval "$(_ARCHC_COMPLETE=bash_source archc)" (or zsh_source, fish_source).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `archc` program."""
    start_sooner()
    if hasattr(signal, "SIGTERM") and threading.current_thread() is threading.main_thread():
        # An exception, so that half-written files are removed on the way out.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(_SIGNALLED + number))
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8
    archc(args=None if arguments is None else list(arguments), prog_name="archc")


def _unknown_command(name: str) -> str:
    if name.endswith((".yaml", ".yml")):
        return f"{name!r} is no command; did you mean `archc check {name}`?"
    from archc.diagnostics.closest import closest

    close = closest(name, COMMANDS)
    hint = f"did you mean `{close}`?" if close else f"there are {', '.join(sorted(COMMANDS))}"
    return f"there is no command {name!r}; {hint}"


def _leave(message: str, status: int) -> NoReturn:
    with suppress(OSError):
        if message:
            click.echo(f"archc: {message}", err=True)
    real = sys.__stdout__
    if real is not None and sys.stdout is real:
        with suppress(OSError, ValueError):
            # What could not be written must not be tried again when Python shuts down.
            os.dup2(os.open(os.devnull, os.O_WRONLY), real.fileno())
    raise SystemExit(status)

"""Checking what a command names, with the ops that are enabled for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from archc import compile as pipeline
from archc.cli.printing import EXIT_ERRORS, complaints, fail, print_diagnostics
from archc.compile import Budgets, Checked, VariantError
from archc.elaborate.imports import project_root
from archc.ops.table import OPS, OpTable
from archc.spec.files import MAX_FILE_SIZE

_NAMED = "archc.plugins"
_LOADED = "archc.plugins.loaded"
_TABLE = "archc.ops"
_BUDGETS = "archc.budgets"


def check_file(spec: str, variant: str | None, overrides: Mapping[str, str]) -> Checked:
    """Check a spec: a file, a name of the zoo, or `-`.

    Raises:
        click.UsageError: a variant is named twice.
    """
    try:
        return pipeline.check_file(spec, variant, overrides, op_table(), budgets())
    except VariantError as error:
        raise click.UsageError(str(error)) from error


def checked_or_exit(spec: str, variant: str | None, overrides: dict[str, str]) -> Checked:
    """Check a spec; print what is wrong, and leave with exit code 1 when there are errors."""
    checked = check_file(spec, variant, overrides)
    print_diagnostics(complaints(checked.diagnostics))
    if not checked.ok:
        raise SystemExit(EXIT_ERRORS)
    return checked


def enable_plugins(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    """Callback of `--plugin`: remembers what it names; nothing is imported yet."""
    ctx.meta[_NAMED] = value


def raise_budget(ctx: click.Context, param: click.Parameter, value: int) -> None:
    """Callback of options that are named as budgets are."""
    ctx.meta[_BUDGETS] = {**ctx.meta.get(_BUDGETS, {}), str(param.name): value}


def budgets() -> Budgets:
    """What this command lets a spec ask for."""
    return Budgets(**click.get_current_context().meta.get(_BUDGETS, {}))


def op_table() -> OpTable:
    """The ops of this command: archc's own, and those of its plugins.

    Plugins that are at fault are reported, and end the program.
    """
    meta = click.get_current_context().meta
    if _TABLE not in meta:
        meta[_TABLE] = _load(meta)
    table: OpTable = meta[_TABLE]
    return table


def blamed_plugin(error: BaseException) -> str | None:
    """What to say of an error that came through the code of a plugin; None of any other."""
    ctx = click.get_current_context(silent=True)
    modules = () if ctx is None else ctx.meta.get(_LOADED, ())
    if not modules:
        return None
    from archc.extensions import at_fault

    found = at_fault(error, modules)
    if found is None:
        return None
    plugin, place = found
    said = f"{type(error).__name__}: {error}"
    return f"the plugin `{plugin}` failed: {said} ({place})"


@contextmanager
def _working_folder_on_path() -> Iterator[None]:
    """Let imports find what lies in the working folder, after all that is installed."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    try:
        yield
    finally:
        if sys.path[-1:] == [folder]:  # unless a plugin has changed it
            sys.path.pop()


def _settings() -> Path | None:
    """The pyproject.toml of the project that archc is run in, if archc is mentioned in it.

    The project is that of imports: the nearest folder upwards with .git or pyproject.toml.
    """
    try:
        path = project_root(Path.cwd()) / "pyproject.toml"
        if not path.is_file():  # a pipe would be waited for, a device never ends
            return None
        with path.open("rb") as file:
            text = file.read(MAX_FILE_SIZE + 1)
        # One that is too large is refused where it is read.
        return path if b"archc" in text or len(text) > MAX_FILE_SIZE else None
    except OSError:  # absent, or as good as that: most projects have nothing for archc in it
        return None


def _load(meta: dict[str, Any]) -> OpTable:
    settings = _settings()
    if settings is None and not meta.get(_NAMED):
        return OPS
    from archc.extensions import Plugin, configured, extended

    named = [Plugin(module) for module in meta.get(_NAMED, ())]
    plugins, problems = ([], []) if settings is None else configured(settings)
    if problems:
        fail(problems)
    if not plugins and not named:
        return OPS
    found = extended(plugins)
    if named and not found.diagnostics:
        with _working_folder_on_path():
            found = extended([*plugins, *named])
    if found.diagnostics:
        fail(found.diagnostics)
    meta[_LOADED] = [plugin.module for plugin in (*plugins, *named)]
    return found.ops

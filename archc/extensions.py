"""Plugins: which are enabled, and the table of ops with theirs.

A plugin is code, and is enabled by a person alone: on the command line, in the pyproject.toml of
the project that archc is run in, or through the Python API; never by a spec.
"""

from __future__ import annotations

import importlib
import inspect
import re
import traceback
from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import cast

from archc.diagnostics import Diagnostic, Label, Source, Span
from archc.diagnostics.closest import closest
from archc.elaborate.imports import standard_blocks
from archc.ops.base import Op
from archc.ops.table import OPS, OpTable
from archc.records import dataclass
from archc.spec.files import read_source
from archc.spec.read_chain import COMMON_KEYS, MACHINE
from archc.spec.read_entries import is_identifier

_NEEDED = ("infer", "to_torch", "to_onnx")
_LINE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that a person has enabled.

    Attributes:
        module: dotted name of its module.
        place: where it is enabled, if that is a file.
    """

    module: str
    place: Span | None = None


@dataclass(frozen=True, slots=True)
class Extended:
    """The ops of a run.

    Attributes:
        ops: archc's own, and those of the plugins.
        diagnostics: what is wrong with the plugins.
    """

    ops: OpTable
    diagnostics: tuple[Diagnostic, ...] = ()


def configured(path: Path) -> tuple[list[Plugin], list[Diagnostic]]:
    """The plugins that a pyproject.toml enables."""
    source, problems = read_source(str(_shown(path)))
    if source is None:
        return [], problems
    return _configured(source)


def _configured(source: Source) -> tuple[list[Plugin], list[Diagnostic]]:
    if "archc" not in source.text and "\\" not in source.text:  # an escape could spell the key
        return [], []
    import tomllib

    try:
        table = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        return [], [_bad_config(source, f"it is no TOML: {error}", _toml_place(source, str(error)))]
    tool = table.get("tool")
    section = tool.get("archc", {}) if isinstance(tool, dict) else {}
    if not isinstance(section, dict):
        return [], [_bad_config(source, "`tool.archc` is no table", _span(source, "archc"))]
    for key in section:
        if key != "plugins":
            message = f"`tool.archc` has no key `{key}`; it takes `plugins`"
            return [], [_bad_config(source, message, _span(source, key))]
    names = section.get("plugins", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        message = "`plugins` is a list of names of modules"
        return [], [_bad_config(source, message, _span(source, "plugins"))]
    return [Plugin(name, _span(source, name, after="plugins")) for name in names], []


def extended(plugins: Iterable[Plugin], ops: OpTable = OPS) -> Extended:
    """The table of ops with those of plugins.

    Args:
        plugins: what is enabled; a module that is named twice is one plugin.
        ops: the table that they extend.
    """
    loader = _Loader(ops)
    distinct: dict[str, Plugin] = {}
    for plugin in plugins:
        distinct.setdefault(plugin.module, plugin)
    for plugin in distinct.values():
        loader.load(plugin)
    return Extended(loader.ops, tuple(loader.found))


class _Loader:
    """Imports plugins, and lays their ops over a table.

    Attributes:
        ops: the table with what has been added.
        found: what is wrong with the plugins.
    """

    def __init__(self, ops: OpTable) -> None:
        self._added: dict[str, type[Op]] = {}
        # Only the first table is written to; the second one is asked for no op before its time.
        self.ops = ChainMap(self._added, cast("MutableMapping[str, type[Op]]", ops))
        self.found: list[Diagnostic] = []
        self._owners: dict[str, str] = {}
        self._standard = standard_blocks(frozenset(ops))

    def load(self, plugin: Plugin) -> None:
        """Add the ops of one plugin; what is wrong with it is recorded."""
        module = self._import(plugin)
        if module is None:
            return
        table = getattr(module, "OPS", None)
        if not isinstance(table, Mapping) or not table:
            message = "it has no ops: `OPS` maps names to classes"
            help_ = 'OPS = {"my_op": MyOp}'
            self._report(plugin, message, help_, _file_label(getattr(module, "__file__", None), 1))
            return
        for name, op in table.items():
            problem = self._problem(name, op)
            if problem is None:
                self._added[name] = op
                self._owners[name] = plugin.module
            else:
                self._report(plugin, *problem, _class_label(op))

    def _import(self, plugin: Plugin) -> ModuleType | None:
        name = plugin.module
        if not all(part.isidentifier() for part in name.split(".")):
            self._report(plugin, "that is no name of a module", "write package.module")
            return None
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{name}.".startswith(f"{error.name}."):
                self._report(plugin, f"there is no module `{error.name}`", _missing_help(plugin))
                return None
            self._report(plugin, f"its import failed: {error}", "", _raised_label(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it does: a plugin may call sys.exit
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._report(plugin, f"its import failed: {said}", "", _raised_label(error))
        return None

    def _problem(self, name: object, op: object) -> tuple[str, str] | None:
        """What is wrong with an entry of a plugin's table, and what would be right."""
        if not isinstance(name, str) or not is_identifier(name, {*COMMON_KEYS, MACHINE}):
            return f"`{name}` cannot name an op", "a name is a word that the language does not use"
        if name in self._owners:
            return f"`{name}` is an op of plugin `{self._owners[name]}` already", "rename one"
        if name in self.ops or name in self._standard:
            kind = "an op" if name in self.ops else "a standard block"
            return f"`{name}` is {kind} of archc already", "choose another name"
        if not (isinstance(op, type) and issubclass(op, Op)):
            return f"`{name}` is no subclass of archc.plugin.Op", f"class {_camel(name)}(Op): ..."
        return _unfinished(name, op)

    def _report(
        self, plugin: Plugin, message: str, help: str = "", label: Label | None = None
    ) -> None:
        enabled = None if plugin.place is None else Label(plugin.place, "enabled here")
        primary, secondary = (label, enabled) if label is not None else (enabled, None)
        self.found.append(
            Diagnostic(
                "bad-plugin",
                f"plugin `{plugin.module}`: {message}",
                primary,
                secondary=() if secondary is None else (secondary,),
                help=(help,) if help else (),
                path=plugin.module,
            )
        )


def _unfinished(name: str, op: type[Op]) -> tuple[str, str] | None:
    for method in _NEEDED:
        if getattr(op, method) is getattr(Op, method):
            return f"`{name}` has no `{method}`", f"define {op.__name__}.{method}"
    try:
        op.model_rebuild(raise_errors=True)
        fields = list(op.model_json_schema().get("properties", {}))
    except Exception as error:
        return f"the attributes of `{name}` have no schema: {error}", "see archc.plugin for types"
    for field in fields:
        if field in COMMON_KEYS:
            return f"`{name}`: `{field}` is an attribute of every layer", "choose another name"
    for field in (*op.references, *([op.principal] if op.principal is not None else [])):
        if field not in fields:
            close = closest(field, fields)
            hint = f"did you mean `{close}`?" if close else f"declare `{field}`"
            return f"`{name}` has no attribute `{field}`, its principal or a reference", hint
    return None


def _missing_help(plugin: Plugin) -> str:
    if plugin.place is None:
        return "name an installed module, or one in the working folder"
    return "install the plugin (pip install -e .): a configured one is not looked for in the folder"


# -- places -------------------------------------------------------------------------------


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _bad_config(source: Source, message: str, span: Span | None) -> Diagnostic:
    primary = None if span is None else Label(span)
    return Diagnostic("bad-config", f"pyproject.toml: {message}", primary, path=source.name)


def _toml_place(source: Source, message: str) -> Span | None:
    """The place that a message of tomllib names."""
    match = _LINE.search(message)
    if match is None:
        return None
    start = source.line_starts[int(match[1]) - 1] + int(match[2]) - 1
    return Span(source, start, min(start + 1, len(source.text)))


def _span(source: Source, word: str, after: str = "") -> Span | None:
    """Where a word of the section stands; tomllib forgets places."""
    section = max(source.text.find("tool.archc"), 0)
    start = source.text.find(word, max(source.text.find(after, section), section))
    return None if start < 0 else Span(source, start, start + len(word))


def _raised_label(error: BaseException) -> Label | None:
    """The line of a plugin that raised an error, or that cannot be parsed."""
    if isinstance(error, SyntaxError):
        return _file_label(error.filename, error.lineno)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    # The first frame is archc's own, the next one the plugin's; what that calls may be anybody's.
    return _file_label(frames[1].filename, frames[1].lineno) if len(frames) > 1 else None


def _class_label(op: object) -> Label | None:
    """The line that begins a class."""
    if not isinstance(op, type):
        return None
    try:
        return _file_label(inspect.getsourcefile(op), inspect.getsourcelines(op)[1])
    except (OSError, TypeError):
        return None


def _file_label(path: str | None, line: int | None) -> Label | None:
    source = read_source(path)[0] if path is not None else None
    if source is None or path is None or line is None or line > len(source.line_starts):
        return None
    shown = Source(str(_shown(Path(path))), source.text)
    text = shown.line_text(line)
    start = shown.line_starts[line - 1] + len(text) - len(text.lstrip())
    return Label(Span(shown, start, start + max(len(text.strip()), 1)))


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def at_fault(error: BaseException, plugins: Iterable[str]) -> tuple[str, str] | None:
    """The plugin whose code an error came through last, and the place in it; None if none did."""
    packages = {name.partition(".")[0]: name for name in plugins}
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in packages:
            found = packages[package], f"{frame.f_code.co_filename}:{line}"
    return found

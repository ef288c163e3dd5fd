"""The table of layers, as text for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archc.diagnostics.terminal import Painter, Role, display_width, escape_terminal
from archc.records import dataclass
from archc.targets.report.cells import bytes_text, count_text, field_size_text, field_text
from archc.targets.report.fold import Level, Line, Repeat, folded
from archc.targets.report.rows import Report, Row
from archc.types import Dim, format_shape, is_static, symbols_of

_GAP = "  "
_AND = "; "
_LAYER, _OP, _OUTPUT, _HOW, _PARAMETERS, _MACS, _MEMORY, _FIELD = range(8)
_TITLES = ("layer", "op", "output", "derivation", "parameters", "MACs", "memory", "field")
_NUMERIC = frozenset({_PARAMETERS, _MACS, _MEMORY})
_EXPENDABLE = (_MEMORY, _FIELD, _MACS, _PARAMETERS)
"""What goes when a terminal is narrow, in this order, after derivations got their own lines."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the table: its cells in the order of `_TITLES`, and how deep it is indented."""

    cells: tuple[str, ...]
    depth: int = 0
    is_head: bool = False


def report_text(
    report: Report,
    *,
    width: int | None = None,
    color: bool = False,
    depth: int | None = None,
    unfold: bool = False,
) -> str:
    """The table and its totals as plain text.

    Args:
        report: the network.
        width: columns of the terminal; None leaves lines as long as they are.
        color: whether to use ANSI colours.
        depth: see `archc.targets.report.fold.folded`.
        unfold: whether repeats are written out.
    """
    painter = Painter(color)
    entries = list(_entries(report, folded(report.graph, report.rows, depth=depth, unfold=unfold)))
    table, missing = _fitted(entries, width, painter)
    notes = [f"left out for lack of width: {', '.join(missing)}"] if missing else []
    summary = map(escape_terminal, [*_summary(report), *notes])
    return "\n".join([*table, "", *summary] if entries else summary) + "\n"


def report_markdown(report: Report, *, depth: int | None = None, unfold: bool = False) -> str:
    """The table and its totals as Markdown."""
    lines = folded(report.graph, report.rows, depth=depth, unfold=unfold)
    rules = ["---:" if column in _NUMERIC else "---" for column in range(len(_TITLES))]
    table = [_TITLES, tuple(rules)]
    for entry in _entries(report, lines):
        cells = [_markdown(cell) for cell in entry.cells]
        cells[_LAYER] = "&nbsp;&nbsp;" * entry.depth + cells[_LAYER]
        table.append(tuple(cells))
    text = [f"| {' | '.join(cells)} |" for cells in table]
    return "\n".join([*text, "", *(f"- {_markdown(line)}" for line in _summary(report))]) + "\n"


def _markdown(text: str) -> str:
    text = escape_terminal(text)
    for char in "\\`*_|[]<>&":
        text = text.replace(char, f"\\{char}")
    return text


# -- cells ------------------------------------------------------------------------------------


def _entries(report: Report, lines: Sequence[Line], depth: int = 0) -> Iterator[_Entry]:
    for line in lines:
        if isinstance(line, Repeat):
            yield _repeat_entry(line, depth)
            yield from _entries(report, line.body, depth + 1)
        elif isinstance(line, Level):
            yield _level_entry(report, line, depth)
        else:
            yield _row_entry(report, line, depth)


def _row_entry(report: Report, row: Row, depth: int) -> _Entry:
    node = row.node
    on_side = f" ({'training only' if node.side == 'training' else 'side'})" if node.side else ""
    outputs = ", ".join(format_shape(value.type.shape) for value in node.outputs)
    cells = (
        node.path,
        node.op_name + on_side,
        outputs,
        _AND.join(row.derivation),
        f"{row.cost.parameters:,}" if row.cost.parameters else "",
        *_work(report, row.cost.macs, row.cost.activation_bytes),
        field_text(row.fields),
    )
    return _Entry(cells, depth)


def _level_entry(report: Report, level: Level, depth: int) -> _Entry:
    last = level.rows[-1]
    cells = (
        level.path,
        level.kind,
        format_shape(last.type.shape),
        "",
        f"{level.parameters:,}" if level.parameters else "",
        *_work(report, level.macs, level.activation_bytes),
        field_text(last.fields),
    )
    return _Entry(cells, depth)


def _repeat_entry(repeat: Repeat, depth: int) -> _Entry:
    growth = ""
    first = repeat.body[-1]
    while isinstance(first, Repeat):
        first = first.body[-1]
    start = first.rows[-1] if isinstance(first, Level) else first
    sizes = [field_size_text(row.fields) for row in (start, repeat.end)]
    if sizes[0] != sizes[1]:
        growth = f"; the field grows from {sizes[0]} to {sizes[1]}"
    names = f"x{repeat.times}  {repeat.first} ... {repeat.last}{growth}"
    return _Entry((names, *("" for _ in _TITLES[1:])), depth, is_head=True)


def _work(report: Report, macs: Dim, activation_bytes: Dim) -> tuple[str, str]:
    macs, size = report.at_unit(macs), report.at_unit(activation_bytes)
    shown = bytes_text(size) if is_static(size) else "?"
    if is_static(macs):
        return count_text(macs) if macs != 0 else "", shown
    return "?", shown


# -- layout -----------------------------------------------------------------------------------


def _fitted(
    entries: Sequence[_Entry], width: int | None, painter: Painter
) -> tuple[list[str], list[str]]:
    """The lines of the table, and the titles of columns that the width left no room for."""
    columns = [c for c in range(len(_TITLES)) if any(entry.cells[c] for entry in entries)]
    own_lines = False
    missing: list[str] = []
    expendable = [column for column in _EXPENDABLE if column in columns]
    while width is not None and _total(entries, columns) > width:
        if not own_lines and _HOW in columns:
            own_lines = True
            columns.remove(_HOW)
        elif expendable:
            column = expendable.pop(0)
            columns.remove(column)
            missing.append(_TITLES[column])
        else:
            break
    widths = _widths(entries, columns)
    lines = [painter.paint(_aligned(_TITLES, columns, widths, 0), Role.STRONG)]
    for entry in entries:
        if entry.is_head:
            text = "  " * entry.depth + escape_terminal(entry.cells[_LAYER])
            lines.append(painter.paint(text, Role.SECONDARY))
            continue
        lines.append(_aligned(entry.cells, columns, widths, entry.depth))
        if own_lines and entry.cells[_HOW]:
            for text in _derivation(entry.cells[_HOW], widths[_LAYER] + len(_GAP), width):
                lines.append(painter.paint(text, Role.GUTTER))
    return lines, missing


def _derivation(text: str, indent: int, width: int | None) -> list[str]:
    """A derivation below its layer; an axis per line where they do not fit side by side."""
    text = escape_terminal(text)
    fits = width is None or indent + display_width(text) <= width
    return [" " * indent + part for part in ([text] if fits else text.split(_AND))]


def _total(entries: Sequence[_Entry], columns: Sequence[int]) -> int:
    widths = _widths(entries, columns)
    return sum(widths.values()) + len(_GAP) * (len(columns) - 1)


def _widths(entries: Sequence[_Entry], columns: Sequence[int]) -> dict[int, int]:
    widths = {column: len(_TITLES[column]) for column in columns}
    for entry in entries:
        if entry.is_head:
            continue
        for column in columns:
            indent = 2 * entry.depth if column == _LAYER else 0
            own = display_width(escape_terminal(entry.cells[column])) + indent
            widths[column] = max(widths[column], own)
    return widths


def _aligned(
    cells: Sequence[str], columns: Sequence[int], widths: dict[int, int], depth: int
) -> str:
    parts = []
    for column in columns:
        text = escape_terminal(cells[column])
        if column == _LAYER:
            text = "  " * depth + text
        space = " " * (widths[column] - display_width(text))
        parts.append(space + text if column in _NUMERIC else text + space)
    return _GAP.join(parts).rstrip()


# -- totals -----------------------------------------------------------------------------------


def _summary(report: Report) -> list[str]:
    totals = report.totals
    layers = f"{totals.layers:,} layer{'' if totals.layers == 1 else 's'}"
    parameters = f"{totals.parameters:,} parameters"
    weights = f"{bytes_text(totals.parameter_bytes)} of weights"
    lines = [f"{layers}, {parameters}, {weights}"]
    lines += [f"preprocess {name}: {steps}" for name, steps in report.graph.preprocess.items()]
    if not report.complete:
        return [*lines, "the network is incomplete: what could not be typed is not shown"]
    work = [report.at_unit(dim) for dim in (totals.macs, totals.flops, totals.activation_bytes)]
    macs, flops, results = work
    if is_static(macs) and is_static(results):
        lines.append(f"{count_text(macs)} MACs, {count_text(flops)} FLOPs")
        lines.append(f"{bytes_text(results)} of results in all" + _peak(report))
        if report.unit:
            names = " and ".join(report.unit)
            lines.append(f"work and memory at {names} = 1; --at {names.split()[0]}=8 for another")
        return lines
    free = sorted({name for dim in work for name in symbols_of(dim)})
    example = ",".join(f"{name}=224" for name in free)
    return [*lines, f"work and memory depend on {' and '.join(free)}: --at {example} shows them"]


def _peak(report: Report) -> str:
    peak = report.peak()
    if peak.bytes is None:
        return ""
    where = f" (while `{peak.path}` runs)" if peak.path else ""
    return f", at most {bytes_text(report.at_unit(peak.bytes))} alive at a time{where}"

"""Source lines with the places of interest marked beneath them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby

from archc.diagnostics.diagnostic import Label
from archc.diagnostics.source import Source
from archc.diagnostics.terminal import Painter, Role, display_width, escape_terminal
from archc.records import dataclass, field

_TAB = "    "
_CUT = "..."
_MIN_ROOM = 24
# Columns kept free behind a marked place on a line that has to be cut: its label goes there.
_LABEL_ROOM = 24


@dataclass(frozen=True, slots=True)
class Marked:
    """A label and how it is to be drawn.

    Attributes:
        label: the place and its text.
        char: what underlines the place, `^` or `-`.
        role: colour of the underline and the text.
    """

    label: Label
    char: str
    role: Role


@dataclass(frozen=True, slots=True)
class _Mark:
    """A marked place on one displayed line, in display columns `[start, end)`."""

    start: int
    end: int
    text: str
    char: str
    role: Role


@dataclass(slots=True)
class _Row:
    """One output row that is filled column by column."""

    cells: list[tuple[str, Role]] = field(default_factory=list)

    def put(self, column: int, text: str, role: Role) -> None:
        """Write text at a column, over what stands there."""
        self.cells.extend([(" ", Role.PLAIN)] * (column + len(text) - len(self.cells)))
        self.cells[column : column + len(text)] = [(char, role) for char in text]

    def paint(self, painter: Painter) -> str:
        """The row as text; neighbours of one role are painted together."""
        return "".join(
            painter.paint("".join(char for char, _ in run), role)
            for role, run in groupby(self.cells, key=lambda cell: cell[1])
        )


def draw(
    source: Source, marked: Sequence[Marked], *, width: int, number_width: int, painter: Painter
) -> list[str]:
    """Draw the lines of one source that hold marked places.

    A place that spans several lines is shown by its first one. Tabs are expanded, lines too long
    for the terminal are cut around the marked places, lines in between are left out.

    Args:
        source: the text; every label lies in it.
        marked: the labels, in any order.
        width: columns of the terminal.
        number_width: columns of the line numbers.
        painter: how to colour.

    Returns:
        Output rows, the first one an empty gutter.
    """
    room = max(width - number_width - 3, _MIN_ROOM)
    by_line: dict[int, list[Marked]] = {}
    for item in marked:
        by_line.setdefault(item.label.span.line, []).append(item)

    def row(number: str, text: str) -> str:
        gutter = painter.paint(f"{number:>{number_width}} |", Role.GUTTER)
        return f"{gutter} {text}" if text else gutter

    rows = [row("", "")]
    previous = 0
    for line in sorted(by_line):
        if previous and line == previous + 2:
            rows.append(row(str(line - 1), _lay_out(source.line_text(line - 1), [], room)[0]))
        elif previous and line > previous + 2:
            rows.append(painter.paint(" " * (number_width + 1) + "...", Role.GUTTER))
        text, marks = _lay_out(source.line_text(line), _places(source, line, by_line[line]), room)
        rows.append(row(str(line), text))
        rows.extend(row("", mark_row.paint(painter)) for mark_row in _mark_rows(marks))
        previous = line
    return rows


def _places(source: Source, line: int, marked: Iterable[Marked]) -> list[tuple[int, int, Marked]]:
    """Where the marks lie on their first line, as character offsets within it."""
    begin = source.line_starts[line - 1]
    text = source.line_text(line)
    visible = len(text.rstrip())
    places = []
    for item in marked:
        start = min(item.label.span.start - begin, len(text))
        places.append((start, max(start, min(item.label.span.end - begin, visible)), item))
    return places


def _lay_out(
    text: str, places: Sequence[tuple[int, int, Marked]], room: int
) -> tuple[str, list[_Mark]]:
    """Expand one source line and cut it to the room there is.

    Returns:
        What to print, and the marks in its columns.
    """
    focus = min((start for start, _, _ in places), default=0)
    reach = min(max((end for _, end, _ in places), default=0), focus + room)
    # Only the neighbourhood is expanded: a whole spec may be written on one line.
    near, far = max(0, focus - room), min(len(text), reach + room)
    shown = [_TAB if char == "\t" else escape_terminal(char) for char in text[near:far]]
    columns = [0, *accumulate(display_width(item) for item in shown)]
    first, last, left, right = 0, len(shown), "", ""
    if near > 0 or far < len(text) or columns[-1] > room:
        low = _window_start(columns[focus - near], columns[reach - near], room)
        left = _CUT if near > 0 or low > 0 else ""
        right = _CUT if far < len(text) or columns[-1] > low + room else ""
        first = next(i for i in range(last + 1) if i == last or columns[i] >= low + len(left))
        high = low + room - len(right)
        last = max(first, next(i for i in range(last, -1, -1) if i == 0 or columns[i] <= high))
    line = left + "".join(shown[first:last]) + right
    end_column = len(left) + columns[last] - columns[first] + len(right)

    def column(offset: int) -> int:
        at = columns[min(max(offset - near, 0), len(shown))] - columns[first] + len(left)
        return min(max(at, 0), end_column)

    marks = []
    for start, end, item in places:
        begin = min(column(start), end_column - 1) if right else column(start)
        stop = max(column(end), begin + 1)
        label = escape_terminal(item.label.text)
        marks.append(_Mark(begin, stop, label, item.char, item.role))
    return line.rstrip(), marks


def _window_start(begin: int, end: int, room: int) -> int:
    """First display column to show so that `[begin, end)` is seen with room for a label."""
    low = end + _LABEL_ROOM - room
    return max(0, min(low, begin - len(_CUT)))


def _mark_rows(marks: Sequence[_Mark]) -> list[_Row]:
    """The underlines, then the labels: one behind the underlines, the others hanging below."""
    if not marks:
        return []
    underline = _Row()
    # Short ones last, so that a place inside another stays visible; of equals the primary wins.
    for mark in sorted(marks, key=lambda m: (m.start - m.end, m.char == "^")):
        underline.put(mark.start, mark.char * (mark.end - mark.start), mark.role)
    behind = max(marks, key=lambda m: (m.end, m.text != "", m.start, m.char == "^"))
    if behind.text:
        underline.put(behind.end + 1, behind.text, behind.role)
    rows = [underline]
    hanging = [m for m in marks if m.text and m is not behind]
    hanging.sort(key=lambda m: (m.start, m.char != "^"), reverse=True)
    if hanging:
        rows.append(_stems(hanging))
    for index, mark in enumerate(hanging):
        label = _stems(m for m in hanging[index + 1 :] if m.start < mark.start)
        label.put(mark.start, mark.text, mark.role)
        rows.append(label)
    return rows


def _stems(marks: Iterable[_Mark]) -> _Row:
    row = _Row()
    for mark in marks:
        row.put(mark.start, "|", mark.role)
    return row

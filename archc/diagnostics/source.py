"""Text that diagnostics point into, and places in it."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from archc.records import dataclass


@dataclass(frozen=True, eq=False)
class Source:
    """One input text and the name a person knows it by.

    Attributes:
        name: path as the user gave it, or `<stdin>`.
        text: the whole decoded text.
    """

    name: str
    text: str

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offset of the first character of each line."""
        return (0, *(i + 1 for i, ch in enumerate(self.text) if ch == "\n"))

    def line_text(self, line: int) -> str:
        """The text of a 1-based line without its line break."""
        start = self.line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of characters `[start, end)` in a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """1-based line of the first character."""
        return bisect_right(self.source.line_starts, self.start)

    @property
    def column(self) -> int:
        """1-based column of the first character, counted in code points."""
        return self.start - self.source.line_starts[self.line - 1] + 1

    @property
    def end_line(self) -> int:
        """1-based line of the last character."""
        return bisect_right(self.source.line_starts, max(self.start, self.end - 1))

    @property
    def end_column(self) -> int:
        """1-based column just past the last character, counted on `end_line`."""
        return self.end - self.source.line_starts[self.end_line - 1] + 1

    def to(self, other: Span) -> Span:
        """The smallest span that covers this one and `other` (same source)."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

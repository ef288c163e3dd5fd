"""A diagnostic is a value; stages collect them and return, they do not raise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from archc.diagnostics.source import Span
from archc.records import dataclass, field

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class Severity(Enum):
    """How bad it is: an error stops the build, a warning does not, a note is no complaint."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """A place and, optionally, what is to be said about it."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Attributes:
        code: kebab-case word from `archc.diagnostics.codes`, never renumbered.
        message: one sentence that stands alone.
        primary: the place that has to change; None when no text exists (a missing file).
        secondary: places that explain the cause ("28 comes from here").
        help: suggestions, each a short phrase.
        path: the file concerned when there is no span.
    """

    code: str
    message: str
    primary: Label | None = None
    secondary: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR
    path: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether it stops a build."""
        return self.severity is Severity.ERROR

    def sort_key(self) -> tuple[str, int, str]:
        """Reading order: by file, then place."""
        if self.primary is None:
            return (self.path or "", -1, self.code)
        return (self.primary.span.source.name, self.primary.span.start, self.code)


@dataclass(slots=True)
class Diagnostics:
    """Collects findings of a run; the same finding at the same place is kept once.

    Instances of a block and turns of a loop share their text, so that one mistake is found many
    times, often with other numbers: those count as the same.
    """

    items: list[Diagnostic] = field(default_factory=list)
    _seen: set[tuple[str, str, int]] = field(default_factory=set)

    def add(self, diagnostic: Diagnostic) -> None:
        """Record one finding."""
        place = diagnostic.sort_key()
        wording = _NUMBER.sub("0", diagnostic.message)
        key = (diagnostic.code + wording, place[0], place[1])
        if key not in self._seen:
            self._seen.add(key)
            self.items.append(diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Record several findings."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        secondary: Sequence[Label] = (),
        help: Sequence[str] = (),
    ) -> None:
        """Record an error at a span."""
        self.add(Diagnostic(code, message, Label(span, label), tuple(secondary), tuple(help)))

    def warning(
        self, code: str, message: str, span: Span, label: str = "", *, help: Sequence[str] = ()
    ) -> None:
        """Record a warning at a span."""
        self.add(Diagnostic(code, message, Label(span, label), (), tuple(help), Severity.WARNING))

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(d.is_error for d in self.items)

    def sorted(self) -> list[Diagnostic]:
        """All findings in reading order."""
        return sorted(self.items, key=Diagnostic.sort_key)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class SpecError(Exception):
    """Raised by the Python API (`archc.load`, `archc.build`, ...) when there are errors.

    Attributes:
        diagnostics: every finding of the run, in reading order.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [d for d in self.diagnostics if d.is_error]
        lines = [
            f"{d.primary.span if d.primary else d.path}: error[{d.code}]: {d.message}"
            for d in errors
        ]
        super().__init__("\n".join(lines))

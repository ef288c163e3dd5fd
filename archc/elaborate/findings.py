"""Findings inside blocks, with the calls that led to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from archc.diagnostics import Diagnostic, Diagnostics, Label, Span
from archc.records import dataclass, field, replace

MAX_CALLS = 3
"""Calls that are shown of a row of them, the innermost ones."""

_SAME_IN_EVERY_CALL = frozenset(
    {
        "bad-expression",
        "bad-name",
        "block-recursion",
        "missing-attribute",
        "too-deep",
        "unknown-attribute",
        "unknown-function",
        "unknown-name",
        "unknown-op",
        "unknown-reference",
    }
)
"""Codes of what is wrong with the text of a block, whoever uses it."""


@dataclass(slots=True)
class CallFindings(Diagnostics):
    """Adds to a collection, labelling each error inside a block with the calls around it.

    What is wrong with the block itself goes without them, unless it is another file's.
    """

    calls: list[Span] = field(default_factory=list)

    @classmethod
    def into(cls, outer: Diagnostics) -> CallFindings:
        """Findings that are recorded in another collection."""
        return cls(outer.items, outer._seen)

    @contextmanager
    def inside(self, call: Span) -> Iterator[None]:
        """What is found meanwhile is found in the block that is called here."""
        self.calls.append(call)
        try:
            yield
        finally:
            self.calls.pop()

    def add(self, diagnostic: Diagnostic) -> None:
        """Record one finding."""
        primary = diagnostic.primary
        if self.calls and primary is not None and diagnostic.is_error:
            elsewhere = primary.span.source is not self.calls[0].source
            if elsewhere or diagnostic.code not in _SAME_IN_EVERY_CALL:
                told = [label.span for label in diagnostic.secondary]
                calls = [call for call in self.calls[-MAX_CALLS:] if call not in told]
                labels = [Label(call, "in this call") for call in calls]
                diagnostic = replace(diagnostic, secondary=(*diagnostic.secondary, *labels))
        # Not super(): dataclasses with slots are made anew, and `super()` means the first one.
        Diagnostics.add(self, diagnostic)

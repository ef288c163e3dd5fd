"""A suite as a whole, and how its cases end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.upstream.case import ExcludedError, Expected, Layer, Outcome, run


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        group: module, functional or operator, as the suite calls it.
        name: which of the group's cases.
        op: the word of the language that it becomes.
        make: makes the layer and what is expected of it; raises ExcludedError.
    """

    group: str
    name: str
    op: str
    make: Callable[[], tuple[Layer, Expected]]

    def run(self) -> Outcome:
        """Build and compare; never raises but for a fault of the tests themselves."""
        try:
            layer, expected = self.make()
            return run(layer, expected)
        except ExcludedError as reason:
            return Outcome("excluded", reason.reason)


@dataclass(frozen=True)
class Suite:
    """All cases of one origin.

    Attributes:
        name: as the page calls it.
        cases: those of which archc has the op.
        unknown: group -> number of cases, where archc has no such op.
    """

    name: str
    cases: tuple[Case, ...]
    unknown: Mapping[str, int]

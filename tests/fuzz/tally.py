"""What a run of the fuzz came to, counted for each kind of mutation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.harness import Outcome
from tests.fuzz.mutate import LOCAL, Mutant

SLOWEST = 10
"""How many of the slowest cases are kept."""


@dataclass
class Tally:
    """Counts that can be added and written down.

    Attributes:
        cases: how many were run.
        accepted: those without an error.
        seconds: CPU time of their checks.
        codes: how many cases had a finding of each code.
        kinds: how many cases each mutation had a part in.
        single: of each mutation, the refused cases that it alone has made.
        located: those of them whose first error lies inside the changed node.
        slowest: CPU seconds and names of the slowest cases, the slowest first.
        slow_once: cases that took too long once, and not when they were repeated.
        problems: broken promises, each with the name of its case.
    """

    cases: int = 0
    accepted: int = 0
    seconds: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    single: Counter[str] = field(default_factory=Counter)
    located: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    slow_once: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self, name: str, case: Mutant, outcome: Outcome) -> None:
        """Count a case that came to an end."""
        self.cases += 1
        self.seconds += outcome.seconds
        self._rank([(outcome.seconds, f"{name} [{case.kind}]")])
        mutations = case.kind.partition(":")[2].split("+")
        self.kinds.update(set(mutations))
        checked = outcome.checked
        if checked is None:
            return
        self.accepted += checked.ok
        self.codes.update({d.code for d in checked.diagnostics})
        errors = [d for d in checked.diagnostics if d.is_error]
        if case.place is None or not errors:
            return
        self.single[mutations[0]] += 1
        start, end = case.place
        label = errors[0].primary
        self.located[mutations[0]] += label is not None and start <= label.span.start <= end

    def add(self, other: Tally) -> None:
        """Add what another part of the run came to."""
        self.cases += other.cases
        self.accepted += other.accepted
        self.seconds += other.seconds
        for name in ("codes", "kinds", "single", "located"):
            getattr(self, name).update(getattr(other, name))
        self._rank(other.slowest)
        self.slow_once += other.slow_once
        self.problems += other.problems

    def _rank(self, cases: list[tuple[float, str]]) -> None:
        self.slowest = sorted([*self.slowest, *cases], reverse=True)[:SLOWEST]

    def lines(self) -> Iterator[str]:
        """The report."""
        yield f"{self.cases} cases: {self.accepted} accepted, {self.seconds:.0f} s CPU in checks"
        yield ", ".join(f"{code} {count}" for code, count in self.codes.most_common())
        yield f"{'mutation':20} {'cases':>8} {'alone, refused':>15} {'inside the change':>18}"
        for kind, count in sorted(self.kinds.items()):
            alone = self.single[kind]
            share = f"{self.located[kind] / alone:.2%}" if alone else "-"
            yield f"{kind:20} {count:8} {alone:15} {share:>18}"
        local = [mutator.__name__ for mutator in LOCAL]
        alone, inside = (sum(counts[k] for k in local) for counts in (self.single, self.located))
        if alone:
            said = f"{alone} refused, {inside} located inside the change: {inside / alone:.3%}"
            yield f"single faults inside one layer: {said}"
        for seconds, name in self.slowest[:3]:
            yield f"slow: {seconds:.2f} s CPU: {name}"
        if self.slow_once:
            yield f"too slow once, but not when repeated: {', '.join(self.slow_once[:20])}"
        yield f"{len(self.problems)} broken promises"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Tally:
        """The tally that `to_json` wrote down."""
        made = cls(**values)
        for name in ("codes", "kinds", "single", "located"):
            setattr(made, name, Counter(values[name]))
        made.slowest = [(seconds, name) for seconds, name in values["slowest"]]
        return made

"""The tables of docs/testing.md about mutants."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from tests.mutation.concerns import concern
from tests.mutation.mutate import PACKAGES, Mutant
from tests.mutation.reasons import why

KILLED, SURVIVED, UNREACHED = "killed", "survived", "not reached"
KINDS = ("killed", "no fault", "survived", "not reached")
MEASURED = "### Measured\n"


@dataclass(frozen=True)
class Found:
    """What became of one mutant.

    Attributes:
        mutant: the change.
        outcome: `KILLED`, `SURVIVED` or `UNREACHED`, where no test calls the place.
        tests: how many tests it was given.
        seconds: of CPU.
    """

    mutant: Mutant
    outcome: str
    tests: int
    seconds: float

    @property
    def kind(self) -> str:
        return "no fault" if self.outcome != KILLED and why(self.mutant) else self.outcome


def read_found(path: Path) -> list[Found]:
    """What is known of each mutant, in the order of the files: of several lines the last counts."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    found = (Found(**{**row, "mutant": Mutant(**row["mutant"])}) for row in rows)
    last = {one.mutant: one for one in found}
    return sorted(last.values(), key=lambda one: (one.mutant.module, one.mutant.line, str(one)))


def measured(found: Sequence[Found], how: str) -> str:
    """Counts of each package, and every mutant that lives, in Markdown.

    Args:
        found: what became of the mutants.
        how: the sentences above the table.
    """
    lines = [MEASURED, how, "", *_counts(found), "", "### Survivors", ""]
    lines += _by_concern([one.mutant for one in found if one.kind in (SURVIVED, UNREACHED)])
    lines += ["", "### No faults", ""]
    reasons: defaultdict[str, list[Mutant]] = defaultdict(list)
    for one in found:
        if one.kind == "no fault":
            reasons[why(one.mutant)].append(one.mutant)
    for reason, mutants in sorted(reasons.items()):
        lines += [f"{reason[0].upper()}{reason[1:]}:", "", *_listed(mutants), ""]
    return "\n".join(lines).rstrip() + "\n"


def _counts(found: Sequence[Found]) -> list[str]:
    lines = [f"| package | mutants | {' | '.join(KINDS)} | score |", f"|{'---|' * 7}"]
    for package in (*PACKAGES, "all"):
        kinds = Counter(o.kind for o in found if package in (o.mutant.package, "all"))
        total = kinds.total()
        score = f"{100 * kinds[KILLED] / max(1, total):.1f} %"
        cells = [package, total, *(kinds[kind] for kind in KINDS), score]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _by_concern(mutants: Sequence[Mutant]) -> list[str]:
    """How many there are of each concern; then each concern with its argument and its mutants."""
    groups: defaultdict[tuple[str, str], list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        groups[concern(mutant)].append(mutant)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    lines = ["| concern | mutants |", "|---|---|"]
    lines += [f"| {title} | {len(group)} |" for (title, _), group in ordered]
    for (title, argument), group in ordered:
        lines += ["", *wrap(f"**{title}.** {argument}", 100), "", *_listed(group)]
    return lines


def _listed(mutants: Iterable[Mutant]) -> list[str]:
    return [f"- {mutant}" for mutant in mutants] or ["None."]

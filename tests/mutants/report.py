"""The tables of docs/mutants.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date

from tests.mutants.equivalent import why
from tests.mutants.hunt import Found

KINDS = ("mutants", "killed", "equivalent", "survived")


MEASURED = "## Measured\n"


def measured(found: Sequence[Found], ops: Sequence[str], cases: int) -> str:
    """Counts of each op, and every mutant that lives with the reason, in Markdown.

    Args:
        found: what became of the mutants.
        ops: all that were asked for, those that were not run yet among them.
        cases: how many were drawn of each op.
    """
    seconds = sum(one.seconds for one in found)
    command = f"python -m tests.mutants --cases {cases}"
    how = f"By `{command}` on {date.today()}, in {seconds:.0f} s of one CPU."
    found = sorted(found, key=lambda one: one.op)
    missing = sorted(set(ops) - {one.op for one in found})
    lines = [MEASURED, how, "", *_counts(found), ""]
    if missing:
        lines += [f"Not run: {', '.join(f'`{op}`' for op in missing)}.", ""]
    lines += ["## Survivors", "", *(_survivors(found) or ["None."]), ""]
    return "\n".join([*lines, "## No faults", "", *_equivalents(found)]) + "\n"


def _counts(found: Sequence[Found]) -> list[str]:
    lines = [f"| op | {' | '.join(KINDS)} |", "|---|---|---|---|---|"]
    total: Counter[str] = Counter()
    for one in found:
        alive = len(one.unexplained)
        lived = len(one.survivors)
        counts = (one.killed + lived, one.killed, lived - alive, alive)
        total.update(dict(zip(KINDS, counts, strict=True)))
        lines.append(f"| `{one.op}` | {' | '.join(map(str, counts))} |")
    return [*lines, f"| all {len(found)} | {' | '.join(str(total[kind]) for kind in KINDS)} |"]


def _survivors(found: Sequence[Found]) -> list[str]:
    return [f"- `{mutant}`" for one in found for mutant in one.unexplained]


def _equivalents(found: Sequence[Found]) -> list[str]:
    """Each mutant that changes nothing, below the reason."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for one in found:
        for mutant in one.survivors:
            if reason := why(mutant):
                reasons[reason].append(str(mutant))
    lines = []
    for reason, mutants in sorted(reasons.items()):
        counts = Counter(mutants)  # two lines of one function read the same
        listed = [f"- `{m}`{f' ({n} lines)' if n > 1 else ''}" for m, n in counts.items()]
        lines += [f"{reason[0].upper()}{reason[1:]}:", "", *listed, ""]
    return lines[:-1]

"""The long run: `python -m tests.fuzz.run --cases 100000 --seed 1 --processes 2`.

Every case that breaks a promise is written to `--save` (a folder); its text, made small by hand,
belongs into `tests/fuzz/regressions/`.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import multiprocessing
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from archc.diagnostics import Diagnostic
from tests.fuzz.harness import limit_memory, run, same_again
from tests.fuzz.mutate import mutant, single

_HANG = 60  # Seconds of real time after which a case in C code is given up, with a traceback.


@dataclass
class Tally:
    """What a part of a run came to."""

    cases: int = 0
    accepted: int = 0
    slowest: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def fuzz(seed: str, first: int, last: int, save: str | None = None) -> Tally:
    """Run the cases of a seed from `first` up to `last`."""
    tally = Tally()
    for number in range(first, last):
        case = mutant(f"{seed}:{number}")
        faulthandler.dump_traceback_later(_HANG, exit=True)
        outcome = run(case, lower=number % 4 == 0)
        problem = outcome.problem
        if not problem and number % 10 == 0 and outcome.checked is not None:
            problem = "" if same_again(case, outcome.checked) else "the second check differs"
        faulthandler.cancel_dump_traceback_later()
        tally.cases += 1
        tally.slowest = max(tally.slowest, outcome.seconds)
        if outcome.checked is not None:
            tally.accepted += outcome.checked.ok
            tally.codes.update({d.code for d in outcome.checked.diagnostics})
        if problem:
            said = f"{seed}:{number} [{case.kind}] {case.variant} {case.overrides}: {problem}"
            tally.problems.append(said)
            print(said[:400].encode("ascii", "backslashreplace").decode(), flush=True)
            if save is not None:
                text = case.text.encode("utf-8", "surrogatepass")
                (Path(save) / f"{seed}-{number}.yaml").write_bytes(text)
    return tally


@dataclass
class Located:
    """Where the first errors of single faults lie.

    Attributes:
        refused: mutants with an error.
        inside: those whose first error lies inside the changed layer.
        misses: the others.
    """

    refused: int = 0
    inside: int = 0
    misses: list[str] = field(default_factory=list)


def locate(seed: str, cases: int) -> Located:
    """Make single faults inside layers, and see where the first error is said to be."""
    found = Located()
    for number in range(cases):
        case = single(Random(f"{seed}:at:{number}"))
        checked = run(case).checked
        errors = [] if checked is None else [d for d in checked.diagnostics if d.is_error]
        if not errors:
            continue
        found.refused += 1
        assert case.place is not None
        if _lies_in(errors[0], case.place):
            found.inside += 1
            continue
        start, end = case.place
        found.misses.append(
            f"{number} {case.kind}: {case.text[start:end]!r}: {errors[0].code} at "
            f"{errors[0].primary and errors[0].primary.span}: {errors[0].message}"
        )
    return found


def _lies_in(error: Diagnostic, place: tuple[int, int]) -> bool:
    start, end = place
    return error.primary is not None and start <= error.primary.span.start <= end


def _part(job: tuple[str, int, int, str | None]) -> Tally:
    os.nice(10)
    limit_memory()
    with contextlib.suppress(KeyboardInterrupt):
        return fuzz(*job)
    return Tally()


def main() -> None:
    """Run, and say what was found; exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--save", help="folder for the texts of cases that break a promise")
    parser.add_argument("--locate", action="store_true", help="measure where errors are placed")
    options = parser.parse_args()
    if options.locate:
        found = locate(options.seed, options.cases)
        print("\n".join(miss.encode("ascii", "backslashreplace").decode() for miss in found.misses))
        share = found.inside / max(found.refused, 1)
        print(f"{found.refused} refused, {found.inside} located inside the change: {share:.2%}")
        return
    step = 500
    jobs = [
        (options.seed, first, min(first + step, options.cases), options.save)
        for first in range(0, options.cases, step)
    ]
    total = Tally()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for tally in pool.imap_unordered(_part, jobs):
            total.cases += tally.cases
            total.accepted += tally.accepted
            total.slowest = max(total.slowest, tally.slowest)
            total.codes += tally.codes
            total.problems += tally.problems
            if total.cases % (20 * step) == 0:
                print(f"{total.cases} of {options.cases} cases", flush=True)
    print(f"{total.cases} cases: {total.accepted} accepted, slowest {total.slowest:.2f} s CPU")
    print(", ".join(f"{code} {count}" for code, count in total.codes.most_common()))
    print(f"{len(total.problems)} broken promises")
    raise SystemExit(bool(total.problems))


if __name__ == "__main__":
    main()

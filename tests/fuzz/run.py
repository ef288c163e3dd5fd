"""The long run: `python -m tests.fuzz.run --cases 1000000 --seed 1 --state /tmp/fuzz`.

`--state` is a folder that keeps what has been done, so that a run that was ended goes on where it
was, and the text of every case that breaks a promise. The text, made small by hand, belongs into
`tests/fuzz/regressions/`. `--report` says what a run has come to so far, and `--first 500000`
leaves out the cases before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz import bases as bases_module
from tests.fuzz import mutate, pieces
from tests.fuzz.bases import bases, plugged
from tests.fuzz.harness import TOO_SLOW, Outcome, confirmed, run
from tests.fuzz.mutate import Mutant, mutant, single
from tests.fuzz.supervise import supervised
from tests.fuzz.tally import Tally

STEP = 500
"""Cases of one process, and between two notes of what is done."""


def fuzz(
    seed: str,
    cases: range,
    save: Path | None = None,
    enter: Callable[[int], bool] = lambda number: True,
) -> Tally:
    """Run cases of a seed.

    Args:
        seed: which.
        cases: their numbers.
        save: folder for the texts of cases that break a promise.
        enter: is asked before each of them whether to run it.
    """
    tally = Tally()
    for number in cases:
        if not enter(number):
            continue
        name = f"{seed}:{number}"
        case = mutant(name)
        tries: list[Outcome] = []

        def once(
            case: Mutant = case, number: int = number, tries: list[Outcome] = tries
        ) -> Outcome:
            tries.append(run(case, lower=number % 4 == 0, again=number % 10 == 0))
            return tries[-1]

        outcome = confirmed(once)
        if len(tries) > 1 and not outcome.problem.startswith(TOO_SLOW):
            tally.slow_once.append(name)
        tally.count(name, case, outcome)
        if outcome.problem:
            tally.problems.append(_told(name, case, outcome.problem))
            _save(save, name, case)
    return tally


def _told(name: str, case: Mutant, problem: str) -> str:
    said = f"{name} [{case.kind}] {case.variant} {case.overrides}: {problem}"
    return said[:400].encode("ascii", "backslashreplace").decode()


def _save(folder: Path | None, name: str, case: Mutant) -> None:
    if folder is not None:
        path = folder / f"{name.replace(':', '-')}.yaml"
        path.write_bytes(case.text.encode("utf-8", "surrogatepass"))


@dataclass
class State:
    """What of a run is done, in a folder.

    Attributes:
        folder: where; None keeps nothing.
        seed: of the cases.
        made_from: what the cases are made from: with other bases, they are others.
        done: the first numbers of the parts that are done.
        tally: what they came to.
    """

    folder: Path | None
    seed: str
    made_from: str
    done: list[int] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, folder: Path | None, seed: str) -> State:
        """What the folder keeps, or the beginning.

        Raises:
            SystemExit: it keeps a run of other cases.
        """
        state = cls(folder, seed, fingerprint())
        if folder is None:
            return state
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "state.json").exists():
            kept = json.loads((folder / "state.json").read_text())
            if (kept["seed"], kept["made_from"]) != (seed, state.made_from):
                raise SystemExit(f"{folder} keeps a run of another seed, or of other bases")
            state.done = kept["done"]
            state.tally = Tally.from_json(kept["tally"])
        return state

    def note(self, first: int, tally: Tally) -> None:
        """A part is done."""
        self.done.append(first)
        self.tally.add(tally)
        if self.folder is None:
            return
        kept = {
            "seed": self.seed,
            "made_from": self.made_from,
            "done": self.done,
            "tally": self.tally.to_json(),
        }
        new = self.folder / "state.json.new"
        new.write_text(json.dumps(kept))
        new.replace(self.folder / "state.json")


def fingerprint() -> str:
    """A digest of everything that cases are made from, apart from the seed."""
    digest = hashlib.sha256()
    for module in (mutate, pieces, bases_module):
        digest.update(Path(module.__file__).read_bytes())
    for base in bases():
        digest.update(base.text.encode())
    digest.update(" ".join(sorted(plugged())).encode())
    return digest.hexdigest()[:16]


def long_run(state: State, cases: range, processes: int) -> None:
    """Run the parts that are not done."""
    known = set(state.done)
    parts = [
        range(first, min(first + STEP, cases.stop))
        for first in range(cases.start, cases.stop, STEP)
        if first not in known
    ]

    def work(part: range, enter: Callable[[int], bool]) -> Tally:
        return fuzz(state.seed, part, state.folder, enter)

    for part, tally, fatal in supervised(parts, work, processes):
        _count_fatal(state, tally, fatal)
        state.note(part.start, tally)
        for problem in tally.problems:
            print(problem, flush=True)
        if len(state.done) % 20 == 0:
            print(f"{state.tally.cases} of {len(cases)} cases", flush=True)


def _count_fatal(state: State, tally: Tally, fatal: dict[int, str]) -> None:
    """Count cases that ended their process."""
    for number, problem in fatal.items():
        name = f"{state.seed}:{number}"
        case = mutant(name)
        tally.count(name, case, Outcome(problem, 0.0))
        tally.problems.append(_told(name, case, problem))
        _save(state.folder, name, case)


def locate(seed: str, cases: int) -> tuple[Tally, list[str]]:
    """Make single faults inside layers, and see where the first error is said to be.

    Returns:
        The counts, and the faults whose first error lies elsewhere.
    """
    tally, misses = Tally(), list[str]()
    for number in range(cases):
        case = single(Random(f"{seed}:at:{number}"))
        outcome = run(case)
        before = tally.single.total() - tally.located.total()
        tally.count(f"{seed}:at:{number}", case, outcome)
        if tally.single.total() - tally.located.total() > before:
            assert case.place is not None and outcome.checked is not None
            error = next(d for d in outcome.checked.diagnostics if d.is_error)
            changed = case.text[case.place[0] : case.place[1]]
            where = error.primary and error.primary.span
            misses.append(
                f"{number} {case.kind}: {changed!r}: {error.code} at {where}: {error.message}"
            )
    return tally, misses


def _printable(lines: Collection[str] | Iterator[str]) -> str:
    return "\n".join(line.encode("ascii", "backslashreplace").decode() for line in lines)


def main() -> None:
    """Run, and say what was found; exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--state", type=Path, help="folder that keeps what is done")
    parser.add_argument("--report", action="store_true", help="say what is done, and run nothing")
    parser.add_argument("--locate", action="store_true", help="measure where errors are placed")
    options = parser.parse_args()
    if options.locate:
        tally, misses = locate(options.seed, options.cases)
        print(_printable(misses))
    else:
        state = State.of(options.state, options.seed)
        if not options.report:
            long_run(state, range(options.first, options.cases), options.processes)
        tally = state.tally
    print(_printable(tally.lines()))
    raise SystemExit(bool(tally.problems))


if __name__ == "__main__":
    main()

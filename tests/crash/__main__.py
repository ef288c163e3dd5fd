"""The long run: `python -m tests.crash --kills 10000 --races 1000 --seed 1 --state crash.json`.

Races come first. `--state` is a file that keeps what has been done, so that a run that was ended
goes on where it was; `--report` says what it has come to.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.kills import Tally, kill_builds, race
from tests.crash.outputs import BUILDS, Output, load_versions

_EVERY = 25  # cases between two notes


@dataclass
class State:
    """What of a run is done.

    Attributes:
        path: the file that keeps it; None keeps nothing.
        seed: of the run.
        tallies: what came of the races of each kind of output, and of the kills.
        since: cases since the last note.
    """

    path: Path | None
    seed: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    since: int = 0

    @classmethod
    def of(cls, path: Path | None, seed: str) -> State:
        """What the file keeps, or the beginning.

        Raises:
            SystemExit: it keeps a run of another seed.
        """
        state = cls(path, seed, {name: Tally() for name in (*BUILDS, "kills")})
        if path is None or not path.exists():
            return state
        kept = json.loads(path.read_text())
        if kept["seed"] != seed:
            raise SystemExit(f"{path} keeps a run of another seed")
        for name, values in kept["tallies"].items():
            state.tallies[name] = Tally(**{**values, "states": Counter(values["states"])})
        return state

    def note(self) -> None:
        """A case is done."""
        self.since += 1
        if self.since >= _EVERY:
            self.write()

    def write(self) -> None:
        """Keep what is done."""
        self.since = 0
        if self.path is None:
            return
        tallies = {name: vars(tally) for name, tally in self.tallies.items()}
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text(json.dumps({"seed": self.seed, "tallies": tallies}))
        new.replace(self.path)

    def lines(self) -> Iterator[str]:
        """The report."""
        for kind in BUILDS:
            yield f"{self.tallies[kind].cases} races of {kind}"
        killed = self.tallies["kills"]
        states = ", ".join(f"{count} {state}" for state, count in killed.states.most_common())
        yield f"{killed.kills} processes killed in {killed.cases} cases; found: {states}"
        problems = self.problems
        yield from problems[:50]
        yield f"{len(problems)} broken promises"

    @property
    def problems(self) -> list[str]:
        """Broken promises."""
        return [problem for tally in self.tallies.values() for problem in tally.problems]


def run(state: State, kills: int, races: int) -> None:
    """Run what is not done."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Output(kind).learn(Path(folder)) for kind in BUILDS]
        load_versions(Path(folder))
    for output in outputs:
        race(output, races, state.tallies[output.kind], state.note)
        state.write()
        print(f"{state.tallies[output.kind].cases} races of {output.kind}", flush=True)
    kill_builds(outputs, kills, state.seed, state.tallies["kills"], state.note)
    state.write()


def main() -> None:
    """Run, and say what was found; exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="processes to kill")
    parser.add_argument("--races", type=int, default=100, help="races of each kind of output")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--state", type=Path, help="file that keeps what is done")
    parser.add_argument("--report", action="store_true", help="say what is done, and run nothing")
    options = parser.parse_args()
    state = State.of(options.state, options.seed)
    if not options.report:
        run(state, options.kills, options.races)
    print("\n".join(state.lines()))
    raise SystemExit(bool(state.problems))


if __name__ == "__main__":
    main()

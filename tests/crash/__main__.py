"""The long run: `python -m tests.crash --kills 10000 --races 1000 --seed 1`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.crash.kills import kill_builds, race
from tests.crash.outputs import BUILDS, Output, load_versions


def main() -> None:
    """Run, and say what was found; exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="processes to kill")
    parser.add_argument("--races", type=int, default=100, help="races of each kind of output")
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Output(kind).learn(Path(folder)) for kind in BUILDS]
        load_versions(Path(folder))
    problems: list[str] = []
    killed = kill_builds(outputs, options.kills, options.seed)
    problems += killed.problems
    states = ", ".join(f"{count} {state}" for state, count in killed.states.most_common())
    print(f"{killed.kills} processes killed in {killed.cases} cases; found: {states}", flush=True)
    for output in outputs:
        raced = race(output, options.races)
        problems += raced.problems
        print(f"{raced.cases} races of {output.kind}", flush=True)
    print("\n".join(problems[:50]))
    print(f"{len(problems)} broken promises")
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()

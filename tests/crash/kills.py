"""Builds that are killed, and builds that race: what they leave behind.

Every case starts in a folder with a complete old version, starts a build of a new one in a process
of its own, and kills that at a call of the system (before it or after it) or after a while. Often
the next build is killed, too, and the one after it. The states that a reader may then find are
told in `docs/security.md`; the case ends with an output that is not killed.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from archc.output import atomic_file
from tests.crash.faults import Fault, injected
from tests.crash.outputs import BUILDS, VERSIONS, Output, temporaries

SHM = Path("/dev/shm")  # in memory, so that syncing costs nothing; a kill is no loss of power


@dataclass
class Tally:
    """What a run came to.

    Attributes:
        cases: how many.
        kills: processes that were killed.
        states: what readers found after a kill.
        problems: broken promises.
    """

    cases: int = 0
    kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def in_child(work: Callable[[], object], wait: float | None = None) -> bool:
    """Run something in a fork; whether it was killed.

    Args:
        work: what to run.
        wait: seconds after which it is killed.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if wait is not None:
        time.sleep(wait)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    if not killed and os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError("a build failed that was not killed")
    return killed


@dataclass
class Killer:
    """Runs cases.

    Attributes:
        outputs: the kinds of output.
        seed: of everything that is chosen; each case has a generator of its own, so that a run can
            go on after any of them.
        tally: what came of it.
        random: of the case that is run.
        lengths: kind -> (calls, seconds) of a build.
    """

    outputs: Sequence[Output]
    seed: str
    tally: Tally
    random: Random = field(default_factory=Random)
    lengths: dict[str, tuple[int, float]] = field(default_factory=dict)

    def measure(self, folder: Path) -> None:
        """See how long builds are."""
        for output in self.outputs:
            place = folder / f"length-{output.kind}"
            place.mkdir()
            BUILDS[output.kind](place, 0)
            start = time.perf_counter()
            with injected(place, Fault()) as fault:
                BUILDS[output.kind](place, 2)
            self.lengths[output.kind] = len(fault.seen), time.perf_counter() - start

    def case(self) -> None:
        """One folder, from a complete old output over kills to a complete new one."""
        self.random = Random(f"{self.seed}:{self.tally.cases}")
        output = self.random.choice(self.outputs)
        with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
            folder = Path(name)
            old = self.random.choice([None, *range(VERSIONS)])
            if old is not None:
                BUILDS[output.kind](folder, old)
            self._run(output, folder, "nothing" if old is None else str(old))
        self.tally.cases += 1

    def _run(self, output: Output, folder: Path, before: str) -> None:
        said = f"{output.kind} from {before}"
        allowed = {before}
        for _ in range(1 + self.random.randrange(3)):
            new = self.random.randrange(VERSIONS)
            how = self._kill(output, folder, new)
            said += f", {new} {how}"
            # What a record says is finished by whoever writes next: the version before may appear.
            allowed |= {str(new)}
            self._check(output.state(folder) in allowed | {"begun"}, said, output, folder)
        # The next output to the folder, of whatever kind, leaves a complete one.
        with atomic_file(folder / "other") as file:
            file.write(b"other")
        state = output.state(folder)
        self._check(state in allowed and not temporaries(folder), f"{said}, other", output, folder)
        self._check(output.strangers(folder) == {"other"}, f"{said}, strangers", output, folder)
        new = self.random.randrange(VERSIONS)
        BUILDS[output.kind](folder, new)
        done = output.state(folder) == str(new) and not temporaries(folder)
        self._check(done, f"{said}, finally {new}", output, folder)

    def _kill(self, output: Output, folder: Path, new: int) -> str:
        """Build in a process that is killed; returns where."""
        calls, seconds = self.lengths[output.kind]
        build = BUILDS[output.kind]
        if self.random.random() < 0.2:
            wait = self.random.uniform(0, 1.5 * seconds)
            self.tally.kills += in_child(lambda: build(folder, new), wait)
            return f"after {wait * 1000:.1f} ms"
        number = self.random.randrange(calls + 5)
        when = self.random.choice(["before", "after"])

        def work() -> None:
            with injected(folder, Fault(number, kill=when)):
                build(folder, new)

        self.tally.kills += in_child(work)
        return f"{when} call {number}"

    def _check(self, fine: bool, said: str, output: Output, folder: Path) -> None:
        state = output.state(folder)
        kind = state if state in ("nothing", "begun", "mixed") else "complete"
        self.tally.states[kind] += 1
        if not fine:
            names = sorted(path.name for path in folder.iterdir())
            self.tally.problems.append(f"{said}: {state}: {names}")
            print(self.tally.problems[-1], flush=True)


def kill_builds(
    outputs: Sequence[Output],
    kills: int,
    seed: str,
    tally: Tally | None = None,
    note: Callable[[], None] = lambda: None,
) -> Tally:
    """Run cases until so many processes have been killed.

    Args:
        outputs: the kinds of output.
        kills: how many, those of the tally included.
        seed: of the cases.
        tally: what came of the cases before, from which the run goes on.
        note: is called after each case.
    """
    killer = Killer(outputs, seed, tally or Tally())
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        killer.measure(Path(folder))
    while killer.tally.kills < kills:
        killer.case()
        note()
    return killer.tally


def race(
    output: Output,
    rounds: int,
    tally: Tally | None = None,
    note: Callable[[], None] = lambda: None,
) -> Tally:
    """Let two processes build different versions at the same time into one folder.

    Args:
        output: the kind of output.
        rounds: how many races, those of the tally included.
        tally: what came of the races before, from which the run goes on.
        note: is called after each race.
    """
    tally = tally or Tally()
    build = BUILDS[output.kind]
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        folder = Path(name)
        for number in range(tally.cases, rounds):
            pair = (number % VERSIONS, (number + 1 + number // VERSIONS % 3) % VERSIONS)
            pids = []
            reader, writer = os.pipe()
            for version in pair:
                pid = os.fork()
                if pid == 0:
                    os.close(writer)
                    os.read(reader, 1)  # both start when the pipe closes
                    wrong = build(folder, version)
                    print(*(found.message for found in wrong), sep="\n", end="", flush=True)
                    os._exit(1 if wrong else 0)
                pids.append(pid)
            os.close(writer)
            os.close(reader)
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
            tally.cases += 1
            state = output.state(folder)
            tally.states[state] += 1
            if codes != [0, 0] or state not in map(str, pair) or temporaries(folder):
                names = sorted(path.name for path in folder.iterdir())
                tally.problems.append(f"{output.kind} {pair}: {codes}, {state}: {names}")
            note()
    return tally

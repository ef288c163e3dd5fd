"""Timing of whole processes: two commands in turn, medians and ratios pair by pair."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "specs"
ARCHC = (sys.executable, "-m", "archc")

# A helper process in between, so that its children's peak memory is this command's alone.
_PROBE = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


@dataclass(frozen=True)
class Run:
    """One finished process.

    Attributes:
        seconds: wall time.
        cpu: seconds of processor time, which other programs on the machine change less.
        megabytes: peak resident memory.
    """

    seconds: float
    cpu: float
    megabytes: float


def run(command: Sequence[str]) -> Run:
    """Run a command once.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Installed programs have their bytecode; the round that is not counted writes it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    result = subprocess.run(
        [sys.executable, "-c", _PROBE, *command],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tempfile.gettempdir(),  # not a project that configures archc
    )
    code, seconds, cpu, peak = (result.stdout.split() or ["1", "0", "0", "0"])[-4:]
    if code != "0":
        raise RuntimeError(f"{' '.join(command)[:2000]} failed:\n{result.stderr[-4000:]}")
    return Run(float(seconds), float(cpu), float(peak) / 1024)


def median(runs: Sequence[Run]) -> Run:
    """Medians of each number."""
    return Run(
        statistics.median(one.seconds for one in runs),
        statistics.median(one.cpu for one in runs),
        statistics.median(one.megabytes for one in runs),
    )


@dataclass(frozen=True)
class Pair:
    """Two commands measured in turn.

    Attributes:
        ours: medians of the first.
        peer: medians of the second.
        ratio: median of peer / ours in seconds, pair by pair.
        cpu_ratio: the same of processor time.
    """

    ours: Run
    peer: Run
    ratio: float
    cpu_ratio: float


def alternate(
    ours: Sequence[str], peer: Sequence[str], rounds: int = 5, *, written: Sequence[Path] = ()
) -> Pair:
    """Measure two commands in turn, after one round that is not counted.

    Args:
        ours: the first command.
        peer: the second.
        rounds: how often each is measured.
        written: the files that the commands write, removed before each run: some file systems
            (ext4) write a file out at once when it replaces another, and both would wait for it.
    """

    def fresh(command: Sequence[str]) -> Run:
        for file in written:
            file.unlink(missing_ok=True)
        return run(command)

    runs = [(fresh(ours), fresh(peer)) for _ in range(rounds + 1)][1:]
    return Pair(
        median([a for a, _ in runs]),
        median([b for _, b in runs]),
        statistics.median(b.seconds / a.seconds for a, b in runs),
        statistics.median(b.cpu / a.cpu for a, b in runs),
    )


def python(code: str) -> tuple[str, ...]:
    """The command that runs a text as a Python program."""
    return (sys.executable, "-c", code)


def spec(family: str, variant: str) -> tuple[str, ...]:
    """Arguments that name a network of the zoo."""
    return (str(SPECS / f"{family}.yaml"), "--variant", variant)

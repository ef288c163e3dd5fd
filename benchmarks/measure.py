"""Timing of whole processes: two commands in turn, medians and ratios pair by pair."""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One finished process.

    Attributes:
        seconds: wall time.
        megabytes: peak resident memory.
    """

    seconds: float
    megabytes: float


def run(command: list[str]) -> Run:
    """Run a command once.

    Raises:
        RuntimeError: it failed.
    """
    # A helper process in between, so that its children's peak memory is this command's alone.
    probe = (
        "import resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "seconds = time.perf_counter() - start\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(code, seconds, peak)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe, *command], capture_output=True, text=True, check=True
    )
    code, seconds, peak = result.stdout.split()
    if code != "0":
        raise RuntimeError(f"{command} failed:\n{result.stderr}")
    return Run(float(seconds), float(peak) / 1024)


@dataclass(frozen=True)
class Pair:
    """Two commands measured in turn.

    Attributes:
        ours: medians of the first.
        peer: medians of the second.
        ratio: median of peer / ours in seconds, pair by pair.
    """

    ours: Run
    peer: Run
    ratio: float


def alternate(ours: list[str], peer: list[str], rounds: int = 5) -> Pair:
    """Measure two commands in turn, after one round that is not counted."""
    runs = [(run(ours), run(peer)) for _ in range(rounds + 1)][1:]
    return Pair(
        _median([a for a, _ in runs]),
        _median([b for _, b in runs]),
        statistics.median(b.seconds / a.seconds for a, b in runs),
    )


def _median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(r.seconds for r in runs), statistics.median(r.megabytes for r in runs)
    )

"""Parts of a run in processes of their own, which may hang, block or die without ending the run.

Only CPU time counts: a process that waits for its turn on a busy machine, or that is stopped for a
while, is not at fault. Within Python the harness stops a case (`cpu_limit`). Code in C that does
not come back is ended by the system after `HARD` seconds of CPU time more (RLIMIT_CPU). A case that
waits for something, and so uses no CPU time at all, is found by its state: asleep for `ASLEEP`
seconds in which its parent was awake.
"""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Collection, Iterator
from ctypes import c_longlong
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

from tests.fuzz.harness import limit_memory
from tests.fuzz.tally import Tally

HARD = 30
"""Seconds of CPU time after which the system ends a process that Python cannot stop."""

ASLEEP = 120
"""Seconds of sleep after which a case counts as blocked."""

Work = Callable[[range, Callable[[int], bool]], Tally]
"""Runs the cases of a range; asks before each of them whether to."""

_FORK = multiprocessing.get_context("fork")


@dataclass
class Part:
    """A range of cases in a process.

    Attributes:
        cases: their numbers.
        skipped: those that ended their process before.
        process: it.
        result: where its tally comes from.
        current: the case that it is at, shared with it.
        asleep: for how many seconds it has slept at this case.
        seen: the case it was at when it was last looked at.
    """

    cases: range
    skipped: list[int] = field(default_factory=list)
    process: BaseProcess | None = None
    result: Connection | None = None
    current: Any = field(default_factory=lambda: RawValue(c_longlong, -1))
    asleep: float = 0.0
    seen: int = -1


def supervised(
    parts: Collection[range],
    work: Work,
    processes: int = 1,
    *,
    asleep: float = ASLEEP,
    hard: int = HARD,
) -> Iterator[tuple[range, Tally, dict[int, str]]]:
    """Run parts, some at a time.

    Args:
        parts: ranges of cases.
        work: what runs one of them, in a fork of this process.
        processes: how many at a time.
        asleep: see `ASLEEP`.
        hard: see `HARD`.

    Yields:
        A part, what it came to, and what became of its cases that ended their process.
    """
    # Children share what is there now; collecting garbage would look through it over and over.
    gc.collect()
    gc.freeze()
    waiting, running = [Part(cases) for cases in parts][::-1], list[Part]()
    fatal: dict[int, str] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            running.append(_started(waiting.pop(), work, hard))
        wait([part.result for part in running if part.result is not None], 1.0)
        for part in list(running):
            tally, death = _looked_at(part, asleep)
            if tally is None and not death:
                continue
            running.remove(part)
            if tally is not None:
                yield part.cases, tally, {n: fatal.pop(n) for n in part.skipped}
                continue
            number = int(part.current.value)
            if number in part.skipped or number < 0:
                raise RuntimeError(f"a process of {part.cases} fails apart from any case: {death}")
            fatal[number] = death
            waiting.append(Part(part.cases, [*part.skipped, number]))


def _started(part: Part, work: Work, hard: int) -> Part:
    part.result, sender = _FORK.Pipe(duplex=False)
    part.process = _FORK.Process(target=_run, args=(part, work, sender, hard), daemon=True)
    part.process.start()
    sender.close()
    return part


def _run(part: Part, work: Work, sender: Connection, hard: int) -> None:
    faulthandler.enable()
    faulthandler.register(signal.SIGXCPU, chain=True)
    limit_memory()

    def enter(number: int) -> bool:
        if number in part.skipped:
            return False
        part.current.value = number
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + hard + 1, most))
        return True

    sender.send(work(part.cases, enter))


def _looked_at(part: Part, asleep: float) -> tuple[Tally | None, str]:
    """Its tally if it is done, or how it died; neither while it runs."""
    assert part.process is not None and part.result is not None
    if part.result.poll():
        try:
            tally = part.result.recv()
        except EOFError:
            part.process.join()
            return None, f"ends its process: {_ending(part.process.exitcode)}"
        part.process.join()
        return tally, ""
    number = int(part.current.value)
    sleeps = number == part.seen and _state(part.process.pid) in "SD"
    part.asleep = part.asleep + 1.0 if sleeps else 0.0
    part.seen = number
    if part.asleep >= asleep:
        part.process.kill()
        part.process.join()
        return None, f"waits for {asleep:g} s"
    return None, ""


def _ending(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _state(pid: int | None) -> str:
    """`R` when it runs or could, `S` or `D` when it waits, `T` when it is stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"

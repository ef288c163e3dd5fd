"""One case: checked under a watchdog, and what came out of it held to the promises."""

from __future__ import annotations

import contextlib
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from archc.compile import Checked, check_source
from archc.diagnostics import Diagnostic, Source
from archc.diagnostics.text import render_full
from archc.ops.table import OPS
from tests.fuzz.bases import plugged
from tests.fuzz.mutate import Mutant

SECONDS = 2.0
"""CPU time of one case: of the process, so that a busy machine makes no difference."""

TOO_SLOW = "takes more than"
"""How the problem of a case begins that takes too long."""


GIBIBYTE = 2**30
MAX_LOWERED = 400
"""Layers; larger networks are checked only."""


class TooSlow(BaseException):
    """Not an Exception, so that nothing on the way can catch it."""


@dataclass(frozen=True)
class Outcome:
    """What a case led to.

    Attributes:
        problem: the broken promise; empty when there is none.
        seconds: CPU time of the first check and of writing.
        checked: the result; None when there is none.
    """

    problem: str
    seconds: float
    checked: Checked | None = None


def limit_memory(extra: int = GIBIBYTE) -> None:
    """Let this process have so much more memory than it has now."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, resource.RLIM_INFINITY))


@contextlib.contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow when the body takes more CPU time than this."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    # Again and again: an exception that is raised inside a finalizer is lost.
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def run(
    mutant: Mutant, *, seconds: float = SECONDS, lower: bool = False, again: bool = False
) -> Outcome:
    """Check a mutant.

    Args:
        mutant: the case.
        seconds: CPU time it may take.
        lower: whether an accepted network is also written as torch source.
        again: whether a second check has to find the same; it has as much time once more.
    """
    found: list[Checked] = []

    def first() -> str:
        found.append(_check(mutant))
        problem = broken_promise(found[0])
        if not problem and lower and found[0].graph is not None:
            problem = _lower(found[0])
        return problem

    def second() -> str:
        same = _told(_check(mutant).diagnostics) == _told(found[0].diagnostics)
        return "" if same else "the second check differs"

    start = time.process_time()
    problem = _guarded(first, seconds)
    took = time.process_time() - start
    if not problem and again:
        problem = _guarded(second, seconds)
    return Outcome(problem, took, found[0] if found else None)


def confirmed(once: Callable[[], Outcome]) -> Outcome:
    """The outcome of a case, repeated where it takes too long; the first that does not, if any.

    CPU time depends on what else the machine does. And CPython keeps its stack in chunks of 16 KiB:
    a loop whose calls lie just beyond the end of one makes and frees a chunk in each turn, which
    can take ten times as long. So the case is repeated further down the stack.
    """
    outcome = once()
    for frames in (25, 60):
        if outcome.problem.startswith(TOO_SLOW):
            outcome = _deeper(frames, once)
    return outcome


def _deeper(frames: int, once: Callable[[], Outcome]) -> Outcome:
    return _deeper(frames - 1, once) if frames else once()


def _guarded(body: Callable[[], str], seconds: float) -> str:
    """What a body says, or how it fails."""
    try:
        with cpu_limit(seconds):
            return body()
    except TooSlow:
        return f"{TOO_SLOW} {seconds:g} s"
    except MemoryError:
        return "takes too much memory"
    except Exception as error:
        return f"{type(error).__name__} escapes: {error} ({_origin(error)})"


def broken_promise(checked: Checked) -> str:
    """What is wrong with a result: empty, if nothing is."""
    if not checked.ok and not any(d.is_error for d in checked.diagnostics):
        return "refused without an error"
    for diagnostic in checked.diagnostics:
        # A variant or param that the caller names has no place in any file.
        if diagnostic.primary is None:
            return f"{diagnostic.code} has no place"
        for label in (diagnostic.primary, *diagnostic.secondary):
            span = label.span
            if not 0 <= span.start <= span.end <= len(span.source.text):
                return f"{diagnostic.code} lies outside of the text"
            str(span)
    text = render_full(checked.diagnostics)
    if not text.replace("\n", "").isprintable():
        return "the rendering holds characters that are not printable"
    return ""


def _check(mutant: Mutant) -> Checked:
    source = Source("case.yaml", mutant.text)
    ops = plugged() if mutant.plugged else OPS
    return check_source(source, None, mutant.variant, dict(mutant.overrides), ops=ops)


def _lower(checked: Checked) -> str:
    from archc.targets.torch import emit_torch

    graph = checked.graph
    assert graph is not None
    if len(graph.nodes) > MAX_LOWERED:
        return ""
    source = emit_torch(graph)
    if any(d.is_error for d in source.diagnostics):
        return ""
    compile(source.text, "case.py", "exec")
    return ""


def _told(diagnostics: tuple[Diagnostic, ...]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [
        (d.code, d.message, str(d.primary.span) if d.primary else "", tuple(d.help))
        for d in diagnostics
    ]


def _origin(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    code = trace.tb_frame.f_code
    return f"{code.co_filename.rpartition('archc/')[2]}:{trace.tb_lineno}"

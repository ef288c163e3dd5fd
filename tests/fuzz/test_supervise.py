"""What ends, hangs or blocks the process of a case is told of that case; the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.mutate import Mutant
from tests.fuzz.run import State, fingerprint, fuzz, long_run
from tests.fuzz.supervise import Work, supervised
from tests.fuzz.tally import Tally

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux's /proc")

CASES = range(10, 20)


def _failing(at: int, how: Callable[[], object]) -> Work:
    """Work that counts cases, and fails at one."""

    def work(cases: range, enter: Callable[[int], bool]) -> Tally:
        tally = Tally()
        for number in cases:
            if enter(number):
                if number == at:
                    how()
                tally.cases += 1
        return tally

    return work


def _spin_in_c() -> None:
    9**9**9


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "ends its process: SIGSEGV"),
        (lambda: os._exit(3), "ends its process: exit code 3"),
        (_spin_in_c, "ends its process: SIGXCPU"),
        (threading.Event().wait, "waits for 2 s"),
    ],
    ids=["signal", "exit", "hangs", "blocks"],
)
def test_a_case_that_ends_its_process(how: Callable[[], object], told: str) -> None:
    ((cases, tally, fatal),) = supervised([CASES], _failing(13, how), asleep=2, hard=1)
    assert cases == CASES
    assert tally.cases == len(CASES) - 1
    assert fatal == {13: told}


def test_a_process_that_is_stopped_is_not_at_fault() -> None:
    def stopped() -> None:
        if os.fork() == 0:
            time.sleep(3)
            os.kill(os.getppid(), signal.SIGCONT)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGSTOP)

    ((_, tally, fatal),) = supervised([CASES], _failing(13, stopped), asleep=2)
    assert (tally.cases, fatal) == (len(CASES), {})


def test_a_run_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tests.fuzz.run.STEP", 20)
    whole = State.of(tmp_path / "whole", "on")
    long_run(whole, range(60), 2)
    long_run(State.of(tmp_path / "half", "on"), range(40), 1)
    half = State.of(tmp_path / "half", "on")
    assert sorted(half.done) == [0, 20]
    long_run(half, range(60), 1)
    assert sorted(half.done) == sorted(whole.done) == [0, 20, 40]
    for name in ("cases", "accepted", "codes", "kinds", "single", "located", "problems"):
        assert getattr(half.tally, name) == getattr(whole.tally, name), name
    assert whole.tally.cases == fuzz("on", range(60)).cases == 60


def test_other_cases_do_not_go_on(tmp_path: Path, monkeypatch) -> None:
    State.of(tmp_path, "one").note(0, Tally())
    with pytest.raises(SystemExit, match="another seed"):
        State.of(tmp_path, "two")
    monkeypatch.setattr("tests.fuzz.run.fingerprint", lambda: f"not {fingerprint()}")
    with pytest.raises(SystemExit, match="other bases"):
        State.of(tmp_path, "one")


def test_a_slow_case_is_repeated(tmp_path: Path, monkeypatch) -> None:
    slow = "archc: 1\nname: a\ninputs: {x: [N, 3]}\nlet: {a: 'sum(range(90000))'}\nlayers: [relu]\n"
    monkeypatch.setattr("tests.fuzz.run.mutant", lambda name: Mutant(slow, "slow.yaml:slow"))
    limits = iter([1e-6, 20.0, 20.0])

    def limited(case, **options):
        from tests.fuzz.harness import run

        return run(case, seconds=next(limits), **options)

    monkeypatch.setattr("tests.fuzz.run.run", limited)
    tally = fuzz("s", range(1), tmp_path)
    assert (tally.problems, tally.slow_once) == ([], ["s:0"])
    limits = iter([1e-6] * 3)
    tally = fuzz("s", range(1), tmp_path)
    assert len(tally.problems) == 1 and "takes more than" in tally.problems[0]
    assert (tmp_path / "s-0.yaml").read_text() == slow


def test_the_program_reports_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run", "--state", str(tmp_path), "--seed", "p"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, "--cases", "30"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        [*command, "--report"], cwd=root, capture_output=True, text=True, check=False
    )
    assert told.stdout == done.stdout
    assert told.stdout.startswith("30 cases: ")

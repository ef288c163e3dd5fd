"""Kills and races: a slice of `python -m tests.crash`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archc.output.temporary import LOCKS
from tests.crash.__main__ import State, run
from tests.crash.faults import Fault, injected
from tests.crash.kills import in_child, kill_builds, race
from tests.crash.outputs import BUILDS, Output, load_versions, temporaries

pytestmark = pytest.mark.skipif(not LOCKS or not hasattr(os, "fork"), reason="processes of POSIX")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    folder = tmp_path_factory.mktemp("versions")
    made = [Output(kind).learn(folder) for kind in BUILDS]
    load_versions(folder)
    return made


def test_killed_builds_leave_the_old_output_or_the_new_one(outputs) -> None:
    tally = kill_builds(outputs, 60, "slice")
    assert tally.problems == []
    assert tally.kills >= 60
    assert tally.states["complete"] > 50


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_every_call(outputs, tmp_path: Path, when: str) -> None:
    output = next(item for item in outputs if item.kind == "torch")
    (tmp_path / "all").mkdir()
    BUILDS["torch"](tmp_path / "all", 0)
    with injected(tmp_path / "all", Fault()) as fault:
        BUILDS["torch"](tmp_path / "all", 2)
    states = []
    for number in range(len(fault.seen)):
        folder = tmp_path / str(number)
        folder.mkdir()
        BUILDS["torch"](folder, 0)

        def build(folder: Path = folder, number: int = number) -> None:
            with injected(folder, Fault(number, kill=when)):
                BUILDS["torch"](folder, 2)

        if not in_child(build):
            assert when == "after"  # a call that fails by itself kills nothing
            continue
        states.append(output.state(folder))
        assert BUILDS["arrays"](folder, 0) == []  # another output to the same folder
        finished = output.state(folder)
        assert finished == ("2" if states[-1] == "begun" else states[-1]) or finished == "2"
        assert temporaries(folder) == []
    assert set(states) == {"0", "begun", "2"}
    assert states == sorted(states, key=["0", "begun", "2"].index)


def test_a_second_kill_while_the_first_is_mended(outputs, tmp_path: Path) -> None:
    output = next(item for item in outputs if item.kind == "torch")

    def killed(folder: Path, number: int, version: int) -> bool:
        def build() -> None:
            with injected(folder, Fault(number, kill="before")):
                BUILDS["torch"](folder, version)

        return in_child(build)

    (tmp_path / "all").mkdir()
    BUILDS["torch"](tmp_path / "all", 0)
    with injected(tmp_path / "all", Fault()) as fault:
        BUILDS["torch"](tmp_path / "all", 2)
    interrupted = 0
    for first in range(len(fault.seen)):
        for second in range(1, 100):
            folder = tmp_path / f"{first}-{second}"
            folder.mkdir()
            BUILDS["torch"](folder, 0)
            assert killed(folder, first, 2)
            begun = any(path.name.endswith(".archc-set") for path in folder.iterdir())
            if not begun:
                break
            assert killed(folder, second, 2)
            assert output.state(folder) in {"0", "2", "begun"}
            if not any(path.name.endswith(".archc-set") for path in folder.iterdir()):
                assert output.state(folder) == "2"
                break  # it is mended: what follows is a build of its own
            interrupted += 1
    assert interrupted > 10


@pytest.mark.parametrize("kind", BUILDS)
def test_two_builds_race(outputs, kind: str) -> None:
    tally = race(next(item for item in outputs if item.kind == kind), 10)
    assert tally.problems == []


@pytest.mark.exhaustive
def test_many_kills_and_races(outputs) -> None:
    assert kill_builds(outputs, 10_000, "many").problems == []
    for output in outputs:
        assert race(output, 1000).problems == []


def test_a_run_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = State.of(path, "on")
    run(state, 6, 2)
    done = {name: (tally.cases, tally.kills) for name, tally in state.tallies.items()}
    assert [done[kind] for kind in BUILDS] == [(2, 0)] * len(BUILDS)
    assert done["kills"][1] >= 6
    again = State.of(path, "on")
    assert {name: vars(tally) for name, tally in again.tallies.items()} == {
        name: vars(tally) for name, tally in state.tallies.items()
    }
    run(again, 9, 3)
    assert again.tallies["kills"].kills >= 9
    assert again.tallies["kills"].cases > done["kills"][0]
    assert [again.tallies[kind].cases for kind in BUILDS] == [3] * len(BUILDS)
    assert again.problems == []
    assert list(again.lines())[-1] == "0 broken promises"
    with pytest.raises(SystemExit, match="another seed"):
        State.of(path, "off")

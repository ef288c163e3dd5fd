"""`python -m tests.mutation`: which small changes of spec/, types/ and ops/ no test notices."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from tests.mutation.mutate import Mutant, sampled
from tests.mutation.report import (
    KILLED,
    MEASURED,
    SURVIVED,
    UNREACHED,
    Found,
    measured,
    read_found,
)
from tests.mutation.session import (
    Calls,
    calls_of,
    chosen,
    collected,
    forked,
    loaded,
    quiet,
    read_calls,
    survives_collected,
    survives_import,
    without_shrinking,
)

ROUND = 300
"""Mutants after which the tests are collected anew."""
TESTS = [
    "spec",
    "types",
    "elaborate",
    "diagnostics",
    "shapes/test_enumeration.py",
    "shapes/test_single_ops.py",
    "ops/test_attention.py",
    "ops/test_boundaries.py",
    "ops/test_core_messages.py",
    "ops/test_core_shapes.py",
    "ops/test_declarations.py",
    "ops/test_embedding.py",
    "ops/test_facts.py",
    "ops/test_norm_weights.py",
    "ops/test_param.py",
    "ops/test_reach.py",
    "ops/test_recurrent.py",
    "ops/test_scale.py",
    "ops/test_schemas.py",
    "ops/test_spatial_messages.py",
    "ops/test_spatial_shapes.py",
    "ops/test_table.py",
    "ops/test_window.py",
    "graph/test_images.py",
    "graph/test_receptive.py",
    "graph/test_specialise.py",
    "report/test_table.py",
    "docs/test_reference.py",
]
"""Tests of spec/, types/ and of what ops declare, in the process that runs them."""
FACTS = (
    "docs/test_reference.py",
    "ops/test_facts.py",
    "ops/test_schemas.py",
    "types/test_limits.py",
)
"""Of these, tests that read what modules declare, and may call nothing of them."""
FRAMEWORKS = ("numpy", "torch", "onnx", "onnxruntime", "hypothesis", "pydantic")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("folder", type=Path, help="what is found goes here, and is gone on from")
    parser.add_argument("--count", type=int, default=1600, help="mutants, drawn from all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--budget", type=float, default=20, help="seconds of tests for one mutant")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="paths in tests/")
    parser.add_argument("--page", type=Path, help="page whose last section is to be the result")
    parser.add_argument("--again", action="store_true", help="those that live, too")
    chosen_ = parser.parse_args(arguments)
    chosen_.folder.mkdir(parents=True, exist_ok=True)
    mutants = _drawn(chosen_.folder / "mutants.jsonl", chosen_.count, chosen_.seed)
    without_shrinking()
    for name in FRAMEWORKS:
        importlib.import_module(name)
    run = _Run(chosen_.folder, chosen_.budget, chosen_.tests)
    run.profile()
    left = [m for m in mutants if run.wanted(m, chosen_.again)]
    for start in range(0, len(left), ROUND):
        run.all(left[start : start + ROUND])
    seconds = sum(one.seconds for one in run.found)
    how = (
        f"Of {len(run.found)} mutants, drawn with the seed {chosen_.seed}, in {seconds:.0f} s of "
        f"one CPU; at most {chosen_.budget:g} s of tests for each."
    )
    text = measured([one for one in run.found if one.mutant in set(mutants)], how)
    print(text)
    if chosen_.page is not None:
        head = chosen_.page.read_text("utf-8").partition(MEASURED)[0]
        chosen_.page.write_text(head + text, "utf-8")
    return 0


def _drawn(sink: Path, count: int, seed: int) -> list[Mutant]:
    """The sample, which takes a while to draw."""
    if not sink.exists():
        drawn, places = sampled(count, seed)
        print(f"{len(drawn)} mutants of {places} places", flush=True)
        sink.write_text("".join(json.dumps(asdict(mutant)) + "\n" for mutant in drawn))
    return [Mutant(**json.loads(line)) for line in sink.read_text().splitlines()]


class _Run:
    """What is known of mutants, in a folder, one line each."""

    def __init__(self, folder: Path, budget: float, tests: Sequence[str]) -> None:
        self.calls_at, self.found_at = folder / "calls.jsonl", folder / "found.jsonl"
        self.budget = budget
        self.paths = [f"tests/{name}" for name in tests]
        self.calls: Calls = {}
        self.found = read_found(self.found_at)

    def wanted(self, mutant: Mutant, again: bool) -> bool:
        known = {one.mutant: one.outcome for one in self.found}.get(mutant)
        return known is None or (again and known != KILLED)

    def profile(self) -> None:
        """Run all tests once without a change, and note what each calls."""
        if not self.calls_at.exists():
            part = self.calls_at.with_suffix(".part")

            def work() -> bool:
                passed: list[bool] = []
                with quiet():
                    collected(self.paths, lambda session: passed.append(calls_of(session, part)))
                return passed == [True]

            if not forked(work, 3600):
                sys.exit("the tests fail as they are, or were not collected")
            part.rename(self.calls_at)
        self.calls = read_calls(self.calls_at)

    def all(self, mutants: Sequence[Mutant]) -> None:
        """Run the tests of each mutant, and note what became of it."""
        given = [(mutant, *chosen(mutant, self.calls, self.budget, FACTS)) for mutant in mutants]
        for mutant, tests, _ in given:
            if not tests:
                self._note(mutant, UNREACHED, 0, 0.0)

        def functions(session: pytest.Session) -> None:
            known = loaded()
            gc.freeze()
            for mutant, tests, seconds in given:
                if tests and mutant.inside:
                    work = partial(survives_collected, mutant, known, session, tests)
                    self._try(mutant, len(tests), work, 5 + 3 * seconds)

        def work() -> bool:
            with quiet():
                collected(self.paths, functions)
            return True

        if not forked(work, 1e6):
            sys.exit("the tests cannot be collected")
        for mutant, tests, seconds in given:
            if tests and not mutant.inside:
                work = partial(survives_import, mutant, tests)
                self._try(mutant, len(tests), work, 20 + 3 * seconds)
        self.found = read_found(self.found_at)

    def _try(self, mutant: Mutant, tests: int, work: Callable[[], bool], seconds: float) -> None:
        began = _children()
        outcome = SURVIVED if forked(work, seconds) else KILLED
        self._note(mutant, outcome, tests, _children() - began)

    def _note(self, mutant: Mutant, outcome: str, tests: int, seconds: float) -> None:
        found = Found(mutant, outcome, tests, round(seconds, 2))
        with self.found_at.open("a") as lines:
            print(json.dumps(asdict(found)), file=lines)


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main())

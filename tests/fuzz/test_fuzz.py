"""A slice of the fuzz: the same few hundred mutants on every run."""

from __future__ import annotations

import re

import pytest

from archc.ops.table import OPS
from tests.fuzz.bases import PLUGGED, base_of, bases, plugged, small_bases
from tests.fuzz.harness import run
from tests.fuzz.mutate import Mutant, mutant
from tests.fuzz.run import fuzz, locate

SLICE = 200


def test_what_is_mutated_is_valid() -> None:
    for base in bases():
        for variant in base.variants[:2]:
            case = Mutant(base.text, base.name, variant, plugged=base.name == PLUGGED)
            outcome = run(case, seconds=20, lower=base in small_bases())
            assert outcome.problem == ""
            assert outcome.checked is not None and outcome.checked.ok, (base.name, variant)


def test_the_corpus_uses_every_op() -> None:
    words = set(re.findall(r"\w+", " ".join(base.text for base in bases())))
    assert set(OPS) < set(plugged()) <= words


def test_mutants_are_reproducible_and_differ() -> None:
    made = [mutant(f"same:{number}") for number in range(50)]
    assert made == [mutant(f"same:{number}") for number in range(50)]
    assert len({case.text for case in made}) > 45


def test_no_promise_is_broken() -> None:
    tally = fuzz("slice", range(SLICE))
    assert tally.problems == []
    assert 0 < tally.accepted < SLICE
    assert len(tally.codes) > 10


def test_single_faults_are_located() -> None:
    tally, misses = locate("slice", SLICE)
    refused = tally.single.total()
    assert refused > SLICE // 2
    assert tally.located.total() >= 0.99 * refused, "\n".join(misses)


def test_the_watchdog_bites() -> None:
    slow = "archc: 1\nname: a\ninputs: {x: [N, 3]}\nlet: {a: 'sum(range(90000))'}\nlayers: [relu]\n"
    assert run(Mutant(slow, "slow"), seconds=1e-6).problem.startswith("takes more than")


def test_places_are_found() -> None:
    base = base_of(
        "t.yaml", "archc: 1\nname: a\ninputs: {x: [N, 3, 8, 8]}\nlayers: [{conv: 3, kernel: 1}]\n"
    )
    (call,) = base.calls
    assert call.head is not None
    assert [entry.key.text for entry in (call.head, *call.arguments)] == ["conv", "kernel"]


@pytest.mark.exhaustive
def test_many_mutants() -> None:
    assert fuzz("many", range(20_000)).problems == []

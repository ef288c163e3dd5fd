"""Runs an op's random cases with each fault in turn."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.mutants.mutate import Mutant, broken, declared, watched
from tests.ops.harness import layer_graph
from tests.properties.cases import PROPERTIES, Case
from tests.properties.check import Setting, check
from tests.properties.run import setting_of

Sample = tuple[Case, Setting]


@dataclass
class Found:
    """What became of an op's mutants.

    Attributes:
        killed: how many a case noticed.
        survivors: those that none did, though they made a difference to a call.
    """

    killed: int = 0
    survivors: list[Mutant] = field(default_factory=list)


def samples(op: str, count: int) -> list[Sample]:
    """Random cases of an op that archc compiles and that pass."""
    kept: list[Sample] = []

    @seed(7)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(PROPERTIES[op].cases, setting_of())
    def keep(case: Case, setting: Setting) -> None:
        if check(case, setting):
            kept.append((case, setting))

    keep()
    return kept


def hunt(op: str, count: int) -> Found:
    """Try every mutant of an op on `count` random cases, those that live on four times as many."""
    found = Found()
    alive = _alive(mutants(op, cases := samples(op, count)), cases, found)
    # What one of a few cases in a hundred shows needs hundreds.
    found.survivors = _alive(alive, samples(op, 4 * count), found) if alive else []
    return found


def _alive(tried: list[Mutant], cases: list[Sample], found: Found) -> list[Mutant]:
    """Those that no case notices, though they make a difference to a call."""
    alive = []
    for mutant in tried:
        with broken(mutant) as effective:
            noticed = not all(_passes(sample) for sample in cases)
        if noticed:
            found.killed += 1
        elif effective:
            alive.append(mutant)
    return alive


def mutants(op: str, cases: list[Sample]) -> list[Mutant]:
    """All mutants of an op: of the calls that its cases make, and of its declarations."""
    sites: set[Mutant] = set()
    with watched(op, sites):
        for case, setting in cases:
            check(case, setting)
    nodes = [layer_graph(case.name, case.op, case.types).nodes[0] for case, _ in cases]
    rank = max(node.outputs[0].type.rank for node in nodes)
    return [*sorted(sites), *declared(op, rank, max(len(node.weights) for node in nodes))]


def _passes(sample: Sample) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check(*sample)
        except Exception:
            return False

"""Tries each fault of an op on random cases that it makes a difference to."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings

from archc.graph import Node
from archc.targets.torch import emit_torch
from tests.mutants.changes import Mutant
from tests.mutants.declared import declared
from tests.mutants.equivalent import why
from tests.mutants.mutate import broken, watched
from tests.properties.cases import PROPERTIES, Case
from tests.properties.check import Setting, check, prepare
from tests.properties.run import setting_of

ROUNDS = 4
TRIES = 32
"""Cases that a fault is tried on at most, all of them such that it changes a call."""


@dataclass(frozen=True)
class Sample:
    """A random case, and which faults make a difference to it.

    Attributes:
        case: the layer.
        setting: how it is run.
        node: the layer, typed.
        sites: faults of the calls that it makes.
    """

    case: Case
    setting: Setting
    node: Node
    sites: frozenset[Mutant]

    @property
    def rank(self) -> int:
        """Of the first result."""
        return self.node.outputs[0].type.rank

    def passes(self) -> bool:
        """Whether all that is known of the case holds."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return check(self.case, self.setting)
            except Exception:
                return False


@dataclass
class Found:
    """What became of an op's mutants.

    Attributes:
        op: the op.
        killed: how many a case noticed.
        survivors: those that none did, though they made a difference to a call.
        seconds: of the CPU.
    """

    op: str
    killed: int = 0
    survivors: list[Mutant] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def unexplained(self) -> list[Mutant]:
        """Survivors of which nothing is known that makes them no faults."""
        return [mutant for mutant in self.survivors if not why(mutant)]


def samples(op: str, count: int) -> list[Sample]:
    """Random cases of an op, without those that archc refuses: `count` or a few more.

    Fewer where it has no more, or where archc refuses most.
    """
    kept: list[Sample] = []
    for number in range(ROUNDS):
        kept += _drawn(op, count, number)
        if len(kept) >= count:
            break
    return kept


def _drawn(op: str, count: int, number: int) -> list[Sample]:
    kept: list[Sample] = []

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(PROPERTIES[op].cases, setting_of())
    def keep(case: Case, setting: Setting) -> None:
        sites: set[Mutant] = set()
        with watched(op, sites):
            prepared = prepare(case, setting)
            if prepared is not None:
                emit_torch(prepared.graph)
        if prepared is not None:
            kept.append(Sample(case, setting, prepared.graph.nodes[0], frozenset(sites)))

    keep()
    return kept


def hunt(op: str, count: int) -> Found:
    """Try every mutant of an op on those of `count` random cases that it makes a difference to.

    Drawing a case is cheap and running it is not. So what few of them show is found in many, and
    each mutant runs on few.
    """
    found = Found(op)
    start = time.process_time()
    drawn = samples(op, count)
    sound: dict[int, bool] = {}
    for mutant, places in reached(op, drawn).items():
        made_a_difference = False
        for place in _spread(places):
            with broken(mutant) as effective:
                passes = drawn[place].passes()
            made_a_difference |= bool(effective)
            if passes:
                continue
            if place not in sound:
                sound[place] = drawn[place].passes()
            if sound[place]:
                found.killed += 1
                break
        else:
            if made_a_difference:
                found.survivors.append(mutant)
    found.seconds = time.process_time() - start
    return found


def _spread(places: list[int]) -> list[int]:
    """Some of all: the first that hypothesis draws are the simplest."""
    return places[:: max(1, -(-len(places) // TRIES))]


def reached(op: str, drawn: list[Sample]) -> dict[Mutant, list[int]]:
    """All mutants of an op, and the samples that each makes a difference to."""
    places: defaultdict[Mutant, list[int]] = defaultdict(list)
    for place, sample in enumerate(drawn):
        for mutant in sample.sites:
            places[mutant].append(place)
    rank = max(sample.rank for sample in drawn)
    weights = max(len(sample.node.weights) for sample in drawn)
    for mutant in declared(op, rank, weights):
        places[mutant] = [i for i, sample in enumerate(drawn) if _concerns(mutant, sample)]
    return dict(sorted(places.items()))


def _concerns(mutant: Mutant, sample: Sample) -> bool:
    """Whether a layer has what a fault of the declaration changes."""
    if mutant.method == "weights":
        return int(mutant.slot) < len(sample.node.weights)
    if mutant.slot.startswith("axis "):
        return int(mutant.slot.removeprefix("axis ")) < sample.rank
    return True

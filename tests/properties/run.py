"""Random cases of ops, as many as are asked for.

    python -m tests.properties.run --cases 5000 [OP ...]

prints for each op how many cases ran, how many archc refused, and how long one took.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.properties.cases import PROPERTIES, Case
from tests.properties.check import OPSETS, Setting, check

SCALES = [0.5, 3.0, 20.0]
ROUND = 1000
"""Cases of one run of hypothesis, which remembers all of them."""


@dataclass
class Tally:
    """Cases that archc compiled and that agreed, and cases that it refused."""

    ran: int = 0
    refused: int = 0


def setting_of() -> st.SearchStrategy[Setting]:
    return st.builds(
        Setting,
        axes=st.frozensets(st.integers(0, 4)),
        opset=st.sampled_from(OPSETS),
        seed=st.integers(0, 2**32 - 1),
        scale=st.sampled_from(SCALES),
    )


def examine(name: str, examples: int, number: int = 0) -> Tally:
    """Draw `examples` cases of an op and hold each against its reference.

    Args:
        name: the op.
        examples: how many.
        number: another one, other cases.

    Raises:
        AssertionError: something does not agree; hypothesis shows the smallest case it found.
    """
    tally = Tally()

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
    )
    @given(PROPERTIES[name].cases, setting_of())
    def hold(case: Case, setting: Setting) -> None:
        if check(case, setting):
            tally.ran += 1
        else:
            tally.refused += 1

    hold()
    return tally


def examine_in_full(name: str, cases: int, first: int) -> Tally:
    """As `examine`, until as many cases were compiled and run."""
    total, number = Tally(), first
    while total.ran < cases:
        tally = examine(name, min(ROUND, cases), number)
        total.ran += tally.ran
        total.refused += tally.refused
        number += 1
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.properties.run")
    parser.add_argument("ops", nargs="*", default=[])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1000, help="of the first thousand cases")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    failed = []
    for name in chosen.ops or sorted(PROPERTIES):
        start = time.process_time()
        try:
            tally = examine_in_full(name, chosen.cases, chosen.seed)
        except Exception as error:
            failed.append(name)
            print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
            for note in getattr(error, "__notes__", ()):
                print(note, flush=True)
            continue
        each = 1000 * (time.process_time() - start) / max(1, tally.ran)
        print(f"{name}: {tally.ran} ran, {tally.refused} refused, {each:.1f} ms each", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())

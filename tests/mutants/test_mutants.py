"""A few ops with every fault in turn; `python -m tests.mutants` does it for all."""

from __future__ import annotations

import pytest

from tests.mutants.equivalent import why
from tests.mutants.hunt import hunt, mutants, samples
from tests.mutants.mutate import broken
from tests.properties.check import check


@pytest.mark.parametrize("op", ["relu6", "softmax", "transpose", "scale"])
def test_every_fault_is_noticed(op: str) -> None:
    found = hunt(op, 24)
    assert found.killed >= 8
    assert [str(mutant) for mutant in found.survivors if not why(mutant)] == []


def test_nothing_is_left_broken() -> None:
    cases = samples("concat", 12)
    for mutant in mutants("concat", cases):
        with broken(mutant):
            pass
    assert all(check(*sample) for sample in cases)

"""A few ops with every fault in turn; `python -m tests.mutants` does it for all."""

from __future__ import annotations

import pytest

from tests.mutants.equivalent import why
from tests.mutants.hunt import hunt, reached, samples
from tests.mutants.mutate import broken


@pytest.mark.parametrize("op", ["relu6", "softmax", "transpose", "scale", "chunk"])
def test_every_fault_is_noticed(op: str) -> None:
    found = hunt(op, 60)
    assert found.killed >= 8
    assert [str(mutant) for mutant in found.survivors if not why(mutant)] == []


def test_nothing_is_left_broken() -> None:
    cases = samples("concat", 12)
    for mutant in reached("concat", cases):
        with broken(mutant):
            pass
    assert all(case.passes() for case in cases)

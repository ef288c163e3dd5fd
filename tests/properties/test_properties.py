"""Random cases of every op; `python -m tests.properties.run` tries thousands."""

from __future__ import annotations

import pytest

from archc.ops.table import OPS
from tests.properties.cases import PROPERTIES
from tests.properties.run import examine
from tests.properties.statements import STATEMENTS


def test_every_op_has_random_cases() -> None:
    missing = sorted(OPS.keys() - PROPERTIES.keys())
    assert not missing, f"add cases and a reference to tests/properties/cases.py: {missing}"
    assert PROPERTIES.keys() == OPS.keys()
    assert STATEMENTS.keys() <= OPS.keys()


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_an_op_keeps_what_it_promises(name: str) -> None:
    assert examine(name, 16).ran

"""A few random networks on every target; `python -m tests.networks.run` tries thousands."""

from __future__ import annotations

import pytest

from archc.ops.table import OPS
from tests.networks.grow import layers_of, network
from tests.networks.layers import CHOICES, COMPOSED
from tests.networks.run import examine, smaller


def test_every_op_is_drawn() -> None:
    missing = sorted(OPS.keys() - CHOICES.keys() - COMPOSED.keys())
    assert not missing, f"say in tests/networks/layers.py what attributes to draw: {missing}"
    drawn = {layer.op for number in range(500) for layer in layers_of(network(number).body)}
    assert drawn == OPS.keys()


@pytest.mark.parametrize("first", [0, 20])
def test_random_networks_compute_the_same_on_every_target(first: int) -> None:
    assert examine(range(first, first + 20)) == {}


def test_a_network_that_fails_is_made_smaller() -> None:
    def reads_a_norm(net) -> bool:
        return any(layer.op == "batchnorm" for layer in layers_of(net.body))

    number = next(n for n in range(100, 200) if reads_a_norm(network(n)))
    found = smaller(network(number), reads_a_norm)
    assert [layer.op for layer in layers_of(found.body)] == ["batchnorm"]

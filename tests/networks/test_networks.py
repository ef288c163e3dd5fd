"""A few random networks on every target; `python -m tests.networks.run` tries thousands."""

from __future__ import annotations

import pytest

from archc.ops.table import OPS
from archc.types import DType
from tests.installed import HALVES
from tests.networks.grow import layers_of, network
from tests.networks.layers import CHOICES, COMPOSED
from tests.networks.precision import examine_in
from tests.networks.run import as_drawn, examine, smaller


def test_every_op_is_drawn() -> None:
    missing = sorted(OPS.keys() - CHOICES.keys() - COMPOSED.keys())
    assert not missing, f"say in tests/networks/layers.py what attributes to draw: {missing}"
    drawn = {layer.op for number in range(500) for layer in layers_of(network(number).body)}
    assert drawn == OPS.keys()


@pytest.mark.parametrize("first", [0, 20])
def test_random_networks_compute_the_same_on_every_target(first: int) -> None:
    assert examine(range(first, first + 20)) == {}


def test_the_network_whose_padding_lost_its_brackets() -> None:
    """Of 10,000, the one that failed: a size over two lines of the generated source."""
    assert examine([5758]) == {}


@pytest.mark.parametrize("dtype", HALVES)
def test_random_networks_compute_the_same_in_fewer_bits(dtype: DType) -> None:
    drawn = [(number, as_drawn(network(number))) for number in range(12)]
    wrong, refused = examine_in(dtype, drawn)
    assert wrong == {}
    assert len(refused) < 4


def test_a_network_that_fails_is_made_smaller() -> None:
    def reads_a_norm(net) -> bool:
        return any(layer.op == "batchnorm" for layer in layers_of(net.body))

    number = next(n for n in range(100, 200) if reads_a_norm(network(n)))
    found = smaller(network(number), reads_a_norm)
    assert [layer.op for layer in layers_of(found.body)] == ["batchnorm"]

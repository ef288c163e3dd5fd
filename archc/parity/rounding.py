"""What a network makes of the rounding of its own layers.

A network may amplify what its layers round: a difference of nearly equal values, a norm of values
that are nearly the same. An error at the end alone then tells no mistake. So where no layer is
wrong alone, the network is run in float64, layer by layer, with every value off by the rounding of
the layer that made it, in random directions (Monte Carlo arithmetic: Parker, Pierce and Eggert
2000, doi 10.1109/5992.852391), and what that changes counts like torch's own error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archc.graph import Graph
from archc.parity.arrays import SINGLE, nudged, rounding_of
from archc.parity.gate import scaled_error
from archc.parity.layers import LayerRun, run_layers
from archc.weights import WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Results = dict[str, Array]

SAMPLES = 3
"""Random directions of rounding that are tried."""


def amplified(
    graph: Graph, weights: WeightSource, feed: Mapping[str, Array], sizes: Mapping[str, int]
) -> dict[str, float]:
    """Output -> the largest scaled error that roundings of the network's own dtype make of it.

    Args:
        graph: the network.
        weights: its weights.
        feed: its inputs, by name.
        sizes: value of every symbolic dim.

    Raises:
        LayerError: a layer cannot be run alone.
    """
    samples: list[Results] = []
    exact: Results = {}
    for run in disturbed(graph, weights, feed, sizes, 0, samples):
        exact |= {v.name: x for v, x in zip(run.node.outputs, run.exact, strict=True)}
    return {
        name: max(scaled_error(values[end.name], exact[end.name]) for values in samples)
        for name, end in graph.outputs.items()
        if end.name in exact
    }


def disturbed(
    graph: Graph,
    weights: WeightSource,
    feed: Mapping[str, Array],
    sizes: Mapping[str, int],
    seed: int,
    samples: list[Results],
) -> Iterator[LayerRun]:
    """The layers in turn, each run alone.

    Args:
        graph: the network.
        weights: its weights.
        feed: its inputs, by name.
        sizes: value of every symbolic dim.
        seed: another one, other directions.
        samples: gets `SAMPLES` dictionaries of all values by name, in float64, off by roundings.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    units = {value.name: rounding_of(value.type.dtype) for value in graph.inputs}
    for _ in range(SAMPLES):
        samples.append({name: nudged(x, units[name], 0.0, rng) for name, x in feed.items()})
    for run in run_layers(graph, weights, feed, sizes):
        floor = SINGLE * run.node.op.resolution()
        for values in samples:
            made = run.module.run([values[value.name] for value in run.node.inputs])
            for value, array in zip(run.node.outputs, made, strict=True):
                values[value.name] = nudged(array, rounding_of(value.type.dtype), floor, rng)
        yield run

"""What two networks are run on, to find where they part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archc.graph import Graph
from archc.parity.gate import Gate, gate_of
from archc.parity.layers import LayerRun, run_layers
from archc.records import dataclass
from archc.weights import CastWeights, WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the networks are run on.

    Attributes:
        graph: of the spec.
        weights: that both have, before they are rounded to the network's own precision.
        feed: inputs by the spec's names.
        sizes: value of every symbolic dim.
        optimized: whether onnxruntime may rewrite what it runs.
    """

    graph: Graph
    weights: WeightSource
    feed: Mapping[str, Array]
    sizes: Mapping[str, int]
    optimized: bool

    @property
    def gate(self) -> Gate:
        """What passes in the network's precision."""
        return gate_of(self.graph.dtype)

    def layers(self) -> Iterator[LayerRun]:
        """Every exported layer, run alone in torch."""
        return run_layers(self.graph, CastWeights(self.weights), self.feed, self.sizes)

"""What two networks are run on, to find where they part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archc.graph import Graph
from archc.parity.layers import LayerRun, run_layers
from archc.records import dataclass
from archc.weights import WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the networks are run on.

    Attributes:
        graph: of the spec.
        weights: that both have.
        feed: inputs by the spec's names.
        sizes: value of every symbolic dim.
        optimized: whether onnxruntime may rewrite what it runs.
    """

    graph: Graph
    weights: WeightSource
    feed: Mapping[str, Array]
    sizes: Mapping[str, int]
    optimized: bool

    def layers(self) -> Iterator[LayerRun]:
        """Every exported layer, run alone in torch."""
        return run_layers(self.graph, self.weights, self.feed, self.sizes)

"""The rows of a report: every layer with its shape, arithmetic, cost and receptive field."""

from __future__ import annotations

from collections.abc import Mapping

from archc.graph import Graph, Node
from archc.graph.costs import NodeCost, Totals, node_costs, total_cost
from archc.graph.memory import Peak, peak_memory
from archc.graph.receptive import Field, receptive_fields
from archc.records import dataclass
from archc.types import Dim, Expr, TensorType, symbols_of
from archc.types.dims import substitute


@dataclass(frozen=True, slots=True)
class Row:
    """One layer.

    Attributes:
        node: the layer.
        derivation: the worked arithmetic of its shape, a line per computed axis.
        cost: what it costs.
        fields: its receptive field, per input and spatial axis.
    """

    node: Node
    derivation: tuple[str, ...]
    cost: NodeCost
    fields: tuple[Field, ...]

    @property
    def type(self) -> TensorType:
        """Type of the first output."""
        return self.node.output.type


@dataclass(frozen=True, slots=True)
class Report:
    """A network, or what could be typed of it.

    Attributes:
        graph: the network.
        rows: one per layer, in dataflow order.
        totals: the sums.
        complete: whether the whole network was typed.
    """

    graph: Graph
    rows: tuple[Row, ...]
    totals: Totals
    complete: bool

    def peak(self) -> Peak:
        """The most activation memory; work over sums of symbolic sizes, done when asked."""
        return peak_memory(self.graph)

    @property
    def unit(self) -> Mapping[str, Dim]:
        """Batch sizes as 1: the sizes that tables for people are made at."""
        leading = [value.type.shape[0] for value in self.graph.inputs if value.type.rank]
        names = {name for dim in leading if isinstance(dim, Expr) for name in symbols_of(dim)}
        others = {
            name for v in self.graph.inputs for dim in v.type.shape[1:] for name in symbols_of(dim)
        }
        return dict.fromkeys(sorted(names - others), 1)

    def at_unit(self, dim: Dim) -> Dim:
        """A size for a batch of one."""
        unit = self.unit
        return substitute(dim, unit) if unit else dim


def build_report(graph: Graph, *, complete: bool = True) -> Report:
    """Analyse a network.

    Args:
        graph: the network, or its typed part.
        complete: whether it is the whole.
    """
    fields = receptive_fields(graph)
    costs = node_costs(graph)
    rows = tuple(
        Row(node, explanation(node), cost, fields[node.output.name])
        for node, cost in zip(graph.nodes, costs, strict=True)
    )
    return Report(graph, rows, total_cost(graph, costs), complete)


def explanation(node: Node) -> tuple[str, ...]:
    """The worked arithmetic of a layer's shape."""
    return node.op.explain(*(value.type for value in node.inputs))

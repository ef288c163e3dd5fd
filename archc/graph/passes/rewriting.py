"""A graph on its way through the passes, and what passes ask of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from archc.graph.graph import Graph, Node, WeightRef
from archc.graph.passes.recipe import Recipe, Stored
from archc.records import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A graph between two passes.

    Attributes:
        graph: the network as it is now; it computes in inference what the spec says.
        recipes: key of a weight -> what it is computed of, for the weights that passes made.
        done: what each pass did, a phrase for each that did something.
    """

    graph: Graph
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    done: tuple[str, ...] = ()

    def rewritten(
        self, nodes: Iterable[Node], recipes: Mapping[str, Recipe], done: str
    ) -> Rewriting:
        """The next state: other nodes, all recipes so far, one more phrase."""
        return Rewriting(replace(self.graph, nodes=tuple(nodes)), recipes, (*self.done, done))


class Uses:
    """Who reads each value and each weight of a graph.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._values = Counter(value.name for node in graph.nodes for value in node.inputs)
        self._values.update(value.name for value in graph.outputs.values())
        self._keys = Counter(ref.key for node in graph.nodes for ref in node.weights)

    def read_once(self, name: str) -> bool:
        """Whether one layer, or one output of the network, reads the value, and once."""
        return self._values[name] == 1

    def owns_alone(self, refs: Sequence[WeightRef]) -> bool:
        """Whether no other layer has any of these weights."""
        return all(self._keys[ref.key] == 1 and not ref.alias for ref in refs)

    def free_key(self, key: str) -> str:
        """`key`, or one like it that no weight of the graph has."""
        while key in self._keys:
            key += "_folded"
        self._keys[key] += 1
        return key


def recipe_of(ref: WeightRef, recipes: Mapping[str, Recipe]) -> Recipe:
    """What a weight is computed of: itself, unless a pass made it."""
    return recipes.get(ref.key) or Stored(ref)


def bias_key(key: str) -> str:
    """The key of the bias beside the weight with this key."""
    return key.removesuffix("weight") + "bias" if key.endswith("weight") else f"{key}.bias"


def in_inference(node: Node) -> bool:
    """Whether the layer is part of the network in inference."""
    return node.side != "training"


def counted(number: int, one: str, many: str) -> str:
    """`1 batch norm`, `3 batch norms`."""
    return f"{number:,} {one if number == 1 else many}"

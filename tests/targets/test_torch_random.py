"""Graphs drawn at random, with any nesting and any names: the source has to compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from archc.graph import Graph, Value
from tests.targets.graphs import Net
from tests.targets.torch_reference import assert_equals_layers, checked, with_scopes

SCOPES = ["", "a", "a.b", "a.b.c", "body", "body.0", "body.1", "x-y", "type", "b1.left", "b2.left"]
LEAVES = ["conv", "0", "1", "2", "forward", "class", "half", "_p", "__q", "x", "self", "3d", "é"]
BLOCKS = [None, "cell", "nn", "linear-ish"]
UNARY = ["conv", "padded", "batchnorm", "relu", "hardswish", "identity", "permuted"]
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "conv": {"out": 4, "kernel": 3, "padding": 1},
    "padded": {"out": 4, "kernel": 2, "padding": [[0, 1], [1, 0]]},
    "permuted": {"dims": [0, 1, 3, 2]},
}
OPS = {"padded": "conv", "permuted": "permute"}


def _free(net: Net, taken: set[str], wanted: str) -> str:
    """A path that is neither taken nor the way to one that is."""
    path, number = wanted, 1
    while path in taken or any(p.startswith(f"{path}.") for p in taken):
        path, number = f"{wanted}{number}", number + 1
    taken.add(path)
    return path


class Case:
    """A graph that prints itself in a few lines."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __repr__(self) -> str:
        layers = [
            f"{n.path} = {n.op_name}({', '.join(v.name for v in n.inputs)})"
            for n in self.graph.nodes
        ]
        blocks = {path: s.block for path, s in self.graph.scopes.items() if s.block}
        outputs = {name: value.name for name, value in self.graph.outputs.items()}
        return "\n".join(["", *layers, str(blocks), str(outputs)])


class Grower:
    """Adds layers that all keep the shape [N, 4, 6, 6]."""

    def __init__(self, inputs: int) -> None:
        self.net = Net(**{f"in{i}": ["N", 4, 6, 6] for i in range(inputs)})
        self.taken: set[str] = set(SCOPES)
        self.values: list[Value] = list(self.net.inputs)

    def add(self, kind: str, path: str, sources: Sequence[int]) -> None:
        operands = [self.values[-1 - s % len(self.values)] for s in sources]
        if kind == "chunk":
            halves = self._layer("chunk", f"{path}_c", operands[:1], {"chunks": 2})
            made = self._layer("concat", f"{path}_j", halves[::-1], {})
        elif kind in ("add", "mul"):
            made = self._layer(kind, path, operands, {})
        else:
            made = self._layer(OPS.get(kind, kind), path, operands[:1], ATTRIBUTES.get(kind, {}))
        self.values.append(made[0])

    def _layer(
        self, op: str, path: str, operands: Sequence[Value], attributes: dict[str, Any]
    ) -> tuple[Value, ...]:
        self.net.add(_free(self.net, self.taken, path), op, *operands, attributes=attributes)
        return self.net.nodes[-1].outputs


steps = st.tuples(
    st.sampled_from([*UNARY, "add", "mul", "chunk"]),
    st.sampled_from(SCOPES),
    st.sampled_from(LEAVES),
    st.lists(st.sampled_from([0, 0, 0, 1, 2, 5]), min_size=2, max_size=3),
)


@st.composite
def tangled(draw: st.DrawFn) -> Case:
    """Layers put anywhere in the tree, reading from anywhere before them."""
    grower = Grower(draw(st.integers(1, 2)))
    for kind, scope, leaf, sources in draw(st.lists(steps, min_size=1, max_size=14)):
        grower.add(kind, f"{scope}.{leaf}" if scope else leaf, sources)
    made = grower.values[len(grower.net.inputs) :]
    extra = draw(st.lists(st.sampled_from(made), max_size=2, unique_by=id))
    outputs = {"output": made[-1]} | {f"also {i}": value for i, value in enumerate(extra)}
    blocks = {s: draw(st.sampled_from(BLOCKS)) for s in SCOPES if s}
    return Case(with_scopes(grower.net.graph(outputs), blocks))


@given(tangled())
@settings(max_examples=120, deadline=None)
def test_any_tree_computes_what_its_layers_do(case: Case) -> None:
    _, module = checked(case.graph)
    assert_equals_layers(case.graph, module)


@st.composite
def repeated(draw: st.DrawFn) -> Case:
    """Instances of one block: the same steps, some left out, each at its own width."""
    template = draw(st.lists(st.sampled_from([*UNARY, "add", "chunk"]), min_size=2, max_size=7))
    net = Net(image=["N", 3, 6, 6])
    blocks: dict[str, str | None] = {}
    params: dict[str, dict[str, int]] = {}
    for i in range(draw(st.integers(2, 5))):
        width = draw(st.sampled_from([2, 4, 8]))
        path = draw(st.sampled_from([f"stage.{i}", f"stage.part{i}", f"block{i}"]))
        net.add(f"widen{i}", "conv", attributes={"out": width})
        entry = net.nodes[-1].output
        for j, kind in enumerate(template):
            if draw(st.integers(0, 4)):
                _instance_step(net, kind, f"{path}.{_name(kind, j)}", entry, width)
        blocks[path] = "cell"
        params[path] = {"width": width, "index": i}
    return Case(with_scopes(net.graph(), blocks, params))


def _name(kind: str, j: int) -> str:
    return str(j) if kind in ("relu", "identity") else f"{kind}{j}"


def _instance_step(net: Net, kind: str, path: str, entry: Value, width: int) -> None:
    last = net.nodes[-1].output
    attributes = dict(ATTRIBUTES.get(kind, {}))
    if "out" in attributes:
        attributes["out"] = width
    if kind == "add":
        net.add(path, "add", last, entry)
    elif kind == "chunk":
        net.add(f"{path}_c", "chunk", last, attributes={"chunks": 2})
        net.add(f"{path}_j", "concat", *net.nodes[-1].outputs[::-1])
    else:
        net.add(path, OPS.get(kind, kind), last, attributes=attributes)


@given(repeated())
@settings(max_examples=120, deadline=None)
def test_any_instances_of_a_block_compute_what_their_layers_do(case: Case) -> None:
    _, module = checked(case.graph)
    assert_equals_layers(case.graph, module)

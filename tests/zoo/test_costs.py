"""Parameters, work and result sizes of the zoo against torch's and torchinfo's own counters."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchinfo import summary

from archc.graph import Graph
from archc.graph.costs import node_costs, total_cost
from archc.types import evaluate
from tests.zoo.catalogue import SLICE, TORCHVISION
from tests.zoo.graphs import graph_of
from tests.zoo.oracle import meta_model

SIZES = {"N": 2, "H": 65, "W": 97}
"""H and W of networks that leave them open."""

EACH = pytest.mark.parametrize(
    ("spec", "variant", "model"),
    [
        pytest.param(*names, marks=[] if names[-1] in SLICE else pytest.mark.exhaustive)
        for names in TORCHVISION
    ],
)


def image(graph: Graph) -> torch.Tensor:
    (value,) = graph.inputs
    shape = [evaluate(dim, SIZES) for dim in value.type.shape]
    return torch.zeros(shape, device="meta")


@EACH
def test_flops_are_those_of_torchs_counter_module_by_module(
    spec: str, variant: str | None, model: str
) -> None:
    graph, theirs = graph_of(spec, variant), meta_model(model)
    with FlopCounterMode(display=False) as counter:
        theirs(image(graph))
    assert evaluate(total_cost(graph).flops, SIZES) == counter.get_total_flops()
    counts = {
        name.partition(".")[2]: sum(work.values())
        for name, work in counter.get_flop_counts().items()
    }
    # What a module does itself: attention runs its projections without calling them.
    own = dict(counts)
    for name, count in counts.items():
        if name:
            own[innermost(name.rpartition(".")[0], counts)] -= count
    found = Counter[str]()
    for node, cost in zip(graph.nodes, node_costs(graph), strict=True):
        if cost.flops != 0 and node.side is None:
            found[innermost(node.path, counts)] += evaluate(cost.flops, SIZES)
    assert found == {name: count for name, count in own.items() if count > 0}


def innermost(path: str, counts: dict[str, int]) -> str:
    """The innermost module around a path that was called; the network itself is ""."""
    while path and path not in counts:
        path = path.rpartition(".")[0]
    return path


@EACH
def test_parameters_macs_and_results_are_torchinfos(
    spec: str, variant: str | None, model: str
) -> None:
    graph, theirs = graph_of(spec, variant), meta_model(model)
    x = image(graph)
    info = summary(theirs, input_data=x, verbose=0, device="meta", depth=99)
    totals = total_cost(graph)
    assert totals.parameters == info.total_params == info.trainable_params
    by_name = dict(theirs.named_modules())
    found = {id(layer.module): layer for layer in info.summary_list if layer.is_leaf_layer}
    compared = 0
    for node, cost in zip(graph.nodes, node_costs(graph), strict=True):
        layer = found.get(id(by_name.get(node.path)))
        if layer is None:
            continue
        assert layer.num_params == cost.parameters, node.path
        assert layer.output_bytes == evaluate(cost.activation_bytes, SIZES), node.path
        # torchinfo leaves out the positions of a linear layer on more than two axes.
        if cost.macs != 0 and (node.op_name == "conv" or node.output.type.rank == 2):
            # It counts a bias as one more weight of every output element.
            biases = sum(ref.weight.name == "bias" for ref in node.weights)
            macs = cost.macs + biases * node.output.type.numel
            assert layer.macs == evaluate(macs, SIZES), node.path
        assert [int(size) for size in layer.output_size] == [
            evaluate(dim, SIZES) for dim in node.output.type.shape
        ], node.path
        compared += 1
    assert compared > 20

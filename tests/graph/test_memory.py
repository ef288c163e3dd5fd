"""Activation bytes and their peak, against measured tensors and a plain simulation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from archc.compile import check_file
from archc.graph import Graph
from archc.graph.costs import byte_size, node_costs, total_cost
from archc.graph.memory import peak_memory
from archc.targets.torch import emit_torch, load_module
from archc.types import Expr, evaluate
from archc.weights import DrawnWeights
from tests.graph.specs import graph_of, net
from tests.zoo.catalogue import spec_path


def zoo(spec: str, variant: str | None = None) -> Graph:
    graph = check_file(spec_path(spec), variant).graph
    assert graph is not None
    return graph


@pytest.mark.parametrize(
    ("spec", "variant"), [("lenet5", None), ("alexnet", None), ("resnet", "resnet18")]
)
def test_results_are_as_large_as_the_tensors_that_hooks_see(spec: str, variant: str | None) -> None:
    graph = zoo(spec, variant)
    batch = 2
    predicted = {
        node.path: evaluate(cost.activation_bytes, {"N": batch})
        for node, cost in zip(graph.nodes, node_costs(graph), strict=True)
    }
    module = load_module(emit_torch(graph), DrawnWeights(0)).eval()
    measured: dict[str, set[int]] = {}

    def note(name: str) -> None:
        def hook(_module: object, _inputs: object, result: torch.Tensor) -> None:
            measured.setdefault(name, set()).add(result.numel() * result.element_size())

        module.get_submodule(name).register_forward_hook(hook)

    for name, child in module.named_modules():
        if name and not any(True for _ in child.children()):
            note(name)
    shape = [evaluate(dim, {"N": batch}) for dim in graph.inputs[0].type.shape]
    with torch.no_grad():
        module(torch.zeros(shape))
    assert len(measured) > 10
    for name, sizes in measured.items():
        assert sizes == {predicted[name]}, name


def simulated_peak(graph: Graph, sizes: dict[str, int]) -> int:
    """The largest sum over layers of what is alive, written the slow way."""
    size = {v.name: evaluate(byte_size(v.type), sizes) for v in graph.inputs}
    size |= {v.name: evaluate(byte_size(v.type), sizes) for n in graph.nodes for v in n.outputs}
    made = {v.name: -1 for v in graph.inputs}
    made |= {v.name: i for i, n in enumerate(graph.nodes) for v in n.outputs}
    kept = {value.name for value in graph.outputs.values()}
    peaks = [sum(size[v.name] for v in graph.inputs)]
    for step in range(len(graph.nodes)):
        needed = {v.name for n in graph.nodes[step:] for v in n.inputs} | kept
        own = {v.name for v in graph.nodes[step].outputs}
        alive = {name for name, at in made.items() if at <= step and name in needed} | own
        peaks.append(sum(size[name] for name in alive))
    return max(peaks)


@pytest.mark.parametrize(
    ("spec", "variant"),
    [("lenet5", None), ("alexnet", None), ("vgg", "vgg11_bn"), ("resnet", "resnet50")],
)
def test_peak_of_the_zoo_is_that_of_the_simulation(spec: str, variant: str | None) -> None:
    graph = zoo(spec, variant)
    peak = peak_memory(graph)
    assert isinstance(peak.bytes, Expr) and peak.path is not None
    for batch in (1, 7):
        assert evaluate(peak.bytes, {"N": batch}) == simulated_peak(graph, {"N": batch})


def test_peak_of_a_residual_holds_both_branches() -> None:
    # Alive while `1` runs: x (kept for the sum), its input 0 and its output 1, 1024 bytes each.
    graph = graph_of(net("[{residual: [relu, tanh, sigmoid]}]", "{x: [1, 1, 16, 16]}"))
    assert peak_memory(graph).bytes == 3 * 1024
    chain = graph_of(net("[relu, tanh, sigmoid]", "{x: [1, 1, 16, 16]}"))
    assert peak_memory(chain).bytes == 2 * 1024


def test_outputs_live_to_the_end_and_unread_inputs_do_not() -> None:
    text = (
        "archc: 1\nname: net\ninputs: {x: [1, 256], unread: [1, 100000]}\n"
        "layers: {a: relu, b: tanh, c: sigmoid}\noutputs: [a, c]\n"
    )
    peak = peak_memory(graph_of(text))
    assert peak.bytes == (256 + 100_000) * 4
    assert peak.path is None  # all inputs are there before anything runs


def test_an_early_output_is_there_while_later_layers_run() -> None:
    text = "archc: 1\nname: net\ninputs: {x: [1, 256]}\nlayers: {a: relu, b: tanh, c: sigmoid}\n"
    assert peak_memory(graph_of(text)).bytes == 2 * 1024
    kept = peak_memory(graph_of(f"{text}outputs: [a, c]\n"))
    assert (kept.bytes, kept.path) == (3 * 1024, "c")


def test_a_result_that_nothing_reads_is_gone_when_its_layer_has_run() -> None:
    text = (
        "archc: 1\nname: net\ninputs: {x: [1, 256]}\nlayers:\n"
        "  unread: {linear: 1000}\n  read: {linear: 1000, from: x}\n"
    )
    peak = peak_memory(graph_of(text))
    assert (peak.bytes, peak.path) == (1024 + 4000, "unread")


def test_a_tied_weight_counts_once() -> None:
    graph = graph_of(net("[{linear: 8, bias: false}, {linear: 8, bias: false}]", "{x: [N, 8]}"))
    first, second = graph.nodes
    tied = replace(graph, nodes=(first, replace(second, weights=first.weights)))
    assert [cost.parameters for cost in node_costs(tied)] == [64, 0]
    assert total_cost(tied).parameters == tied.parameter_count == 64
    assert total_cost(tied).parameter_bytes == 256


def test_several_dtypes_count_their_own_bytes() -> None:
    text = "archc: 1\nname: net\ninputs: {ids: {shape: [1, 10], dtype: int64}}\nlayers: [flatten]\n"
    graph = graph_of(text)
    assert peak_memory(graph).bytes == 2 * 80
    assert total_cost(graph).activation_bytes == 80


def test_layers_on_the_side_do_not_run() -> None:
    layers = "[relu, {linear: 100000, side: training}, tanh]"
    graph = graph_of(net(layers, "{x: [1, 256]}"))
    assert len(graph.nodes) == 3
    assert peak_memory(graph).bytes == 2 * 1024
    assert total_cost(graph).macs == 0
    assert total_cost(graph).parameters == 256 * 100_000 + 100_000


SYMBOLIC = "{x: [N, 3, H, W]}"


@pytest.mark.parametrize(
    "layers",
    [
        "[{conv: 8, kernel: 3, padding: 1}, relu, {maxpool: 2}, {conv: 40, kernel: 3}, relu]",
        "[{conv: 4, stride: 2}, {conv: 64, stride: 2}, {resize: , scale: 4}]",
    ],
)
def test_a_symbolic_peak_holds_for_every_size(layers: str) -> None:
    graph = graph_of(net(layers, SYMBOLIC))
    peak = peak_memory(graph).bytes
    assert isinstance(peak, Expr)
    for height in (8, 9, 33):
        for width in (8, 20):
            sizes = {"N": 3, "H": height, "W": width}
            assert evaluate(peak, sizes) == simulated_peak(graph, sizes)


def test_sums_of_sizes_grow_linearly_with_layers() -> None:
    counts = []
    for number in (50, 100, 200):
        chain = ", ".join(["{conv: 3, kernel: 3, padding: 1}", "relu"] * number)
        graph = graph_of(net(f"[{chain}]", SYMBOLIC))
        calls = 0
        plain = Expr.__add__

        def counted(self: Expr, other: object, plain: object = plain) -> object:
            nonlocal calls
            calls += 1
            return plain(self, other)  # type: ignore[operator]

        Expr.__add__ = counted  # type: ignore[assignment, method-assign]
        try:
            peak_memory(graph)
        finally:
            Expr.__add__ = plain  # type: ignore[method-assign]
        counts.append(calls)
    growth = [second / first for first, second in pairwise(counts)]
    assert all(ratio < 2.2 for ratio in growth), counts

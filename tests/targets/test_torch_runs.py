"""What one does with a network: compile, export, copy, save, train, read a traceback."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
import traceback

import pytest
import torch
from torch import nn

from archc.graph import Graph
from archc.targets.torch import TorchSource, emit_torch, load_module
from archc.weights import DrawnWeights, RandomisedWeights
from tests.targets.graphs import Net
from tests.targets.test_torch_source import BOTTLENECKS, NAMED_SECTIONS, compiled
from tests.targets.torch_reference import SEED, example, with_scopes

CONV = {"out": 4, "kernel": 3, "padding": 1}


def odd_names() -> Graph:
    """Children that are no identifiers, a container, two outputs."""
    net = Net(image=["N", 4, 6, 6])
    net.add("3d", "conv", attributes=CONV)
    net.add("s.before", "conv", attributes=CONV)
    net.add("x-y.0", "conv", attributes=CONV)
    middle = net.add("x-y.add", "add", net.nodes[-1].output, net.nodes[-2].output)
    net.add("s.after", "batchnorm")
    return with_scopes(net.graph({"output": net.nodes[-1].output, "middle": middle}), {})


GRAPHS = {
    "bottlenecks": lambda: compiled(BOTTLENECKS),
    "sections": lambda: compiled(NAMED_SECTIONS),
    "odd names": odd_names,
}


@pytest.fixture(params=GRAPHS)
def graph(request: pytest.FixtureRequest) -> Graph:
    return GRAPHS[request.param]()


@pytest.fixture
def network(graph: Graph) -> nn.Module:
    return load_module(emit_torch(graph), RandomisedWeights(SEED)).eval()


def assert_same(left: object, right: object) -> None:
    torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_compiles_as_one_graph(graph: Graph, network: nn.Module) -> None:
    torch.compiler.reset()
    compiled_network = torch.compile(network, fullgraph=True, backend="eager")
    x = example(graph, 0)
    assert_same(compiled_network(x), network(x))


def test_compiles_in_training_as_one_graph(graph: Graph, network: nn.Module) -> None:
    torch.compiler.reset()
    network.train()
    twin = torch.compile(copy.deepcopy(network), fullgraph=True, backend="eager")
    x = example(graph, 0)
    assert_same(twin(x), network(x))


def test_a_child_with_the_name_of_a_method_compiles() -> None:
    # torch.export cannot find such a child by its name; all else can.
    net = Net(image=["N", 4, 6, 6])
    net.add("type", "conv", attributes=CONV)
    network = load_module(emit_torch(net.graph())).eval()
    torch.compiler.reset()
    twin = torch.compile(network, fullgraph=True, backend="eager")
    x = example(net.graph(), 0)
    assert_same(twin(x), network(x))


def test_exports_with_any_batch(graph: Graph, network: nn.Module) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        network, (example(graph, 0),), dynamic_shapes=({0: batch},), strict=False
    )
    for size in (1, 5):
        x = example(graph, 0, batch=size)
        assert_same(program.module()(x), network(x))


def test_copies_and_saves(graph: Graph, network: nn.Module) -> None:
    x = example(graph, 0)
    assert_same(copy.deepcopy(network)(x), network(x))
    assert_same(pickle.loads(pickle.dumps(network))(x), network(x))
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    fresh = load_module(emit_torch(graph)).eval()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert_same(fresh(x), network(x))


def test_every_parameter_learns(graph: Graph, network: nn.Module) -> None:
    network.train()
    result = network(example(graph, 0, batch=4))
    results = result.values() if isinstance(result, dict) else [result]
    sum(value.square().sum() for value in results).backward()
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_the_source_runs_alone(tmp_path: object) -> None:
    source = emit_torch(compiled(BOTTLENECKS))
    code = f"import sys; sys.modules['archc'] = None\n{source.text}\n" + (
        f"import torch\nprint(tuple({source.class_name}()(torch.zeros(2, 3, 32, 32)).shape))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "(2, 10)"


def test_a_traceback_shows_the_source() -> None:
    network = load_module(emit_torch(compiled(BOTTLENECKS)))
    with pytest.raises(RuntimeError) as caught:
        network(torch.zeros(2, 5, 32, 32))
    text = "".join(traceback.format_exception(caught.value))
    assert "x = self.conv1(x)  # [N, 16, 32, 32]" in text
    assert "<archc SmallResnet" in text


def test_the_module_is_the_source() -> None:
    import inspect

    source = emit_torch(compiled(BOTTLENECKS))
    network = load_module(source)
    assert inspect.getsource(sys.modules[type(network).__module__]) == source.text
    assert type(load_module(source)) is type(network)


def test_weights_are_those_given(graph: Graph) -> None:
    weights = DrawnWeights(7)
    network = load_module(emit_torch(graph), weights)
    state = network.state_dict()
    for ref in graph.weights():
        assert_same(state[ref.key], torch.from_numpy(weights.array(ref)))
        assert state[ref.key].device.type == "cpu"


def test_weights_that_do_not_fit_are_a_fault_of_ours() -> None:
    source = emit_torch(compiled(BOTTLENECKS))
    short = TorchSource(source.text, source.class_name, source.weights[1:])
    with pytest.raises(RuntimeError, match="Missing key"):
        load_module(short, DrawnWeights(0))


def test_emitting_imports_no_torch() -> None:
    code = "import sys, archc.targets.torch; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


HEADS = """
archc: 1
inputs: {x: [N, 8]}
blocks:
  head: {body: [{linear: 4}, relu, {linear: 3}]}
layers:
  aux: {head: , side: training}
  body: {linear: 8}
  heads:
    one: {linear: 3, side: training}
    two: {linear: 3, side: training}
  output: {linear: 3, side: training}
  fc: {linear: 2}
"""


def test_heads_of_training_are_returned_by_names_of_their_own() -> None:
    network = load_module(emit_torch(compiled(HEADS)))
    x = torch.randn(2, 8)
    results = network(x)
    assert list(results) == ["output", "aux", "heads.one", "heads.two", "output2"]
    assert [value.shape[1] for value in results.values()] == [2, 3, 3, 3, 3]
    # A loss that weighs them trains all there is.
    (results["output"].sum() + 0.3 * sum(head.sum() for head in results.values())).backward()
    assert all(weight.grad is not None for weight in network.parameters())
    assert torch.equal(network.eval()(x), results["output"])

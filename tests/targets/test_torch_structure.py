"""Levels of the layer tree that are no plain chains, and names that are no identifiers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from archc.graph import Graph, Node
from archc.targets.torch import emit_torch
from archc.targets.torch.signatures import KEPT, TAKEN
from archc.types import symbol
from tests.targets.graphs import Net
from tests.targets.torch_reference import (
    assert_equals_layers,
    assert_tidy,
    checked,
    example,
    with_scopes,
)

CONV = {"out": 4, "kernel": 3, "padding": 1}


def image() -> Net:
    return Net(image=["N", 4, 6, 6])


def test_inputs_and_outputs_are_in_their_order() -> None:
    net = Net(left=["N", 4, 6, 6], right=["N", 4, 6, 6])
    left, right = net.inputs
    total = net.add("total", "add", right, left)
    scaled = net.add("scaled", "mul", total, left)
    graph = net.graph({"scaled": scaled, "the sum": total})
    source, module = checked(graph)
    assert "def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:" in source.text
    assert 'return {"scaled": ' in source.text
    inputs = [example(graph, 0), example(graph, 1)]
    assert list(module(*inputs)) == ["scaled", "the sum"]
    assert_equals_layers(graph, module)


def test_an_input_that_nothing_reads_is_still_a_parameter() -> None:
    net = Net(image=["N", 4, 6, 6], unused=["N", 2])
    net.add("0", "conv", attributes=CONV)
    graph = net.graph()
    source, module = checked(graph)
    assert "def forward(self, image: Tensor, unused: Tensor) -> Tensor:" in source.text
    assert_equals_layers(graph, module)


def test_a_section_takes_and_returns_what_crosses_its_border() -> None:
    net = image()
    stem = net.add("stem", "conv", attributes=CONV)
    first = net.add("body.first", "conv", stem, attributes=CONV)
    net.add("body.second", "mul", first, stem)
    second = net.add("body.third", "conv", attributes=CONV)
    net.add("last", "add", second, first)
    graph = net.graph()
    source, module = checked(graph)
    assert "class Body(nn.Module):" in source.text
    assert "def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:" in source.text
    assert "x1, x2 = self.body(x)" in source.text
    assert_equals_layers(graph, module)


def test_a_section_that_no_call_can_run_is_a_container() -> None:
    net = image()
    net.add("shared.before", "conv", attributes=CONV)
    net.add("between", "conv", attributes=CONV)
    net.add("shared.after", "conv", attributes=CONV)
    graph = net.graph()
    source, module = checked(graph)
    assert "self.shared = nn.ModuleDict(" in source.text
    assert 'x = self.shared["before"](x)' in source.text
    assert 'return self.shared["after"](x)' in source.text
    assert_equals_layers(graph, module)


def test_two_sections_that_wait_for_each_other_are_containers() -> None:
    net = image()
    a1 = net.add("a.one", "conv", attributes=CONV)
    b1 = net.add("b.one", "conv", attributes=CONV)
    net.add("a.two", "add", b1, a1)
    net.add("b.two", "add", b1, net.nodes[-1].output)
    graph = net.graph()
    _, module = checked(graph)
    assert_equals_layers(graph, module)


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_a_layer_may_have_the_name_of_a_method(name: str) -> None:
    net = image()
    net.add(name, "conv", attributes=CONV)
    net.add("act", "relu")
    net.add(f"section.{name}", "batchnorm")
    graph = net.graph()
    _, module = checked(graph, tidy=name == "forward")
    assert_equals_layers(graph, module)


def test_names_that_are_taken_are_known() -> None:
    own = {*vars(nn.Module()), *dir(nn.Module), *dir(nn.Sequential), *dir(nn.ModuleDict)}
    public = {name for name in own if not name.startswith("_")} - KEPT
    assert public <= TAKEN
    assert {*vars(nn.Module())} <= KEPT


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_name_that_a_module_needs_itself_is_refused(name: str) -> None:
    net = image()
    net.add(name, "conv", attributes=CONV)
    (finding,) = emit_torch(net.graph()).diagnostics
    assert finding.code == "unsupported-by-target"
    assert f"`{name}`" in finding.message
    assert finding.primary is not None
    assert finding.primary.span == net.nodes[0].span


@pytest.mark.parametrize(
    "name", ["0", "x-y", "class", "__private", "self", "ﬁ", "é", "a b", "1'\""]
)
def test_any_name_is_a_key(name: str) -> None:
    net = image()
    net.add(f"{name}.conv", "conv", attributes=CONV)
    net.add(f"section.{name}", "conv", attributes=CONV)
    net.add(f"section.then.{name}", "conv", attributes=CONV)
    graph = net.graph()
    _, module = checked(graph)
    assert_equals_layers(graph, module)


def test_a_block_of_several_inputs() -> None:
    net = Net(left=["N", 4, 6, 6], right=["N", 4, 6, 6])
    left, right = net.inputs
    for i in range(2):
        net.add(f"mix{i}.conv", "conv", right, attributes=CONV)
        right = net.add(f"mix{i}.sum", "add", left, net.nodes[-1].output)
    graph = with_scopes(net.graph(), {"mix0": "mix", "mix1": "mix"})
    source, module = checked(graph)
    assert source.text.count("class Mix") == 1
    assert_equals_layers(graph, module)


def test_what_nothing_reads_is_kept_but_not_run() -> None:
    net = image()
    used = net.add("used", "conv", attributes=CONV)
    net.add("idle", "conv", used, attributes=CONV)
    graph = net.graph({"output": used})
    source, module = checked(graph)
    assert "self.idle = nn.Conv2d" in source.text
    assert "self.idle(" not in source.text
    assert_equals_layers(graph, module)


# -- layers beside the chain --------------------------------------------------------------


def _with_side(graph: Graph, prefix: str) -> Graph:
    def mark(node: Node) -> Node:
        return replace(node, side="training") if node.path.startswith(prefix) else node

    return replace(graph, nodes=tuple(map(mark, graph.nodes)))


def test_side_heads_run_in_training_only() -> None:
    net = image()
    body = net.add("body", "conv", attributes=CONV)
    net.add("head.conv", "conv", body, attributes=CONV)
    net.add("head.bn", "batchnorm")
    net.add("last", "conv", body, attributes=CONV)
    graph = with_scopes(_with_side(net.graph(), "head"), {"head": "head"})
    source, module = checked(graph)
    assert "        if self.training:\n            head = self.head(x)" in source.text
    x = example(graph, 0)
    assert isinstance(module.eval()(x), torch.Tensor)
    assert list(module.train()(x)) == ["output", "head"]
    assert_equals_layers(graph, module)


def test_side_heads_inside_a_section_are_returned_to_the_top() -> None:
    net = image()
    net.add("body.conv", "conv", attributes=CONV)
    inner = net.nodes[-1].output
    net.add("body.head", "conv", inner, attributes=CONV)
    net.add("body.last", "conv", inner, attributes=CONV)
    graph = _with_side(net.graph(), "body.head")
    source, module = checked(graph)
    assert "tuple[Tensor | None, Tensor]" in source.text or (
        "tuple[Tensor, Tensor | None]" in source.text
    )
    assert sorted(module.train()(example(graph, 0))) == ["body.head", "output"]
    assert_equals_layers(graph, module)


# -- weights under other keys -------------------------------------------------------------


def test_weights_may_have_other_names() -> None:
    net = Net(x=["N", 5, 6])
    keys = {"weight": "attn.in_proj_weight", "bias": "attn.in_proj_bias"}
    net.add("attn.qkv", "linear", attributes={"out": 9}, keys=keys)
    net.add("attn.out_proj", "linear", attributes={"out": 6})
    graph = net.graph()
    source, module = checked(graph)
    assert "F.linear(x, self.in_proj_weight, self.in_proj_bias)" in source.text
    assert_equals_layers(graph, module)


def test_weights_may_be_shared() -> None:
    net = Net(x=["N", 5, 6])
    net.add("first.proj", "linear", attributes={"out": 6, "bias": False})
    net.add("act", "relu")
    keys = {"weight": "first.proj.weight"}
    net.add("second.proj", "linear", attributes={"out": 6, "bias": False}, keys=keys)
    graph = net.graph()
    source, module = checked(graph)
    assert list(module.state_dict()) == ["first.proj.weight"]
    assert_equals_layers(graph, module)
    assert_tidy(source)


# -- sizes known at run time --------------------------------------------------------------


def test_sizes_are_read_where_they_are_known() -> None:
    net = Net(x=["N", "T", 6])
    net.add("inner.flat", "reshape", attributes={"shape": [symbol("N") * symbol("T"), 6]})
    net.add("inner.proj", "linear", attributes={"out": 4})
    net.add("inner.back", "reshape", attributes={"shape": [symbol("N"), symbol("T"), 4]})
    graph = net.graph()
    source, module = checked(graph)
    assert "x = x.reshape(x.shape[0] * x.shape[1], 6)" in source.text
    assert "return x.reshape(n, t, 4)" in source.text
    assert "return self.inner(x, n, t)" in source.text
    x = torch.randn(2, 3, 6)
    expected = module.get_parameter("inner.proj.weight"), module.get_parameter("inner.proj.bias")
    torch.testing.assert_close(module(x), torch.nn.functional.linear(x, *expected))
    assert module(torch.randn(5, 1, 6)).shape == (5, 1, 4)
    assert_tidy(source)


@pytest.mark.parametrize(
    ("op", "attributes"), [("groupnorm", {"groups": 2}), ("instancenorm", {"affine": True})]
)
def test_weights_that_must_keep_their_names_are_refused(op: str, attributes: dict) -> None:
    net = image()
    renamed = {"weight": "norm.kernel", "bias": "norm.shift"}
    net.add("norm", op, attributes=attributes, keys=renamed)
    net.add("act", "relu")
    source = emit_torch(net.graph())
    (problem,) = source.diagnostics
    assert problem.code == "unsupported-by-target"
    assert f"`{op}`" in problem.message
    assert problem.primary is not None and problem.primary.span.line == 2
    assert source.text == ""

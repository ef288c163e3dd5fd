"""Activations in place: only where nothing else needs what they write over."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.targets.torch import emit_torch, load_module
from archc.targets.torch.overwriting import overwriting
from archc.weights import RandomisedWeights

HEAD = "archc: 1\nname: net\ninputs: {x: [N, 4, 8, 8]}\nlayers:\n"


def graph_of(layers: str, more: str = "") -> Graph:
    text = HEAD + indent(dedent(layers), "  ") + more
    checked = check_source(Source("net.yaml", text))
    assert checked.graph is not None, checked.diagnostics
    return checked.graph


@pytest.mark.parametrize("act", ["relu", "relu6", "hardswish", "silu"])
@pytest.mark.parametrize(
    "maker", ["{conv: 4, kernel: 3, padding: 1}", "batchnorm", "{linear: 8}", "residual"]
)
def test_what_only_the_activation_reads_is_written_over(maker: str, act: str) -> None:
    if maker == "residual":
        layers = f"  c: {{conv: 4}}\n  sum: {{residual: [batchnorm]}}\n  act: {act}\n"
    else:
        layers = f"  made: {maker}\n  act: {act}\n"
    graph = graph_of(layers)
    assert overwriting(graph) == {"act"}
    assert "(inplace=True)" in emit_torch(graph).text


@pytest.mark.parametrize(
    "layers",
    [
        "  act: relu\n",  # the input is the caller's
        "  c: {conv: 4}\n  act: relu\n  both: {concat: 1, from: [c, act]}\n",
        "  c: {conv: 4}\n  pool: {maxpool: 2}\n  act: relu\n",  # the gradient needs the maximum
        "  c: {conv: 4}\n  gate: sigmoid\n  act: relu\n",
        "  c: {conv: 4}\n  flat: flatten\n  act: relu\n",  # a view of somebody else's memory
        "  c: {conv: 4}\n  drop: {dropout: 0.5}\n  act: relu\n",
        "  c: {conv: 4}\n  act: gelu\n",  # torch has none in place
    ],
)
def test_what_something_else_needs_is_not(layers: str) -> None:
    graph = graph_of(layers)
    assert overwriting(graph) == frozenset()
    assert "inplace" not in emit_torch(graph).text


def test_an_output_is_kept() -> None:
    graph = graph_of("c: {conv: 4}\nact: relu\n", "outputs: {early: c, late: act}\n")
    assert overwriting(graph) == frozenset()


def test_what_stands_once_in_the_spec_is_treated_alike() -> None:
    """The first activation of the loop reads what another layer reads, too."""
    layers = """\
      stem: {conv: 4}
      for i in range(3):
        "unit{i}":
          - relu
          - {conv: 4}
      last: {add: , from: [stem, unit2]}
    """
    graph = graph_of(layers)
    assert len([node for node in graph.nodes if node.op_name == "relu"]) == 3
    assert overwriting(graph) == frozenset()


def test_gradients_and_statistics_are_those_without() -> None:
    layers = """\
      c1: {conv: 6, kernel: 3, padding: 1}
      bn1: batchnorm
      act1: silu
      res:
        residual: [{conv: 6, kernel: 3, padding: 1}, batchnorm, relu6, {conv: 6}, batchnorm]
        then: relu
      pool: {adaptive_avgpool: 1}
      flat: flatten
      fc1: {linear: 9}
      act2: hardswish
      fc2: {linear: 3}
    """
    graph = graph_of(layers)
    source = emit_torch(graph)
    assert source.text.count("(inplace=True)") == 4
    module = load_module(source, RandomisedWeights(1)).train()
    other = load_module(source, RandomisedWeights(1)).train()
    for part in other.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    x = torch.randn(5, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for net in (module, other):
        for _ in range(2):
            net(x.clone()).square().sum().backward()
    for (name, one), two in zip(module.named_parameters(), other.parameters(), strict=True):
        assert one.grad is not None and torch.equal(one.grad, two.grad), name
    for (name, one), two in zip(module.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(one, two), name

"""The expanded text is the same network."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.compile import check_file, check_source
from archc.diagnostics import Source
from archc.diagnostics.text import render_full
from archc.graph import Graph
from archc.targets.expanded import expanded_spec

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))


def _variants(path: Path) -> list[str | None]:
    spec = check_file(str(path)).spec
    assert spec is not None
    return list(spec.variants) or [None]


def assert_same_network(graph: Graph) -> None:
    """Expand a graph, compile the text and compare all but places and levels."""
    text = expanded_spec(graph)
    checked = check_source(Source("expanded.yaml", text))
    errors = [finding for finding in checked.diagnostics if finding.is_error]
    assert checked.graph is not None, f"{render_full(errors)}\n{text}"
    other = checked.graph
    assert other.name == graph.name
    assert other.doc == graph.doc
    assert [(v.name, v.type) for v in other.inputs] == [(v.name, v.type) for v in graph.inputs]
    assert [_plain(node) for node in other.nodes] == [_plain(node) for node in graph.nodes], text
    assert [(ref.key, ref.weight) for ref in other.weights()] == [
        (ref.key, ref.weight) for ref in graph.weights()
    ]
    assert {n: v.name for n, v in other.outputs.items()} == {
        n: v.name for n, v in graph.outputs.items()
    }
    assert other.sizes == graph.sizes
    assert (other.preprocess, other.renames) == (graph.preprocess, graph.renames)
    assert expanded_spec(other) == text


def _plain(node):
    return (
        node.path,
        node.op_name,
        node.op,
        [value.name for value in node.inputs],
        [(value.name, value.type) for value in node.outputs],
        node.side,
    )


def assert_same_spec(path: Path, variant: str | None) -> None:
    graph = check_file(str(path), variant).graph
    assert graph is not None
    assert_same_network(graph)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_of_the_zoo(path):
    assert_same_spec(path, _variants(path)[0])


@pytest.mark.exhaustive
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_further_variants_of_the_zoo(path):
    for variant in _variants(path)[1:]:
        assert_same_spec(path, variant)


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("layers: [relu, {conv: 8, kernel: [3, 1], padding: half}]", "{x: [N, 3, H, W]}"),
        ("layers: [{rearrange: b (g c) h w -> b (c g) h w, g: 3}]", "{x: [N, 6, 4, 4]}"),
        ("layers: [{gelu: tanh}, {softmax: -1}, {dropout: 0.1}]", "{x: [N, 5]}"),
        ("layers: [{reshape: [N, T * 4]}]", "{x: [N, T, 4]}"),
        ("layers: [identity]", "{x: {shape: [N, 2 * T, T], dtype: int64}}"),
        (
            "layers: {p: {chunk: 2}, q: {add: , from: [p, p.1]}}\noutputs: {one: p.1, two: q}",
            "{x: [N, 4]}",
        ),
        (
            """
            layers:
              a: {conv: 8, init: {weight: kaiming_normal(fan_out), bias: 0.5}}
              aux: {seq: [flatten, {linear: 2, init: normal(0.02)}], side: training}
              probe: {relu: , side: true}
              b: {batchnorm: , init: zeros}
            """,
            "{x: [N, 3, 4, 4]}",
        ),
        (
            """
            doc: "Not: {plain}, 'quoted' and ünïcode 🙂"
            blocks: {unit: {params: {out: int, act: relu}, residual: [{conv: out}, act], then: act}}
            layers:
              stem: {unit: 3}
              body: [for i in range(2): [{unit: 3, act: {gelu: tanh}}]]
              join: {concat: {l: [], r: [relu, relu]}, split: false, dim: 2}
              head.0: relu
            """,
            "{x: [N, 3, 4, 4]}",
        ),
        (
            "layers: [{conv: 4, kernel: 3}, {maxpool: 2}]",
            "{x: {shape: [N, 3, H, W], sizes: {H: {min: 8, multiple: 4}, W: {max: 64, min: 9}}}}",
        ),
        (
            "layers: {a: {add: , from: [x, y]}, b: {relu: , from: y}}\noutputs: [b, a]",
            "{x: [N, 3], y: [N, 3]}",
        ),
    ],
)
def test_what_specs_may_hold(compiled, body, inputs):
    assert_same_network(compiled(body, inputs).graph)

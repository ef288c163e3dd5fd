"""A network at given sizes is the network written with these sizes."""

from __future__ import annotations

import pytest

from archc.compile import at_sizes
from archc.graph import Graph
from archc.graph.specialise import specialised
from archc.types import symbols_of
from tests.graph.specs import checked, graph_of, net

LAYERS = (
    "[{conv: 8, kernel: 3, stride: 2, padding: 1}, {maxpool: 3, stride: 2, ceil: true}, "
    "{resize: [in_height * 2, 24]}, {pad_to: 8}, {reshape: [N, -1, 4]}, {linear: 5}]"
)


def shapes(graph: Graph) -> list[tuple]:
    return [(node.path, node.op, [v.type for v in node.outputs]) for node in graph.nodes]


@pytest.mark.parametrize("sizes", [{"N": 2, "H": 33, "W": 40}, {"N": 1, "H": 8, "W": 9}])
def test_equals_the_network_written_with_numbers(sizes: dict[str, int]) -> None:
    free = graph_of(net(LAYERS, "{x: [N, 3, H, W]}"))
    found, problems = specialised(free, sizes)
    assert problems == ()
    numbers = f"{{x: [{sizes['N']}, 3, {sizes['H']}, {sizes['W']}]}}"
    written = graph_of(net(LAYERS.replace("[N,", f"[{sizes['N']},"), numbers))
    assert shapes(found) == shapes(written)
    assert found.outputs["output"].type == written.outputs["output"].type
    assert not any(node.conditions for node in found.nodes)


def test_sizes_left_out_stay() -> None:
    free = graph_of(net("[{conv: 8, kernel: 3}]", "{x: [N, 3, H, W]}"))
    found, _ = specialised(free, {"H": 10})
    assert str(found.outputs["output"].type) == "[N, 8, 8, W - 2]"
    names = {name for dim in found.inputs[0].type.shape for name in symbols_of(dim)}
    assert names == {"N", "W"}


def test_what_does_not_work_at_these_sizes_is_an_error_at_its_line() -> None:
    text = (
        "archc: 1\nname: net\ninputs: {x: [N, 3, H, 32]}\nlayers:\n"
        "  a: {conv: 8, kernel: 3, padding: 1}\n"
        "  b: {conv: 8, kernel: 7}\n"
        "  c: relu\n"
        "  d: {tanh: , from: a}\n"
    ).replace("{tanh: , from: a}", "{maxpool: 2, from: a}")
    result = checked(text)
    assert result.ok
    small = at_sizes(result, {"H": 5})
    assert not small.ok and small.graph is None and small.partial is not None
    errors = [d for d in small.diagnostics if d.is_error]
    assert [d.code for d in errors] == ["kernel-too-large"]
    assert errors[0].primary is not None and errors[0].primary.span.line == 6
    assert errors[0].secondary[0].span.line == 5
    # What reads the failed layer is gone with it, what does not is there.
    assert [node.path for node in small.partial.nodes] == ["a", "d"]
    assert at_sizes(result, {"H": 7}).ok


def test_a_branch_that_no_longer_meets_is_an_error() -> None:
    result = checked(net("[{residual: [{maxpool: 2}, {resize: , scale: 2}]}]", "{x: [N, 3, H, 8]}"))
    assert at_sizes(result, {"H": 8}).ok
    odd = at_sizes(result, {"H": 9})
    assert [d.code for d in odd.diagnostics if d.is_error] == ["shape-mismatch"]


@pytest.mark.parametrize(
    "layers",
    [
        "[{residual: [{maxpool: 2}, {resize: , scale: 2}]}, {conv: 4, kernel: 9}]",
        "[{conv: 4, kernel: 5, stride: 3}, '{rearrange: b c (h p) w -> (b h) c p w, p: 4}']",
        "[{maxpool: 3, stride: 2, ceil: true}, {conv: 4, kernel: 3}, {select: 6, dim: 2}]",
    ],
)
def test_works_at_the_sizes_that_were_derived_and_at_no_others(layers: str) -> None:
    result = checked(net(layers.replace("'", ""), "{x: [1, 4, H, 32]}"))
    assert result.graph is not None
    fitting = result.graph.sizes["H"]
    works = [at_sizes(result, {"H": size}).ok for size in range(1, 60)]
    assert works == [size in fitting for size in range(1, 60)]
    assert any(works) and not all(works)


def test_weights_are_those_of_the_free_network() -> None:
    free = graph_of(net("[{conv: 8, kernel: 3}, batchnorm]", "{x: [N, 3, H, W]}"))
    found, _ = specialised(free, {"H": 10, "W": 10})
    assert list(found.weights()) == list(free.weights())

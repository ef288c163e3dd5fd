"""Every size tried: what archc predicts of symbolic H and W is what torch does."""

from __future__ import annotations

import pytest
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.targets.torch import emit_torch, load_module
from archc.types import evaluate
from archc.types.sizes import ALL_SIZES
from tests.shapes.networks import random_spec
from tests.shapes.oracle import NoBroadcast

SIZES = range(1, 41)
OTHERS = (1, 7, 24, 36)


def outcome(module: torch.nn.Module, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape torch yields, or None where it refuses."""
    try:
        with torch.no_grad(), NoBroadcast():
            result = module(torch.empty(shape, device="meta"))
    except (RuntimeError, ValueError, IndexError):
        return None
    # torch computes on empty tensors; a network that yields one has failed all the same.
    return tuple(result.shape) if result.numel() else None


def predicted(graph: Graph, sizes: dict[str, int]) -> tuple[int, ...] | None:
    if any(size not in graph.sizes.get(name, ALL_SIZES) for name, size in sizes.items()):
        return None
    (output,) = graph.outputs.values()
    return tuple(evaluate(dim, sizes) for dim in output.type.shape)


def enumerate_sizes(seed: int) -> None:
    text = random_spec(seed)
    checked = check_source(Source(f"random{seed}.yaml", text))
    errors = [d for d in checked.diagnostics if d.is_error]
    graph = checked.graph
    if graph is None:
        assert errors
        for size in SIZES:
            # Refused for every size: then each size alone is refused, too.
            fixed = text.replace("[N, 4, H, W]", f"[N, 4, {size}, {size}]")
            assert check_source(Source("fixed.yaml", fixed)).graph is None, (text, size)
        return
    assert not any(d.code == "unproved" for d in checked.diagnostics), text
    module = load_module(emit_torch(graph), None).eval().to("meta")
    pairs = [(h, w) for h in SIZES for w in OTHERS] + [(h, w) for h in OTHERS for w in SIZES]
    for h, w in pairs:
        expected = predicted(graph, {"N": 1, "H": h, "W": w})
        assert outcome(module, (1, 4, h, w)) == expected, (text, h, w)


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed: int) -> None:
    enumerate_sizes(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(40, 1000))
def test_many_random_networks(seed: int) -> None:
    enumerate_sizes(seed)

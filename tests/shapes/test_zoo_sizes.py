"""The zoo at every size: derived sizes against torchvision's own forward."""

from __future__ import annotations

import pytest
import torch

from archc.types import evaluate
from archc.types.sizes import ALL_SIZES
from tests.shapes.oracle import NoBroadcast
from tests.zoo.catalogue import SIZED, SLICE, TORCHVISION
from tests.zoo.graphs import at_size
from tests.zoo.oracle import meta_model, named_outputs

SMALL_PRIMES = (1, 2, 3, 5, 7, 11, 13, 17, 23, 29, 31, 37, 53, 61, 67, 97)
PAIRS = [*((p, 224) for p in SMALL_PRIMES), *((192, p) for p in SMALL_PRIMES), (63, 63), (64, 64)]


@pytest.mark.parametrize(
    ("spec", "variant", "name"),
    [
        pytest.param(*row, id=row[2], marks=[] if row[2] in SLICE else pytest.mark.exhaustive)
        for row in TORCHVISION
        if row[0] not in SIZED
    ],
)
def test_sizes_that_work_are_those_that_torchvision_takes(spec, variant, name) -> None:
    graph = at_size(spec, variant, "H", "W")
    module = meta_model(name).eval()
    for height, width in PAIRS:
        sizes = {"N": 1, "H": height, "W": width}
        fits = all(size in graph.sizes.get(symbol, ALL_SIZES) for symbol, size in sizes.items())
        expected = {
            output: tuple(evaluate(dim, sizes) for dim in value.type.shape)
            for output, value in graph.outputs.items()
        }
        assert outcome(module, height, width) == (expected if fits else None), (height, width)


def outcome(module: torch.nn.Module, height: int, width: int) -> dict[str, tuple[int, ...]] | None:
    try:
        with torch.no_grad(), NoBroadcast():
            results = named_outputs(module(torch.empty(1, 3, height, width, device="meta")))
            return {name: tuple(result.shape) for name, result in results.items()}
    except (RuntimeError, ValueError):
        return None

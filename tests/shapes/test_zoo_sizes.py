"""The zoo at every size: derived sizes against torchvision's own forward."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.types import evaluate
from archc.types.sizes import ALL_SIZES
from tests.shapes.oracle import NoBroadcast
from tests.zoo.catalogue import MODELS, SLICE, spec_path
from tests.zoo.oracle import meta_model

SMALL_PRIMES = (1, 2, 3, 5, 7, 11, 13, 17, 23, 29, 31, 37, 53, 61, 67, 97)
PAIRS = [*((p, 224) for p in SMALL_PRIMES), *((192, p) for p in SMALL_PRIMES), (63, 63), (64, 64)]

# Their heads are sized by the input, or their blocks compute with its size.
FIXED_SIZE = ("vit", "swin", "swin_v2", "maxvit")


def symbolic(spec: str, variant: str | None) -> Graph:
    text = Path(spec_path(spec)).read_text(encoding="utf-8")
    free, count = re.subn(r"(?m)^(inputs: \{image: \[N, 3, )(?:\w+, \w+)(\]\})", r"\1H, W\2", text)
    assert count == 1
    free = re.sub(r"expect: \[N, [^\]]*\]", "doc: any size", free)
    checked = check_source(Source(f"{spec}.yaml", free), None, variant)
    assert checked.graph is not None, [str(d) for d in checked.diagnostics]
    assert not any(d.code == "unproved" for d in checked.diagnostics)
    return checked.graph


@pytest.mark.parametrize(
    ("spec", "variant", "name"),
    [
        pytest.param(*row, id=row[2], marks=[] if row[2] in SLICE else pytest.mark.exhaustive)
        for row in MODELS
        if row[0] not in FIXED_SIZE
    ],
)
def test_sizes_that_work_are_those_that_torchvision_takes(spec, variant, name) -> None:
    graph = symbolic(spec, variant)
    (output,) = graph.outputs.values()
    module = meta_model(name).eval()
    for height, width in PAIRS:
        sizes = {"N": 1, "H": height, "W": width}
        fits = all(size in graph.sizes.get(symbol, ALL_SIZES) for symbol, size in sizes.items())
        expected = tuple(evaluate(dim, sizes) for dim in output.type.shape) if fits else None
        assert outcome(module, height, width) == expected, (height, width)


def outcome(module: torch.nn.Module, height: int, width: int) -> tuple[int, ...] | None:
    try:
        with torch.no_grad(), NoBroadcast():
            return tuple(module(torch.empty(1, 3, height, width, device="meta")).shape)
    except (RuntimeError, ValueError):
        return None

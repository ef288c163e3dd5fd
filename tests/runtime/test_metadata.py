"""A model is only run at sizes that its network works for."""

from __future__ import annotations

import numpy as np
import pytest

from archc.compile import check_source
from archc.diagnostics import Source
from archc.runtime.metadata import read_demands
from archc.runtime.model import RunError, open_model
from archc.targets.onnx import write_onnx
from archc.weights import DrawnWeights

SPEC = """\
archc: 1
name: halves
inputs: {x: [N, 1, H, 8]}
layers: [{residual: [{maxpool: 2}, {resize: , scale: 2}]}]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    graph = check_source(Source("halves.yaml", SPEC)).graph
    assert graph is not None
    path = tmp_path_factory.mktemp("models") / "halves.onnx"
    assert not write_onnx(graph, DrawnWeights(0), path).diagnostics
    return open_model(path)


def feed(height: int) -> dict[str, np.ndarray]:
    return {"x": np.ones((1, 1, height, 8), dtype=np.float32)}


def test_sizes_that_fit_run(model) -> None:
    (output,) = model.run(feed(6)).values()
    assert output.shape == (1, 1, 6, 8)


def test_sizes_that_do_not_fit_are_refused_with_the_rule_and_the_nearest(model) -> None:
    with pytest.raises(RunError) as caught:
        model.run(feed(7))
    assert caught.value.diagnostic.message == (
        "H = 7 does not fit: the network works where H is even (nearest: 6, 8)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"H": 3}',
        '{"H": null}',
        '{"H": {"early": []}}',
        '{"H": {"early": [], "start": 1, "period": 0, "residues": [0]}}',
        '{"H": {"early": [], "start": "1", "period": 2, "residues": [0]}}',
    ],
)
def test_metadata_of_other_models_are_no_reason_to_fail(text: str) -> None:
    assert read_demands({"archc.sizes": text}) == {}

"""`preprocess:` bound to inputs, and kept by everything that is made of a graph."""

from __future__ import annotations

import json

import pytest

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.graph.preprocess import Preprocess
from archc.targets.expanded import expanded_spec
from archc.targets.onnx import emit_onnx
from archc.targets.report import build_report, report_json, report_text
from archc.targets.torch import emit_torch

WHOLE = """\
archc: 1
name: whole
params: {size: 24, means: [0.5, 0.25, 0.125], way: bilinear}
variants: {cubic: {way: bicubic, size: 28}}
inputs: {image: [N, 3, size, size]}
preprocess: {resize: size + 8, crop: size, interpolation: way, mean: means, std: 0.5}
layers: [{conv: 4}]
"""


def graph_of(text: str, variant: str | None = None) -> Graph:
    checked = check_source(Source("spec.yaml", text), None, variant)
    assert checked.graph is not None, [d.message for d in checked.diagnostics]
    return checked.graph


def steps(body: str, inputs: str = "{image: [N, 3, H, W]}", name: str = "image") -> Preprocess:
    text = f"archc: 1\ninputs: {inputs}\npreprocess: {body}\nlayers: [relu]\n"
    return graph_of(text).preprocess[name]


def test_expressions_params_and_variants() -> None:
    expected = Preprocess(32, (24, 24), "bilinear", 1 / 255, (0.5, 0.25, 0.125), (0.5,))
    assert graph_of(WHOLE).preprocess == {"image": expected}
    cubic = graph_of(WHOLE, "cubic").preprocess["image"]
    assert (cubic.resize, cubic.crop, cubic.interpolation) == (36, (28, 28), "bicubic")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", Preprocess()),
        ("{resize: , mean: none}", Preprocess()),
        ("{resize: [30, 40]}", Preprocess(resize=(30, 40))),
        ("{crop: [30, 40], interpolation: nearest}", Preprocess(None, (30, 40), "nearest")),
        ("{image: {scale: 1, mean: 127.5, std: 2}}", Preprocess(scale=1, mean=(127.5,), std=(2,))),
    ],
)
def test_steps(body: str, expected: Preprocess) -> None:
    assert steps(body) == expected


def test_the_only_image_needs_no_name() -> None:
    inputs = "{image: [N, 1, 8, 8], words: [N, 8]}"
    assert steps("{crop: 8}", inputs) == Preprocess(crop=(8, 8))
    assert steps("{image: {crop: 8}}", inputs) == Preprocess(crop=(8, 8))


def test_a_spec_without_it_has_none() -> None:
    graph = graph_of("archc: 1\ninputs: {image: [N, 3, 8, 8]}\npreprocess:\nlayers: [relu]\n")
    assert graph.preprocess == {}
    assert "preprocess" not in expanded_spec(graph)
    model, _ = emit_onnx(graph)
    assert "archc.preprocess" not in {item.key for item in model.header.metadata_props}
    assert "preprocess" not in report_text(build_report(graph, complete=True))


def test_a_value_is_no_steps() -> None:
    text = "archc: 1\ninputs: {image: [N, 3, 8, 8]}\npreprocess: 8\nlayers: [relu]\n"
    (finding,) = check_source(Source("spec.yaml", text)).diagnostics
    assert finding.code == "wrong-kind"
    assert finding.primary.span.line == 3


def test_a_param_that_failed_is_reported_once() -> None:
    text = WHOLE.replace("size: 24,", "size: int,")
    assert [d.code for d in check_source(Source("spec.yaml", text)).diagnostics] == [
        "missing-param"
    ]


def test_params_that_only_preprocessing_uses_are_used() -> None:
    assert not check_source(Source("spec.yaml", WHOLE)).diagnostics


@pytest.mark.parametrize("variant", [None, "cubic"])
def test_every_target_keeps_it(variant: str | None) -> None:
    graph = graph_of(WHOLE, variant)
    (made,) = graph.preprocess.values()
    assert graph_of(expanded_spec(graph)).preprocess == graph.preprocess
    model, _ = emit_onnx(graph)
    metadata = {item.key: item.value for item in model.header.metadata_props}
    (data,) = json.loads(metadata["archc.preprocess"]).values()
    assert Preprocess.from_data(data) == made
    assert f"Images for `image`: {made}." in " ".join(emit_torch(graph).text.split())
    report = build_report(graph, complete=True)
    assert f"preprocess image: {made}" in report_text(report)
    (data,) = json.loads(report_json(report))["preprocess"].values()
    assert Preprocess.from_data(data) == made


def test_steps_in_words() -> None:
    made = Preprocess(32, (24, 20), "bicubic", 1 / 255, (0.5, 0.25, 0), (0.5,))
    assert str(made) == "shorter side to 32 (bicubic); centre 24x20; / 255; - [0.5, 0.25, 0]; / 0.5"
    assert str(Preprocess((8, 9), scale=1)) == "resize to 8x9 (bilinear)"


@pytest.mark.parametrize(
    "change",
    [
        {"resize": 0},
        {"resize": True},
        {"resize": 1 << 20},
        {"resize": [3]},
        {"crop": 5},
        {"crop": [0, 5]},
        {"interpolation": "lanczos"},
        {"layout": "CHWN"},
        {"scale": 0},
        {"scale": "one"},
        {"std": [0.0]},
        {"mean": None},
    ],
    ids=str,
)
def test_foreign_data_are_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Preprocess.from_data(Preprocess().as_data() | change)

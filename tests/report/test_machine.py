"""Reports for programs: JSON and CSV hold every layer, exactly."""

from __future__ import annotations

import csv
import io
import json

import pytest

from archc.compile import at_sizes, check_file
from archc.graph import Graph
from archc.targets.report import build_report, report_csv, report_json
from archc.targets.report.machine import COLUMNS
from archc.types import evaluate
from tests.graph.specs import checked, graph_of, net
from tests.zoo.catalogue import spec_path


def zoo(spec: str, variant: str | None, **sizes: int) -> Graph:
    graph = at_sizes(check_file(spec_path(spec), variant), sizes).graph
    assert graph is not None
    return graph


def test_json_holds_every_layer_and_the_totals() -> None:
    graph = zoo("resnet", "resnet18", N=1)
    document = json.loads(report_json(build_report(graph)))
    assert document["format"] == 1 and document["complete"] is True
    assert [layer["path"] for layer in document["layers"]] == [node.path for node in graph.nodes]
    totals = document["totals"]
    assert totals["parameters"] == 11_689_512
    assert totals["flops"] == 2 * totals["macs"] == 2 * sum(x["macs"] for x in document["layers"])
    assert totals["activation_bytes"] == sum(x["activation_bytes"] for x in document["layers"])
    assert totals["layers"] == len(graph.nodes)
    assert {key for layer in document["layers"] for key in layer["weights"]} == {
        ref.key for ref in graph.weights()
    }
    conv = document["layers"][0]
    assert conv["derivation"] == ["height (224 + 2*3 - 7)//2 + 1 = 112"]
    assert conv["outputs"] == [{"name": "conv1", "shape": [1, 64, 112, 112], "dtype": "float32"}]
    assert conv["receptive_field"][1] == {
        "input": "image",
        "axis": "width",
        "kind": "box",
        "size": 7,
        "stride": 2,
        "offset": -3,
    }


def test_sizes_that_are_not_fixed_are_expressions() -> None:
    graph = graph_of(net("[{conv: 8, kernel: 3, stride: 2}]", "{x: [N, 3, H, W]}"))
    document = json.loads(report_json(build_report(graph)))
    text = document["layers"][0]["macs"]
    assert isinstance(text, str)
    sizes = {"N": 2, "H": 9, "W": 12}
    expected = 2 * 8 * 4 * 5 * 3 * 9
    assert eval(text, {"__builtins__": {}}, sizes) == expected
    assert evaluate(build_report(graph).totals.macs, sizes) == expected


def test_a_fraction_is_text() -> None:
    graph = graph_of(net("[{conv_transpose: 2, kernel: 2, stride: 2}]", "{x: [N, 3, 8, 8]}"))
    document = json.loads(report_json(build_report(graph)))
    assert document["layers"][0]["receptive_field"][0]["stride"] == "1/2"


def test_csv_agrees_with_json() -> None:
    report = build_report(zoo("resnet", "resnet18", N=1))
    rows = list(csv.DictReader(io.StringIO(report_csv(report))))
    layers = json.loads(report_json(report))["layers"]
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(layers)
    for row, layer in zip(rows, layers, strict=True):
        for key in ("path", "op", "parameters", "buffers", "macs", "flops", "activation_bytes"):
            assert row[key] == str(layer[key])
    assert rows[0]["field_size"] == "7 7"
    assert rows[-1]["field_size"] == "all all"
    assert rows[-1]["field_stride"] == rows[-1]["field_offset"] == "all all"


def test_several_outputs_stand_in_one_cell() -> None:
    report = build_report(
        graph_of(net("{a: {chunk: 2}, b: {add: , from: [a, a.1]}}", "{x: [1, 4]}"))
    )
    (first, _) = csv.DictReader(io.StringIO(report_csv(report)))
    assert first["output"] == "[1, 2]; [1, 2]"
    assert first["activation_bytes"] == "16"


@pytest.mark.parametrize("form", [report_json, report_csv])
def test_a_broken_network_is_reported_as_far_as_it_goes(form: object) -> None:
    partial = checked(net("[relu, {maxpool: 99}]", "{x: [N, 3, 8, 8]}")).partial
    assert partial is not None
    text = form(build_report(partial, complete=False))  # type: ignore[operator]
    assert "relu" in text and "maxpool" not in text
    if form is report_json:
        assert json.loads(text)["complete"] is False

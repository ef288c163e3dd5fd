"""The list of the zoo: its numbers are those of the networks, its papers those of the specs."""

from __future__ import annotations

import csv
import io
import json

import pytest

from archc.compile import check_file
from archc.graph.costs import sample_macs
from archc.spec.shipped import shipped_files
from archc.types import symbol
from archc.zoo import list_csv, list_json, list_markdown, list_text, networks
from archc.zoo import rows as rows_module
from archc.zoo.rows import Network, Paper, papers
from tests.zoo.catalogue import MODELS
from tests.zoo.names import NAMES


@pytest.fixture(scope="module")
def zoo() -> dict[str, Network]:
    return {network.name: network for network in networks()}


def test_holds_every_network_once(zoo) -> None:
    assert len(list(networks())) == len(zoo)
    assert set(zoo) >= {name for _, _, name in MODELS} | {"lenet5", "zfnet", "alexnet_2012"}
    assert {network.family for network in zoo.values()} == set(shipped_files())


def test_every_spec_names_a_paper(zoo) -> None:
    assert [network.family for network in zoo.values() if not network.papers] == []


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_the_network(zoo, name) -> None:
    graph = check_file(name).graph
    assert graph is not None
    network = zoo[name]
    assert network.parameters == graph.parameter_count
    assert network.macs == sample_macs(graph)
    assert [(value.name, value.type) for value in network.inputs] == [
        (value.name, value.type) for value in graph.inputs
    ]


def test_listing_checks_no_spec_that_states_its_totals(monkeypatch) -> None:
    monkeypatch.setattr(rows_module, "check_file", None)
    assert len(list(networks("vgg"))) == 8


def test_totals_that_are_not_stated_are_computed(monkeypatch, zoo) -> None:
    monkeypatch.setattr(rows_module, "_stated", lambda *_: None)
    (network,) = networks("lenet5")
    assert (network.parameters, network.macs) == (61706, 416520)


def test_word_is_looked_for_in_names_and_in_what_is_said(zoo) -> None:
    assert [network.name for network in networks("ReSNeXt50")] == ["resnext50_32x4d"]
    assert {network.family for network in networks("1512.03385")} == {"resnet"}
    assert list(networks("no such network")) == []


def test_papers_of_a_text() -> None:
    text = "A (arXiv 1512.03385, 1611.05431), B (doi 10.1109/5.726791). "
    text += "C (arXiv:2010.11929, arXiv 1512.03385)."
    found = papers(text)
    assert found == (
        Paper("arXiv", "1512.03385"),
        Paper("arXiv", "1611.05431"),
        Paper("doi", "10.1109/5.726791"),
        Paper("arXiv", "2010.11929"),
    )
    assert found[0].url == "https://arxiv.org/abs/1512.03385"
    assert found[2].url == "https://doi.org/10.1109/5.726791"


def test_text() -> None:
    assert list_text(list(networks("alexnet"))[:2]) == (
        "name          parameters    MACs  input             paper\n"
        "alexnet            61.1M  714.2M  [N, 3, 224, 224]"
        "  arXiv 1404.5997; doi 10.1145/3065386\n"
        "alexnet_2012       61.0M  724.4M  [N, 3, 227, 227]\n"
    )


def test_markdown() -> None:
    assert list_markdown(networks("lenet5")).splitlines()[2] == (
        "| `lenet5` | 61.7k | 416.5k | [N, 1, 32, 32] "
        "| [doi 10.1109/5.726791](https://doi.org/10.1109/5.726791) |"
    )


def test_json_and_csv_hold_the_same_exact_numbers(zoo) -> None:
    found = json.loads(list_json(zoo.values()))
    assert found["format"] == 1
    rows = list(csv.DictReader(io.StringIO(list_csv(zoo.values()))))
    for network, row in zip(found["networks"], rows, strict=True):
        assert row["name"] == network["name"]
        assert row["parameters"] == str(network["parameters"])
        assert row["macs"] == str(network["macs"])
        assert row["paper"].split() == network["papers"]
    (lenet5,) = (network for network in found["networks"] if network["name"] == "lenet5")
    assert lenet5["inputs"] == [{"name": "image", "shape": ["N", 1, 32, 32], "dtype": "float32"}]


def test_what_depends_on_a_size_or_is_not_known() -> None:
    lenet5 = next(networks("lenet5"))
    inputs = (lenet5.inputs[0], lenet5.inputs[0])
    longer = Network("a", "a", inputs, 1, 12345 * symbol("T") + 7, "")
    broken = Network("b", "b", (), None, None, "")
    lines = list_text([longer, broken]).splitlines()
    assert "12.3k*T + 7" in lines[1]
    assert "  [N, 1, 32, 32] (1 of 2)" in lines[1]
    assert lines[2].split() == ["b", "?", "?", "?"]
    found = json.loads(list_json([longer, broken]))["networks"]
    assert [network["macs"] for network in found] == ["12345*T + 7", None]

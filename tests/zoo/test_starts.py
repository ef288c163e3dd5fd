"""New specs: the template, and copies of the zoo that are the same network by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.compile import Checked, check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.spec.shipped import find_shipped, shipped_files
from archc.zoo.starts import model_name, start_from, template
from tests.zoo.catalogue import VARIANTS
from tests.zoo.names import NAMES


def check(text: str, variant: str | None = None) -> Checked:
    return check_source(Source("mine.yaml", text), variant=variant)


def layers(graph: Graph) -> list[object]:
    """All of a network but its name and places."""
    return [
        (
            node.path,
            node.op,
            node.side,
            [(value.name, value.type) for value in (*node.inputs, *node.outputs)],
            [(ref.key, ref.weight) for ref in node.weights],
        )
        for node in graph.nodes
    ]


def copy(name: str) -> str:
    shipped = find_shipped(name)
    assert shipped is not None
    return start_from(shipped, "mine")


def original(name: str, variant: str | None = None) -> Graph:
    from archc import check as check_named

    graph = check_named(name, variant=variant).graph
    assert graph is not None
    return graph


@pytest.mark.parametrize("name", NAMES)
def test_copy_is_the_same_network_without_findings(name) -> None:
    checked = check(copy(name))
    assert checked.diagnostics == ()
    assert checked.graph is not None
    assert checked.graph.name == "mine"
    graph = original(name)
    assert layers(checked.graph) == layers(graph)
    assert checked.graph.preprocess == graph.preprocess


def test_copy_of_a_variant_is_about_nothing_else() -> None:
    text = copy("resnet18")
    checked = check(text)
    assert checked.spec is not None
    assert (checked.spec.variants, checked.spec.expect) == ({}, {})
    assert "bottleneck" not in text  # a block of other variants
    assert "groups" not in text  # its param
    assert "params: {block: basic, depths: [2, 2, 2, 2], " in text


def test_copy_keeps_comments_and_blocks_of_values() -> None:
    text = copy("efficientnet_v2_s")
    assert "params:                           # stages: block, expand, stride, channels" in text
    assert "\n  stages:\n    - [fused_mbconv, 1, 1, 24, 2]\n" in text
    assert "# convolutions in each of the five stages\n" in copy("vgg11")


@pytest.mark.parametrize("family", sorted(shipped_files()))
def test_copy_of_a_family_is_all_of_it(family) -> None:
    shipped = find_shipped(family)
    assert shipped is not None
    first, *lines = copy(family).splitlines()
    assert first.startswith(f"# Started from {family} of the zoo of archc ")
    there = shipped.path.read_text("utf-8").splitlines()
    changed = [(old, new) for old, new in zip(there, lines, strict=True) if old != new]
    assert changed == [(f"name: {family}", "name: mine")]


def test_variants_of_a_copied_family_still_hold() -> None:
    variant = VARIANTS["squeezenet"][0]
    checked = check(copy("squeezenet"), variant)
    assert checked.graph is not None
    assert layers(checked.graph) == layers(original("squeezenet", variant))


def test_template_is_sound_and_has_no_findings() -> None:
    checked = check(template("mine"))
    assert checked.diagnostics == ()
    assert checked.graph is not None
    assert checked.graph.name == "mine"


def test_template_computes_the_same_everywhere(tmp_path) -> None:
    from archc import verify

    path = tmp_path / "mine.yaml"
    path.write_text(template("mine"), encoding="utf-8")
    assert verify(path, batches=[2], width=4).ok


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("net.yaml", "net"),
        ("a/My Net (2).yml", "My_Net__2_"),
        ("v1.2.yaml", "v1.2"),
        ("--x.yaml", "x"),
        ("\u7db2.yaml", "_"),
        ("-.yaml", "model"),
        ("x" * 200 + ".yaml", "x" * 100),
    ],
)
def test_name_of_the_model_is_that_of_the_file(path, name) -> None:
    assert model_name(Path(path)) == name
    checked = check(template(name))
    assert checked.graph is not None
    assert checked.graph.name == name

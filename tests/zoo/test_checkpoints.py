"""Checkpoints of the zoo that do not fit: which variant they are of, how many classes they know."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest
import torch

from archc.alternatives import SpecAlternatives
from archc.compile import Checked, check_file
from archc.graph import Graph
from archc.weights import load_weights
from archc.weights.files import Stored
from archc.weights.fit import fit_findings
from archc.weights.likely import likely_help
from tests.zoo.catalogue import MODELS, SLICE, VARIANTS, spec_path

each_model = pytest.mark.parametrize(
    ("spec", "variant", "name"),
    [
        pytest.param(*row, id=row[2], marks=[] if row[2] in SLICE else pytest.mark.exhaustive)
        for row in MODELS
    ],
)


@cache
def checked(spec: str, variant: str | None, **overrides: str) -> Checked:
    return check_file(spec_path(spec), variant, overrides)


def graph_of(spec: str, variant: str | None, **overrides: str) -> Graph:
    graph = checked(spec, variant, **overrides).graph
    assert graph is not None
    return graph


def tensors_of(graph: Graph) -> dict[str, Stored]:
    return {ref.key: Stored(ref.weight.shape, ref.weight.dtype) for ref in graph.weights()}


class _Cached(SpecAlternatives):
    """Elaborates each network of the zoo once for all tests."""

    def __init__(self, spec: str, mine: Checked) -> None:
        super().__init__(mine, {})
        self._spec = spec

    def _graph(self, variant: str | None, overrides: Mapping[str, str]) -> Graph | None:
        return checked(self._spec, variant, **overrides).graph


def advice(spec: str, variant: str | None, tensors: Mapping[str, Stored]) -> tuple[str, ...]:
    """What is advised where these tensors are loaded into a variant."""
    others = _Cached(spec, checked(spec, variant))
    return likely_help(graph_of(spec, variant), lambda graph: tensors, others)


@each_model
def test_a_head_of_another_size_names_the_param(spec, variant, name) -> None:
    tensors = tensors_of(graph_of(spec, variant, num_classes="17"))
    expected = "if the checkpoint was trained for 17 classes: --set num_classes=17"
    assert advice(spec, variant, tensors) == (expected,)


@pytest.mark.parametrize("spec", [spec for spec, names in VARIANTS.items() if len(names) > 1])
def test_a_checkpoint_of_another_variant_names_it(spec) -> None:
    first, second, *_ = sorted(VARIANTS[spec], key=lambda name: name not in SLICE)
    tensors = tensors_of(graph_of(spec, second))
    assert advice(spec, first, tensors) == (f"this looks like {second}: --variant {second}",)
    tensors = tensors_of(graph_of(spec, second, num_classes="17"))
    expected = f"this looks like {second}: --variant {second} --set num_classes=17"
    assert advice(spec, first, tensors) == (expected,)


@pytest.mark.exhaustive
@pytest.mark.parametrize("spec", [spec for spec, names in VARIANTS.items() if len(names) > 1])
def test_a_checkpoint_of_any_other_variant_names_it(spec) -> None:
    names = VARIANTS[spec]
    for made in names:
        for chosen in names:
            if chosen != made:
                found = advice(spec, chosen, tensors_of(graph_of(spec, made)))
                assert found == (f"this looks like {made}: --variant {made}",), chosen


def test_a_checkpoint_of_something_else_is_not_ascribed() -> None:
    assert advice("resnet", "resnet50", tensors_of(graph_of("vgg", "vgg11"))) == ()
    assert advice("resnet", "resnet50", {}) == ()


def test_a_param_of_any_name_is_found(tmp_path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "archc: 1\nparams: {width: 8, ways: 8, depth: 2}\ninputs: {x: [N, 4]}\n"
        "layers: {a: {linear: width}, b: {linear: ways}}\n"
    )
    mine = check_file(str(path))
    others = SpecAlternatives(mine, {})
    for params, option in (({"ways": "5"}, "--set ways=5"), ({"depth": "3"}, None)):
        tensors = tensors_of(check_file(str(path), None, params).graph)
        found = likely_help(mine.graph, lambda graph, held=tensors: held, others)
        wanted = f"if the checkpoint was trained for 5 classes: {option}"
        assert found == ((wanted,) if option else ())


def test_the_first_stage_that_differs_is_named() -> None:
    tensors = tensors_of(graph_of("resnet", "resnet101"))
    (finding,) = fit_findings(graph_of("resnet", "resnet50"), tensors, "w.pth")
    assert finding.code == "weights-unexpected"
    assert finding.help[0] == (
        "the first difference is in `layer3`: 0 to 22 in the file, 0 to 5 here"
    )
    tensors = tensors_of(graph_of("vgg", "vgg11_bn"))
    missing, *_ = fit_findings(graph_of("vgg", "vgg11"), tensors, "w.pth")
    assert missing.help == (
        "the first difference is in `features`: only the file has `1`, `4`, `5`, `9`, `12`, `15` "
        "and 5 more; only the network has `3`, `6`, `13`",
    )


def test_auxiliary_heads_that_a_file_lacks_may_be_drawn(tmp_path) -> None:
    graph = graph_of("googlenet", None)
    state = {
        key: torch.zeros(stored.shape, dtype=getattr(torch, stored.dtype.value))
        for key, stored in tensors_of(graph_of("googlenet", None, aux="false")).items()
    }
    path = tmp_path / "w.pth"
    torch.save(state, path)
    source, (finding,) = load_weights(path, graph)
    assert source is None
    assert finding.help[-1] == (
        "they matter in training only; to draw them: "
        "--allow-missing 'aux1.*' --allow-missing 'aux2.*'"
    )

"""Checkpoints under older keys: what rules match, and what torchvision itself makes of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archc.compile import check_file, check_source
from archc.diagnostics import Source, Span
from archc.graph import Graph
from archc.graph.renames import BadRuleError, Rename
from archc.targets.expanded import expanded_spec
from archc.weights import load_weights
from tests.zoo.catalogue import spec_path
from tests.zoo.oracle import randomise, torchvision_models

SPAN = Span(Source("spec.yaml", "x"), 0, 1)


def rule(pattern: str, replacement: str) -> Rename:
    return Rename(pattern, replacement, SPAN)


@pytest.mark.parametrize(
    ("pattern", "replacement", "key", "new"),
    [
        ("**.norm.*.*", "**.norm*.*", "a.b.norm.1.weight", "a.b.norm1.weight"),
        ("**.norm.*.*", "**.norm*.*", "norm.1.weight", "norm1.weight"),
        ("**.norm.*.*", "**.norm*.*", "a.norm.weight", None),
        ("**.norm.*.*", "**.norm*.*", "a.normal.1.weight", None),
        ("module.**", "**", "module.fc.weight", "fc.weight"),
        ("module.**", "**", "modules.fc.weight", None),
        ("**", "backbone.**", "fc.weight", "backbone.fc.weight"),
        ("a.**.z", "z.**.a", "a.b.c.z", "z.b.c.a"),
        ("a.**.z", "z.**.a", "a.z", "z.a"),
        ("a.**.z", "z.**.a", "a", None),
        ("layer*.x", "block_*.y", "layer12.x", "block_12.y"),
        ("layer*.x", "block_*.y", "layer.x", "block_.y"),
        ("ab*ba.x", "*.x", "aba.x", None),
        ("ab*ba.x", "*.x", "ab-ba.x", "-.x"),
        ("*.*.*", "*_*.*", "a.b.c", "a_b.c"),
        ("*.*.*", "*_*.*", "a.b", None),
        ("*.*.*", "*_*.*", "a.b.c.d", None),
        ("gamma", "weight", "gamma", "weight"),
    ],
)
def test_rules(pattern: str, replacement: str, key: str, new: str | None) -> None:
    assert rule(pattern, replacement).apply(key) == new


@pytest.mark.parametrize(
    ("pattern", "replacement", "in_pattern"),
    [
        ("**.a.**", "**.**", True),
        ("a**.b", "*.b", True),
        ("a*b*.c", "a**.c", True),
        ("", "a", True),
        ("a..b", "a.b", True),
        ("a[0].b", "a.b", True),
        ("a.*", "a.b", False),
        ("a.b", "a.*", False),
        ("**.a", "b", False),
        ("a", "", False),
        ("a", "{b}", False),
        ("**.a", "x**.a", False),
    ],
)
def test_what_is_no_rule(pattern: str, replacement: str, in_pattern: bool) -> None:
    with pytest.raises(BadRuleError) as bad:
        rule(pattern, replacement)
    assert bad.value.in_pattern == in_pattern


_LEVEL = st.text("ab*", min_size=0, max_size=4).filter(lambda t: t.count("*") <= 1 and t)


@given(
    levels=st.lists(_LEVEL, min_size=1, max_size=4),
    at=st.none() | st.integers(0, 4),
    key=st.lists(st.text("ab", max_size=3), min_size=1, max_size=6),
)
def test_matching_is_that_of_a_regular_expression(levels, at, key) -> None:
    if at is not None:
        levels.insert(min(at, len(levels)), "**")
    made = rule(".".join(levels), ".".join(levels)).apply(".".join(key))
    # The oracle matches text in which every level ends in a dot.
    parts = [
        r"(?:[^.]*\.)*" if one == "**" else one.replace("*", "[^.]*") + r"\." for one in levels
    ]
    matches = re.fullmatch("".join(parts), ".".join(key) + ".")
    assert made == (".".join(key) if matches else None)


# -- what torchvision does with files of older versions --------------------------------------


def loaded_as_published(spec: str, state: dict[str, torch.Tensor], path: Path, **params: object):
    overrides = {name: str(value) for name, value in params.items()}
    graph = check_file(spec_path(spec), None, overrides).graph
    assert graph is not None
    torch.save(state, path)
    source, findings = load_weights(path, graph)
    assert source is not None, findings
    assert not findings
    return {ref.key: source.array(ref) for ref in graph.weights()}


def assert_equal(ours: dict[str, np.ndarray], theirs: torch.nn.Module) -> None:
    expected = theirs.state_dict()
    assert ours.keys() == expected.keys()
    for key, tensor in expected.items():
        np.testing.assert_array_equal(ours[key], tensor.numpy(), err_msg=key)


def test_densenet_as_it_is_published(tmp_path) -> None:
    models = torchvision_models()
    make = lambda: models.DenseNet(8, (2, 2, 2, 2), 16, num_classes=7)  # noqa: E731
    new = randomise(make()).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))", r"\1.", key): t for key, t in new.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    old = {key: tensor for key, tensor in old.items() if "num_batches" not in key}

    class Published:
        """What torchvision asks its weights for."""

        @staticmethod
        def get_state_dict(**_: object) -> dict[str, torch.Tensor]:
            return dict(old)

    theirs = make()
    models.densenet._load_state_dict(theirs, Published(), progress=False)
    depths = [2, 2, 2, 2]
    ours = loaded_as_published(
        "densenet", old, tmp_path / "w.pth", growth=8, stem=16, depths=depths, num_classes=7
    )
    assert_equal(ours, theirs)


def test_vit_as_it_is_published(tmp_path) -> None:
    models = torchvision_models()
    make = lambda: models.VisionTransformer(32, 8, 2, 2, 16, 64, num_classes=7)  # noqa: E731
    new = randomise(make()).state_dict()
    old = {
        key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor
        for key, tensor in new.items()
    }
    assert "encoder.layers.encoder_layer_1.mlp.linear_2.bias" in old
    theirs = make()
    theirs.load_state_dict(dict(old))  # its hook takes the old names
    ours = loaded_as_published(
        "vit", old, tmp_path / "w.pth", size=32, patch=8, depth=2, heads=2, dim=16, num_classes=7
    )
    assert_equal(ours, theirs)


# -- rules in a spec --------------------------------------------------------------------------


def graph_of(rename: str, layers: str = "{a: layernorm, b: layernorm}") -> Graph:
    text = f"archc: 1\ninputs: {{x: [N, 4]}}\nlayers: {layers}\ncheckpoint: {{rename: {rename}}}\n"
    checked = check_source(Source("spec.yaml", text))
    assert checked.graph is not None
    assert not checked.diagnostics
    return checked.graph


def load(graph: Graph, path: Path, **numbers: float):
    state = {key.replace("__", "."): torch.full((4,), value) for key, value in numbers.items()}
    torch.save(state, path)
    return load_weights(path, graph)


WHOLE = {"a__weight": 1.0, "a__bias": 2.0, "b__weight": 3.0, "b__bias": 4.0}


def test_keys_that_the_network_has_stay(tmp_path) -> None:
    graph = graph_of('{"**.weight": "**.bias"}')
    source, findings = load(graph, tmp_path / "w.pth", **WHOLE)
    assert source is not None and not findings
    assert [source.array(ref)[0] for ref in graph.weights()] == [1, 2, 3, 4]


def test_the_rule_that_leads_to_the_network_is_taken(tmp_path) -> None:
    graph = graph_of('{"**.gamma": "nowhere.**", "*.gamma": "*.weight"}')
    renamed = {key.replace("weight", "gamma"): value for key, value in WHOLE.items()}
    source, findings = load(graph, tmp_path / "w.pth", **renamed)
    assert source is not None and not findings
    assert [source.array(ref)[0] for ref in graph.weights()] == [1, 2, 3, 4]
    chunks = [b"".join(source.chunks(ref)) for ref in graph.weights()]
    assert chunks == [np.full(4, value, np.float32).tobytes() for value in (1, 2, 3, 4)]


def test_two_rules_for_one_tensor(tmp_path) -> None:
    graph = graph_of('{"old.*": "a.*", "old.weight": "b.weight"}')
    source, findings = load(graph, tmp_path / "w.pth", old__weight=1.0)
    assert source is None
    (conflict,) = [one for one in findings if one.code == "rename-conflict"]
    assert "would become `a.weight` and `b.weight`" in conflict.message
    assert conflict.primary is not None
    assert conflict.primary.span.line == 4
    assert len(conflict.secondary) == 1


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({**WHOLE, "a__gamma": 5.0}, "stands there too"),
        ({"a__gamma": 5.0, "a__delta": 6.0}, "is what `a.gamma` becomes"),
    ],
)
def test_two_tensors_for_one_weight(tmp_path, state, said) -> None:
    graph = graph_of('{"*.gamma": "*.weight", "*.delta": "*.weight"}')
    source, findings = load(graph, tmp_path / "w.pth", **state)
    assert source is None
    conflict = findings[-1]
    assert conflict.code == "rename-conflict"
    assert said in conflict.message
    assert conflict.primary is not None
    assert conflict.primary.span.line == 4


def test_expanding_keeps_the_rules() -> None:
    graph = graph_of('{"**.gamma": "**.weight"}')
    other = check_source(Source("expanded.yaml", expanded_spec(graph))).graph
    assert other is not None
    assert other.renames == graph.renames != ()

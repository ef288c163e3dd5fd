"""Partial loads: only what is named may be missing, or be left out; and it is said what was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from archc.diagnostics import Severity
from archc.weights import DrawnWeights, Exceptions, load_weights
from tests.weights.test_load import State, classifier, save, state_of

GRAPH = classifier(3, blocks=2)


def load(state: State, path: Path, missing=(), unexpected=(), seed=0):
    exceptions = Exceptions(tuple(missing), tuple(unexpected))
    return load_weights(save(state, path), GRAPH, exceptions=exceptions, seed=seed)


def without(state: State, start: str) -> State:
    return {key: tensor for key, tensor in state.items() if not key.startswith(start)}


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("seed", [0, 5])
def test_what_may_be_missing_is_drawn_as_declared(tmp_path, name, seed) -> None:
    state = state_of(GRAPH)
    source, (note,) = load(without(state, "head"), tmp_path / name, ["head.*"], seed=seed)
    assert source is not None
    assert (note.code, note.severity) == ("weights-drawn", Severity.NOTE)
    assert "2 weights" in note.message and "`head.weight`, `head.bias`" in note.message
    drawn = DrawnWeights(seed)
    for ref in GRAPH.weights():
        expected = drawn.array(ref) if ref.key.startswith("head") else state[ref.key].numpy()
        np.testing.assert_array_equal(source.array(ref), expected)
        assert b"".join(source.chunks(ref)) == expected.tobytes()


def test_a_tensor_of_another_shape_is_as_good_as_missing(tmp_path) -> None:
    state = {**state_of(GRAPH), "head.weight": torch.ones(1000, 6), "head.bias": torch.ones(1000)}
    assert load(state, tmp_path / "w.pth")[0] is None
    source, (note,) = load(state, tmp_path / "w.pth", ["head.*"])
    assert source is not None and note.code == "weights-drawn"
    head = next(ref for ref in GRAPH.weights() if ref.key == "head.weight")
    np.testing.assert_array_equal(source.array(head), DrawnWeights().array(head))


def test_what_may_be_missing_and_is_there_is_read(tmp_path) -> None:
    state = state_of(GRAPH)
    source, findings = load(state, tmp_path / "w.pth", ["*"])
    assert source is not None and not findings
    for ref in GRAPH.weights():
        np.testing.assert_array_equal(source.array(ref), state[ref.key].numpy())


def test_nothing_else_may_be_missing(tmp_path) -> None:
    state = without(without(state_of(GRAPH), "head"), "features.1")
    source, findings = load(state, tmp_path / "w.pth", ["head.*"])
    assert source is None
    (finding,) = findings
    assert finding.code == "weights-missing"
    assert "2 of the network's 6 weights: `features.1.weight`, " in finding.message


def test_what_the_network_has_no_place_for_may_be_left_out(tmp_path) -> None:
    state = {**state_of(GRAPH), "aux.fc.weight": torch.ones(2), "aux.fc.bias": torch.ones(2)}
    assert load(state, tmp_path / "w.pth")[0] is None
    source, findings = load(state, tmp_path / "w.pth", (), ["aux.*"])
    assert source is not None and not findings
    source, findings = load(state, tmp_path / "w.pth", (), ["aux.*.weight"])
    assert source is None
    assert findings[0].message.endswith("`aux.fc.bias`")


def test_a_tensor_that_has_its_place_is_never_left_out(tmp_path) -> None:
    state = state_of(GRAPH)
    source, findings = load(state, tmp_path / "w.pth", (), ["*"])
    assert source is not None and not findings
    for ref in GRAPH.weights():
        np.testing.assert_array_equal(source.array(ref), state[ref.key].numpy())


@pytest.mark.parametrize(
    ("missing", "unexpected", "said", "help"),
    [
        (["haed.*"], [], "--allow-missing 'haed.*' matches no weight", "did you mean 'head.*'?"),
        (["head"], [], "--allow-missing 'head' matches no weight", "did you mean 'head.*'?"),
        (["HEAD.*"], [], "--allow-missing 'HEAD.*' matches no weight", ""),
        (["x"], ["y"], "--allow-missing 'x' matches no weight of the network", ""),
        ([], ["aux.*"], "--ignore-unexpected 'aux.*' matches no tensor of", ""),
    ],
)
def test_a_pattern_that_matches_nothing(tmp_path, missing, unexpected, said, help) -> None:
    source, findings = load(state_of(GRAPH), tmp_path / "w.pth", missing, unexpected)
    assert source is None
    assert {finding.code for finding in findings} == {"unmatched-pattern"}
    assert len(findings) == len(missing) + len(unexpected)
    assert findings[0].message.startswith(said)
    if help:
        assert findings[0].help == (help,)

"""Reading checkpoints: what fits is read tensor by tensor, what does not is explained."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from archc.diagnostics import Diagnostic
from archc.graph import Graph
from archc.weights import DrawnWeights, RandomisedWeights, load_weights, save_safetensors
from archc.weights.source import CHUNK
from tests.targets.graphs import Net, small_net
from tests.weights.test_drawn import assert_chunks_are_the_array

ROOT = Path(__file__).parents[2]
WEIGHTS = RandomisedWeights(0)
State = dict[str, torch.Tensor]


def state_of(graph: Graph) -> State:
    return {ref.key: torch.from_numpy(WEIGHTS.array(ref)) for ref in graph.weights()}


def save(state: Any, path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def refused(path: Path, graph: Graph | None = None) -> list[Diagnostic]:
    source, findings = load_weights(path, graph or small_net())
    assert source is None
    assert findings
    assert all(finding.is_error for finding in findings)
    return findings


def classifier(classes: int, blocks: int = 1) -> Graph:
    net = Net(x=["N", 6])
    for index in range(blocks):
        net.add(f"features.{index}", "linear", attributes={"out": 6})
    net.add("head", "linear", attributes={"out": classes})
    return net.graph()


# -- what fits --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt", "w.PTH"])
def test_every_format_gives_the_numbers_that_were_saved(tmp_path: Path, name: str) -> None:
    graph = small_net()
    source, findings = load_weights(str(save(state_of(graph), tmp_path / name)), graph)
    assert findings == []
    assert source is not None
    for ref in graph.weights():
        np.testing.assert_array_equal(source.array(ref), WEIGHTS.array(ref), strict=True)
        assert_chunks_are_the_array(source, ref)


def test_what_archc_writes_it_reads(tmp_path: Path) -> None:
    graph, path = small_net(), tmp_path / "w.safetensors"
    save_safetensors(graph, WEIGHTS, path)
    source, findings = load_weights(path, graph)
    assert source is not None
    assert findings == []
    for ref in graph.weights():
        np.testing.assert_array_equal(source.array(ref), WEIGHTS.array(ref), strict=True)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_large_tensors_come_in_pieces(tmp_path: Path, name: str) -> None:
    net = Net(x=["N", 1500])
    net.add("fc", "linear", attributes={"out": 1501})
    graph = net.graph()
    source, _ = load_weights(save(state_of(graph), tmp_path / name), graph)
    assert source is not None
    ref = next(graph.weights())
    assert ref.weight.numel > 2 * CHUNK
    assert len(list(source.chunks(ref))) == -(-1501 // (CHUNK // 1500))
    assert_chunks_are_the_array(source, ref)


def test_an_array_may_be_changed(tmp_path: Path) -> None:
    graph = small_net()
    for name in ("w.safetensors", "w.pth"):
        source, _ = load_weights(save(state_of(graph), tmp_path / name), graph)
        assert source is not None
        for ref in graph.weights():
            source.array(ref)[...] = 0
            np.testing.assert_array_equal(source.array(ref), WEIGHTS.array(ref))


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_a_state_dict_inside_a_training_checkpoint(tmp_path: Path, wrapper: str) -> None:
    graph = small_net()
    content = {"epoch": 3, wrapper: state_of(graph), "optimizer": {"lr": 0.1}}
    source, findings = load_weights(save(content, tmp_path / "w.pth"), graph)
    assert (source is not None, findings) == (True, [])


def test_a_legacy_file_of_torch_save(tmp_path: Path) -> None:
    graph, path = small_net(), tmp_path / "w.pth"
    torch.save(state_of(graph), path, _use_new_zipfile_serialization=False)
    source, findings = load_weights(path, graph)
    assert source is not None
    assert findings == []
    ref = next(graph.weights())
    np.testing.assert_array_equal(source.array(ref), WEIGHTS.array(ref))


def test_tensors_that_are_not_contiguous_or_require_gradients(tmp_path: Path) -> None:
    graph = classifier(3)
    state = state_of(graph)
    state["head.weight"] = state["head.weight"].t().contiguous().t()
    state["head.bias"] = torch.nn.Parameter(state["head.bias"])
    source, findings = load_weights(save(state, tmp_path / "w.pth"), graph)
    assert source is not None
    assert findings == []
    for ref in graph.weights():
        assert_chunks_are_the_array(source, ref)
        np.testing.assert_array_equal(source.array(ref), WEIGHTS.array(ref))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_counters_may_be_absent_as_in_old_checkpoints(tmp_path: Path, name: str) -> None:
    graph = small_net()
    state = state_of(graph)
    del state["stem.bn.num_batches_tracked"]
    source, findings = load_weights(save(state, tmp_path / name), graph)
    assert source is not None
    assert findings == []
    counter = next(ref for ref in graph.weights() if ref.key.endswith("tracked"))
    assert source.array(counter) == 0
    assert b"".join(source.chunks(counter)) == bytes(8)


# -- what does not ----------------------------------------------------------------------------


def test_missing_weights_are_named_at_their_layer(tmp_path: Path) -> None:
    graph = classifier(3, blocks=8)
    state = {key: t for key, t in state_of(graph).items() if not key.startswith("features.")}
    (finding,) = refused(save(state, tmp_path / "w.pth"), graph)
    assert finding.code == "weights-missing"
    assert finding.primary is not None
    assert finding.primary.span == graph.node("features.0").span
    assert "lacks 16 of the network's 18 weights: `features.0.weight`, " in finding.message
    assert finding.message.endswith("`features.4.bias` and 6 more")
    assert finding.help == (
        "the first difference is at the top: only the network has `features`",
        "to draw them as the spec declares: --allow-missing 'features.*'",
    )


def test_unexpected_weights_are_named(tmp_path: Path) -> None:
    graph = small_net()
    state = {**state_of(graph), "extra.weight": torch.ones(2)}
    path = save(state, tmp_path / "w.safetensors")
    (finding,) = refused(path, graph)
    assert (finding.code, finding.path) == ("weights-unexpected", str(path))
    assert "1 of the 12 tensors" in finding.message
    assert finding.message.endswith("`extra.weight`")
    assert finding.help[1] == "to leave them out: --ignore-unexpected 'extra.*'"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.backbone."])
def test_a_prefix_that_all_keys_carry(tmp_path: Path, prefix: str) -> None:
    graph = small_net()
    state = {prefix + key: t for key, t in state_of(graph).items() if "tracked" not in key}
    findings = refused(save(state, tmp_path / "w.pth"), graph)
    assert [finding.code for finding in findings] == ["weights-missing", "weights-unexpected"]
    for finding in findings:
        assert f"carry the prefix `{prefix}`" in finding.help[0]
        assert f"torch.save(model.{prefix}state_dict(), path)" in finding.help[0]


def test_a_prefix_that_the_spec_alone_has(tmp_path: Path) -> None:
    graph = classifier(3)
    renamed = {
        key.replace("features.", ""): t for key, t in state_of(graph).items() if "head" not in key
    }
    state = {**renamed, "head.weight": torch.ones(3, 6), "head.bias": torch.ones(3)}
    findings = refused(save(state, tmp_path / "w.pth"), graph)
    assert "lack the prefix `features.`" in findings[0].help[0]


def test_keys_that_differ_otherwise_are_shown_where_they_differ_first(tmp_path: Path) -> None:
    graph = classifier(3)
    state = state_of(graph)
    state["other.weight"] = state.pop("head.weight")
    findings = refused(save(state, tmp_path / "w.pth"), graph)
    assert [finding.help for finding in findings] == [
        ("the first difference is at the top: only the file has `other`",),
        (),
    ]


def test_a_head_for_another_number_of_classes(tmp_path: Path) -> None:
    graph = classifier(10)
    (finding,) = refused(save(state_of(classifier(1000)), tmp_path / "w.pth"), graph)
    assert finding.code == "weights-mismatch"
    assert finding.primary is not None
    assert finding.primary.span == graph.node("head").span
    assert "`head.weight` is [1000, 6] in the file and [10, 6] in the network" in finding.message
    assert "`head.bias` is [1000]" in finding.message
    assert finding.help == ("to draw them anew: --allow-missing 'head.*'",)


def test_other_shapes_are_not_blamed_on_classes(tmp_path: Path) -> None:
    graph = classifier(10)
    state = state_of(graph)
    state["head.weight"] = torch.ones(10, 7)
    (finding,) = refused(save(state, tmp_path / "w.pth"), graph)
    assert finding.code == "weights-mismatch"
    assert finding.help == ("to draw them anew: --allow-missing 'head.weight'",)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_another_dtype(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    graph = classifier(3)
    state = state_of(graph)
    state["head.bias"] = state["head.bias"].to(dtype)
    (finding,) = refused(save(state, tmp_path / name), graph)
    assert finding.code == "weights-mismatch"
    assert "[3] float32 in the network" in finding.message


def test_a_sparse_tensor(tmp_path: Path) -> None:
    graph = classifier(3)
    state = {**state_of(graph), "head.weight": torch.zeros(3, 6).to_sparse()}
    (finding,) = refused(save(state, tmp_path / "w.pth"), graph)
    assert "`head.weight` is [3, 6] sparse float32 in the file" in finding.message


def test_many_mismatches_are_cut_short(tmp_path: Path) -> None:
    graph = classifier(3, blocks=30)
    state = {key: torch.ones(1, 1, 1) for key in state_of(graph)}
    findings = refused(save(state, tmp_path / "w.pth"), graph)
    assert len(findings) == 10
    assert {finding.code for finding in findings} == {"weights-mismatch"}
    assert findings[-1].message.endswith("; 21 more layers differ")


# -- what is no checkpoint --------------------------------------------------------------------


def test_a_path_that_names_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.pth")[0].code == "missing-file"
    assert refused(tmp_path)[0].code == "not-a-file"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(state_of(small_net()), tmp_path / "w.pth")

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    (finding,) = refused(path)
    assert (finding.code, finding.path) == ("unreadable-file", str(path))


def test_an_unknown_suffix(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"x")
    (finding,) = refused(tmp_path / "w.h5")
    assert finding.code == "bad-weights-file"
    assert finding.help == ("weights are read from .safetensors, .pth and .pt files",)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("damage", ["empty", "noise", "text", "cut", "header"])
def test_damaged_files(tmp_path: Path, name: str, damage: str) -> None:
    path = save(state_of(small_net()), tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "noise": np.random.default_rng(0).bytes(2000),
            "text": b"version https://git-lfs.github.com/spec/v1\n" * 5,
            "cut": data[: len(data) // 2],
            "header": bytes(100) + data[100:],
        }[damage]
    )
    (finding,) = refused(path)
    assert (finding.code, finding.path) == ("bad-weights-file", str(path))
    assert "\n" not in finding.message
    assert len(finding.message) < 150 + len(str(path))


def test_a_pickled_module_is_refused_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    (finding,) = refused(path)
    assert finding.code == "bad-weights-file"
    assert "`torch.nn.modules.linear.Linear`" in finding.message
    assert finding.help == ("save the tensors alone: torch.save(model.state_dict(), path)",)


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    (finding,) = refused(path)
    assert "holds a TorchScript program" in finding.message
    assert finding.help[0].startswith("save the tensors alone")


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    torch.save({**state_of(small_net()), "extra": Bomb(str(trace))}, path)
    assert refused(path)[0].code == "bad-weights-file"
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.ones(1)], "holds a list"),
        ({}, "holds an empty dict"),
        ({"epoch": 1, "loss": 0.5}, "a dict of epoch: int, loss: float"),
        ({"a": torch.ones(1), "lr": 1.0}, "a dict of a: Tensor, lr: float"),
        ({str(i): i for i in range(9)}, "4: int and 4 more"),
        (torch.ones(2), "holds a Tensor"),
        ({0: torch.ones(1)}, "a dict of 0: Tensor"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, content: Any, said: str) -> None:
    (finding,) = refused(save(content, tmp_path / "w.pth"))
    assert finding.code == "bad-weights-file"
    assert said in finding.message


def test_without_torch(tmp_path: Path) -> None:
    """Safetensors need none; a .pth says how to get it."""
    graph = small_net()
    for name in ("w.safetensors", "w.pth"):
        save(state_of(graph), tmp_path / name)
    code = """
import json, sys
sys.modules["torch"] = None
from archc.weights import load_weights
from tests.targets.graphs import small_net
for name in ("w.safetensors", "w.pth"):
    source, findings = load_weights(f"{sys.argv[1]}/{name}", small_net())
    print(json.dumps([source is not None, [[f.code, *f.help] for f in findings]]))
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        [True, []],
        [False, [["missing-extra", "pip install 'archc[torch]'"]]],
    ]


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    graph = small_net()
    assert save_safetensors(graph, DrawnWeights(), path) == []
    weights, _ = load_weights(path, graph)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4)
    with pytest.raises(OSError, match="shorter"):
        for ref in graph.weights():
            weights.array(ref)

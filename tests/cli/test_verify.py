"""`archc verify` and `archc build --verify`: equal targets pass, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from archc.compile import check_file
from archc.parity import BATCHES, Comparison, choose_sizes, compare, scaled_error, verify_graph
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch
from archc.weights import RandomisedWeights

SPECS = Path(__file__).parents[2] / "specs"

TWO = """\
archc: 1
name: two
inputs:
  left: [N, 3, H, W]
  right: [N, 3, H, W]
layers:
  stem: {conv: 4, kernel: 3, padding: 1, from: left}
  bn: batchnorm
  down: {maxpool: 2}
  other: {conv: 4, kernel: 3, stride: 2, padding: 1, from: right}
  both: {add: , from: [down, other]}
  score: {adaptive_avgpool: 1}
outputs: {map: both, score: score}
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(TWO, encoding="utf-8")
    return path


def rows(text: str) -> list[list[str]]:
    """Output, sizes, level, verdict of each line of a report, without the layers after it."""
    table = text.split(": where it diverges")[0]
    lines = [line.split("  ") for line in table.splitlines() if line.startswith("  ")]
    return [[cell.strip() for cell in line if cell.strip()] for line in lines]


def test_targets_agree(cli, small) -> None:
    result = cli("verify", "small.yaml")
    assert result.stderr == ""
    found = rows(result.stdout)
    assert [row[:3] for row in found] == [
        ["output", f"N={n}", level] for level in ("as written", "optimized") for n in BATCHES
    ]
    assert {row[-1] for row in found} == {"ok"}


def test_several_inputs_outputs_and_open_sizes(cli, two) -> None:
    found = rows(cli("verify", "two.yaml").stdout)
    assert {row[0] for row in found} == {"map", "score"}
    sizes = {row[1] for row in found}
    assert len(sizes) == len(BATCHES) + 2  # the two smallest
    assert {"N=3, H=2, W=2", "N=3, H=2, W=4"} <= sizes
    assert len({text.split(", ", 1)[1] for text in sizes}) > 1  # not one size of image only
    assert any(text.split("H=")[1].split(",")[0] != text.split("W=")[1] for text in sizes)
    for text in sizes:  # what the layers demand is met
        assert all(int(part.split("=")[1]) % 2 == 0 for part in text.split(", ")[1:])


def test_sizes_batches_and_opset_are_taken(cli, two) -> None:
    options = ["--at", "H=10,W=12", "--batch", "5", "--opset", "17", "--seed", "4"]
    found = rows(cli("verify", "two.yaml", *options).stdout)
    assert {row[1] for row in found} == {"N=5, H=10, W=12"}
    found = rows(cli("verify", "two.yaml", "--at", "N=2,H=10").stdout)
    assert {row[1].rsplit(", ", 1)[0] for row in found} == {"N=2, H=10"}
    assert len({row[1] for row in found}) == len(BATCHES) + 2  # widths


def test_sizes_that_break_a_condition_are_refused(cli, two) -> None:
    result = cli("verify", "two.yaml", "--at", "H=7", code=1)
    assert "error[run-failed]: `two` does not work at H = 7" in result.stderr
    assert "--> two.yaml:11:9" in result.stderr
    assert "= help: H is even" in result.stderr


def test_sizes_of_other_names_are_refused(cli, two) -> None:
    result = cli("verify", "two.yaml", "--at", "T=7", code=1)
    assert "leaves no size `T` open" in result.stderr
    assert "its open sizes: N, H, W" in result.stderr


def test_one_broken_spec_hides_no_other(cli, small, broken) -> None:
    result = cli("verify", "broken.yaml", "small.yaml", "--batch", "1", code=1)
    assert "error[unknown-op]" in result.stderr
    assert len(rows(result.stdout)) == 2


def test_opset_that_cannot_be_written(cli, small) -> None:
    assert "error[unsupported-opset]" in cli("verify", "small.yaml", "--opset", "3", code=1).stderr


def test_seeds_are_not_negative(cli, small) -> None:
    for command in (["verify"], ["build", "--to", "onnx"]):
        assert "'--seed'" in cli(*command, "small.yaml", "--seed", "-1", code=2).stderr


def test_fixed_batch(cli, tmp_path) -> None:
    spec = "archc: 1\nname: f\ninputs: {x: [2, 3]}\nlayers: [{linear: 4}]\n"
    (tmp_path / "f.yaml").write_text(spec, encoding="utf-8")
    assert len(rows(cli("verify", "f.yaml").stdout)) == 2


# -- differences are found --------------------------------------------------------------------


def tampered(path: Path, key: str, change: float) -> None:
    """Add something to one number of one initializer."""
    model = onnx.load(path)
    (tensor,) = (item for item in model.graph.initializer if item.name == key)
    array = numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[0] += change
    tensor.CopyFrom(numpy_helper.from_array(array, key))
    onnx.save(model, path)


@pytest.mark.parametrize("key", ["conv.weight", "bn.running_mean", "bn.running_var", "fc.bias"])
def test_one_changed_number_is_found(small, tmp_path, key) -> None:
    graph = check_file(str(small)).graph
    weights = RandomisedWeights(0)
    path = tmp_path / "model.onnx"
    write_onnx(graph, weights, path)
    assert verify_graph(graph, weights=weights, model=path, batches=[2]).ok
    tampered(path, key, 1e-3)
    report = verify_graph(graph, weights=weights, model=path, batches=[2])
    assert not report.ok
    assert not any(item.ok for item in report.comparisons if item.draw == "normal")
    assert report.divergence is not None
    assert report.divergence.layer.node.path == key.partition(".")[0]


def test_command_fails_when_targets_differ(cli, small, monkeypatch) -> None:
    def write_wrongly(graph, weights, path, **options):
        written = write_onnx(graph, weights, path, **options)
        tampered(Path(path), "fc.bias", 0.5)
        return written

    monkeypatch.setattr("archc.targets.onnx.write_onnx", write_wrongly)
    result = cli("verify", "small.yaml", code=1)
    assert {row[-1] for row in rows(result.stdout)} == {"FAILED"}
    assert "error[parity-failed]: `small`: output `output` differs" in result.stderr
    # The file that was built is what is compared, and it stays for a look at it.
    result = cli("build", "small.yaml", "--to", "onnx", "--verify", code=1)
    assert "wrote small.onnx" in result.stdout
    assert "error[parity-failed]" in result.stderr


def test_build_compares_the_source_that_it_wrote(cli, small, tmp_path, monkeypatch) -> None:
    result = cli("build", "small.yaml", "--to", "torch", "--verify")
    assert {row[-1] for row in rows(result.stdout)} == {"ok"}

    def emit_wrongly(graph):
        source = emit_torch(graph)
        assert "nn.ReLU(inplace=True)" in source.text
        return replace(source, text=source.text.replace("nn.ReLU(inplace=True)", "nn.Tanh()"))

    monkeypatch.setattr("archc.targets.torch.emit_torch", emit_wrongly)
    result = cli("build", "small.yaml", "--to", "torch", "--verify", code=1)
    assert "error[parity-failed]" in result.stderr


def test_build_compares_the_weights_that_were_given(cli, small) -> None:
    cli("build", "small.yaml", "--to", "torch", "--seed", "5", "-o", "w.py")
    options = ["--weights", "w.safetensors", "--verify"]
    for target in ("onnx", "torch"):
        result = cli("build", "small.yaml", "--to", target, *options)
        verdicts = [row[-1] for row in rows(result.stdout) if row[-1] in {"ok", "FAILED"}]
        assert set(verdicts) == {"ok"}


def test_source_that_fails_is_a_fault(small, tmp_path) -> None:
    graph = check_file(str(small)).graph
    source = emit_torch(graph).text.replace("self.act(x)", "self.act(x, x)")
    path = tmp_path / "small.py"
    path.write_text(source, encoding="utf-8")
    report = verify_graph(graph, source=path)
    assert not report.ok
    (finding,) = report.diagnostics
    assert finding.code == "parity-failed"
    assert "`small` fails in PyTorch on image [1, 3, 8, 8]" in finding.message


def test_model_with_other_outputs_is_a_fault(small, tmp_path) -> None:
    graph = check_file(str(small)).graph
    path = tmp_path / "model.onnx"
    write_onnx(graph, RandomisedWeights(0), path)
    model = onnx.load(path)
    model.graph.output[0].name = "fc_out"
    model.graph.node[-1].output[0] = "fc_out"
    onnx.save(model, path)
    (finding,) = verify_graph(graph, weights=RandomisedWeights(0), model=path).diagnostics
    assert finding.code == "interface-mismatch"
    assert "fc_out" in finding.message


def test_model_that_does_not_load(small, tmp_path) -> None:
    graph = check_file(str(small)).graph
    path = tmp_path / "model.onnx"
    path.write_bytes(b"hello")
    (finding,) = verify_graph(graph, model=path).diagnostics
    assert finding.code == "bad-model"


# -- the gate ---------------------------------------------------------------------------------

REF = np.array([[1.0, -4.0, 0.5]])


def judged(mine: np.ndarray, theirs: np.ndarray, reference: np.ndarray = REF) -> Comparison:
    return compare("y", {"N": 1}, True, mine, theirs, reference)


def test_error_is_scaled_by_the_largest_value() -> None:
    assert scaled_error(REF + np.array([0, 0, 2e-3]), REF) == pytest.approx(5e-4)
    assert scaled_error(np.array([1e-3]), np.zeros(1)) == pytest.approx(1e-3)
    assert scaled_error(np.array([np.nan, 1.0]), np.array([5.0, 1.0])) == 0


def test_limit_is_calibrated_by_torch() -> None:
    exact = REF.astype(np.float32)
    assert judged(exact, exact + np.float32(3e-6)).ok
    assert not judged(exact, exact + np.float32(8e-6)).ok  # 2e-6 of 4, and 1e-6 is the floor
    coarse = exact + np.float32(4e-5)
    assert judged(coarse, exact + np.float32(5e-4)).ok  # less than 16 times torch's error
    assert not judged(coarse, exact + np.float32(8e-4)).ok


@pytest.mark.parametrize(
    ("mine", "theirs", "problem"),
    [
        (np.zeros((1, 3), np.float32), np.zeros((3, 1), np.float32), "shapes differ"),
        (np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float64), "dtypes differ"),
        (np.array([[1, 2, 3]]), np.array([[1, 2, 4]]), "integers differ"),
        (
            np.array([[1, np.nan, 3]], np.float32),
            np.array([[np.nan, 1, 3]], np.float32),
            "different places",
        ),
        (
            np.array([[1, np.inf, 3]], np.float32),
            np.array([[1, -np.inf, 3]], np.float32),
            "different places",
        ),
        (
            np.array([[1, 2, 3]], np.float32),
            np.array([[1, 2, np.inf]], np.float32),
            "different places",
        ),
        (np.full((1, 3), np.nan, np.float32),) * 2 + ("nothing to compare",),
    ],
)
def test_what_is_no_rounding(mine, theirs, problem) -> None:
    result = judged(mine, theirs)
    assert not result.ok
    assert problem in result.problem


def test_equal_integers_and_equal_nans_pass() -> None:
    assert judged(np.array([[1, 2, 3]]), np.array([[1, 2, 3]])).ok
    some = np.array([[1, -4, np.nan]], np.float32)
    assert judged(some, some).ok


# -- sizes ------------------------------------------------------------------------------------


def graph_of(tmp_path: Path, inputs: str, layers: str):
    path = tmp_path / "s.yaml"
    path.write_text(f"archc: 1\nname: s\ninputs: {inputs}\nlayers: {layers}\n", encoding="utf-8")
    checked = check_file(str(path))
    assert checked.graph is not None, checked.diagnostics
    return checked.graph


def test_sizes_meet_what_no_usual_size_does(tmp_path) -> None:
    graph = graph_of(tmp_path, "{x: [N, T]}", "[{rearrange: 'n (a b) -> n a b', b: 1009}]")
    runs, problems = choose_sizes(graph)
    assert not problems
    assert [run["N"] for run in runs[: len(BATCHES)]] == list(BATCHES)
    assert all(run["T"] % 1009 == 0 for run in runs)


def test_the_smallest_sizes_are_among_those_tried(tmp_path) -> None:
    graph = graph_of(tmp_path, "{x: [N, 1, H, W]}", "[{conv: 1, kernel: 3, padding: 1}]")
    runs, _ = choose_sizes(graph)
    assert [tuple(run.values()) for run in runs] == [
        (1, 64, 64),
        (2, 64, 97),
        (3, 97, 97),
        (3, 1, 1),
        (3, 1, 2),
    ]


def test_batches_that_cannot_be_are_left_out_unless_asked_for(tmp_path) -> None:
    graph = graph_of(tmp_path, "{x: [N, 3]}", "[{rearrange: '(a b) c -> a b c', b: 2}]")
    runs, problems = choose_sizes(graph)
    assert not problems
    assert [run["N"] for run in runs] == [2, 4, 6]
    runs, problems = choose_sizes(graph, [2, 3])
    assert not runs
    assert "at N = 3" in problems[0].message


def test_a_batch_that_is_fixed_may_be_said_again(tmp_path) -> None:
    graph = graph_of(tmp_path, "{x: [N, 3]}", "[relu]")
    runs, problems = choose_sizes(graph, [2], {"N": 2})
    assert not problems
    assert {run["N"] for run in runs} == {2}
    runs, (problem,) = choose_sizes(graph, [2, 3], {"N": 2})
    assert not runs
    assert "its batch is fixed at 2" in problem.message


def test_all_sizes_fixed(tmp_path) -> None:
    graph = graph_of(tmp_path, "{x: [2, 3]}", "[{linear: 3}]")
    assert choose_sizes(graph) == ([{}], [])
    runs, (problem,) = choose_sizes(graph, [7])
    assert not runs
    assert "its batch is fixed" in problem.message


def test_outputs_of_training_are_not_compared(cli, tmp_path) -> None:
    spec = (
        "archc: 1\nname: aux\ninputs: {x: [N, 4]}\nlayers:\n  body: {linear: 8}\n"
        "  aux: {linear: 2, side: training}\n  head: {linear: 2}\n"
    )
    (tmp_path / "aux.yaml").write_text(spec, encoding="utf-8")
    assert {row[0] for row in rows(cli("verify", "aux.yaml").stdout)} == {"output"}

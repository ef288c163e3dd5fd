"""`archc show`, and `archc explain` of a layer."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

FREE = """\
archc: 1
name: free
inputs: {image: [N, 3, H, W]}
layers:
  conv: {conv: 6, kernel: 5, stride: 2}
  act: relu
  pool: {adaptive_avgpool: 1}
"""

TOO_LARGE = """\
archc: 1
name: broken
inputs: {x: [N, 3, 8, 8]}
layers:
  first: {conv: 8, kernel: 3}
  second: {conv: 8, kernel: 9}
  third: relu
"""


@pytest.fixture
def free(tmp_path: Path) -> Path:
    path = tmp_path / "free.yaml"
    path.write_text(FREE, encoding="utf-8")
    return path


def test_table_has_a_row_per_layer_with_its_arithmetic(cli, lenet5: Path) -> None:
    result = cli("show", lenet5)
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "(32 + 2*0 - 5)//1 + 1 = 28" in rows["c1"]
    assert "48,120" in rows["c5"]
    assert "61,706 parameters" in result.stdout
    assert result.stderr == ""


def test_variant_and_params(cli, small: Path) -> None:
    assert "[N, 4]" in cli("show", small).stdout
    assert "[N, 7]" in cli("show", small, "--set", "classes=7").stdout


def test_standard_input(cli, small: Path) -> None:
    assert "5 layers" in cli("show", "-", input=small.read_text(encoding="utf-8")).stdout


@pytest.mark.parametrize(("width", "wide"), [("60", False), ("200", True)])
def test_columns_follow_the_terminal(
    cli, lenet5: Path, monkeypatch: pytest.MonkeyPatch, width: str, wide: bool
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    output = cli("show", lenet5).stdout
    assert ("memory" in output.splitlines()[0]) is wide
    assert max(map(len, output.partition("\n\n")[0].splitlines())) <= int(width)


def test_json_and_csv(cli, lenet5: Path) -> None:
    document = json.loads(cli("show", lenet5, "--format", "json").stdout)
    assert document["totals"]["macs"] == "416520*N"
    document = json.loads(cli("show", lenet5, "--format", "json", "--at", "N=2").stdout)
    assert document["totals"]["macs"] == 833_040
    rows = list(csv.DictReader(io.StringIO(cli("show", lenet5, "--format", "csv").stdout)))
    assert len(rows) == 13


def test_markdown(cli, lenet5: Path) -> None:
    lines = cli("show", lenet5, "--format", "md").stdout.splitlines()
    assert lines[0].startswith("| layer | op |")
    assert all(line.startswith("| ") for line in lines[:15])


@pytest.mark.parametrize("option", [["--full"], ["--depth", "1"]])
def test_what_folds_is_for_tables_only(cli, small: Path, option: list[str]) -> None:
    assert "every layer" in cli("show", small, "--format", "csv", *option, code=2).stderr
    assert cli("show", small, *option).stdout


def test_sizes(cli, free: Path) -> None:
    assert "--at H=224,W=224" in cli("show", free).stdout
    output = cli("show", free, "--at", "N=2,H=21,W=31").stdout
    assert "[2, 6, 9, 14]" in output
    assert "height (21 + 2*0 - 5)//2 + 1 = 9" in output
    assert "113.4k MACs" in output  # 2 * 6 * 9 * 14 * 75


def test_sizes_that_the_network_lacks_are_wrong_usage(cli, free: Path, lenet5: Path) -> None:
    assert "did you mean" not in cli("show", free, "--at", "Q=3", code=2).stderr
    assert "H, N, W" in cli("show", free, "--at", "Q=3", code=2).stderr
    assert "all sizes" not in cli("show", lenet5, "--at", "N=3").stderr
    assert "NAME=SIZE" in cli("show", lenet5, "--at", "N=0", code=2).stderr


def test_sizes_that_are_too_small_are_errors_at_the_layer(cli, free: Path) -> None:
    result = cli("show", free, "--at", "H=3,W=31", code=1)
    assert "error[kernel-too-large]" in result.stderr
    assert "free.yaml:5:" in result.stderr
    assert "incomplete" in result.stdout


def test_of_a_broken_spec_the_rows_before_the_failure_are_shown(cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(TOO_LARGE, encoding="utf-8")
    result = cli("show", path, code=1)
    assert "first" in result.stdout and "second" not in result.stdout
    assert "incomplete" in result.stdout
    assert "broken.yaml:6:" in result.stderr
    document = json.loads(cli("show", path, "--format", "json", code=1).stdout)
    assert [layer["path"] for layer in document["layers"]] == ["first"]
    assert document["complete"] is False


def test_what_is_no_spec_prints_errors_alone(cli, tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    path.write_text("archc: [", encoding="utf-8")
    result = cli("show", path, code=1)
    assert result.stdout == "" and "error[" in result.stderr
    assert "error[" in cli("show", tmp_path / "missing.yaml", code=1).stderr


# -- explain --------------------------------------------------------------------------------


def test_a_layer_is_explained(cli, lenet5: Path) -> None:
    text = cli("explain", lenet5, "c3").stdout
    for part in (
        "c3: conv",
        "lenet5.yaml:10:",
        "s2 [N, 6, 14, 14], from",
        "height (14 + 2*0 - 5)//1 + 1 = 10",
        "tanh2 (tanh)",
        "c3.weight [16, 6, 5, 5] float32, 2,400 elements, uniform on",
        "240000*N MACs, 480000*N FLOPs",
        "height of image: 14 positions, stride 2, from 0 on",
    ):
        assert part in text


def test_a_layer_is_explained_at_sizes(cli, free: Path) -> None:
    assert "(H + 2*0 - 5)//2 + 1" in cli("explain", free, "conv").stdout
    assert "(21 + 2*0 - 5)//2 + 1 = 9" in cli("explain", free, "conv", "--at", "H=21").stdout


def test_a_layer_before_the_failure_is_explained_all_the_same(cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(TOO_LARGE, encoding="utf-8")
    result = cli("explain", path, "first", code=1)
    assert "first: conv" in result.stdout and "error[kernel-too-large]" in result.stderr


def test_an_unknown_layer_is_wrong_usage(cli, lenet5: Path) -> None:
    assert "did you mean 'tanh4'?" in cli("explain", lenet5, "tanh9", code=2).stderr
    assert "archc explain SPEC LAYER" in cli("explain", lenet5, code=2).stderr


GOLDEN = sorted((Path(__file__).parents[1] / "diagnostics" / "golden").glob("*.yaml"))


@pytest.mark.parametrize("spec", GOLDEN, ids=lambda path: path.stem)
@pytest.mark.parametrize("form", ["text", "md", "json", "csv"])
def test_whatever_is_wrong_show_says_what_check_says(cli, spec: Path, form: str) -> None:
    code = 1 if "error[" in spec.with_suffix(".txt").read_text(encoding="utf-8") else 0
    shown = cli("show", spec, "--format", form, code=code).stderr
    assert shown.count("error[") == cli("check", spec, code=code).stderr.count("error[")

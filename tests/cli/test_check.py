"""`archc check`, `archc expand` and `archc explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archc.diagnostics.codes import CODES
from archc.ops.table import OPS
from archc.reference import op_page

SPECS = Path(__file__).parents[2] / "specs"


def test_sound_spec_is_summed_up_in_a_line(cli) -> None:
    result = cli("check", SPECS / "lenet5.yaml")
    assert result.stdout.splitlines() == [
        f"{SPECS / 'lenet5.yaml'}: lenet5 is sound: image [N, 1, 32, 32] -> output [N, 10]; "
        "13 layers, 61,706 parameters, 416,520 MACs at N = 1"
    ]
    assert result.stderr == ""


def test_all_errors_of_a_file_are_shown_where_they_are(cli, broken) -> None:
    result = cli("check", "broken.yaml", code=1)
    assert result.stdout == ""
    assert "error[unknown-attribute]" in result.stderr
    assert "error[unknown-op]: there is no op or block `maxpol`" in result.stderr
    assert " --> broken.yaml:6:6\n" in result.stderr
    assert "6 |   - {maxpol: 2}\n  |      ^^^^^^\n" in result.stderr
    assert "= help: did you mean `maxpool`?" in result.stderr
    assert result.stderr.endswith("2 errors in 1 file\n")


def test_one_broken_spec_hides_no_other(cli, small, broken) -> None:
    result = cli("check", "broken.yaml", "small.yaml", code=1)
    assert result.stdout.startswith("small.yaml: small is sound")
    assert "broken.yaml:5:" in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("nothing.yaml", None, "missing-file"),
        ("folder.yaml", Path, "not-a-file"),
        ("empty.yaml", b"", "empty-file"),
        ("binary.yaml", bytes(range(128, 256)) * 20, "bad-text"),
        ("\x1b[31m.yaml", None, "missing-file"),
    ],
)
def test_what_is_no_spec_is_said_to_be_none(cli, tmp_path, name, content, code) -> None:
    if content is Path:
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    for command in (["check"], ["expand"], ["build", "--to", "onnx"], ["verify"]):
        result = cli(*command, name, code=1)
        assert f"error[{code}]" in result.stderr
        assert result.stderr.endswith("1 error in 1 file\n")
        assert "\x1b" not in result.stderr
    assert not list(tmp_path.glob("*.onnx"))


def test_standard_input(cli, small) -> None:
    text = small.read_text(encoding="utf-8")
    assert cli("check", "-", input=text).stdout.startswith("<stdin>: small is sound")
    assert "<stdin>:1:1" in cli("check", "-", input="hello", code=1).stderr


def test_formats_for_programs_go_to_standard_output(cli, broken) -> None:
    result = cli("check", "broken.yaml", "--output-format", "json", code=1)
    found = json.loads(result.stdout)["diagnostics"]
    assert [(d["code"], d["line"]) for d in found] == [("unknown-attribute", 5), ("unknown-op", 6)]
    assert result.stderr == ""
    runs = json.loads(cli("check", "broken.yaml", "--output-format=sarif", code=1).stdout)["runs"]
    assert [r["ruleId"] for r in runs[0]["results"]] == ["unknown-attribute", "unknown-op"]
    lines = cli("check", "broken.yaml", "--output-format=github", code=1).stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("::error file=broken.yaml,line=6,")


def test_formats_for_programs_are_whole_without_findings(cli, small) -> None:
    found = json.loads(cli("check", "small.yaml", "--output-format", "json").stdout)
    assert found["diagnostics"] == []
    assert cli("check", "small.yaml", "--output-format", "github").stdout == ""


def test_concise_is_a_line_for_each_finding(cli, broken) -> None:
    result = cli("check", "broken.yaml", "--output-format", "concise", code=1)
    assert [line.partition(": error[")[0] for line in result.stderr.splitlines()] == [
        "broken.yaml:5:15",
        "broken.yaml:6:6",
    ]


def test_params_and_variants(cli) -> None:
    result = cli("check", SPECS / "resnet.yaml", "--variant=resnet152", "--set", "num_classes=10")
    assert "resnet152 is sound" in result.stdout
    assert "-> output [N, 10]" in result.stdout
    result = cli("check", SPECS / "resnet.yaml", "--variant", "resnet51", code=1)
    assert "error[unknown-variant]" in result.stderr
    result = cli("check", SPECS / "lenet5.yaml", "--set", "clases=1", code=1)
    assert "error[unknown-param]" in result.stderr


@pytest.mark.parametrize("name", ["path", "-"])
def test_all_variants(cli, name) -> None:
    path = SPECS / "vgg.yaml"
    result = cli(
        "check", path if name == "path" else "-", "--all-variants", input=path.read_bytes()
    )
    names = [line.split(": ")[1] for line in result.stdout.splitlines()]
    assert sorted(names) == sorted(
        f"vgg{depth}{bn} is sound" for depth in (11, 13, 16, 19) for bn in ("", "_bn")
    )


def test_findings_that_variants_share_are_shown_once(cli, tmp_path) -> None:
    spec = "archc: 1\nparams: {n: 1}\nvariants: {a: {n: 1}, b: {n: 2}}\n"
    spec += "inputs: {x: [N, 3, 8, 8]}\nlayers: [{conv: n, kernal: 1}]\n"
    (tmp_path / "v.yaml").write_text(spec, encoding="utf-8")
    result = cli("check", "v.yaml", "--all-variants", code=1)
    assert result.stderr.count("error[") == 1


def test_quiet_says_only_what_is_wrong(cli, tmp_path, broken) -> None:
    spec = "archc: 1\nname: n\ninputs: {x: [N, 3, H, W]}\nlayers: [{conv: 4, kernel: 3}]\n"
    (tmp_path / "note.yaml").write_text(spec, encoding="utf-8")
    assert "note[precondition]" in cli("check", "note.yaml").stderr
    result = cli("check", "-q", "note.yaml")
    assert (result.stdout, result.stderr) == ("", "")
    result = cli("check", "-q", "note.yaml", "broken.yaml", code=1)
    assert result.stdout == ""
    assert "note[" not in result.stderr
    assert result.stderr.count("error[") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "a.yaml", "--set", "n"],
        ["check", "a.yaml", "--set", "=1"],
        ["check", "a.yaml", "--output-format", "xml"],
        ["check", "a.yaml", "--variant", "x", "--all-variants"],
        ["expand"],
        ["explain", "shape-mismach"],
    ],
)
def test_wrong_usage(cli, arguments) -> None:
    result = cli(*arguments, code=2)
    assert result.stdout == ""
    assert "Error: " in result.stderr


def test_expanded_spec_is_the_same_network(cli, tmp_path) -> None:
    result = cli("expand", SPECS / "resnet.yaml", "--variant", "resnet18")
    (tmp_path / "flat.yaml").write_text(result.stdout, encoding="utf-8")
    assert "for " not in result.stdout
    line = cli("check", "flat.yaml").stdout
    assert (
        line.partition(" is sound")[2]
        == (
            cli("check", SPECS / "resnet.yaml", "--variant", "resnet18").stdout.partition(
                " is sound"
            )
        )[2]
    )


def test_expanding_a_broken_spec_prints_nothing_to_standard_output(cli, broken) -> None:
    assert cli("expand", "broken.yaml", code=1).stdout == ""


def test_codes_are_explained(cli) -> None:
    ops, codes = cli("explain").stdout.split("\n\n")
    for text, title, words in ((ops, "Ops:", OPS), (codes, "Diagnostic codes:", CODES)):
        first, *lines = text.splitlines()
        assert first == title
        assert [line.split()[0] for line in lines] == sorted(words)
    assert cli("explain", "conv").stdout == op_page("conv")
    text = cli("explain", "shape-mismatch").stdout
    assert text.startswith("# shape-mismatch\n")
    assert CODES["shape-mismatch"].bad in text
    assert "did you mean `shape-mismatch`?" in cli("explain", "shape-mismach", code=2).stderr

"""The zoo on the command line: specs by name, `archc list`, `archc new`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import archc
from tests.cli.conftest import SPECS
from tests.cli.test_program import completed

# -- specs by name ----------------------------------------------------------------------------


def test_check(cli) -> None:
    out = cli("check", "resnet18", "lenet5").stdout.splitlines()
    assert out[0].startswith(f"{SPECS / 'resnet.yaml'}: resnet18 is sound: ")
    assert out[1].startswith(f"{SPECS / 'lenet5.yaml'}: lenet5 is sound: ")


def test_family_takes_a_variant(cli) -> None:
    out = cli("check", "resnet", "--variant", "resnet34").stdout
    assert ": resnet34 is sound: " in out
    assert ": resnet is sound: " in cli("check", "resnet").stdout
    assert len(cli("check", "squeezenet", "--all-variants").stdout.splitlines()) == 2


@pytest.mark.parametrize("command", ["check", "expand", "show", "verify"])
def test_variant_is_named_once(cli, command) -> None:
    err = cli(command, "resnet50", "--variant", "resnet18", code=2).stderr
    assert "`resnet50` is itself a variant of `resnet`" in err


def test_variant_is_named_once_to_build_and_to_explain(cli) -> None:
    for line in ("build vgg11 --to onnx", "explain vgg11 classifier"):
        err = cli(*line.split(), "--variant", "vgg13", code=2).stderr
        assert "`vgg11` is itself a variant of `vgg`" in err
    err = cli("check", "vgg11", "--all-variants", code=2).stderr
    assert "`vgg11` is one variant: archc check vgg --all-variants" in err


@pytest.mark.parametrize(
    ("target", "file"), [("onnx", "squeezenet1_1.onnx"), ("torch", "squeezenet1_1.py")]
)
def test_build(cli, tmp_path, target, file) -> None:
    out = cli("build", "squeezenet1_1", "--to", target, "--set", "num_classes=3").stdout
    assert out.startswith(f"wrote {file} (")
    assert (tmp_path / file).exists()


def test_show_explain_expand_verify(cli) -> None:
    assert "features" in cli("show", "squeezenet1_1", "--depth", 1).stdout
    assert cli("explain", "resnet50", "layer1.0.conv1").stdout.startswith("layer1.0.conv1: conv\n")
    assert cli("expand", "lenet5").stdout.startswith("archc: 1\nname: lenet5\n")
    assert cli("verify", "lenet5", "--batch", 1).stdout.startswith("lenet5: scaled error")
    assert "name it: archc explain SPEC LAYER" in cli("explain", "resnet50", code=2).stderr


def test_file_goes_before_the_zoo(cli, tmp_path) -> None:
    shutil.copy(SPECS / "lenet5.yaml", tmp_path / "resnet50")
    assert cli("check", "resnet50").stdout.startswith("resnet50: lenet5 is sound: ")


def test_misspelt_name(cli) -> None:
    err = cli("build", "resnet5O", "--to", "onnx", code=1).stderr
    assert err.startswith(
        "error[missing-file]: there is no file resnet5O, and the zoo has no network of that name\n"
        " --> resnet5O\n"
        "  = help: did you mean resnet50?\n"
    )


def test_file_beside_is_still_suggested(cli, small) -> None:
    err = cli("check", "small", code=1).stderr
    assert "did you mean small.yaml?" in err


def test_errors_point_into_the_zoo(cli) -> None:
    err = cli("check", "regnet", code=1).stderr
    assert f"--> {SPECS / 'regnet.yaml'}:" in err
    assert "choose a variant: regnet_y_400mf" in err


def test_zoo_is_never_written_over(cli, tmp_path) -> None:
    (tmp_path / "net.onnx").symlink_to(SPECS / "lenet5.yaml")
    before = (SPECS / "lenet5.yaml").read_bytes()
    assert "is an input" in cli("build", "lenet5", "--to=onnx", "-o", "net.onnx", code=1).stderr
    assert (SPECS / "lenet5.yaml").read_bytes() == before


def test_api(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = archc.check("resnet50").graph
    assert graph is not None
    assert graph.name == "resnet50"
    model = archc.load("squeezenet1_1", num_classes=3)
    assert sum(weight.numel() for weight in model.parameters()) == 724035
    assert archc.build("lenet5") == (Path("lenet5.onnx"),)
    with pytest.raises(ValueError, match="`resnet50` is itself a variant of `resnet`"):
        archc.check("resnet50", variant="resnet18")
    with pytest.raises(archc.SpecError, match="there is no file resnet5O"):
        archc.load("resnet5O")


def test_names_are_completed_beside_files(cli, monkeypatch, tmp_path) -> None:
    (tmp_path / "vgg_mine.yaml").touch()
    (tmp_path / "vgg_old").mkdir()
    found = completed("archc build vgg1", monkeypatch)
    assert found == [f"vgg1{n}{bn}" for n in "1369" for bn in ("", "_bn")]
    assert completed("archc check vgg_", monkeypatch) == ["file"]
    found = completed("archc show vgg", monkeypatch)
    assert {"vgg", "vgg16", "vgg_mine.yaml", "vgg_old/"} <= set(found)
    assert completed("archc check ", monkeypatch) == ["file"]
    assert completed("archc explain lenet", monkeypatch) == ["lenet5"]
    assert completed("archc check vgg --variant vgg11_", monkeypatch) == ["vgg11_bn"]
    assert completed("archc new a.yaml --from lenet", monkeypatch) == ["lenet5"]


# -- list -------------------------------------------------------------------------------------


def test_list(cli) -> None:
    lines = cli("list").stdout.splitlines()
    assert lines[0].split() == ["name", "parameters", "MACs", "input", "paper"]
    (resnet50,) = (line for line in lines if line.startswith("resnet50 "))
    assert resnet50.split() == ["resnet50", "25.6M", "4.09G", "[N,", "3,", "224,", "224]"]
    assert lines[-1].startswith(f"{len(lines) - 3} of the zoo's networks. Try: archc show ")


def test_list_of_a_word(cli) -> None:
    assert [line.split()[0] for line in cli("list", "wide_").stdout.splitlines()[1:3]] == [
        "wide_resnet50_2",
        "wide_resnet101_2",
    ]
    assert "nothing in the zoo matches 'zzz'" in cli("list", "zzz", code=1).stderr


@pytest.mark.parametrize("form", ["json", "csv", "md"])
def test_list_for_programs(cli, form) -> None:
    out = cli("list", "lenet5", "--format", form).stdout
    assert "Try:" not in out
    assert "lenet5" in out
    if form == "json":
        assert json.loads(out)["networks"][0]["parameters"] == 61706


# -- new --------------------------------------------------------------------------------------


def test_new(cli, tmp_path) -> None:
    out = cli("new", "mine.yaml").stdout
    assert out.startswith("wrote mine.yaml (")
    commands = [line.split()[1:] for line in out.splitlines()[1:]]
    assert commands == [
        ["check", "mine.yaml"],
        ["show", "mine.yaml"],
        ["build", "mine.yaml", "--to", "onnx"],
    ]
    for command in commands:
        assert cli(*command).stderr == ""
    assert (tmp_path / "mine.onnx").exists()


def test_new_from_the_zoo(cli) -> None:
    cli("new", "mine.yaml", "--from", "squeezenet1_1")
    assert ": mine is sound: " in cli("check", "mine.yaml").stdout


def test_new_from_a_family(cli) -> None:
    out = cli("new", "mine.yaml", "--from", "regnet").stdout
    assert "  archc check mine.yaml --variant regnet_y_400mf\n" in out
    cli("check", "mine.yaml", "--variant", "regnet_y_400mf")


def test_new_from_what_is_not_in_the_zoo(cli, tmp_path) -> None:
    err = cli("new", "mine.yaml", "--from", "resnet5O", code=1).stderr
    assert err.startswith("error[missing-file]: the zoo has no network `resnet5O`\n")
    assert "did you mean resnet50?" in err
    assert list(tmp_path.iterdir()) == []


def test_new_never_replaces_a_file(cli, tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text("precious", encoding="utf-8")
    err = cli("new", "mine.yaml", code=1).stderr
    assert err.startswith("error[unwritable-output]: cannot write `mine.yaml`: it exists already\n")
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("file", "code", "message"),
    [
        ("mine", 2, "a spec is a .yaml file: archc new mine.yaml"),
        ("none/mine.yaml", 1, "the folder `none` does not exist"),
    ],
)
def test_new_where_it_cannot_be(cli, tmp_path, file, code, message) -> None:
    assert message in cli("new", file, code=code).stderr
    assert list(tmp_path.iterdir()) == []

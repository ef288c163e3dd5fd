"""Names of the zoo: what they stand for, and that a file goes before a name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from archc.diagnostics import Diagnostic
from archc.spec import shipped
from archc.spec.shipped import (
    find_shipped,
    find_spec,
    shipped_files,
    shipped_names,
    unknown_spec,
    variant_names,
)

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_all_specs_of_the_repository_are_shipped() -> None:
    assert {name: path.resolve() for name, path in shipped_files().items()} == {
        path.stem: path for path in SPECS.glob("*.yaml")
    }


def test_every_name_stands_for_one_network() -> None:
    names = Counter(list(shipped_files()))
    for family, path in shipped_files().items():
        names.update(set(variant_names(path, path.read_text("utf-8"))) - {family})
    assert {name for name, count in names.items() if count > 1} == set()
    assert sorted(names) == shipped_names()


def test_every_name_is_found() -> None:
    for name in shipped_names():
        found = find_spec(name)
        assert found is not None
        if found.variant is None:
            assert found.path.stem == name
        else:
            assert found.variant == name
            assert name in variant_names(found.path, found.path.read_text("utf-8"))


def test_names_are_found_without_reading_every_spec(monkeypatch) -> None:
    parsed = []
    parse = shipped.parse_yaml

    def counted(source, sink):
        parsed.append(Path(source.name).name)
        return parse(source, sink)

    monkeypatch.setattr(shipped, "parse_yaml", counted)
    assert find_shipped("resnet") is not None
    assert find_shipped("nothing_of_this_name") is None
    assert parsed == []
    assert find_shipped("wide_resnet50_2") is not None
    assert parsed == ["resnet.yaml"]


@pytest.mark.parametrize(
    "name",
    [
        "-",
        "",
        ".",
        "resnet50.yaml",
        "./resnet50",
        "specs/resnet",
        "resnet-50",
        "a\0b",
        "5",
        "basic",
    ],
)
def test_what_is_no_name(name) -> None:
    assert find_spec(name) is None


def test_file_goes_before_a_name(tmp_path) -> None:
    (tmp_path / "vgg16").mkdir()
    assert find_spec("vgg16") is not None  # a folder is no spec
    (tmp_path / "resnet50").touch()
    assert find_spec("resnet50") is None
    assert find_shipped("resnet50") is not None


def test_paths_are_short_where_the_zoo_is_at_hand(monkeypatch) -> None:
    assert shipped_files()["vgg"] == SPECS / "vgg.yaml"
    monkeypatch.chdir(SPECS.parent)
    assert shipped_files()["vgg"] == Path("specs/vgg.yaml")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet5O", "did you mean resnet50?"),
        ("resnet-50", "did you mean resnet50?"),
        ("resnext101", "did you mean resnext101_32x8d or resnext101_64x4d?"),
        ("zzzzzzzz", None),
    ],
)
def test_suggestions(name, hint) -> None:
    found = unknown_spec(Diagnostic("missing-file", "", path=name))
    assert found.message == f"there is no file {name}, and the zoo has no network of that name"
    hints = ["`archc list` shows the zoo"] if hint is None else [hint, "`archc list` shows the zoo"]
    assert list(found.help) == hints


def test_other_findings_stay_as_they_are() -> None:
    for path in ("net.yaml", "a/b", ""):
        problem = Diagnostic("missing-file", "it is missing", path=path)
        assert unknown_spec(problem) is problem
    problem = Diagnostic("bad-text", "it is no text", path="resnet5O")
    assert unknown_spec(problem) is problem

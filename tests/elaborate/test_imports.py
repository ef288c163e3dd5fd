"""Blocks from other files."""

from __future__ import annotations

import pytest

from archc.compile import check_file

COMMON = """archc: 1
params: {width: 8}
defaults: {conv: {bias: false}}
blocks:
  unit: {params: {out: width, act: relu}, body: [{conv: out}, act]}
  pair: {body: [unit, {unit: 4, act: own}]}
  own: {body: [tanh]}
"""


@pytest.fixture
def project(tmp_path):
    """A folder that is a project, with files written into it."""
    (tmp_path / "pyproject.toml").write_text("")

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize("imports", ["[common.yaml]", "{common.yaml: [pair, unit]}"])
def test_blocks_by_name_or_all(project, compiled, imports):
    net = compiled(f"import: {imports}\nlayers: [{{unit: 2}}, pair]", folder=project(common=COMMON))
    assert list(net.ops.values()) == ["conv", "relu", "conv", "relu", "conv", "tanh"]
    # The params and defaults of their own file hold for them.
    assert [net.attribute(path, "out") for path in ("0.0", "1.0.0", "1.1.0")] == [2, 8, 4]
    assert not net.attribute("1.0.0", "bias")


def test_an_imported_block_in_the_place_of_a_body(project, compiled):
    # Known from the file alone, `unit` is a call and not the name of a layer.
    body = "import: [common.yaml]\nlayers: {a: {residual: {unit: 3}}}"
    net = compiled(body, folder=project(common=COMMON))
    assert list(net.ops) == ["a.unit.0", "a.unit.1", "a.add"]


def test_words_mean_the_blocks_of_the_file_they_are_written_in(project, compiled):
    body = """
        import: {common.yaml: [unit]}
        blocks: {own: {body: [sigmoid]}, mine: {body: [relu6]}}
        layers: [{unit: 3, act: own}, {unit: 3, act: mine}]
        """
    assert list(compiled(body, folder=project(common=COMMON)).ops.values()) == [
        *("conv", "sigmoid"),
        *("conv", "relu6"),
    ]


def test_names_of_the_importing_file_are_not_seen(project, faults):
    folder = project(common="archc: 1\nblocks: {unit: {body: [{conv: w}, mine]}}\n")
    body = "import: [common.yaml]\nparams: {w: 3}\nblocks: {mine: {body: [relu]}}\n"
    assert faults(f"{body}layers: [unit, {{conv: w}}, mine]", folder=folder) == [
        ("unknown-name", "w"),
        ("unknown-op", "mine"),
    ]


def test_the_defaults_of_the_spec_hold_in_imported_blocks(project, compiled):
    body = "import: [common.yaml]\nparams: {k: 3}\ndefaults: {conv: {kernel: k, bias: true}}\n"
    net = compiled(f"{body}layers: [{{unit: 2}}]", folder=project(common=COMMON))
    assert net.attribute("0.0", "kernel") == 3
    assert not net.attribute("0.0", "bias")


def test_imports_of_imports(project, compiled):
    folder = project(
        lib__a="archc: 1\nimport: {../b.yaml: [inner]}\nblocks: {outer: {body: [inner, relu]}}\n",
        b="archc: 1\nblocks: {inner: {body: [tanh]}, hidden: {body: [relu]}}\n",
    )
    assert list(compiled("import: [lib/a.yaml]\nlayers: [outer]", folder=folder).ops.values()) == [
        "tanh",
        "relu",
    ]


def test_one_file_on_two_ways_is_read_once(project, compiled):
    folder = project(
        a="archc: 1\nimport: [c.yaml]\nblocks: {a: {body: [c]}}\n",
        b="archc: 1\nimport: [c.yaml]\nblocks: {b: {body: [c]}}\n",
        c="archc: 1\nblocks: {c: {body: [relu]}}\n",
    )
    net = compiled("import: [a.yaml, b.yaml, c.yaml]\nlayers: [a, b, c]", folder=folder)
    assert list(net.ops.values()) == ["relu", "relu", "relu"]


def test_a_file_with_blocks_need_not_be_a_whole_spec(project, compiled):
    whole = "archc: 1\ninputs: {y: [N, 7]}\nlayers: [unit]\nblocks: {unit: {body: [relu]}}\n"
    folder = project(net=whole)
    assert compiled("import: [net.yaml]\nlayers: [unit]", folder=folder).ops == {"0.0": "relu"}


# -- faults -----------------------------------------------------------------------------------


def test_a_missing_block(project, findings):
    folder = project(common=COMMON)
    (found,) = findings("import: {common.yaml: [unitt]}\nlayers: [{unitt: 3}]", folder=folder)
    assert (found.code, found.text) == ("bad-import", "unitt")
    assert found.help == ("did you mean `unit`?",)


def test_a_missing_file(project, findings):
    folder = project(common=COMMON)
    # Words that are not known for want of the file are not reported.
    (found,) = findings("import: [comon.yaml]\nlayers: [{unit: 3}]", folder=folder)
    assert (found.code, found.text) == ("bad-import", "comon.yaml")
    assert "common.yaml" in found.help[0]


def test_a_file_at_fault_is_shown_itself(project):
    folder = project(
        bad="archc: 1\nblocks: {unit: {body: [rellu]}}\n",
        main="archc: 1\nname: m\ninputs: {x: [N, 3]}\nimport: [bad.yaml]\nlayers: [unit]\n",
    )
    (found,) = check_file(str(folder / "main.yaml")).diagnostics
    assert found.code == "unknown-op"
    assert found.primary.span.source.name.endswith("bad.yaml")
    assert [label.span.source.name[-9:] for label in found.secondary] == ["main.yaml"]


def test_circles_of_imports(project):
    folder = project(
        a="archc: 1\nname: a\ninputs: {x: [N]}\nimport: [b.yaml]\nlayers: [relu]\n",
        b="archc: 1\nimport: [a.yaml]\nblocks: {b: {body: [relu]}}\n",
    )
    found = check_file(str(folder / "a.yaml")).diagnostics
    assert [d.code for d in found] == ["bad-import"]


@pytest.mark.parametrize("path", ["../x.yaml", "/etc/hostname", "sub/../../x.yaml", "leak/x.yaml"])
def test_imports_stay_in_the_project(project, findings, path, tmp_path_factory):
    folder = project(common=COMMON)
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.yaml").write_text(COMMON)
    (folder / "leak").symlink_to(outside)
    (found,) = findings(f"import: [{path}]\nlayers: [relu]", folder=folder)
    assert (found.code, found.text) == ("import-outside-root", path)


@pytest.mark.parametrize(
    ("imports", "fault"),
    [
        ("common.yaml", ("wrong-kind", "common.yaml")),
        ("{common.yaml: unit}", ("wrong-kind", "unit")),
        ("[[common.yaml]]", ("wrong-kind", "[common.yaml]")),
        ("{common.yaml: [[unit]]}", ("wrong-kind", "[unit]")),
    ],
)
def test_what_is_no_import(project, faults, imports, fault):
    assert faults(f"import: {imports}\nlayers: [relu]", folder=project(common=COMMON))[0] == fault


def test_one_name_for_two_blocks(project, findings):
    folder = project(common=COMMON, other="archc: 1\nblocks: {unit: {body: [relu]}}\n")
    (found,) = findings("import: [common.yaml, other.yaml]\nlayers: [{unit: 3}]", folder=folder)
    assert (found.code, found.text) == ("name-taken", "other.yaml")
    body = "import: [other.yaml]\nblocks: {unit: {body: [tanh]}}\nlayers: [unit]"
    (found,) = findings(body, folder=folder)
    assert (found.code, found.text) == ("name-taken", "unit")


def test_a_library_is_read_as_strictly(project, faults):
    folder = project(common="archc: 1\nblock: {unit: {body: [relu]}}\n")
    assert faults("import: [common.yaml]\nlayers: [unit]", folder=folder) == [
        ("unknown-key", "block")
    ]
    folder = project(common="blocks: {unit: {body: [relu]}}\n")
    assert faults("import: [common.yaml]\nlayers: [unit]", folder=folder) == [
        ("missing-version", "blocks")
    ]

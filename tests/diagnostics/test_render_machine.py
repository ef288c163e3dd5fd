"""The forms for programs: complete, valid, and unable to smuggle anything."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.diagnostics import Diagnostic, Label, Severity, Source, Span
from archc.diagnostics.codes import CODES
from archc.diagnostics.machine import render_github, render_json
from archc.diagnostics.sarif import render_sarif

NET = Source("specs/net.yaml", "archc: 1\nlayers: [rleu,\n  tanh]\n")
STD = Source("specs/std.yaml", "unit: relu\n")
RLEU = Span(NET, 18, 22)
BOTH = Span(NET, 17, 31)

FINDINGS = [
    Diagnostic(
        "unknown-op",
        "no op is called `rleu`",
        Label(RLEU, "here"),
        (Label(Span(STD, 0, 4), "a block"), Label(BOTH)),
        ("did you mean `relu`?",),
    ),
    Diagnostic("unused-layer", "nothing uses it", Label(BOTH), severity=Severity.WARNING),
    Diagnostic("missing-file", "no such file", path="gone.yaml"),
    Diagnostic("missing-extra", "torch is not installed"),
]


def test_json_document() -> None:
    document = json.loads(render_json(FINDINGS))
    assert set(document) == {"version", "diagnostics"}
    assert document["version"] == 1
    first, second, third, fourth = document["diagnostics"]
    assert first == {
        "code": "unknown-op",
        "severity": "error",
        "message": "no op is called `rleu`",
        "file": "specs/net.yaml",
        "line": 2,
        "column": 10,
        "endLine": 2,
        "endColumn": 14,
        "label": "here",
        "secondary": [
            {
                "file": "specs/std.yaml",
                "line": 1,
                "column": 1,
                "endLine": 1,
                "endColumn": 5,
                "label": "a block",
            },
            {
                "file": "specs/net.yaml",
                "line": 2,
                "column": 9,
                "endLine": 3,
                "endColumn": 8,
                "label": "",
            },
        ],
        "help": ["did you mean `relu`?"],
    }
    assert (second["severity"], second["endLine"], second["endColumn"]) == ("warning", 3, 8)
    nowhere = {"line": None, "column": None, "endLine": None, "endColumn": None, "label": ""}
    assert third.items() >= {**nowhere, "file": "gone.yaml"}.items()
    assert fourth.items() >= {**nowhere, "file": None}.items()
    assert all(set(item) == set(first) for item in document["diagnostics"])


def test_json_of_no_findings_is_a_whole_document() -> None:
    assert json.loads(render_json([])) == {"version": 1, "diagnostics": []}


@given(st.text(st.characters(codec=None)))
def test_json_is_harmless_and_keeps_the_text(text: str) -> None:
    output = render_json([Diagnostic("some-code", text)])
    assert output.isascii()
    assert output.replace("\n", "").isprintable()
    valid = text.encode("utf-8", "backslashreplace").decode()
    assert json.loads(output)["diagnostics"][0]["message"] == valid


def test_github_commands() -> None:
    assert render_github(FINDINGS).split("\n") == [
        "::error file=specs/net.yaml,line=2,col=10,endLine=2,endColumn=14,"
        "title=error[unknown-op]::no op is called `rleu`%0Ahere%0Ahelp: did you mean `relu`?",
        "::warning file=specs/net.yaml,line=2,col=9,endLine=3,title=warning[unused-layer]"
        "::nothing uses it",
        "::error file=gone.yaml,title=error[missing-file]::no such file",
        "::error title=error[missing-extra]::torch is not installed",
    ]
    assert render_github([]) == ""


def _read_command(line: str) -> tuple[dict[str, str], str]:
    """Read a workflow command as the runner does."""

    def decode(text: str, *codes: tuple[str, str]) -> str:
        for code, char in (*codes, ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            text = text.replace(code, char)
        return text

    _, head, data = line.split("::", 2)
    pairs = (item.partition("=") for item in head.partition(" ")[2].split(","))
    properties = {name: decode(value, ("%3A", ":"), ("%2C", ",")) for name, _, value in pairs}
    return properties, decode(data)


def test_github_commands_escape_what_would_end_them() -> None:
    source = Source("a,line=1::b%0A.yaml", "x\n")
    message = "100% of\n::error::forged, really: %0A"
    (line,) = render_github([Diagnostic("some-code", message, Label(Span(source, 0, 1)))]).split(
        "\n"
    )
    properties, data = _read_command(line)
    assert properties["file"] == source.name
    assert properties["line"] == "1"
    assert data == r"100% of\n::error::forged, really: %0A"


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None), min_size=1))
def test_github_commands_stay_on_their_line(message: str, name: str) -> None:
    output = render_github([Diagnostic("some-code", message, Label(Span(Source(name, "x"), 0, 1)))])
    assert output.isprintable()
    properties, _ = _read_command(output)
    assert set(properties) == {"file", "line", "col", "endLine", "endColumn", "title"}


def _sarif(findings: list[Diagnostic]) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(render_sarif(findings))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    return dict(run)


def test_sarif_results() -> None:
    run = _sarif(FINDINGS)
    assert run["columnKind"] == "unicodeCodePoints"
    first, second, third, fourth = run["results"]
    net = {"artifactLocation": {"uri": "specs/net.yaml"}}
    both = {"startLine": 2, "startColumn": 9, "endLine": 3, "endColumn": 8}
    assert first == {
        "ruleId": "unknown-op",
        "ruleIndex": 2,
        "level": "error",
        "message": {"text": "no op is called `rleu`\nhelp: did you mean `relu`?"},
        "locations": [
            {
                "physicalLocation": {
                    **net,
                    "region": {"startLine": 2, "startColumn": 10, "endLine": 2, "endColumn": 14},
                },
                "message": {"text": "here"},
            }
        ],
        "relatedLocations": [
            {
                "id": 0,
                "physicalLocation": {
                    "artifactLocation": {"uri": "specs/std.yaml"},
                    "region": {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 5},
                },
                "message": {"text": "a block"},
            },
            {"id": 1, "physicalLocation": {**net, "region": both}},
        ],
    }
    assert second["level"] == "warning"
    assert second["locations"] == [{"physicalLocation": {**net, "region": both}}]
    assert third["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "gone.yaml"}}}]
    assert "locations" not in fourth


def test_sarif_rules_are_the_catalogue() -> None:
    run = _sarif(FINDINGS)
    driver = run["tool"]["driver"]
    assert driver["name"] == "archc"
    assert [rule["id"] for rule in driver["rules"]] == sorted({d.code for d in FINDINGS})
    for rule in driver["rules"]:
        code = CODES[rule["id"]]
        assert rule["shortDescription"] == {"text": code.title}
        assert rule["help"] == {"text": code.explanation, "markdown": code.as_markdown()}
        assert rule["defaultConfiguration"] == {"level": code.severity.value}
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_of_no_findings() -> None:
    run = _sarif([])
    assert run["results"] == []
    assert run["tool"]["driver"]["rules"] == []


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("net.yaml", "net.yaml"),
        ("a b/ä.yaml", "a%20b/%C3%A4.yaml"),
        ("C:net.yaml", "C%3Anet.yaml"),
        ("a#b?c%d.yaml", "a%23b%3Fc%25d.yaml"),
        ("/specs/net.yaml", "file:///specs/net.yaml"),
        ("<stdin>", "%3Cstdin%3E"),
        ("odd\udcff.yaml", "odd%FF.yaml"),
        ("odd\ud800.yaml", "odd%5Cud800.yaml"),
    ],
)
def test_sarif_uris(name: str, uri: str) -> None:
    run = _sarif([Diagnostic("missing-file", "no such file", path=name)])
    location = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": uri}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_sarif_relative_uris_name_the_file(name: str) -> None:
    run = _sarif([Diagnostic("missing-file", "no such file", path="d/" + name)])
    location = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    parts = unquote_to_bytes(location["uri"]).decode().split("/")
    assert parts == [part for part in ("d/" + name).split("/") if part not in ("", ".")]

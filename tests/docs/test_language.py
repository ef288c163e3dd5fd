"""docs/language.md: examples compile, commands print what is shown, nothing is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from archc.compile import check_source
from archc.diagnostics import Diagnostics, Source
from archc.diagnostics.text import render_full
from archc.elaborate.builder import MAX_LAYERS
from archc.elaborate.checkpoint import KEYS as CHECKPOINT_KEYS
from archc.elaborate.elaborator import MAX_DEPTH
from archc.elaborate.env import ENTERING, MAX_DEFINITIONS
from archc.elaborate.initials import _RULES
from archc.elaborate.inputs import _PROMISES
from archc.elaborate.preprocess import KEYS as STEPS
from archc.graph.budget import MAX_PARAMETERS
from archc.graph.preprocess import INTERPOLATIONS
from archc.graph.typing import MAX_ELEMENTS
from archc.ops.table import OPS
from archc.spec import yaml
from archc.spec.expressions import FUNCTIONS, fault, templates
from archc.spec.files import MAX_FILE_SIZE
from archc.spec.read import TOP_KEYS
from archc.spec.read_chain import COMMON_KEYS
from archc.spec.read_joins import _JOIN_KEYS, STRUCTURES
from archc.spec.syntax import KINDS
from archc.spec.yaml import parse_yaml
from archc.types import DType
from tests.docs.transcript import check_page

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
TEXT = PAGE.read_text(encoding="utf-8")

_FENCE = re.compile(
    r"^```yaml(?: error=([a-z-]+))?\n((?:# [\w/]+\.yaml\n)?archc: 1\n.*?)^```$", re.M | re.S
)
_FILE = re.compile(r"# ([\w/]+\.yaml)\n")


def _examples() -> Iterator[tuple[int, str | None, str]]:
    for match in _FENCE.finditer(TEXT):
        yield TEXT.count("\n", 0, match.start()) + 1, match[1], match[2]


EXAMPLES = list(_examples())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with the files that the page names."""
    root = tmp_path_factory.mktemp("language")
    (root / "pyproject.toml").touch()
    for _, _, text in EXAMPLES:
        name = _FILE.match(text)
        if name is not None:
            (root / name[1]).parent.mkdir(exist_ok=True)
            (root / name[1]).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(("line", "code", "text"), EXAMPLES, ids=[str(e[0]) for e in EXAMPLES])
def test_example(line, code, text, folder) -> None:
    if "\nlayers:" not in text:  # a file of blocks, which another example imports
        return
    first = check_source(Source(f"language.md:{line}", text), folder)
    assert first.spec is not None
    required = [p.name for p in first.spec.params.values() if p.kind is not None]
    for variant in first.spec.variants or (None,) if required else (None, *first.spec.variants):
        checked = check_source(Source(f"language.md:{line}", text), folder, variant)
        found = [d.code for d in checked.diagnostics if d.severity.value != "note"]
        assert found == ([code] if code else []), render_full(checked.diagnostics)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 20
    assert TEXT.count("\n```yaml") == len(EXAMPLES)


def test_commands_print_what_is_shown(tmp_path, monkeypatch) -> None:
    commands = check_page(PAGE, tmp_path, monkeypatch)
    assert len(commands) >= 3


def _section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _words(text: str) -> set[str]:
    """What stands in code spans, and the words in it."""
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    return {word for span in spans for word in [span, *re.findall(r"\w+", span)]}


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("A spec", TOP_KEYS),
        ("Inputs", [dtype.value for dtype in DType]),
        ("Inputs", ["shape", "dtype", "sizes"]),
        ("Preprocessing", [*STEPS, *INTERPOLATIONS]),
        ("Values and expressions", FUNCTIONS),
        ("Values and expressions", ENTERING),
        ("Where a layer reads from", ["in", "input", "prev", "from"]),
        ("Keys of every layer", COMMON_KEYS),
        ("Loops and alternatives", ["for", "if", "elif", "else", "do", "then"]),
        ("Structures", STRUCTURES),
        ("Structures", {key for keys in _JOIN_KEYS.values() for key in keys}),
        ("Params, let, variants", KINDS),
        ("Blocks", ["params", "let", "inputs", "body"]),
        ("Expectations", ["expect", "any"]),
        ("Initial weights", _RULES),
        ("Checkpoints", ["checkpoint", *CHECKPOINT_KEYS]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_word_of_the_language_is_described(title, words) -> None:
    assert sorted(set(words) - _words(_section(title))) == []


def test_words_that_only_examples_show() -> None:
    assert all(f"{word}:" in _section("Inputs") for word in _PROMISES)
    assert all(f"{key}:" in _section("Expectations") for key in ("shapes", "parameters", "macs"))


def test_standard_blocks_are_named() -> None:
    path = Path(yaml.__file__).parents[1] / "blocks" / "standard.yaml"
    tree = parse_yaml(Source("standard.yaml", path.read_text("utf-8")), Diagnostics())
    blocks = next(entry.value for entry in tree.entries if entry.key.text == "blocks")
    names = {entry.key.text for entry in blocks.entries}
    assert names <= _words(_section("Blocks"))
    assert not names & OPS.keys()


LIMITS = {
    "size of a file": f"{MAX_FILE_SIZE // 2**20} MiB",
    "nesting in YAML": f"{yaml.MAX_DEPTH} levels",
    "nodes that aliases repeat": f"{yaml.MAX_ALIASED_NODES:,}",
    "layers and turns of loops": f"{MAX_LAYERS:,}",
    "layers inside layers: sections, structures, blocks": f"{MAX_DEPTH} levels",
    "definitions of `params` and `let` made from one another": f"{MAX_DEFINITIONS} in a row",
    "length of an expression": f"{fault.MAX_LENGTH:,} characters",
    "brackets in an expression": f"{fault.MAX_NESTING} deep",
    "operations inside operations": f"{fault.MAX_DEPTH} deep",
    "items of a list, and of a range": f"{fault.MAX_LIST:,}",
    "steps of one expression": f"{fault.MAX_STEPS:,}",
    "steps of all expressions of a spec": f"{fault.MAX_STEPS_IN_ALL:,}",
    "integers, and elements of a tensor": f"{MAX_ELEMENTS.bit_length() + 1} bits",
    "parameters of a network": f"{MAX_PARAMETERS:,}",
    "characters of a layer's name": f"{templates.MAX_NAME}",
}


def test_limits_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", _section("Limits"), re.M)
    assert dict(rows[2:] if rows[1][0].startswith("-") else rows[1:]) == LIMITS

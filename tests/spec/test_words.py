"""Which words of a spec count as mentioned, and what is said of words that cannot be names."""

from __future__ import annotations

import pytest

from archc.compile import check_source
from archc.diagnostics import Diagnostic, Source


def found(body: str) -> list[Diagnostic]:
    text = f"archc: 1\nname: net\ninputs: {{x: [N, 4, 8]}}\n{body}\n"
    return list(check_source(Source("net.yaml", text)).diagnostics)


@pytest.mark.parametrize(
    "body",
    [
        "params: {w: 4}\nlayers: [{reshape: [-1, 8, w]}]",
        "params: {w: 4}\nlayers: [{concat: [[], {conv: w}]}]",
        "params: {w: true}\nlayers: [{if w: relu, else: tanh}]",
        "params: {w: 2}\nlayers: [{for i in range(w): relu}]",
        "params: {w: 4}\nlet: {all: [w, 1]}\nlayers: [{conv: 'all[0]'}]",
    ],
)
def test_a_word_anywhere_is_a_use(body: str) -> None:
    assert found(body) == []
    unused = found(body.replace("{w:", "{unused: 1, w:", 1))
    assert [one.code for one in unused] == ["unused-param"]


def test_why_a_word_is_no_name() -> None:
    (word,) = found("params: {if: 3}\nlayers: [relu]")
    assert word.code == "bad-name"
    assert word.help == ("`if` is a word of the language; choose another name",)
    (odd,) = found("params: {'1a': 3}\nlayers: [relu]")
    assert odd.help[0].startswith("such a name is made of letters")


def test_an_empty_mapping_is_no_layer() -> None:
    assert [one.code for one in found("layers: [{}]") if one.is_error]

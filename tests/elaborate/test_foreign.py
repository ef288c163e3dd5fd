"""Words of other frameworks lead to words that are there."""

from __future__ import annotations

import pytest

from archc.elaborate import foreign
from archc.elaborate.foreign import foreign_attribute, foreign_call, foreign_op
from archc.ops.table import OPS

ATTRIBUTES = {name for op in OPS.values() for name in op.model_fields}


def test_every_word_leads_to_an_op() -> None:
    assert {name for name in foreign._OPS.values() if name not in OPS} == set()
    assert {word for word in foreign._OPS if foreign.plain(word) != word} == set()
    assert {word for word in foreign._OPS if word in OPS} == set()
    assert {word for word in foreign._OPS if word in map(foreign.plain, OPS)} == set()
    assert foreign._FORMS.keys() <= foreign._OPS.keys()


def test_every_attribute_leads_to_one_of_an_op() -> None:
    assert set(foreign._ATTRIBUTES.values()) <= ATTRIBUTES


@pytest.mark.parametrize("name", OPS)
def test_an_op_is_known_as_a_class_of_torch_is_named(name: str) -> None:
    word = "".join(part.capitalize() for part in name.split("_"))
    assert foreign_op(word, OPS) == f"did you mean `{name}`?"
    if not name.startswith("layernorm"):  # of two axes, it is another op
        assert foreign_op(f"{word}2d", OPS) == f"did you mean `{name}`?"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("nn.ReLU()", "relu"),
        ("nn.ReLU(inplace=True)", "relu"),
        ("conv(8)", "{conv: 8}"),
        ("torch.nn.Conv2d(3, 8, kernel_size=3)", "{conv: ...}"),
        ("linear(out=8)", "{linear: ...}"),
        ("mine(3)", "{mine: 3}"),
        ("make_divisible(3)", None),
        ("relu", None),
    ],
)
def test_calls_are_written_as_layers(text: str, written: str | None) -> None:
    assert foreign_call(text, OPS, ["mine"]) == written


def test_an_attribute_is_suggested_where_the_op_has_it() -> None:
    assert foreign_attribute("filters", ["out", "bias"]) == "did you mean `out`?"
    assert foreign_attribute("filters", ["p"]) is None
    assert "leave it out" in (foreign_attribute("in_channels", ["out"]) or "")

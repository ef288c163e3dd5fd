"""Headers of loops and names that hold expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archc.spec.expressions import ExpressionError, parse_for, parse_template
from archc.spec.tree import Scalar
from archc.types import symbol

MakeScalar = Callable[[str], Scalar]


def shown(error: ExpressionError) -> str:
    return error.span.source.text[error.span.start : error.span.end]


@pytest.mark.parametrize(
    ("text", "names", "item", "bound"),
    [
        ("for i in range(3)", ("i",), 7, {"i": 7}),
        ("i in range(3)", ("i",), [1, 2], {"i": [1, 2]}),
        ("for a, b in xs", ("a", "b"), [1, 2], {"a": 1, "b": 2}),
        ("for (a, b) in xs", ("a", "b"), (1, 2), {"a": 1, "b": 2}),
        ("for [a, b] in xs", ("a", "b"), (1, 2), {"a": 1, "b": 2}),
        ("for a, in xs", ("a",), [5], {"a": 5}),
        ("for  i,(n , c)  in  xs", ("i", "n", "c"), [0, [1, 2]], {"i": 0, "n": 1, "c": 2}),
        ("for _, _, a in xs", ("_", "_", "a"), [1, 2, 3], {"a": 3, "_": 2}),
        ("for inner in [x for x in xs if x in [1]]", ("inner",), 1, {"inner": 1}),
        ("forks in xs", ("forks",), 1, {"forks": 1}),
    ],
)
def test_headers(
    scalar: MakeScalar, text: str, names: tuple[str, ...], item: object, bound: dict[str, object]
) -> None:
    header = parse_for(scalar(text))
    assert header.names == names
    assert header.bind(item) == bound


def test_a_header_runs_over_its_items(scalar: MakeScalar, scope: Any) -> None:
    header = parse_for(scalar("for i, (n, c) in enumerate(zip(ns, cs), 1)"))
    value = header.iterable.evaluate(scope({"ns": [2, 3], "cs": [64, 128]}))
    assert [header.bind(item) for item in header.iterate(value)] == [
        {"i": 1, "n": 2, "c": 64},
        {"i": 2, "n": 3, "c": 128},
    ]
    assert parse_for(header.iterable.scalar) is header


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("for", "for", "needs an `in`"),
        ("for i range(3)", "for i range(3)", "needs an `in`"),
        ("for in xs", "in", "a name is missing"),
        ("for i in", "in", "a list is missing"),
        ("for i, in in xs", "in", "before `in`"),
        ("for 1 in xs", "1", "binds names only"),
        ("for a, f(b) in xs", "(", "binds names only"),
        ("for true in xs", "true", "binds names only"),
        ("for a, None in xs", "None", "binds names only"),
        ("for a b in xs", "b", "binds names only"),
        ("for a,, b in xs", ",", "binds names only"),
        ("for (a, b] in xs", "]", "binds names only"),
        ("for a.b in xs", ".", "not part"),
        ("for (a, b in xs", "(", "never closed"),
        ("for a) in xs", ")", "binds names only"),
        ("for a, b, a in xs", "a", "bound twice"),
        ("for () in xs", ")", "binds names only"),
        ("for i in xs +", "+", "ends after"),
        ("for i in rang(3)", "rang", "no function"),
        ("for i in a, b", ",", "comma outside"),
    ],
)
def test_headers_that_are_none(scalar: MakeScalar, text: str, place: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_for(scalar(text))
    assert caught.value.code in ("bad-expression", "unknown-function")
    assert shown(caught.value) == place
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("item", "place"),
    [
        *((item, "i, (n, c)") for item in (1, "ab", [1], [1, 2, 3])),
        *((item, "(n, c)") for item in ([1, 2], [1, [1, 2, 3]])),
    ],
)
def test_items_that_do_not_fit(scalar: MakeScalar, item: object, place: str) -> None:
    header = parse_for(scalar("for i, (n, c) in xs"))
    with pytest.raises(ExpressionError) as caught:
        header.bind(item)
    assert caught.value.code == "expression-type"
    assert shown(caught.value) == place
    assert "2 names" in caught.value.message


@pytest.mark.parametrize(("value", "hints"), [(3, 1), ("abc", 0), (None, 0)])
def test_what_is_no_list(scalar: MakeScalar, value: object, hints: int) -> None:
    header = parse_for(scalar("for i in xs"))
    with pytest.raises(ExpressionError) as caught:
        header.iterate(value)
    assert (caught.value.code, shown(caught.value)) == ("expression-type", "xs")
    assert len(caught.value.help) == hints


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("conv1", "conv1"),
        ("features.0.conv", "features.0.conv"),
        ("layer{i + 1}", "layer4"),
        ("features.denseblock{i}.denselayer{j + 1}", "features.denseblock3.denselayer1"),
        ("block{i}-{j}", "block3-0"),
        ("{ i }", "3"),
        ("{word}_{'x'}", "stem_x"),
        ("Mixed_7c", "Mixed_7c"),
    ],
)
def test_names(scalar: MakeScalar, scope: Any, text: str, name: str) -> None:
    template = parse_template(scalar(text))
    assert template.render(scope({"i": 3, "j": 0, "word": "stem"})) == name
    assert template.is_static == ("{" not in text)
    assert parse_template(template.scalar) is template


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("a b", "bad-name", " ", "cannot hold ` `"),
        ("été", "bad-name", "é", "cannot hold"),
        ("a/b{i}", "bad-name", "/", "cannot hold"),
        ("a}", "bad-name", "}", "cannot hold"),
        ("a{i", "bad-name", "{", "never closed"),
        ("a{i{j}}", "bad-expression", "{", "not part"),
        ("a{}", "bad-expression", "", "empty"),
        ("a{i +}", "bad-expression", "+", "ends after"),
        ("a{k}", "unknown-name", "k", "means nothing"),
        ("a{1 // n}", "division-by-zero", "n", "divides by zero"),
        ("a..b", "bad-name", "a..b", "empty"),
        (".a", "bad-name", ".a", "empty"),
        ("a.", "bad-name", "a.", "empty"),
        ("", "bad-name", "", "the name is empty"),
        ("a{i - 9}", "bad-name", "i - 9", "the number -6"),
        ("a{half}", "bad-name", "half", "the number 0.5"),
        ("a{flag}", "bad-name", "flag", "true"),
        ("a{none}", "bad-name", "none", "nothing"),
        ("a{'b.c'}", "bad-name", "'b.c'", "the text 'b.c'"),
        ("a{''}", "bad-name", "''", "the text ''"),
        ("a{[1]}", "bad-name", "[1]", "a list"),
        ("a{H}", "bad-name", "H", "H is not fixed"),
        ("x" * 201, "bad-name", "x" * 201, "201 characters"),
    ],
)
def test_names_that_are_none(
    scalar: MakeScalar, scope: Any, text: str, code: str, place: str, words: str
) -> None:
    names = {"i": 3, "n": 0, "half": 0.5, "flag": True, "H": symbol("H")}
    with pytest.raises(ExpressionError) as caught:
        parse_template(scalar(text)).render(scope(names))
    assert (caught.value.code, shown(caught.value)) == (code, place)
    assert words in caught.value.message

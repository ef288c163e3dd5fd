"""What is said about text that is not YAML, or not the part of YAML that the language takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Compose = Callable[[str], Any]

# text, place, what the place shows, words of the message
SYNTAX = {
    "tab": ("a:\n\tb: 1\n", "2:1", "\t", "tab"),
    "tab after spaces": ("a:\n  b: 1\n \tc: 2\n", "3:2", "\t", "tab"),
    "open list": ("a: [1, 2\n", "1:4", "[", "never closed"),
    "open list, more lines": ("a: [1, 2\nb: 3\n", "1:4", "[", "never closed"),
    "open mapping": ("é: {b: {c: 1}\nd: 2\n", "1:4", "{", "never closed"),
    "open list at the end": ("a: 1\nb: [", "2:4", "[", "never closed"),
    "open quote": ('a: "abc\nb: 1\n', "1:4", '"', "never closed"),
    "open single quote": ("a: 'abc\n", "1:4", "'", "never closed"),
    "stray bracket": ("a: {b: 1}}\n", "1:10", "}", "closes nothing"),
    "stray bracket in a list": ("- [a]]\n", "1:6", "]", "closes nothing"),
    "two colons": ("a: b: c\n", "1:5", ":", "second `:`"),
    "two colons in braces": ("a: {b: c: d}\n", "1:9", ":", "second `:`"),
    "missing comma": ("a: {x: 1\n  y: 2}\n", "2:3", "y:", "`,` is missing"),
    "missing comma in a list": ("a: ['b' 'c']\n", "1:9", "'", "`,` or `]`"),
    "index in braces": ("a: {b: xs[i], c: 1}\n", "1:8", "xs[i]", "`[` cannot stand"),
    "name in braces": ("{layer{i}: 3}\n", "1:2", "layer{i}", "`{` cannot stand"),
    "call in a list": ("[sum(r[4] for r in x)]\n", "1:2", "sum(r[4] for r in x)", "cannot stand"),
    "key too deep": ("a: 1\n  b: 2\n", "2:3", "b:", "indented deeper"),
    "key too shallow": ("a:\n    b: 1\n  c: 2\n", "3:3", "c", "indentation"),
    "item among keys": ("a: 1\n- b\n", "2:1", "-", "list item"),
    "key among items": ("- a\nb: c\n", "2:1", "b", "list item is expected"),
    "item on the key's line": ("a: - b\n", "1:4", "-", "list item"),
    "text after a quote": ("a: 'x' y\n", "1:8", "y", "already ended"),
    "text after a quote in a list": ("- 'x' y\n", "1:7", "y", "already ended"),
    "line without colon": ("a: 1\nbcd\ne: 2\n", "2:1", "bcd", "key: value"),
    "escape": ('a: "\\q"\n', "1:5", "\\q", "not an escape"),
    "hex escape": ('a: "\\x0g"\n', "1:5", "\\x", "not an escape"),
    "at sign": ("a: @x\n", "1:4", "@", "begin with `@`"),
    "backtick": ("a: `x`\n", "1:4", "`", "a backtick"),
    "percent": ("a: %x\n", "1:4", "%", "begin with `%`"),
    "star": ("a: * b\n", "1:4", "*", "begin with `*`"),
    "ampersand": ("a: &\n", "1:4", "&", "begin with `&`"),
    "question mark": ("a: ? b\n", "1:4", "?", "`?` cannot stand"),
    "unknown alias": ("a: *b\n", "1:4", "*b", "no anchor `&b`"),
    "no key": ("a: 1\n: 2\n", "2:1", ":", "key is missing"),
    "empty key": ("{'': 2}\n", "1:2", "''", "key is missing"),
    "after the end": ("a: 1\n...\nb: 2\n", "3:1", "b", "end of the document"),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_syntax(compose: Compose, case: str) -> None:
    text, place, shown, words = SYNTAX[case]
    parsed = compose(text)
    assert parsed.codes == ["bad-yaml"]
    assert words in parsed.found[0].message
    assert parsed.shown() == shown
    assert str(parsed.found[0].primary.span) == f"t.yaml:{place}"
    assert "<" not in parsed.found[0].message  # a parser's own token names


def test_a_value_to_quote_is_spelt_out(compose: Compose) -> None:
    parsed = compose("{a: sum(row[4] for row in x), b: 1}")
    assert parsed.found[0].help == ('quote it: "sum(row[4] for row in x)"',)
    parsed = compose('[heads["i"], 1]')
    assert parsed.found[0].help == ("quote it: 'heads[\"i\"]'",)


def test_an_open_bracket_says_where_its_partner_is_missing(compose: Compose) -> None:
    found = compose("a: [1, 2\nb: 3\n").found[0]
    assert str(found.secondary[0].span) == "t.yaml:2:2"
    assert "`]`" in found.secondary[0].text


FEATURES = {
    "tag": ("a: !!str 1\n", "!!str", "tags"),
    "own tag": ("a: !conv {b: 1}\n", "!conv", "tags"),
    "bare tag": ("a: ! b\n", "!", "tags"),
    "quoted tag": ("a: !x 'b'\n", "!x", "tags"),
    "merge key": ("a: &x {b: 1}\nc:\n  <<: *x\n", "<<", "merge keys"),
    "quoted merge key": ("'<<': {b: 1}\n", "'<<'", "merge keys"),
    "list as key": ("? [a, b]\n: c\n", "[a, b]", "key"),
    "mapping as key": ("{{a: b}: c}\n", "{a: b}", "key"),
    "two documents": ("a: 1\n--- \nb: 2\n", "---", "second document"),
    "directive": ("%YAML 1.2\n---\na: 1\n", "%YAML 1.2", "directives"),
    "directive after a comment": ("# x\n\n%FOO bar\n---\na: 1\n", "%FOO bar", "directives"),
    "cycle": ("a: &x [1, *x]\n", "*x", "inside what it refers to"),
    "cycle through a mapping": ("a: &x {b: {c: *x}}\n", "*x", "inside what it refers to"),
}


@pytest.mark.parametrize("case", FEATURES)
def test_features_left_out(compose: Compose, case: str) -> None:
    text, shown, words = FEATURES[case]
    parsed = compose(text)
    assert parsed.codes == ["yaml-feature"]
    assert parsed.shown() == shown
    assert words in parsed.found[0].message


def test_all_findings_are_reported_and_the_rest_is_composed(compose: Compose) -> None:
    parsed = compose("a: !x 1\nb: 2\nb: 3\nc: {<<: d}\ne: *f\n*g : 1\nh: {i: max(1, 2)}\n")
    assert parsed.codes == [
        *("yaml-feature", "duplicate-key", "yaml-feature", "bad-yaml", "bad-yaml", "bad-yaml")
    ]
    keys = [entry.key.text for entry in parsed.root.entries]
    assert keys == ["a", "b", "c", "e", "h"]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "\ufeff", "\ufeff\n"])
def test_empty(compose: Compose, text: str) -> None:
    parsed = compose(text)
    assert (parsed.root, parsed.codes) == (None, ["empty-file"])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: \0\n", "1:4", "NUL"),
        ("a: 1\nb: \x1b[31m\n", "2:4", "U+001B"),
        ("a: \x7f\n", "1:4", "U+007F"),
        ("a: \x9b\n", "1:4", "U+009B"),
        ("a: \ud800\n", "1:4", "surrogate"),
        ("a: \uffff\n", "1:4", "U+FFFF"),
        ("\ufeffa: \ufeffb\n", "1:5", "byte order mark"),
        ('a: "\\0"\n', "1:4", "U+0000"),
        ('a: "x\\e[31m"\n', "1:4", "U+001B"),
    ],
)
def test_text_that_is_no_text(compose: Compose, text: str, place: str, words: str) -> None:
    parsed = compose(text)
    assert parsed.codes == ["bad-text"]
    assert words in parsed.found[0].message
    assert str(parsed.found[0].primary.span) == f"t.yaml:{place}"


@pytest.mark.parametrize("escape", ["\\ud800", "\\U00110000", "\\UFFFFFFFF"])
def test_escapes_beyond_unicode(compose: Compose, escape: str) -> None:
    parsed = compose(f'a: "x{escape}"\n')
    assert len(parsed.codes) == 1
    assert parsed.codes[0] in ("bad-yaml", "bad-text")


DEEP = {
    "lists": "[" * 200_000,
    "mappings": "{" * 200_000,
    "closed": "[" * 200_000 + "]" * 200_000,
    "entries": "{a: " * 200_000,
    "items": "- " * 200_000,
    "keys": "? " * 200_000,
    "indentation": "".join(f"{' ' * i}a:\n" for i in range(500)),
    "aliases": "- &a0 [x]\n" + "".join(f"- &a{i + 1} [*a{i}]\n" for i in range(100)),
}


@pytest.mark.parametrize("case", DEEP)
def test_deep(compose: Compose, case: str) -> None:
    parsed = compose(DEEP[case])
    assert (parsed.root, parsed.codes) == (None, ["too-deep"])


def test_deepest_that_is_accepted(compose: Compose) -> None:
    assert compose("[" * 64 + "]" * 64).found == []
    assert compose("[" * 65 + "]" * 65).codes == ["too-deep"]
    assert compose("a: &x [[1]]\nb: " + "[" * 61 + "*x" + "]" * 61).found == []
    assert compose("a: &x [[1]]\nb: " + "[" * 62 + "*x" + "]" * 62).codes == ["too-deep"]


def test_billion_laughs(compose: Compose) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]" for i in range(30)]
    parsed = compose("\n".join(lines))
    assert (parsed.root, parsed.codes) == (None, ["yaml-feature"])
    assert "100000" in parsed.found[0].message


def test_aliases_may_repeat_a_lot(compose: Compose) -> None:
    # 9,000 aliases of 11 nodes: 99,000 of the 100,000 allowed.
    text = f"a: &a [{', '.join('x' * 10)}]\nb: [{', '.join(['*a'] * 9000)}]\n"
    assert compose(text).found == []

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from archc.diagnostics import Source, Span
from archc.spec.expressions import ExpressionError, parse_expression
from archc.spec.tree import Scalar

Refuse = Callable[..., Any]

NAMES: dict[str, Any] = {
    "x": 3,
    "n": 0,
    "xs": [1, 2, 3],
    "word": "abc",
    "relu": object(),
    "inf": float("inf"),
    "rows": [[1, 2], [3, 4]],
}

# text -> the part pointed at, words of the message, words of the help
SYNTAX = {
    "   ": ("", "empty", ""),
    "x y": ("x y", "operator is missing between `x` and `y`", ""),
    "2(3)": ("2(", "operator is missing", ""),
    "xs[0](1)": ("](", "operator is missing", ""),
    "f'a'": ("f'a'", "operator is missing", ""),
    "'a' 'b'": ("'a' 'b'", "operator is missing", ""),
    "x not xs": ("not", "before `not`", "not in"),
    "x +": ("+", "ends after `+`", ""),
    "x not": ("not", "ends after `not`", ""),
    "* 3": ("*", "before `*`", ""),
    "x + * 3": ("*", "before `*`", ""),
    "[*xs]": ("*", "before `*`", ""),
    "len(**xs)": ("**", "before `**`", ""),
    "[1,,2]": (",", "before `,`", ""),
    "len(,)": (",", "before `,`", ""),
    "(1 +)": (")", "before `)`", ""),
    "xs[]": ("]", "before `]`", ""),
    "if x else 3": ("if", "before `if`", "a if condition else b"),
    "x if n": ("x if n", "without `else`", ""),
    "x else 3": ("else", "does not fit", ""),
    "(1 + [2": ("[", "never closed", ""),
    "x)": (")", "closes nothing", ""),
    "[x)": ("[x)", "`)` closes the `[`", ""),
    "x, 3": (",", "comma outside brackets", "[a, b]"),
    "x: 3": (":", "index", ""),
    "[x:3]": (":", "index", ""),
    "x = 3": ("=", "does not compare", "=="),
    "[x = 3]": ("=", "does not compare", "=="),
    "len((x) = 3)": ("=", "does not compare", "=="),
    "x && n": ("&&", "not part", "`and`"),
    "x || n": ("||", "not part", "`or`"),
    "!x": ("!", "not part", "`not`"),
    "x ^ 2": ("^", "not part", "`**`"),
    "x <> 2": ("<>", "not part", "`!=`"),
    "x => 2": ("=>", "not part", "`>=`"),
    "x := 2": (":=", "not part", "`==`"),
    "x ? 1 : 2": ("?", "not part", "if condition"),
    "{1, 2}": ("{", "not part", ""),
    "x.y": (".", "not part", "bare name"),
    "math.floor(x)": (".", "not part", "floor"),
    "x; n": (";", "not part", ""),
    "`x`": ("`", "a backtick", ""),
    "$x": ("$", "not part", ""),
    "x # n": ("#", "not part", ""),
    "x \N{MULTIPLICATION SIGN} 2": ("\N{MULTIPLICATION SIGN}", "not part", "`*`"),
    "x \N{MINUS SIGN} 1": ("\N{MINUS SIGN}", "not part", "`-`"),
    "“a”": ("“", "not part", "straight quote"),
    "é + 1": ("é", "not part", ""),
    "x\u200b": ("\u200b", "U+200B", ""),
    "'a": ("'", "never closed", ""),
    r"'a\n'": ("'", "escape", ""),
    "'''a'''": ("'''a'", "operator is missing", ""),
    "x is 3": ("is", "reserved word", "=="),
    "lambda: 1": ("lambda", "reserved word", ""),
    "(yield)": ("yield", "reserved word", ""),
    "010 + 1": ("010", "begins with a zero", "write 10"),
    "1__0": ("1__0", "not a number", ""),
    "1if x else 2": ("1if", "not a number", ""),
    "2j": ("2j", "not a number", ""),
    "1.2.3 + 1": ("1.2.3", "not a number", ""),
    "a for a in xs": ("a for a in xs", "`for`", "[... for ...]"),
    "[1, (a for a in xs)]": ("(a for a in xs)", "`for`", ""),
    "max(1, (a for a in xs))": ("(a for a in xs)", "`for`", ""),
    "[1 for true in xs]": ("true", "binds names only", ""),
    "[1 for xs[0] in xs]": ("xs[0]", "binds names only", ""),
    "xs[1:2:3:4]": (":", "does not fit", ""),
    "len()": ("len()", "takes 1 argument, not 0", ""),
    "1 + range(1, 2, 3, 4)": ("range(1, 2, 3, 4)", "takes 1 to 3 arguments, not 4", ""),
    "gcd(1)": ("gcd(1)", "at least 2 arguments, not 1", ""),
    "len(xs=xs)": ("len(xs=xs)", "no argument `xs`", ""),
    "enumerate(start=1)": ("enumerate(start=1)", "takes 1 to 2", ""),
    "enumerate(xs, 1, start=1)": ("enumerate(xs, 1, start=1)", "takes 1 to 2", ""),
}


@pytest.mark.parametrize("text", SYNTAX)
def test_syntax(refuse: Refuse, text: str) -> None:
    shown, words, hint = SYNTAX[text]
    refusal = refuse(text, **NAMES)
    assert refusal.code == "bad-expression"
    assert refusal.shown == shown
    assert words in refusal.message
    assert hint in " ".join(refusal.help)


# text -> code, the part pointed at, words of the message
VALUES = {
    "1 + 'a'": ("expression-type", "'a'", "`+` does not go with the number 1 and the text 'a'"),
    "'a' - 1": ("expression-type", "'a'", "`-` does not go"),
    "[1] + x": ("expression-type", "[1]", "a list of 1 item"),
    "x * none": ("expression-type", "none", "nothing (null)"),
    "word % xs": ("expression-type", "xs", "the text 'abc'"),
    "relu + relu": ("expression-type", "relu", "an op or block"),
    "-word": ("expression-type", "word", "needs a number"),
    "+xs": ("expression-type", "xs", "needs a number"),
    "word < 1": ("expression-type", "word", "does not order"),
    "0 < x < word": ("expression-type", "word", "does not order"),
    "xs < xs": ("expression-type", "xs", "does not order"),
    "1 in x": ("expression-type", "x", "`in` needs a list"),
    "x[0]": ("expression-type", "x", "cannot be indexed"),
    "word[0]": ("expression-type", "word", "cannot be indexed"),
    "xs['a']": ("expression-type", "'a'", "an index is an integer"),
    "xs[true]": ("expression-type", "true", "an index is an integer"),
    "xs[1.0]": ("expression-type", "1.0", "an index is an integer"),
    "xs[n:word]": ("expression-type", "word", "slice"),
    "xs[::n]": ("expression-type", "xs[::n]", "cannot be 0"),
    "1 + rows[2][0]": ("expression-type", "2", "index 2 is out of range: `rows` is a list of 2"),
    "xs[-4]": ("expression-type", "-4", "out of range"),
    "[a for a in x]": ("expression-type", "x", "`for` needs a list"),
    "[a for a, b in xs]": ("expression-type", "a, b", "cannot be taken apart into 2 names"),
    "[a for a, b in [[1, 2, 3]]]": ("expression-type", "a, b", "a list of 3 items"),
    "(-1) ** 0.5": ("expression-type", "-1", "no fractional power"),
    "len(x)": ("expression-type", "x", "a list is needed"),
    "sum(x)": ("expression-type", "x", "a list is needed"),
    "sum(['a'])": ("expression-type", "['a']", "adds numbers"),
    "range(1.5)": ("expression-type", "1.5", "an integer is needed"),
    "range(0, word)": ("expression-type", "word", "a number is needed"),
    "range(0, 1, n)": ("expression-type", "n", "cannot be 0"),
    "int('3')": ("expression-type", "'3'", "a number is needed"),
    "zip(xs, rows)": ("expression-type", "rows", "equal length, not 3 and 2"),
    "zip(xs, x)": ("expression-type", "x", "a list is needed"),
    "max([])": ("expression-type", "[]", "empty"),
    "max(1, 2, 'a')": ("expression-type", "'a'", "does not order"),
    "min(xs + [word])": ("expression-type", "xs + [word]", "does not order"),
    "min([relu])": ("expression-type", "[relu]", "a number is needed"),
    "sorted([1, 'a'])": ("expression-type", "[1, 'a']", "sorted"),
    "enumerate(xs, start=word)": ("expression-type", "word", "a number is needed"),
    "sqrt(-1)": ("expression-type", "-1", "no square root"),
    "isqrt(-1)": ("expression-type", "-1", "no square root"),
    "log(0)": ("expression-type", "0", "logarithm"),
    "log(2, 1)": ("expression-type", "1", "base"),
    "make_divisible(8, 0)": ("expression-type", "0", "positive"),
    "x // n": ("division-by-zero", "n", "`x // n` divides by zero: `n` is 0"),
    "x / 0": ("division-by-zero", "0", "`x / 0` divides by zero"),
    "x % (n * 2)": ("division-by-zero", "n * 2", "`n * 2` is 0"),
    "1.5 % 0.0": ("division-by-zero", "0.0", "divides by zero"),
    "n ** -1": ("division-by-zero", "n", "divides by zero"),
    "y + 1": ("unknown-name", "y", "`y` means nothing here"),
    "len": ("unknown-name", "len", "is a function"),
    "square(4)": ("unknown-function", "square", "no function `square`"),
    "1 if true else foo(2)": ("unknown-function", "foo", "no function"),
    "2 ** 64": ("expression-limit", "2 ** 64", "64 bits"),
    "9223372036854775807 + 1": ("expression-limit", "9223372036854775807 + 1", "64 bits"),
    "-9223372036854775807 - x": ("expression-limit", "-9223372036854775807 - x", "64 bits"),
    "x + 9223372036854775808": ("expression-limit", "9223372036854775808", "64 bits"),
    "9223372036854775808": ("expression-limit", "9223372036854775808", "64 bits"),
    "1e999": ("expression-limit", "1e999", "too large"),
    "1e308 * 10": ("expression-limit", "1e308 * 10", "infinite"),
    "inf - inf": ("expression-limit", "inf - inf", "infinite"),
    "10.0 ** 999": ("expression-limit", "10.0 ** 999", "too large"),
    "exp(1000)": ("expression-limit", "exp(1000)", "too large"),
    "int(inf)": ("expression-limit", "int(inf)", "infinite"),
    "round(inf)": ("expression-limit", "round(inf)", "infinite"),
    "ceil(1e300)": ("expression-limit", "ceil(1e300)", "64 bits"),
    "round(1, -999999999)": ("expression-limit", "round(1, -999999999)", "digits"),
    "range(10 ** 9)": ("expression-limit", "range(10 ** 9)", "1,000,000,000"),
    "range(-2**62, 2**62)": ("expression-limit", "range(-2**62, 2**62)", "range"),
    "range(2**62, -2**62, -1)": ("expression-limit", "range(2**62, -2**62, -1)", "range"),
    "xs * 10 ** 6": ("expression-limit", "xs * 10 ** 6", "3,000,000 items"),
    "'a' * 1001": ("expression-limit", "'a' * 1001", "1001 characters"),
}


@pytest.mark.parametrize("text", VALUES)
def test_values(refuse: Refuse, text: str) -> None:
    code, shown, words = VALUES[text]
    refusal = refuse(text, **NAMES)
    assert (refusal.code, refusal.shown) == (code, shown)
    assert words in refusal.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("widht", "did you mean `width`?"),
        ("[item for itm in [1]]", "did you mean `itm`?"),
        ("rang(3)", "did you mean `range`?"),
        ("pow(2, 3)", "write `a ** b`"),
        ("max", "call it: max(...)"),
        ("range(7 / 2)", "wrap it in int() or round(), or divide with `//`"),
        ("zip([1], [1, 2])", "cut the longer one, as in `x[:-1]`"),
    ],
)
def test_suggestions(refuse: Refuse, text: str, hint: str) -> None:
    assert refuse(text, width=1).help == (hint,)


HOSTILE = {
    "long": "1" * 100_000,
    "minuses": "-" * 100_000 + "1",
    "minuses that fit": "-" * 998 + "1",
    "nots": "not " * 240 + "1",
    "brackets": "(" * 400 + "1" + ")" * 400,
    "open brackets": "[" * 1000,
    "calls": "abs(" * 200 + "1" + ")" * 200,
    "sums": "1+" * 490 + "1",
    "powers": "2**" * 300 + "1",
    "conditionals": "1 if 0 else " * 80 + "1",
    "power of powers": "9**9**9**9**9",
    "indexes": "x" + "[0]" * 300,
    "nested loops": "[a " + "for a in range(99999) " * 40 + "]",
    "lists of lists": "[" + ",".join(["range(99999)"] * 70) + "]",
    "doubling": "[range(99999) for a in range(99999)]",
    "empty loops": "sum(0 for a in range(2000) for b in range(2000) if 0)",
    "long searches": "sum(99999 in r for r in [range(99999)] * 500)",
    "long comparisons": "sum(r == s for r in [range(9999)] for s in [range(9999)] * 999)",
    "repeated text": "('a' * 1000) * 1000",
    "sum of sums": "sum(sum(r) for r in [range(99999)] * 999)",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_limits(refuse: Refuse, case: str) -> None:
    began = time.process_time()
    refusal = refuse(HOSTILE[case])
    assert refusal.code == "expression-limit"
    # Not a measurement: without the limits some of these end in hours or not at all.
    assert time.process_time() - began < 60


def test_a_comparison_of_lists_that_share_parts_ends(evaluate: Any, refuse: Refuse) -> None:
    one: object = [1]
    other: object = [1.0]
    for _ in range(100):
        one, other = [one, one], [other, other]
    assert refuse("a == b", a=one, b=other).code == "expression-limit"
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    assert evaluate("a == [a]", a=deep) is False


def _error(scalar: Scalar) -> ExpressionError:
    class Empty:
        def lookup(self, name: str) -> object:
            raise KeyError(name)

        def names(self) -> list[str]:
            return []

    with pytest.raises(ExpressionError) as caught:
        parse_expression(scalar).evaluate(Empty())
    return caught.value


@pytest.mark.parametrize(
    ("written", "text", "plain", "exact", "shown"),
    [
        ("1 + yy", "1 + yy", True, True, "yy"),
        ("'1 + yy'", "1 + yy", False, True, "yy"),
        ("\"'é😀' + yy\"", "'é😀' + yy", False, True, "yy"),
        ('"1\\x20+ yy"', "1 + yy", False, False, '"1\\x20+ yy"'),
        ("1 +\n   yy", "1 + yy", True, False, "1 +\n   yy"),
    ],
)
def test_places(written: str, text: str, plain: bool, exact: bool, shown: str) -> None:
    source = Source("t.yaml", f"é: {{a: {written}}}")
    span = _error(Scalar(text, plain, Span(source, 7, 7 + len(written)), exact)).span
    assert source.text[span.start : span.end] == shown


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("é: {conv: 4 * yy, kernel: 3}\n", "1:15"),
        ("é: {conv: '4 * yy', kernel: 3}\n", "1:16"),
        ("a:\n  - [1, 2 + yy]\n", "2:13"),
        ('a: {b: {c: "max(1, yy)"}}\n', "1:20"),
        ("a: &x {b: &y 4 * yy}\n", "1:18"),
        ("a: {b: max(1, yy)}\n", "1:15"),
        ("a: max(1,\n  yy)\n", "1:4"),
    ],
)
def test_places_in_yaml(compose: Any, text: str, place: str) -> None:
    node = compose(text).root
    while not isinstance(node, Scalar):
        node = node.entries[0].value if hasattr(node, "entries") else node.items[-1]
    assert str(_error(node).span) == f"t.yaml:{place}"


def test_an_error_is_a_diagnostic(scalar: Callable[[str], Scalar]) -> None:
    error = _error(scalar("1 + yy"))
    diagnostic = error.diagnostic()
    assert (diagnostic.code, diagnostic.message) == ("unknown-name", str(error))
    assert diagnostic.primary is not None
    assert diagnostic.primary.span == error.span
    assert diagnostic.is_error


def test_a_part_of_a_scalar_has_its_own_place(scalar: Callable[[str], Scalar], scope: Any) -> None:
    whole = scalar("head yy tail")
    with pytest.raises(ExpressionError) as caught:
        parse_expression(whole, "yy", 5).evaluate(scope())
    span = caught.value.span
    assert (span.start - whole.span.start, span.end - whole.span.start) == (5, 7)

"""Tokens of an expression, and the errors that can be told from tokens alone.

Python's own parser would find most of them, but its messages change between versions, speak
of Python, and deep or long input can exhaust it. What passes here is short, shallow and made
of the language's own tokens.
"""

from __future__ import annotations

import keyword
import re
from typing import Literal, cast

from archc.records import dataclass
from archc.spec.expressions.fault import MAX_LENGTH, MAX_NESTING, Fault, limit

Kind = Literal["number", "text", "name", "keyword", "op"]

CONSTANTS = frozenset({"True", "False", "None"})
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
"""Words that mean the same everywhere, as they do in YAML."""

_KEYWORDS = frozenset({"and", "or", "not", "in", "if", "else", "for"})
_INSTEAD_OF_KEYWORD = {"is": "compare with `==`", "elif": "write `a if c else b if d else e`"}

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<number>0[xX]\w*|(?:[0-9]|\.[0-9])(?:[eE][-+][0-9]|[\w.])*)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<foreign>&&|\|\||<>|->|:=|=>|=<|[&|^~@?;{}.$`\\]|!(?!=))
    | (?P<text>'[^'\\\n\r]*'|"[^"\\\n\r]*")
    | (?P<op>\*\*|//|==|!=|<=|>=|[-+*/%<>()\[\],:=])
    | (?P<stray>.)
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_NUMBER = re.compile(
    r"""
    0[xX](?:_?[0-9a-fA-F])+ | 0[oO](?:_?[0-7])+ | 0[bB](?:_?[01])+
    | (?P<digits>[0-9](?:_?[0-9])*)
    | (?:[0-9](?:_?[0-9])*\.?|(?:[0-9](?:_?[0-9])*)?\.[0-9](?:_?[0-9])*)(?:[eE][-+]?[0-9]+)?
    """,
    re.VERBOSE | re.ASCII,
)
_INSTEAD = {
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "^": "write `**` for a power",
    "<>": "write `!=`",
    "&": "write `and`",
    "|": "write `or`",
    "?": "write `a if condition else b`",
    "{": "names take `{expr}`, values are expressions already",
    "}": "names take `{expr}`, values are expressions already",
    ".": "call functions by their bare name, such as `floor(x)`",
    ":=": "write `==` to compare",
    "=>": "write `>=`",
    "=<": "write `<=`",
    "\N{MULTIPLICATION SIGN}": "write `*`",
    "\N{MIDDLE DOT}": "write `*`",
    "\N{DIVISION SIGN}": "write `/`",
    "\N{MINUS SIGN}": "write `-`",
    "\N{EN DASH}": "write `-`",
    "\N{EM DASH}": "write `-`",
    "\N{LESS-THAN OR EQUAL TO}": "write `<=`",
    "\N{GREATER-THAN OR EQUAL TO}": "write `>=`",
    "\N{NOT EQUAL TO}": "write `!=`",
    "\N{LEFT SINGLE QUOTATION MARK}": "write a straight quote",
    "\N{RIGHT SINGLE QUOTATION MARK}": "write a straight quote",
    "\N{LEFT DOUBLE QUOTATION MARK}": "write a straight quote",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "write a straight quote",
}
_QUOTES = frozenset({"'", '"'})
_UNSHOWABLE = {"`": "a backtick", "\\": "a backslash"}
_PREFIXES = frozenset({"-", "+", "not"})
_FORMS = {"if": "write `a if condition else b`", "for": "write `[f(x) for x in y]`"}
_MAX_PREFIXES = 16  # Signs or `not` in a row.


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression; `text[start:end]` in it."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def place(self) -> tuple[int, int]:
        """Offsets into the expression's text."""
        return (self.start, self.end)


def tokenize(text: str) -> list[Token]:
    """Split an expression.

    Raises:
        Fault: it is too long, or a piece of it is not of the language.
    """
    if len(text) > MAX_LENGTH:
        raise limit(f"the expression is longer than {MAX_LENGTH} characters")
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None, "the last alternative takes any character"
        piece, kind, place = match.group(), match.lastgroup, match.span()
        if kind in ("foreign", "stray"):
            raise _foreign(piece, place)
        if kind == "number":
            _check_number(piece, place)
        if kind == "name" and keyword.iskeyword(piece) and piece not in CONSTANTS:
            if piece not in _KEYWORDS:
                hint = (_INSTEAD_OF_KEYWORD[piece],) if piece in _INSTEAD_OF_KEYWORD else ()
                raise _bad(f"`{piece}` is a reserved word without a meaning here", place, *hint)
            kind = "keyword"
        if kind != "space":
            tokens.append(Token(cast("Kind", kind), piece, *place))
        at = match.end()
    return tokens


def _bad(message: str, place: tuple[int, int], *help: str) -> Fault:
    return Fault("bad-expression", message, *help, place=place)


def _foreign(piece: str, place: tuple[int, int]) -> Fault:
    if piece in _QUOTES:
        return _bad(
            "this quote is never closed, or what it holds has an escape",
            place,
            "close the quote; text in an expression has no escapes",
        )
    shown = _UNSHOWABLE.get(piece, f"`{piece}`" if piece.isprintable() else f"U+{ord(piece):04X}")
    hint = _INSTEAD.get(piece)
    return _bad(f"{shown} is not part of the language", place, *((hint,) if hint else ()))


def _check_number(piece: str, place: tuple[int, int]) -> None:
    match = _NUMBER.fullmatch(piece)
    if match is None:
        raise _bad(f"`{piece}` is not a number", place)
    digits = match.group("digits")
    if digits and digits[0] == "0" and digits.strip("0_"):
        plain = digits.lstrip("0_")
        raise _bad(f"`{piece}` begins with a zero", place, f"write {plain}")


class _Checker:
    """Goes over the tokens, knowing whether an operand or an operator has to come next."""

    def __init__(self) -> None:
        self.open: list[tuple[Token, bool]] = []  # brackets; whether they call or index
        self.last: Token | None = None
        self.before_last: Token | None = None
        self.expects_operand = True
        self.prefixes = 0

    def check(self, tokens: list[Token]) -> None:
        if not tokens:
            raise _bad("the expression is empty", (0, 0))
        for token in tokens:
            self.step(token)
            self.before_last, self.last = self.last, token
        if self.open:
            bracket = self.open[-1][0]
            raise _bad(f"this `{bracket.text}` is never closed", bracket.place)
        if self.expects_operand:
            assert self.last is not None
            raise _bad(f"the expression ends after `{self.last.text}`", self.last.place)

    def step(self, token: Token) -> None:
        text = token.text
        negated_in = self.last is not None and self.last.text == "not" and not self.prefixes
        if negated_in and text == "in":
            return
        if negated_in:
            assert self.last is not None
            raise _bad("an operator is missing before `not`", self.last.place, "write `not in`?")
        if token.kind not in ("op", "keyword"):
            self.need_operator_before(token)
            self.expects_operand = False
            self.prefixes = 0
        elif text in ("(", "["):
            self.open_bracket(token)
        elif text in (")", "]"):
            self.close_bracket(token)
        elif self.expects_operand:
            self.prefix(token)
        else:
            self.infix(token)

    def need_operator_before(self, token: Token) -> None:
        if self.expects_operand:
            return
        assert self.last is not None
        raise _bad(
            f"an operator is missing between `{self.last.text}` and `{token.text}`",
            (self.last.start, token.end),
        )

    def open_bracket(self, token: Token) -> None:
        applies = not self.expects_operand
        if applies and self.last is not None:
            callable_ = self.last.kind == "name" and self.last.text not in CONSTANTS
            if token.text == "(" and not callable_:
                self.need_operator_before(token)
        if len(self.open) >= MAX_NESTING:
            fault = limit(f"brackets are nested more than {MAX_NESTING} deep")
            fault.place = token.place
            raise fault
        self.open.append((token, applies))
        self.expects_operand = True
        self.prefixes = 0

    def close_bracket(self, token: Token) -> None:
        if not self.open:
            raise _bad(f"this `{token.text}` closes nothing", token.place)
        opening, applies = self.open.pop()
        if (opening.text, token.text) not in (("(", ")"), ("[", "]")):
            raise _bad(
                f"`{token.text}` closes the `{opening.text}` opened before",
                (opening.start, token.end),
            )
        if self.expects_operand:
            assert self.last is not None
            empty = self.last is opening and not (applies and token.text == "]")
            if not empty and self.last.text not in (",", ":"):
                raise _bad(f"a value is missing before `{token.text}`", token.place)
        self.expects_operand = False
        self.prefixes = 0

    def prefix(self, token: Token) -> None:
        if token.text == ":" and self.in_index():
            return
        if token.text not in _PREFIXES:
            hint = _FORMS.get(token.text)
            message = f"a value is missing before `{token.text}`"
            raise _bad(message, token.place, *((hint,) if hint else ()))
        self.prefixes += 1
        if self.prefixes > _MAX_PREFIXES:
            fault = limit(f"more than {_MAX_PREFIXES} signs in a row")
            fault.place = token.place
            raise fault

    def infix(self, token: Token) -> None:
        text = token.text
        if text == "," and not self.open:
            raise _bad("a comma outside brackets", token.place, "write a list as [a, b]")
        if text == ":" and not self.in_index():
            raise _bad("`:` belongs into an index, as in `x[1:]`", token.place)
        if text == "=" and not self.names_argument():
            raise _bad("`=` does not compare", token.place, "write `==`")
        self.expects_operand = True
        self.prefixes = 0

    def in_index(self) -> bool:
        return bool(self.open) and self.open[-1][1] and self.open[-1][0].text == "["

    def names_argument(self) -> bool:
        """Whether a name stands alone at the beginning of an argument of a call."""
        return (
            bool(self.open)
            and self.open[-1][1]
            and self.open[-1][0].text == "("
            and self.last is not None
            and self.last.kind == "name"
            and self.before_last is not None
            and self.before_last.text in ("(", ",")
        )


def check_tokens(tokens: list[Token]) -> None:
    """Refuse what cannot be an expression.

    Raises:
        Fault: `bad-expression`, or `expression-limit` for what is nested too deep.
    """
    _Checker().check(tokens)

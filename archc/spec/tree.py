"""The tree a YAML text becomes: scalars, sequences and mappings, each with its place.

Scalars keep their text: whether `64 * i` is a number, an expression or a word is decided by
the reader of the language, which knows what may stand there.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

from archc.diagnostics import Span
from archc.records import dataclass, field

Literal: TypeAlias = str | int | float | bool | None

INT_LIMIT = 2**63
"""Integers of the language lie strictly between `-INT_LIMIT` and `INT_LIMIT`."""

# YAML 1.2 core schema, section 10.3.2.
_WORDS: dict[str, Literal] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{f"{sign}.{word}": math.inf for sign in ("", "+") for word in ("inf", "Inf", "INF")},
    **{f"-.{word}": -math.inf for word in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMBER_START = frozenset("+-.0123456789")
_MAX_NUMBER_LENGTH = 64  # Longer digit runs overflow anyway, and int() of them is quadratic.


def resolve_plain(text: str) -> Literal:
    """The value of an unquoted scalar under the YAML 1.2 core schema.

    `010` is ten, `1e-3` a float, `no`, `on` and timestamps are text. A number that does not
    fit (an integer beyond 64 bits, a float that overflows) stays text, so that whoever reads
    it as an expression reports it instead of computing with another number.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START or len(text) > _MAX_NUMBER_LENGTH:
        return text
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        integer = int(text, base)
        return integer if -INT_LIMIT < integer < INT_LIMIT else text
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


@dataclass(slots=True, eq=False)
class Scalar:
    """A leaf: text and where it stands.

    Attributes:
        text: the content after YAML's own unquoting and folding.
        plain: whether it was written without quotes (only then it can be a number or null).
        span: the place in the source, quotes included, anchors and tags excluded.
        offsets_exact: whether the text stands in the source character for character, so that
            a part of it can be pointed at.
        cache: results derived from the text alone (see `archc.spec.expressions`).
    """

    text: str
    plain: bool
    span: Span
    offsets_exact: bool
    cache: object = field(default=None, init=False, repr=False)

    @property
    def value(self) -> Literal:
        """The YAML 1.2 core value: typed when plain, the text itself when quoted."""
        return resolve_plain(self.text) if self.plain else self.text

    def sub_span(self, start: int, end: int) -> Span:
        """The place of `text[start:end]`; the whole scalar when offsets are not exact."""
        if not self.offsets_exact:
            return self.span
        first = self.span.start + (0 if self.plain else 1)
        length = len(self.text)
        start = min(max(start, 0), length)
        return Span(self.span.source, first + start, first + min(max(end, start), length))


@dataclass(slots=True, eq=False)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    span: Span


@dataclass(slots=True, eq=False)
class Entry:
    """One `key: value` of a mapping."""

    key: Scalar
    value: Node


@dataclass(slots=True, eq=False)
class Mapping:
    """Entries in the order written; only structural keys (`for ...`, `if ...`) may repeat."""

    entries: tuple[Entry, ...]
    span: Span


Node: TypeAlias = Scalar | Sequence | Mapping


def is_number(node: Node) -> bool:
    """Whether a number or a switch is written here, which can name nothing."""
    return isinstance(node, Scalar) and isinstance(node.value, (int, float))


def is_empty(node: Node | None) -> bool:
    """Whether nothing is written here (`key:` alone, `~`, `null`)."""
    return node is None or (isinstance(node, Scalar) and node.value is None)

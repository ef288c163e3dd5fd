"""What may reach a terminal: text without hidden powers, its width in columns, and colour."""

from __future__ import annotations

import unicodedata
from enum import Enum

from archc.records import dataclass


def escape_terminal(text: str) -> str:
    r"""Make text safe to print: whatever is not printable becomes a visible escape.

    Control characters (escape sequences, line breaks, tabs), bidirectional overrides, other
    invisible characters, spaces that are not U+0020, private and unassigned code points and lone
    surrogates are written as Python writes them: `\x1b`, `\n`, `\u202e`, `\ud800`.
    Everything from outside (messages, labels, names, source lines) passes through here before it
    is printed.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def display_width(text: str) -> int:
    """Columns that printable text takes on a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me") or "\u1160" <= char <= "\u11ff":
        # Combining marks, and the vowels and finals that join a Hangul syllable.
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


class Role(Enum):
    """What a piece of output is for; the value is its ANSI style."""

    PLAIN = ""
    STRONG = "1"
    ERROR = "1;31"
    WARNING = "1;33"
    NOTE = "1;36"
    SECONDARY = "1;34"
    GUTTER = "34"


@dataclass(frozen=True, slots=True)
class Painter:
    """Colours pieces of output, or leaves them alone.

    Attributes:
        color: whether ANSI styles are wanted.
    """

    color: bool

    def paint(self, text: str, role: Role) -> str:
        """The text in the style of its role."""
        if not self.color or not text or role is Role.PLAIN:
            return text
        return f"\x1b[{role.value}m{text}\x1b[0m"

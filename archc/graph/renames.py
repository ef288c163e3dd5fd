"""Rules that give the tensors of a checkpoint the keys that the network has."""

from __future__ import annotations

import re
from collections.abc import Collection

from archc.diagnostics import Span
from archc.records import dataclass, field

_LEVEL = re.compile(r"[A-Za-z0-9_-]*\*?[A-Za-z0-9_-]*")
_NEW_LEVEL = re.compile(r"[A-Za-z0-9_*-]+")
_LEVELS = "**"


class BadRuleError(ValueError):
    """A rule that cannot be applied; the message says why, and `in_pattern` which half is wrong."""

    def __init__(self, message: str, *, in_pattern: bool) -> None:
        super().__init__(message)
        self.in_pattern = in_pattern


@dataclass(frozen=True, slots=True)
class Rename:
    """A pattern of old keys and what they become.

    A pattern is matched level by level (levels stand between dots): `*` is any text within one
    level, at most once in each, `**` any number of levels, at most once in all. So there is only
    one way to match a key, and it is found in one pass. The new key holds as many of both, and is
    filled in the order in which they stand.

    Attributes:
        pattern: of old keys.
        replacement: of new ones.
        span: where it is written; not compared.
    """

    pattern: str
    replacement: str
    span: Span = field(compare=False)

    def __post_init__(self) -> None:
        """Hold both halves to the grammar.

        Raises:
            BadRuleError: they are not of it.
        """
        levels, new = self.pattern.split("."), self.replacement.split(".")
        for level in levels:
            if not level or (level != _LEVELS and not _LEVEL.fullmatch(level)):
                why = f"`{level}` is no level of a key: letters, digits, `_`, `-`, one `*`"
                raise BadRuleError(why if level else "a level is empty", in_pattern=True)
        for level in new:
            if not _NEW_LEVEL.fullmatch(level) or (_LEVELS in level and level != _LEVELS):
                why = f"`{level}` is no level of a key: letters, digits, `_`, `-`, `*`"
                raise BadRuleError(why if level else "a level is empty", in_pattern=False)
        if levels.count(_LEVELS) > 1:
            raise BadRuleError("`**` stands once in a pattern", in_pattern=True)
        for what, held, made in (
            ("`**`", levels.count(_LEVELS), new.count(_LEVELS)),
            ("`*`", _stars(levels), _stars(new)),
        ):
            if held != made:
                why = f"the pattern has {held} {what}, and the new key has {made}"
                raise BadRuleError(why, in_pattern=False)

    def apply(self, key: str) -> str | None:
        """The new key; None where the pattern does not match."""
        levels, parts = self.pattern.split("."), key.split(".")
        at = levels.index(_LEVELS) if _LEVELS in levels else len(levels)
        behind = len(levels) - at - 1
        if len(parts) < len(levels) - 1 or (behind < 0 and len(parts) != len(levels)):
            return None
        end = len(parts) - max(behind, 0)
        pairs = [*zip(levels[:at], parts, strict=False)]
        pairs += zip(levels[at + 1 :], parts[end:], strict=True) if behind >= 0 else []
        held: list[str] = []
        for level, part in pairs:
            before, star, after = level.partition("*")
            if not star:
                if level != part:
                    return None
                continue
            if len(part) < len(level) - 1 or not (part.startswith(before) and part.endswith(after)):
                return None
            held.append(part[len(before) : len(part) - len(after)])
        return self._filled(held, parts[at:end])

    def _filled(self, held: list[str], levels: list[str]) -> str:
        texts = iter(held)
        new: list[str] = []
        for level in self.replacement.split("."):
            if level == _LEVELS:
                new += levels
            else:
                new.append(re.sub(r"\*", lambda match: next(texts), level))
        return ".".join(new)


def _stars(levels: Collection[str]) -> int:
    return sum(level.count("*") for level in levels if level != _LEVELS)

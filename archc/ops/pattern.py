"""The notation of einops for regrouping axes: `b (g c) h w -> b (c g) h w`."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from archc.records import dataclass

ELLIPSIS = "..."
_TOKEN = re.compile(r"\.\.\.|[()]|[^\s()]+")

Groups = tuple[tuple[str, ...], ...]
"""One group of names per axis; an axis of size 1 is an empty group."""


class PatternError(ValueError):
    """Text that is not a pattern.

    Args:
        message: what is wrong with it.
        help: what would be right.
    """

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern; both sides hold the same names, each once.

    Attributes:
        left: axes of the input.
        right: axes of the result.
    """

    left: Groups
    right: Groups

    @property
    def has_ellipsis(self) -> bool:
        """Whether it takes inputs of several ranks."""
        return (ELLIPSIS,) in self.left

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order of the left side."""
        return tuple(name for group in self.left for name in group)

    @property
    def order(self) -> list[int]:
        """For each name of the right side, its position on the left."""
        place = {name: index for index, name in enumerate(self.names)}
        return [place[name] for group in self.right for name in group]

    def expand(self, count: int) -> Pattern:
        """The pattern with `...` as `count` axes of their own."""
        if not self.has_ellipsis:
            return self
        others = tuple(f"{ELLIPSIS}{index}" for index in range(count))
        return Pattern(_expanded(self.left, others), _expanded(self.right, others))


def _expanded(groups: Groups, others: tuple[str, ...]) -> Groups:
    result: list[tuple[str, ...]] = []
    for group in groups:
        if group == (ELLIPSIS,):
            result += [(name,) for name in others]
        elif ELLIPSIS in group:
            at = group.index(ELLIPSIS)
            result.append((*group[:at], *others, *group[at + 1 :]))
        else:
            result.append(group)
    return tuple(result)


@lru_cache(maxsize=512)
def parse_pattern(text: str) -> Pattern:
    """Parse `left -> right`.

    Raises:
        PatternError: says what is wrong and what would be right.
    """
    sides = text.split("->")
    if len(sides) != 2:
        raise PatternError(
            f"it has {len(sides) - 1} arrows", "write it as `b c h w -> b (h w) c`, with one `->`"
        )
    left, right = (_parse_side(side) for side in sides)
    if any(ELLIPSIS in group and len(group) > 1 for group in left):
        raise PatternError(
            "`...` stands inside parentheses on the left",
            "on the left each axis of `...` stands for itself; merge on the right",
        )
    _check_names(left, right)
    return Pattern(left, right)


def _parse_side(text: str) -> Groups:
    groups: list[tuple[str, ...]] = []
    open_group: list[str] | None = None
    for token in _TOKEN.findall(text):
        if token == "(":
            if open_group is not None:
                raise PatternError("parentheses are nested", "one level of parentheses is enough")
            open_group = []
        elif token == ")":
            if open_group is None:
                raise PatternError("`)` has no `(` before it", "add the missing `(`")
            groups.append(tuple(open_group))
            open_group = None
        else:
            names = _names_of(token)
            if open_group is None:
                groups.append(names)
            else:
                open_group += names
    if open_group is not None:
        raise PatternError("`(` is not closed", "add the missing `)`")
    return tuple(groups)


def _names_of(token: str) -> tuple[str, ...]:
    if token == "1":
        return ()
    if token != ELLIPSIS and not (token.isidentifier() and token.isascii()):
        raise PatternError(
            f"`{token}` is not the name of an axis",
            "names are words such as `h`; sizes are attributes: {rearrange: ..., h: 2}",
        )
    return (token,)


def _check_names(left: Groups, right: Groups) -> None:
    sides = [Counter(name for group in side for name in group) for side in (left, right)]
    for side, count in zip(("left", "right"), sides, strict=True):
        for name, times in count.items():
            if times > 1:
                raise PatternError(
                    f"`{name}` stands on the {side} {times} times", "name each axis once"
                )
    for side, here, there in (("left", sides[0], sides[1]), ("right", sides[1], sides[0])):
        for name in here:
            if name not in there:
                raise PatternError(
                    f"`{name}` stands on the {side} only",
                    "both sides name the same axes; an axis of size 1 is written `1`",
                )

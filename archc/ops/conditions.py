"""What a shape rule may demand of dims, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from archc.records import dataclass, field
from archc.types import (
    Dim,
    Expr,
    format_dim,
    is_static,
    provably_at_least,
    provably_differ,
    provably_equal,
)


class Refusal(Exception):  # noqa: N818 - a verdict about the input, not an error of ours
    """A shape rule's verdict that a layer cannot be typed.

    Raised by `Op.infer`, caught by elaboration, which turns it into a located diagnostic.

    Args:
        code: diagnostic code.
        message: one sentence that stands alone.
        at: the attribute to blame; None blames the whole layer.
        label: text beside the caret (often the worked arithmetic).
        because: (operand index, text): places that explain the cause.
        help: suggestions.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: str | None = None,
        label: str = "",
        because: Sequence[tuple[int, str]] = (),
        help: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.label = label
        self.because = tuple(because)
        self.help = tuple(help)


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must hold at run time and depends on a symbolic dim.

    Attributes:
        relation: `left == right`, `left >= right` or `left % right == 0`.
        left: a dim.
        right: a dim.
        reason: why it is needed, in words.
        at: the attribute that needs it, if one does.
    """

    relation: Literal["equal", "at-least", "divisible"]
    left: Dim
    right: Dim
    reason: str
    at: str | None = None

    def __str__(self) -> str:
        left, right = format_dim(self.left), format_dim(self.right)
        if self.relation == "equal":
            return f"{left} = {right}"
        if self.relation == "at-least":
            return f"{right} <= {left}" if is_static(self.left) else f"{left} >= {right}"
        return f"{left} is a multiple of {right}"


@dataclass(slots=True)
class ShapeContext:
    """Collects the conditions of one layer while its shape rule runs.

    Each demand is proved (nothing happens), refuted (the refusal is raised) or recorded as a
    condition on the symbolic dims: never passed in silence.
    """

    bounds: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)

    def equal(self, left: Dim, right: Dim, refusal: Refusal) -> None:
        """Demand `left == right`."""
        if provably_equal(left, right):
            return
        if provably_differ(left, right):
            raise refusal
        self.conditions.append(Condition("equal", left, right, refusal.message, refusal.at))

    def at_least(self, left: Dim, right: Dim, refusal: Refusal) -> None:
        """Demand `left >= right`."""
        if is_static(left) and is_static(right):
            if left < right:
                raise refusal
            return
        if provably_at_least(left, right, self.bounds):
            return
        if provably_at_least(right - 1, left, self.bounds):
            raise refusal
        self.conditions.append(Condition("at-least", left, right, refusal.message, refusal.at))

    def divisible(self, left: Dim, divisor: int, refusal: Refusal) -> None:
        """Demand `left % divisor == 0`."""
        rest = left % divisor
        if is_static(rest):
            if rest != 0:
                raise refusal
            return
        self.conditions.append(Condition("divisible", left, divisor, refusal.message, refusal.at))


def static_size(dim: Dim, refusal: Refusal) -> int:
    """A dim that has to be a known integer (it sizes a weight).

    Raises:
        Refusal: the dim is symbolic.
    """
    if isinstance(dim, Expr):
        raise refusal
    return dim

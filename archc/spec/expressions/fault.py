"""What can go wrong in an expression, and how much it may do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from archc.spec.tree import INT_LIMIT

MAX_LENGTH = 1000
"""Characters of an expression."""

MAX_NESTING = 32
"""Brackets inside brackets."""

MAX_DEPTH = 64
"""Operations inside operations, as in `1 + 1 + 1 + ...`."""

MAX_LIST = 100_000
"""Items of a list."""

MAX_TEXT = 1000
"""Characters of a text value."""

MAX_STEPS = 1_000_000
"""Operations and list items of one evaluation."""

MAX_STEPS_IN_ALL = 2_000_000
"""Operations and list items of all evaluations of a spec together."""

_in_all: ContextVar[list[int] | None] = ContextVar("_in_all", default=None)


@contextmanager
def steps_in_all(limit: int = MAX_STEPS_IN_ALL) -> Iterator[None]:
    """Let the evaluations in the body take so many steps together.

    A loop repeats an expression as often as it likes; alone each of them is within its bounds.
    """
    token = _in_all.set([limit])
    try:
        yield
    finally:
        _in_all.reset(token)


class Fault(Exception):  # noqa: N818 - a finding on its way to a place, not a failure of ours
    """A finding inside an expression.

    Attributes:
        code: code of the diagnostic it becomes.
        message: one sentence.
        place: offsets into the expression's text; None until whoever knows it sets it.
        operand: which operand of the operation at hand is to blame, while `place` is None.
        help: suggestions.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *help: str,
        place: tuple[int, int] | None = None,
        operand: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.place = place
        self.operand = operand


class Undecided(Fault):
    """A condition on sizes that are not fixed; the message is made where its text is known."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__("symbolic-condition", "a condition on sizes that are not fixed")
        self.names = names

    def explain(self, text: str) -> None:
        """Word the message for the operation written as `text`."""
        verb = "is" if len(self.names) == 1 else "are"
        self.message = f"`{text}` depends on {' and '.join(self.names)}, which {verb} not fixed"
        self.help = ("give the input a fixed size",)


def limit(message: str) -> Fault:
    """An `expression-limit` finding."""
    return Fault("expression-limit", message)


def wrong_type(message: str, *help: str, operand: int | None = None) -> Fault:
    """An `expression-type` finding."""
    return Fault("expression-type", message, *help, operand=operand)


def bounded(value: Any) -> Any:
    """The number, if it is within bounds.

    Raises:
        Fault: an integer beyond 64 bits, or a float that is infinite or not a number.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise limit("the result is infinite or not a number")
    elif not -INT_LIMIT < value < INT_LIMIT:
        raise limit("the result does not fit into 64 bits")
    return value


class Budget:
    """Counts down the steps of one evaluation, and those of all of them (`steps_in_all`)."""

    __slots__ = ("in_all", "left")

    def __init__(self) -> None:
        self.left = MAX_STEPS
        self.in_all = _in_all.get()

    def spend(self, steps: int = 1) -> None:
        """Take steps.

        Raises:
            Fault: none are left.
        """
        self.left -= steps
        if self.left < 0:
            raise limit(f"the expression takes more than {MAX_STEPS:,} steps")
        if self.in_all is not None:
            self.in_all[0] -= steps
            if self.in_all[0] < 0:
                raise limit("the expressions of the spec together take too many steps")

    def listed(self, items: int) -> None:
        """Take the steps that a list of so many items costs, before it is built."""
        if items > MAX_LIST:
            raise limit(f"a list of {items:,} items is more than the {MAX_LIST:,} allowed")
        self.spend(items)

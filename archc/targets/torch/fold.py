"""Runs of like constructions as one comprehension: `*[Block(256, 64) for _ in range(5)]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from archc.targets.torch.code import Construct, Literal, Name
from archc.targets.torch.expressions import construct_text
from archc.targets.torch.layout import literal_text

_ENDS_IN_NUMBER = re.compile(r"([A-Za-z0-9_-]*?)(0|[1-9][0-9]*)")
_LEAST_COUNTED = 3
"""Constructions that have to differ by a constant step before a loop says it better."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A child as text, and as code if it is a plain construction."""

    text: str
    code: Construct | None


@dataclass(frozen=True, slots=True)
class _Steps:
    """How the integers of a construction grow from one to the next."""

    args: tuple[int, ...]
    kwargs: tuple[int, ...]

    @property
    def is_still(self) -> bool:
        return not any(self.args) and not any(self.kwargs)


def fold(entries: Sequence[Entry], names: Sequence[str] = ()) -> list[str]:
    """Texts of list items: entries, or (name, entry) pairs, with runs folded.

    Args:
        entries: the children in order.
        names: their names, if they are to be written.
    """
    items: list[str] = []
    start = 0
    while start < len(entries):
        length, steps = _run(entries, names, start)
        first = entries[start].code
        if first is None or steps is None:
            pair = f"({literal_text(names[start])}, {entries[start].text})" if names else ""
            items.append(pair or entries[start].text)
            start += 1
            continue
        text = construct_text(_counted(first, steps))
        counts = bool(names) or not steps.is_still
        if names:
            text = f"({_counted_name(names[start])}, {text})"
        items.append(f"*[{text} for {'i' if counts else '_'} in range({length})]")
        start += length
    return items


def _run(entries: Sequence[Entry], names: Sequence[str], start: int) -> tuple[int, _Steps | None]:
    """Length of the run that starts here, and its steps; (1, None) if there is none."""
    first = entries[start].code
    if first is None or start + 1 >= len(entries):
        return 1, None
    second = entries[start + 1].code
    steps = _steps(first, second) if second is not None else None
    if steps is None or not _names_go_on(names, start, 1):
        return 1, None
    length = 2
    while start + length < len(entries):
        before, code = entries[start + length - 1].code, entries[start + length].code
        if before is None or code is None or _steps(before, code) != steps:
            break
        if not _names_go_on(names, start, length):
            break
        length += 1
    least = 2 if steps.is_still and not names else _LEAST_COUNTED
    return (length, steps) if length >= least else (1, None)


def _names_go_on(names: Sequence[str], start: int, count: int) -> bool:
    """Whether the name after `count` more children is the first one's, counted up."""
    if not names:
        return True
    first = _ENDS_IN_NUMBER.fullmatch(names[start])
    if first is None:
        return False
    return names[start + count] == f"{first[1]}{int(first[2]) + count}"


def _steps(first: Construct, second: Construct) -> _Steps | None:
    """How `second` differs from `first` if only integers do."""
    heads = (first.constructor, second.constructor)
    if heads[0] != heads[1] or len(first.args) != len(second.args):
        return None
    if [k for k, _ in first.kwargs] != [k for k, _ in second.kwargs]:
        return None
    args = _differences(first.args, second.args)
    kwargs = _differences([v for _, v in first.kwargs], [v for _, v in second.kwargs])
    return _Steps(args, kwargs) if args is not None and kwargs is not None else None


def _differences(first: Sequence[Literal], second: Sequence[Literal]) -> tuple[int, ...] | None:
    steps: list[int] = []
    for a, b in zip(first, second, strict=True):
        if type(a.value) is int and type(b.value) is int:
            steps.append(b.value - a.value)
        elif repr(a.value) == repr(b.value) and a.is_default == b.is_default:
            steps.append(0)
        else:
            return None
    return tuple(steps)


def _counted(code: Construct, steps: _Steps) -> Construct:
    """The construction over the loop variable `i`."""
    args = tuple(map(_counted_literal, code.args, steps.args))
    kwargs = tuple(
        (name, _counted_literal(literal, step))
        for (name, literal), step in zip(code.kwargs, steps.kwargs, strict=True)
    )
    return replace(code, args=args, kwargs=kwargs)


def _counted_literal(literal: Literal, step: int) -> Literal:
    if step == 0:
        return literal
    term = "i" if abs(step) == 1 else f"{abs(step)} * i"
    if step < 0:
        text = f"{literal.value} - {term}"
    else:
        text = term if literal.value == 0 else f"{literal.value} + {term}"
    return replace(literal, value=Name(text))


def _counted_name(name: str) -> str:
    found = _ENDS_IN_NUMBER.fullmatch(name)
    assert found is not None  # the run was found by its numbers
    prefix = literal_text(found[1])[1:-1].replace("{", "{{").replace("}", "}}")
    number = "i" if found[2] == "0" else f"i + {found[2]}"
    return f'f"{prefix}{{{number}}}"'

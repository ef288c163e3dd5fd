"""Runs of like constructions as one comprehension: `*[Block(256, 64) for _ in range(5)]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from archc.records import dataclass, replace
from archc.targets.torch.code import Construct, Literal, Name, distinct
from archc.targets.torch.expressions import construct_text
from archc.targets.torch.layout import literal_text
from archc.targets.torch.series import Series, find_series

_ENDS_IN_NUMBER = re.compile(r"([A-Za-z0-9_-]*?)(0|[1-9][0-9]*)")
_LEAST_COUNTED = 3
"""Constructions that have to follow a series before a loop says it better."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A child as text, and as code if it is a plain construction."""

    text: str
    code: Construct | None


@dataclass(frozen=True, slots=True)
class _Run:
    """Constructions that one comprehension makes.

    Attributes:
        length: how many.
        start: value of the loop variable for the first.
        code: the construction over the loop variable `i`.
    """

    length: int
    start: int
    code: Construct


def fold(entries: Sequence[Entry], names: Sequence[str] = ()) -> list[str]:
    """Texts of list items: entries, or (name, entry) pairs, with runs folded.

    Args:
        entries: the children in order.
        names: their names, if they are to be written.
    """
    items: list[str] = []
    at = 0
    for codes in _alike_runs(entries, names):
        end = at + max(1, len(codes))
        while at < end:
            run = _first_run(codes[len(codes) - (end - at) :], bool(names))
            if run is None:
                pair = f"({literal_text(names[at])}, {entries[at].text})" if names else ""
                items.append(pair or entries[at].text)
                at += 1
                continue
            items.append(_comprehension(run, entries[at], names[at] if names else ""))
            at += run.length
    return items


def _comprehension(run: _Run, first: Entry, name: str) -> str:
    text = construct_text(run.code)
    counts = bool(name) or run.code != first.code
    if name:
        text = f"({_counted_name(name, run.start)}, {text})"
    bounds = f"{run.start}, {run.start + run.length}" if run.start else f"{run.length}"
    return f"*[{text} for {'i' if counts else '_'} in range({bounds})]"


def _alike_runs(entries: Sequence[Entry], names: Sequence[str]) -> list[list[Construct]]:
    """Neighbours that differ in values at most, names counted up; an empty run is other code."""
    runs: list[list[Construct]] = []
    for i, entry in enumerate(entries):
        if entry.code is None:
            runs.append([])
        elif i and runs[-1] and _alike(runs[-1][0], entry.code) and _goes_on(names, i):
            runs[-1].append(entry.code)
        else:
            runs.append([entry.code])
    return runs


def _alike(first: Construct, other: Construct) -> bool:
    """Whether two constructions differ in values at most."""
    keys = [[key for key, _ in code.kwargs] for code in (first, other)]
    same = first.constructor == other.constructor and keys[0] == keys[1]
    return same and len(first.args) == len(other.args)


def _goes_on(names: Sequence[str], i: int) -> bool:
    """Whether a name is the one before it, counted up by one."""
    if not names:
        return True
    last = _ENDS_IN_NUMBER.fullmatch(names[i - 1])
    return last is not None and names[i] == f"{last[1]}{int(last[2]) + 1}"


def _first_run(codes: Sequence[Construct], named: bool) -> _Run | None:
    """What one comprehension can make from the first of these on."""
    return _same(codes, named) or _counted(codes)


def _same(codes: Sequence[Construct], named: bool) -> _Run | None:
    """A run of equal constructions."""
    length = 1
    while length < len(codes) and _values(codes[length]) == _values(codes[0]):
        length += 1
    return _Run(length, 0, codes[0]) if length >= (_LEAST_COUNTED if named else 2) else None


def _values(code: Construct) -> Any:
    return distinct(tuple(literal.value for literal in _literals(code)))


def _literals(code: Construct) -> list[Literal]:
    return [*code.args, *(literal for _, literal in code.kwargs)]


def _counted(codes: Sequence[Construct]) -> _Run | None:
    """A run whose values are functions of a loop variable."""
    rows = [_row(code) for code in codes[: _LEAST_COUNTED - 1]]
    best: Series | None = None
    for code in codes[_LEAST_COUNTED - 1 :]:
        rows.append(_row(code))
        found = find_series(list(zip(*rows, strict=True)))
        if found is None:
            rows.pop()
            break
        best = found
    return _Run(len(rows), best.start, _over(codes[0], best)) if best is not None else None


def _row(code: Construct) -> list[Any]:
    return [literal.value for literal in _literals(code)]


def _over(code: Construct, series: Series) -> Construct:
    """The construction with the values that vary written over the loop variable."""
    texts = iter(series.texts)

    def put(literal: Literal) -> Literal:
        text = next(texts)
        return literal if text is None else replace(literal, value=Name(text))

    args = tuple(put(literal) for literal in code.args)
    return replace(code, args=args, kwargs=tuple((k, put(v)) for k, v in code.kwargs))


def _counted_name(name: str, start: int) -> str:
    """An f-string for a name that ends in a number, over the loop variable."""
    found = _ENDS_IN_NUMBER.fullmatch(name)
    assert found is not None  # the run was found by its numbers
    offset = int(found[2]) - start
    number = "i" if offset == 0 else f"i {'+' if offset > 0 else '-'} {abs(offset)}"
    return f'f"{found[1]}{{{number}}}"'

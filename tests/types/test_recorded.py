"""Forms, bounds, proofs and sets of sizes as they were found once, and as counting shows them.

A line of `recorded_proofs.txt` is `a | b | ranges of sizes | form of a | bounds of a | what is
proved of a and b`; one of `recorded_sets.txt` is `relation | a | b | the sizes that meet it`. Each
line was chosen because some small change of `archc/types` shows in it and in no other test: a form
that is no longer the shortest, a bound that is looser, a proof that is not found any more. A change
that proves more may rewrite a line; one that is not true fails here whatever the line says.
"""

from __future__ import annotations

from itertools import product
from math import lcm
from pathlib import Path
from typing import Any

import pytest

from archc.types.dims import (
    Dim,
    dim_bounds,
    dim_max,
    dim_min,
    dim_period,
    evaluate,
    format_dim,
    provably_at_least,
    provably_differ,
    provably_equal,
)
from archc.types.sizes import Effort, Relation, describe_sizes, solve
from tests.types.dim_trees import SYMBOLS

HERE = Path(__file__).parent
RELATIONS: tuple[Relation, ...] = ("equal", "at-least", "divisible")
Range = tuple[int, int | None]


def lines(name: str) -> list[tuple[str, ...]]:
    text = (HERE / name).read_text(encoding="utf-8")
    return [tuple(part.strip() for part in line.split("|")) for line in text.splitlines()]


def parsed(text: str) -> Dim:
    dim: Dim = eval(text, {**SYMBOLS, "max": dim_max, "min": dim_min})
    return dim


def interval(text: str) -> tuple[int | None, int | None]:
    low, high = text.split("..")
    return int(low) if low else None, int(high) if high else None


def ranges(text: str) -> dict[str, Range]:
    parts = [part.split(": ") for part in text.split(", ") if part]
    found = {name: interval(bounds) for name, bounds in parts}
    return {name: (low or 1, high) for name, (low, high) in found.items()}


def counted(text: str, env: dict[str, int]) -> Any:
    return eval(text, {"max": max, "min": min}, env)


@pytest.mark.parametrize("line", lines("recorded_proofs.txt"), ids=lambda line: line[0])
def test_what_was_found_once_is_found_and_is_true(line: tuple[str, ...]) -> None:
    one, other, given, form, bounds, proved = line
    box = ranges(given)
    a, b = parsed(one), parsed(other)
    assert format_dim(a) == form
    assert dim_bounds(a, box or None) == interval(bounds)
    claims = {
        "equal": provably_equal(a, b, box or None),
        "differ": provably_differ(a, b, box or None),
        "at-least": provably_at_least(a, b, box or None),
    }
    assert [name for name, holds in claims.items() if holds] == proved.split()
    low, high = interval(bounds)
    axes = [
        range(first, min(first + 9, last + 1 if last else first + 9))
        for first, last in (box.get(name, (1, None)) for name in SYMBOLS)
    ]
    for sizes in product(*axes):
        env = dict(zip(SYMBOLS, sizes, strict=True))
        x, y = counted(one, env), counted(other, env)
        assert evaluate(a, env) == x
        assert (low is None or low <= x) and (high is None or x <= high)
        held = {"equal": x == y, "differ": x != y, "at-least": x >= y}
        assert all(held[name] for name in proved.split())


@pytest.mark.parametrize("line", lines("recorded_sets.txt"), ids=lambda line: "-".join(line[:3]))
def test_sets_of_sizes_are_those_that_counting_gives(line: tuple[str, ...]) -> None:
    relation, one, other, words = line
    a, b = parsed(one), parsed(other)
    sides = [a, b, a % b] if relation == "divisible" else [a, b]
    period = lcm(*(dim_period(side, "H") or 1 for side in sides))
    (wanted,) = [known for known in RELATIONS if known == relation]
    sizes = solve(wanted, a, b, "H", period, Effort())
    assert sizes is not None
    assert describe_sizes("H", sizes) == words
    for size in range(1, 200):
        x, y = counted(one, {"H": size}), counted(other, {"H": size})
        holds = {"equal": x == y, "at-least": x >= y, "divisible": y and x % y == 0}
        assert (size in sizes) == holds[relation]

"""Mutants that no test can kill, because they change nothing: each with its reason."""

from __future__ import annotations

import re

from tests.mutation.mutate import Mutant

Rule = tuple[str, str]

RULES: list[Rule] = [
    (
        r"strict=True.*strict= ?False",
        "`strict` guards against mistakes; lengths are equal",
    ),
    (r"slots=True.*slots= ?False", "slots only save memory"),
    (r"`@(lru_)?cache\b|maxsize=", "a cache only saves time"),
]
"""A pattern for what a mutant is printed as, and the reason why it is no fault."""


def why(mutant: Mutant) -> str:
    """Why a mutant changes nothing, or an empty string."""
    text = f"{mutant.operator} {mutant}"
    return next((reason for pattern, reason in RULES if re.search(pattern, text)), "")

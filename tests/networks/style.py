"""The ways of writing one network, and what is written."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LIBRARY = "blocks/library.yaml"
"""File that blocks are imported from."""

CHOSEN, OTHER = "chosen", "other"
"""Variants: that which is the network, and one that is another."""


@dataclass(frozen=True)
class Style:
    """How a network is written; every style means the same network.

    Attributes:
        inline_blocks: each use of a block is a section.
        unroll: each turn of a loop stands by itself, and each choice is made.
        machine: layers are `{op: ..., ...}` with their keys in any order.
        expressions: whole numbers are expressions.
        full: attributes that have defaults are written out, and there are no `defaults`.
        prefix: put in front of every name.
        split: the top level stands in two sections.
        lets: some whole numbers are names of a `let`, which is made of another or of a param.
        dotted: layers of a section are named with a dot, with no section around them.
        imported: blocks stand in another file.
        variants: params have other values, and a variant gives those of the network.
    """

    inline_blocks: bool = False
    unroll: bool = False
    machine: bool = False
    expressions: bool = False
    full: bool = False
    prefix: str = ""
    split: bool = False
    lets: bool = False
    dotted: bool = False
    imported: bool = False
    variants: bool = False


PLAIN = Style()


def drawn_style(seed: int) -> Style:
    """The way in which random network number `seed` is written."""
    rng = random.Random(f"style {seed}")
    names = ("inline_blocks", "machine", "expressions", "lets", "dotted", "imported", "variants")
    return Style(**{name: rng.random() < 0.3 for name in names})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Written:
    """A network as text.

    Attributes:
        text: the spec.
        files: what it imports, by path.
        variant: the variant that is the network; None if there are none.
    """

    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    variant: str | None = None

    def save_imports(self, folder: Path) -> None:
        """Write what the spec imports, where a spec in `folder` finds it."""
        for path, text in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")

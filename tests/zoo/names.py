"""Every network of the zoo by name, for tests that hold of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archc.spec.shipped import shipped_files, variant_names
from tests.zoo.catalogue import MODELS, SLICE


def _names() -> Iterator[str]:
    for family, path in shipped_files().items():
        yield from list(variant_names(path, path.read_text("utf-8"))) or [family]


_LONG = {name for _, _, name in MODELS} - SLICE

NAMES = [
    pytest.param(name, marks=[pytest.mark.exhaustive] if name in _LONG else []) for name in _names()
]
"""Parameters of a test; of torchvision's models a small one of each kind runs by default."""

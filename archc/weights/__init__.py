"""Weights: drawn, read from checkpoints, written.

Its modules import numpy. Each is imported when one of its names is asked for: a build that draws
its weights needs none that reads files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archc.weights.cast import CastWeights
    from archc.weights.computed import ComputedWeights
    from archc.weights.drawn import DrawnWeights
    from archc.weights.likely import Alternatives
    from archc.weights.load import load_weights
    from archc.weights.partial import Exceptions
    from archc.weights.randomised import RandomisedWeights
    from archc.weights.safetensors import is_unchanged, save_safetensors, write_safetensors
    from archc.weights.source import WeightSource

__all__ = [
    "Alternatives",
    "CastWeights",
    "ComputedWeights",
    "DrawnWeights",
    "Exceptions",
    "RandomisedWeights",
    "WeightSource",
    "is_unchanged",
    "load_weights",
    "save_safetensors",
    "write_safetensors",
]

_HOMES = {
    "Alternatives": "likely",
    "CastWeights": "cast",
    "ComputedWeights": "computed",
    "DrawnWeights": "drawn",
    "Exceptions": "partial",
    "RandomisedWeights": "randomised",
    "WeightSource": "source",
    "is_unchanged": "safetensors",
    "load_weights": "load",
    "save_safetensors": "safetensors",
    "write_safetensors": "safetensors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archc.weights' has no attribute {name!r}")
    return getattr(import_module(f"archc.weights.{_HOMES[name]}"), name)

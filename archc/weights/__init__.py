"""Weights: drawn, read from checkpoints, written.

Importing this package imports numpy; import it where weights are used.
"""

from __future__ import annotations

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

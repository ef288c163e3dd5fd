"""Running an exported model: inputs from files, an image or chance; the results to look at.

onnxruntime and numpy are imported by what uses them.
"""

from __future__ import annotations

from archc.runtime.feed import fitting_feed, random_feed, read_arrays, read_feed
from archc.runtime.images import read_image
from archc.runtime.model import Model, ModelInput, RunError, first_line, open_model, open_session
from archc.runtime.results import top_k, write_arrays

__all__ = [
    "Model",
    "ModelInput",
    "RunError",
    "first_line",
    "fitting_feed",
    "open_model",
    "open_session",
    "random_feed",
    "read_arrays",
    "read_feed",
    "read_image",
    "top_k",
    "write_arrays",
]

"""PyTorch: a graph as source that a person could have written, and that source executed."""

from archc.targets.torch.emit import TorchSource, emit_torch
from archc.targets.torch.load import load_module

__all__ = ["TorchSource", "emit_torch", "load_module"]

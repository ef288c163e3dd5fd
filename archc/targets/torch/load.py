"""Generated source as a module in memory: the very text, executed."""

from __future__ import annotations

import hashlib
import linecache
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archc.targets.torch.emit import TorchSource
from archc.types import DType
from archc.weights.source import WeightSource

if TYPE_CHECKING:
    from torch import nn


def load_module(source: TorchSource, weights: WeightSource | None = None) -> nn.Module:
    """Execute generated source and make the network.

    The text is registered with `linecache`, so that tracebacks, debuggers and `torch.compile`
    see its lines.

    Args:
        source: what `emit_torch` returned, without errors.
        weights: where the numbers come from; None leaves what the constructors draw.

    Returns:
        The network, in training mode as torch makes it.
    """
    import torch
    from torch import nn

    network = getattr(_execute(source), source.class_name)
    if weights is None:
        return network()
    # Nothing is drawn that would be overwritten: the constructors run without storage.
    with torch.device("meta"):
        module = network()
    state = {ref.key: _tensor(weights.array(ref), ref.weight.dtype) for ref in source.weights}
    # One parameter under all its keys: tensors alone would become several parameters.
    state |= {key: nn.Parameter(state[key]) for key in set(source.ties.values())}
    state |= {own: state[key] for own, key in source.ties.items()}
    module.load_state_dict(state, strict=True, assign=True)
    return module


def _execute(source: TorchSource) -> ModuleType:
    """The source as a Python module, made once for each text."""
    digest = hashlib.sha256(source.text.encode()).hexdigest()[:16]
    name = f"archc_generated_{digest}"
    module = sys.modules.get(name)
    if module is None:
        module = ModuleType(name)
        filename = f"<archc {source.class_name} {digest}>"
        module.__file__ = filename
        lines = source.text.splitlines(keepends=True)
        linecache.cache[filename] = (len(source.text), None, lines, filename)
        exec(compile(source.text, filename, "exec"), module.__dict__)
        # Found by name, so that the network can be pickled and compiled.
        sys.modules[name] = module
    return module


def _tensor(array: Any, dtype: DType) -> Any:
    """The array as a tensor that owns its numbers (a checkpoint's may be read-only)."""
    import numpy as np
    import torch

    if not array.flags.writeable:
        array = array.copy()
    if dtype is DType.BFLOAT16:  # its bits, whatever name numpy has for them
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)

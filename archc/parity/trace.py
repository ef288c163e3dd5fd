"""What a torch module computes on its way: outputs of submodules and of functions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.parity.match import Candidate, candidate

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Array = npt.NDArray[Any]


def run_module(module: torch.nn.Module, inputs: Sequence[Array]) -> dict[str, Array]:
    """Run a module of anyone's; returns its outputs by name, or by number where it has no names.

    Raises:
        TypeError: it returns something else than tensors.
    """
    import torch

    with torch.no_grad():
        result = module(*(torch.from_numpy(array) for array in inputs))
    return {name: tensor.detach().contiguous().numpy() for name, tensor in _named(result)}


def _named(result: Any) -> list[tuple[str, torch.Tensor]]:
    import torch

    if isinstance(result, torch.Tensor):
        pairs = [("0", result)]
    elif isinstance(result, Mapping):
        pairs = [(str(name), item) for name, item in result.items()]
    elif hasattr(result, "_asdict"):
        pairs = list(result._asdict().items())
    elif isinstance(result, tuple | list):
        pairs = [(str(i), item) for i, item in enumerate(result)]
    else:
        raise TypeError(f"the module returns {type(result).__name__}, not tensors")
    found = [(name, item) for name, item in pairs if item is not None]
    for _, item in found:
        if not isinstance(item, torch.Tensor):
            raise TypeError(f"the module returns {type(item).__name__}, not tensors")
    return found


def trace(
    module: torch.nn.Module, inputs: Sequence[Array], file: Path | None
) -> tuple[list[Candidate], dict[str, list[Candidate]]]:
    """Run a module and keep what its parts return.

    Args:
        module: any module.
        inputs: what it is run on.
        file: the source whose lines name what functions return.

    Returns:
        Every value in the order in which it was computed, and those of submodules by path.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    values: list[Candidate] = []
    by_path: dict[str, list[Candidate]] = {}

    def keep(name: str, tensor: Any) -> Candidate | None:
        if not isinstance(tensor, torch.Tensor) or tensor.dtype == torch.bfloat16:
            return None
        # The functions that numpy needs of a tensor are not part of the network.
        with torch._C.DisableTorchFunction():
            item = candidate(name, len(values), tensor.detach().contiguous().numpy())
        values.append(item)
        return item

    class Calls(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            where = _line(file)
            name = getattr(func, "__name__", str(func)).strip("_")
            for item in result if isinstance(result, tuple | list) else (result,):
                keep(f"{name} at {where}" if where else name, item)
            return result

    def hook(path: str) -> Any:
        def record(part: Any, args: Any, output: Any) -> None:
            for item in output if isinstance(output, tuple | list) else (output,):
                found = keep(path, item)
                if found is not None:
                    by_path.setdefault(path, []).append(found)

        return record

    handles = [
        part.register_forward_hook(hook(path)) for path, part in module.named_modules() if path
    ]
    try:
        tensors = [torch.from_numpy(array) for array in inputs]
        with torch.no_grad(), Calls():
            module(*tensors)
    finally:
        for handle in handles:
            handle.remove()
    return values, by_path


def _line(file: Path | None) -> str:
    """The line of a file that is being executed, as `net.py:12`."""
    frame = sys._getframe(1)
    while frame is not None and file is not None:
        if frame.f_code.co_filename == str(file):
            return f"{file.name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""

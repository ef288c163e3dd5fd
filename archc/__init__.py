"""archc compiles neural-network architectures: a YAML layer list to ONNX and PyTorch.

    import archc

    archc.check("net.yaml").diagnostics     # every mistake, with its place
    model = archc.load("net.yaml")          # a torch.nn.Module
    archc.build("net.yaml", to="onnx")      # net.onnx

Everything heavy is imported by the function that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archc.version import __version__

if TYPE_CHECKING:
    from archc.api import build, check, load, quantize, verify
    from archc.diagnostics import SpecError

__all__ = ["SpecError", "__version__", "build", "check", "load", "quantize", "verify"]


def __getattr__(name: str) -> Any:
    if name in {"build", "check", "load", "quantize", "verify"}:
        from archc import api

        return getattr(api, name)
    if name == "SpecError":
        from archc.diagnostics import SpecError

        return SpecError
    raise AttributeError(f"module 'archc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

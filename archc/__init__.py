"""archc compiles neural-network architectures: a YAML layer list to ONNX and PyTorch.

The public API; everything heavy is imported by the function that needs it.
"""

from __future__ import annotations

__version__ = "0.1.0"

"""Numbers as ONNX stores them: little-endian raw data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archc.types import DType
from archc.weights.bfloat16 import bfloat16_bits


def raw_data(values: Sequence[int] | Sequence[float] | int | float, dtype: DType) -> bytes:
    """Values in the layout of `TensorProto.raw_data`."""
    if dtype is DType.BFLOAT16:
        return bytes(bfloat16_bits(values).astype("<u2").tobytes())
    little = np.dtype(dtype.value).newbyteorder("<")
    return np.asarray(values, dtype=little).tobytes()

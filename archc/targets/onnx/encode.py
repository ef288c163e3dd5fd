"""Numbers as ONNX stores them: little-endian raw data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archc.types import DType


def raw_data(values: Sequence[int] | Sequence[float] | int | float, dtype: DType) -> bytes:
    """Values in the layout of `TensorProto.raw_data`."""
    if dtype is DType.BFLOAT16:
        # numpy has no bfloat16: the upper half of a float32, rounded to nearest even.
        bits = np.asarray(values, dtype="<f4").view("<u4").astype("<u8")
        halves = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return bytes(halves.astype("<u2").tobytes())
    little = np.dtype(dtype.value).newbyteorder("<")
    return np.asarray(values, dtype=little).tobytes()

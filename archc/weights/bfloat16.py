"""bfloat16, which numpy does not have: the upper half of a float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def bfloat16_bits(values: Any) -> npt.NDArray[np.uint16]:
    """Numbers rounded to bfloat16, to the nearest and a tie to even, as its bits."""
    import numpy as np

    floats = np.asarray(values, dtype=np.float32)
    bits = floats.view(np.uint32).astype(np.uint64)
    halves = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    # Rounding would carry a NaN's payload into its exponent.
    quiet = ((bits >> 16) | 0x40).astype(np.uint16)
    return np.where(np.isnan(floats), quiet, halves)


def bfloat16_values(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """The numbers that bits of bfloat16 stand for."""
    import numpy as np

    return (bits.astype(np.uint32) << 16).view(np.float32)

"""Between numpy's arrays and torch's tensors; numpy holds bfloat16 in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archc.types import DType

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from archc.ops.base import Op

    Array = npt.NDArray[Any]

SINGLE = 2.0**-24
"""The largest relative error of one rounding to float32."""

_ROUNDING = {DType.FLOAT16: 2.0**-11, DType.BFLOAT16: 2.0**-8, DType.FLOAT32: SINGLE}


def rounding_of(dtype: DType) -> float:
    """The largest relative error of one rounding to a dtype; 0 where nothing is rounded."""
    return _ROUNDING.get(dtype, 0.0)


def kernel_error(op: Op) -> float:
    """What a result of onnxruntime's kernel for an op may be off by, however small it is."""
    return 2 * SINGLE * op.resolution()


def tensor_of(array: Array, dtype: DType) -> torch.Tensor:
    """What a network of `dtype` is fed: bfloat16 for float32 that stands for it."""
    import numpy as np
    import torch

    tensor = torch.from_numpy(array)
    short = dtype is DType.BFLOAT16 and array.dtype == np.float32
    return tensor.to(torch.bfloat16) if short else tensor


def array_of(tensor: torch.Tensor) -> Array:
    """What a network returns; float32 for bfloat16."""
    import torch

    tensor = tensor.detach()
    tensor = tensor.float() if tensor.dtype is torch.bfloat16 else tensor
    array: Array = tensor.contiguous().numpy()
    return array


def doubled(array: Array) -> Array:
    """The array in float64, if it holds numbers with a fraction."""
    import numpy as np

    return array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array


def nudged(array: Array, relative: float, absolute: float, rng: Any) -> Array:
    """The array in float64, every element off by one rounding in a random direction.

    Args:
        array: of any dtype; integers stay.
        relative: error of one rounding.
        absolute: error that is there however small an element is.
        rng: numpy's generator.
    """
    import numpy as np

    if not np.issubdtype(array.dtype, np.floating):
        return array
    wide = array.astype(np.float64)
    signs = rng.choice([-1.0, 1.0], array.shape)
    return np.asarray(wide + signs * (relative * np.abs(wide) + absolute))

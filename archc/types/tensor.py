"""Dtypes and tensor types."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from archc.records import dataclass
from archc.types.dims import Dim, dim_product, format_dim, is_static


class DType(Enum):
    """Element types, by the name torch, numpy and safetensors share."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT64 = "int64"
    INT32 = "int32"
    INT8 = "int8"
    UINT8 = "uint8"
    BOOL = "bool"

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return _ITEMSIZE[self]

    @property
    def is_floating(self) -> bool:
        """Whether it is a floating-point type."""
        return self in _FLOATING


_ITEMSIZE = {
    DType.FLOAT32: 4,
    DType.FLOAT64: 8,
    DType.FLOAT16: 2,
    DType.BFLOAT16: 2,
    DType.INT64: 8,
    DType.INT32: 4,
    DType.INT8: 1,
    DType.UINT8: 1,
    DType.BOOL: 1,
}
_FLOATING = frozenset({DType.FLOAT32, DType.FLOAT64, DType.FLOAT16, DType.BFLOAT16})


def format_shape(shape: Iterable[Dim]) -> str:
    """A shape as a person writes it: `[N, 64, (H + 1)//2]`."""
    return "[" + ", ".join(format_dim(dim) for dim in shape) + "]"


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and dtype of a value; dims are exact and may be symbolic."""

    shape: tuple[Dim, ...]
    dtype: DType = DType.FLOAT32

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def numel(self) -> Dim:
        """Number of elements."""
        return dim_product(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every dim is a plain integer."""
        return all(is_static(dim) for dim in self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        """The same dtype with another shape."""
        return TensorType(tuple(shape), self.dtype)

    def __str__(self) -> str:
        text = format_shape(self.shape)
        return text if self.dtype is DType.FLOAT32 else f"{text} {self.dtype.value}"

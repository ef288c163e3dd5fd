"""Types of values: exact symbolic dims, dtypes, tensor types."""

from archc.types.dims import (
    Dim,
    Expr,
    ceil_div,
    dim_bounds,
    dim_max,
    dim_min,
    dim_product,
    evaluate,
    format_dim,
    is_static,
    provably_at_least,
    provably_differ,
    provably_equal,
    symbol,
    symbols_of,
)
from archc.types.tensor import DType, TensorType, format_shape

__all__ = [
    "DType",
    "Dim",
    "Expr",
    "TensorType",
    "ceil_div",
    "dim_bounds",
    "dim_max",
    "dim_min",
    "dim_product",
    "evaluate",
    "format_dim",
    "format_shape",
    "is_static",
    "provably_at_least",
    "provably_differ",
    "provably_equal",
    "symbol",
    "symbols_of",
]

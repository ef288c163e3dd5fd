"""What plugins are made of: everything here is public and stays; the rest of archc may change.

A plugin is a Python module with a table of ops, which are declared as archc's own are:

    OPS: Mapping[str, type[Op]] = {"max_feature_map": MaxFeatureMap}

It is enabled by `--plugin MODULE`, by `plugins` under `[tool.archc]` in the pyproject.toml of the
project that archc is run in, or by the argument `plugins` of the Python API. `docs/plugins.md` has
a worked example.
"""

from __future__ import annotations

from archc.ops.activation import Activation
from archc.ops.base import (
    Cost,
    Default,
    OnnxEmitter,
    Op,
    Operand,
    TorchCode,
    TorchEmitter,
    TorchModule,
    Types,
    Weight,
)
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import (
    axis_of,
    channels_of,
    comes_from_here,
    demand_float32,
    demand_floating,
    demand_rank,
    demand_static,
)
from archc.ops.fields import (
    DimField,
    Flag,
    Int,
    NonNegativeInt,
    NonNegativeInts,
    Number,
    PositiveInt,
    PositiveInts,
    PositiveNumber,
    Probability,
)
from archc.ops.initial import (
    ONES,
    ZEROS,
    Constant,
    Init,
    Normal,
    TruncatedNormal,
    Uniform,
    fan_in_uniform,
)
from archc.ops.reach import (
    UNTRACKED,
    WHOLE,
    Reach,
    Reaches,
    pointwise,
    regrouped,
    scattered,
    untracked,
)
from archc.types import (
    Dim,
    DType,
    TensorType,
    ceil_div,
    dim_max,
    dim_min,
    dim_product,
    format_dim,
    format_shape,
    is_static,
)

__all__ = [
    "ONES",
    "UNTRACKED",
    "WHOLE",
    "ZEROS",
    "Activation",
    "Constant",
    "Cost",
    "DType",
    "Default",
    "Dim",
    "DimField",
    "Flag",
    "Init",
    "Int",
    "NonNegativeInt",
    "NonNegativeInts",
    "Normal",
    "Number",
    "OnnxEmitter",
    "Op",
    "Operand",
    "PositiveInt",
    "PositiveInts",
    "PositiveNumber",
    "Probability",
    "Reach",
    "Reaches",
    "Refusal",
    "ShapeContext",
    "TensorType",
    "TorchCode",
    "TorchEmitter",
    "TorchModule",
    "TruncatedNormal",
    "Types",
    "Uniform",
    "Weight",
    "axis_of",
    "ceil_div",
    "channels_of",
    "comes_from_here",
    "demand_float32",
    "demand_floating",
    "demand_rank",
    "demand_static",
    "dim_max",
    "dim_min",
    "dim_product",
    "fan_in_uniform",
    "format_dim",
    "format_shape",
    "is_static",
    "pointwise",
    "regrouped",
    "scattered",
    "untracked",
]

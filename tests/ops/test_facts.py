"""What ops are by declaration: how many inputs, which attributes stand for themselves, defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch.nn import functional

from archc.ops.attention_forms import HIDDEN
from archc.ops.initial import ONES, ZEROS, Constant, TruncatedNormal
from archc.ops.layernorm import FLOAT32_EPSILON
from archc.ops.nearest import resize_agrees
from archc.ops.table import OPS
from archc.types import DType, TensorType, symbol
from archc.types.sizes import ALL_SIZES, Effort, SizeSet, solve

ARITIES = {
    **{name: (2, None) for name in ("add", "concat", "mul")},
    **{name: (2, 2) for name in ("sub", "lookup")},
    **{name: (0, 0) for name in ("param", "relative_coords", "relative_index")},
    "attention": (1, 3),
}


def test_how_many_inputs_ops_take() -> None:
    assert {name: op.arity for name, op in OPS.items() if op.arity != (1, 1)} == ARITIES


def test_which_results_are_copies_and_which_may_be_written_over() -> None:
    moves = {"permute", "rearrange", "squeeze", "transpose", "unsqueeze"}
    assert {name for name, op in OPS.items() if op.copies} == moves | {
        *("identity", "dropout", "drop_path"),
    }
    assert {name for name, op in OPS.items() if op.spare_result} == {
        *("add", "batchnorm", "conv", "linear"),
    }


THEIRS: list[tuple[str, str, Callable[..., Any], str]] = [
    ("softplus", "threshold", functional.softplus, "threshold"),
    ("softplus", "beta", functional.softplus, "beta"),
    ("hardtanh", "min", torch.nn.Hardtanh, "min_val"),
    ("hardtanh", "max", torch.nn.Hardtanh, "max_val"),
    ("leaky_relu", "slope", torch.nn.LeakyReLU, "negative_slope"),
    ("elu", "alpha", torch.nn.ELU, "alpha"),
    ("celu", "alpha", torch.nn.CELU, "alpha"),
    ("layernorm", "eps", torch.nn.LayerNorm, "eps"),
    ("rmsnorm", "eps", torch.nn.RMSNorm, "eps"),
    ("groupnorm", "eps", torch.nn.GroupNorm, "eps"),
    ("batchnorm", "eps", torch.nn.BatchNorm2d, "eps"),
    ("batchnorm", "momentum", torch.nn.BatchNorm2d, "momentum"),
    ("instancenorm", "affine", torch.nn.InstanceNorm2d, "affine"),
    ("lrn", "alpha", torch.nn.LocalResponseNorm, "alpha"),
    ("lrn", "beta", torch.nn.LocalResponseNorm, "beta"),
    ("lrn", "k", torch.nn.LocalResponseNorm, "k"),
    ("conv", "dilation", torch.nn.Conv2d, "dilation"),
    ("conv", "groups", torch.nn.Conv2d, "groups"),
    ("avgpool", "count_include_pad", torch.nn.AvgPool2d, "count_include_pad"),
]


@pytest.mark.parametrize(("name", "field", "call", "argument"), THEIRS)
def test_defaults_are_those_of_torch(
    name: str, field: str, call: Callable[..., Any], argument: str
) -> None:
    if call is functional.softplus:
        call, theirs = torch.nn.Softplus, inspect.signature(torch.nn.Softplus)
    else:
        theirs = inspect.signature(call)
    assert OPS[name].model_fields[field].default == theirs.parameters[argument].default


def test_own_defaults() -> None:
    own = {("rope", "theta"): 1e4, ("softmax", "dim"): -1, ("pad", "value"): 0.0}
    own |= {("prepend_param", "count"): 1, ("select", "dim"): 1, ("concat", "dim"): 1}
    for (name, field), value in own.items():
        assert OPS[name].model_fields[field].default == value


def test_numbers_of_weights_that_are_not_drawn() -> None:
    assert (Constant(1.0), Constant(0.0)) == (ONES, ZEROS)
    cut = TruncatedNormal(0.0, 1.0)
    theirs = inspect.signature(torch.nn.init.trunc_normal_).parameters
    assert (cut.low, cut.high) == (theirs["a"].default, theirs["b"].default)


def test_numbers_of_dtypes() -> None:
    assert torch.finfo(torch.float32).eps == FLOAT32_EPSILON
    for dtype, hidden in HIDDEN.items():
        lowest = torch.finfo(getattr(torch, dtype.value)).min
        assert hidden == pytest.approx(lowest / 2, rel=1e-2), dtype
        assert hidden < 0
    assert HIDDEN[DType.FLOAT16] == torch.finfo(torch.float16).min / 2


@pytest.mark.parametrize("scale", range(2, 160))
def test_whether_nearest_neighbours_by_a_scale_are_exact(scale: int) -> None:
    """In float32 a multiple of the scale, times its rounded inverse, is the integer or below."""
    height = symbol("H")
    integers = torch.arange(1, 2**22 // scale)
    ratio = torch.tensor(1.0 / scale, dtype=torch.float32)
    found = ((integers * scale).float() * ratio).long()
    agrees = resize_agrees(height, height * scale, Fraction(scale))
    assert agrees == torch.equal(found, integers)
    assert not resize_agrees(height, 8 * scale, None)


@pytest.mark.parametrize(
    ("size", "out", "stride"),
    [(1, 2, Fraction(1, 2)), (2, 1, 2), (3, 1, 3), (1, 5, Fraction(1, 5)), (1, 1, 1)],
)
def test_steps_of_a_resize_between_multiples_of_an_open_size(
    size: int, out: int, stride: Fraction
) -> None:
    height = symbol("H")
    x, like = (TensorType((1, 3, height * factor)) for factor in (size, out))
    reach, _ = OPS["resize"].model_validate({"like": True}).reach([x, like], [like])
    assert reach[2].stride == stride
    unknown = TensorType((1, 3, height + 1))
    reach, _ = OPS["resize"].model_validate({"like": True}).reach([x, unknown], [unknown])
    assert reach[2].stride is None


def test_a_condition_without_sizes_holds_of_all_or_none() -> None:
    assert solve("equal", 3, 4, "H", 1, Effort()) == SizeSet(frozenset(), 1, 1, frozenset())
    assert solve("equal", 3, 3, "H", 1, Effort()) == ALL_SIZES

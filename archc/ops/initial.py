"""How weights are drawn: declarations only; `archc.weights` draws the numbers."""

from __future__ import annotations

import math
from typing import Literal

from archc.records import dataclass


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform on [low, high)."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal with a mean and a standard deviation."""

    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """Normal cut to [low, high], as `torch.nn.init.trunc_normal_`."""

    mean: float
    std: float
    low: float = -2.0
    high: float = 2.0


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value everywhere."""

    value: float


@dataclass(frozen=True, slots=True)
class Computed:
    """Fixed numbers that follow from a few sizes; `archc.ops.computed` has the rules.

    Attributes:
        rule: the name of the rule.
        sizes: what it takes.
    """

    rule: Literal["relative_coords", "relative_index"]
    sizes: tuple[int, ...]


Distribution = Uniform | Normal | TruncatedNormal | Constant
Init = Distribution | Computed

ZEROS = Constant(0.0)
ONES = Constant(1.0)


def fan_in_uniform(fan_in: int) -> Uniform:
    """PyTorch's default for convolution and linear weights and biases.

    `kaiming_uniform_(a=sqrt(5))` reduces to the bound 1 / sqrt(fan_in)
    (torch.nn.Linear.reset_parameters).
    """
    bound = 1.0 / math.sqrt(fan_in) if fan_in > 0 else 0.0
    return Uniform(-bound, bound)

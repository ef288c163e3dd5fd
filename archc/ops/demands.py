"""What ops demand of their inputs, each demand with its one message."""

from __future__ import annotations

import math

from archc.ops.conditions import Refusal, static_size
from archc.types import DType, TensorType, format_dim, format_shape, is_static

_SEARCHED = 10_000  # steps up and down; networks have fewer channels than that


def comes_from_here(x: TensorType, operand: int = 0) -> tuple[tuple[int, str]]:
    """The secondary label that shows where an operand is made."""
    return ((operand, f"{x} comes from here"),)


def nearest_divisors(number: int, wanted: int, count: int) -> tuple[int, ...]:
    """Divisors of a number that are closest to another one, for a suggestion.

    Args:
        number: what is divided.
        wanted: what they are to be close to.
        count: how many, at most.

    Returns:
        The closest first. A spec may ask for 10**18 channels: the search ends after `_SEARCHED`
        steps, and gives one that always divides if it has met none.
    """
    found: list[int] = []
    start = min(wanted, number)
    for distance in range(_SEARCHED):
        for near in dict.fromkeys((start - distance, start + distance)):
            if 0 < near <= number and number % near == 0:
                found.append(near)
        if len(found) >= count or (start - distance < 1 and start + distance > number):
            break
    return tuple(found[:count]) or (math.gcd(number, wanted),)


def demand_rank(op: str, x: TensorType, least: int, most: int | None = None) -> None:
    """Demand `least` to `most` axes (no upper bound when None).

    Raises:
        Refusal: `wrong-rank`.
    """
    if x.rank >= least and (most is None or x.rank <= most):
        return
    if most is None:
        wanted = f"at least {least}"
    else:
        wanted = str(least) if least == most else f"{least} to {most}"
    raise Refusal(
        "wrong-rank",
        f"`{op}` needs an input of {wanted} axes, not {format_shape(x.shape)}",
        because=comes_from_here(x),
    )


def demand_floating(x: TensorType) -> None:
    """Demand a floating-point dtype.

    Raises:
        Refusal: `wrong-dtype`.
    """
    if not x.dtype.is_floating:
        raise Refusal(
            "wrong-dtype",
            f"a floating-point input is needed, not {x.dtype.value}",
            because=comes_from_here(x),
        )


def demand_float32(op: str, x: TensorType) -> None:
    """Demand float32, the dtype that layers keep their weights in.

    Raises:
        Refusal: `wrong-dtype`.
    """
    if x.dtype is not DType.FLOAT32:
        raise Refusal(
            "wrong-dtype",
            f"`{op}` keeps float32 weights and needs a float32 input, not {x.dtype.value}",
            because=comes_from_here(x),
        )


def demand_static(op: str, x: TensorType, axis: int, why: str) -> int:
    """Demand a fixed size along `axis`, because it sizes a weight or a constant.

    Raises:
        Refusal: `symbolic-weight`.
    """
    size = x.shape[axis]
    if is_static(size):  # before anything is spelt out: every layer comes this way
        return size
    return static_size(
        size,
        Refusal(
            "symbolic-weight",
            f"axis {axis % x.rank} is {format_dim(x.shape[axis])}, but `{op}` needs a fixed size: "
            f"{why}",
            because=comes_from_here(x),
            help=[f"write a number for that axis where {format_dim(x.shape[axis])} is declared"],
        ),
    )


def axis_of(axis: int, x: TensorType, *, at: str = "dim", extra: int = 0) -> int:
    """The non-negative number of an axis that may be counted from the end.

    Args:
        axis: as written.
        x: the type it indexes.
        at: the attribute it was written in.
        extra: axes that may lie behind the last one (1 for an axis to insert).

    Raises:
        Refusal: `axis-out-of-range`.
    """
    count = x.rank + extra
    if not -count <= axis < count:
        raise Refusal(
            "axis-out-of-range",
            f"axis {axis} is out of range for {format_shape(x.shape)}",
            at=at,
            label=f"{-count} to {count - 1} are possible",
            because=comes_from_here(x),
        )
    return axis % count


def channels_of(op: str, x: TensorType) -> int:
    """The fixed size of axis 1.

    Raises:
        Refusal: `symbolic-weight`.
    """
    return demand_static(op, x, 1, "it keeps numbers for each channel")

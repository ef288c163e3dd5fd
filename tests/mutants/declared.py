"""Faults of what an op declares: shapes, weights, work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from archc.ops.base import Cost, Weight
from archc.ops.initial import Computed
from archc.ops.table import OPS
from archc.types import DType, TensorType
from tests.mutants.changes import Mutant


def declared(op: str, rank: int, weights: int) -> list[Mutant]:
    """Mutants of what an op says of shapes, weights and work.

    Args:
        op: the op.
        rank: the largest rank of a first result.
        weights: the largest number of weights.
    """
    made = [Mutant(op, "infer", "", "", "raise", f"axis {axis}") for axis in range(rank)]
    made += [Mutant(op, "infer", "", "", "change", what) for what in ("dtype", "rank")]
    made += [
        Mutant(op, "weights", "", "", change, str(index))
        for change in ("drop", "change shape", "change dtype", "flip buffer", "rename")
        for index in range(weights)
    ]
    return [*made, Mutant(op, "cost", "", "", "change", "macs")]


@contextmanager
def misdeclared(mutant: Mutant, effective: list[bool]) -> Iterator[None]:
    owner = OPS[mutant.op]
    original = getattr(owner, mutant.method)
    own = mutant.method in owner.__dict__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        wrong = _misdeclared(mutant, result)
        if wrong != result:
            effective.append(True)
        return wrong

    setattr(owner, mutant.method, call)
    try:
        yield
    finally:
        if own:
            setattr(owner, mutant.method, original)
        else:
            delattr(owner, mutant.method)


def _misdeclared(mutant: Mutant, result: Any) -> Any:
    if mutant.method == "cost":
        return Cost(macs=result.macs * 2 + 1)
    if mutant.method == "weights":
        return _wrong_weights(mutant, result)
    if isinstance(result, tuple):
        return (_wrong_type(mutant.slot, result[0]), *result[1:])
    return _wrong_type(mutant.slot, result)


def _wrong_type(slot: str, type_: TensorType) -> TensorType:
    if slot == "dtype":
        return TensorType(type_.shape, DType.FLOAT64)
    if slot == "rank":
        return type_.with_shape((*type_.shape, 1))
    axis = int(slot.removeprefix("axis "))
    if axis >= type_.rank:
        return type_
    shape = list(type_.shape)
    shape[axis] = shape[axis] + 1
    return type_.with_shape(shape)


def _wrong_weights(mutant: Mutant, result: tuple[Weight, ...]) -> tuple[Weight, ...]:
    index = int(mutant.slot)
    if index >= len(result):
        return result
    weight = result[index]
    before, after = result[:index], result[index + 1 :]
    match mutant.change:
        case "drop":
            return (*before, *after)
        case "change shape":
            weight = replace(weight, shape=tuple(size + 1 for size in weight.shape) or (1,))
        case "change dtype":
            weight = replace(weight, dtype=DType.FLOAT64)
        case "flip buffer":
            weight = replace(weight, buffer=not weight.buffer)
        case "rename" if not isinstance(weight.init, Computed):
            weight = replace(weight, name=f"{weight.name}_")
    return (*before, weight, *after)

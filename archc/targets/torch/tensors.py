"""Parameters and buffers that a class keeps itself."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from archc.graph import Graph
from archc.ops.base import Weight
from archc.ops.initial import Computed, Constant, Init, Normal, TruncatedNormal, Uniform
from archc.targets.torch.code import NO_DEFAULT, Draw, Literal, Name, TensorMember

_DEFAULTS: dict[str, dict[str, float | str]] = {
    "uniform": {"a": 0.0, "b": 1.0},
    "normal": {"mean": 0.0, "std": 1.0},
    "trunc_normal": {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0},
    "kaiming_normal": {"mode": "fan_in", "nonlinearity": "leaky_relu"},
    "kaiming_uniform": {"mode": "fan_in", "nonlinearity": "leaky_relu"},
}
"""What `torch.nn.init`'s functions take when an argument is left out."""

FAN_UNIFORM = "fan_uniform"
"""Uniform within `fan ** -0.5` of zero, as torch draws biases; `torch.nn.init` lacks a name."""


_KINDS = {"fan": "channels"}


class Draws:
    """How the weights of a graph are drawn, by the names that torch has for it.

    A distribution is known by its numbers only, and where a layer has as many inputs as outputs
    they fit several rules. Of these the one is taken that fits most weights of such layers, so
    that the instances of a block agree.
    """

    def __init__(self, graph: Graph) -> None:
        self._fitting: dict[tuple[str, str], Counter[str]] = {}
        for node in graph.nodes:
            for ref in node.weights:
                fitting = self._fitting.setdefault((node.op_name, ref.weight.name), Counter())
                fitting.update(name for name, _ in _rules(ref.weight))

    def of(self, op_name: str, weight: Weight) -> Draw:
        """How one weight is drawn."""
        fitting = self._fitting.get((op_name, weight.name), Counter[str]())
        rules = sorted(_rules(weight), key=lambda rule: -fitting[rule[0]])
        function, arguments = rules[0][1] if rules else _plain(weight.init)
        defaults = _DEFAULTS.get(function, {})
        literals = (
            Literal(value, role, _KINDS.get(role, role), defaults.get(role, NO_DEFAULT))
            for role, value in arguments.items()
        )
        return Draw(weight.name, function, tuple(literals))

    def member(self, op_name: str, weight: Weight) -> TensorMember:
        """The declaration of a weight that a class keeps itself."""
        if isinstance(weight.init, Computed):
            return _computed(weight, weight.init)
        drawn = self.of(op_name, weight)
        sizes = tuple(Literal(size, "size", "channels") for size in weight.shape)
        return TensorMember(sizes, drawn.function, drawn.arguments, weight.dtype, weight.buffer)


Call = tuple[str, dict[str, Any]]


def _plain(init: Init) -> Call:
    match init:
        case Uniform(low, high):
            return "uniform", {"a": low, "b": high}
        case Normal(mean, std):
            return "normal", {"mean": mean, "std": std}
        case TruncatedNormal(mean, std, low, high):
            return "trunc_normal", {"mean": mean, "std": std, "a": low, "b": high}
        case Constant(value):
            return "constant", {"val": value}
    raise AssertionError("what is computed is not drawn")


_LEAST = 1e-100  # no weight has so many inputs that its numbers are smaller


def _rules(weight: Weight) -> list[tuple[str, Call]]:
    """(name, call) of the rules of Glorot and He, and of torch's for biases, that fit."""
    init = weight.init
    if isinstance(init, Normal) and init.mean == 0.0 and init.std > _LEAST:
        return _by_fans(weight, init.std**-2, "normal")
    if not isinstance(init, Uniform) or init.low != -init.high or init.high <= _LEAST:
        return []
    fan = round(init.high**-2)
    if len(weight.shape) > 1:
        return _by_fans(weight, 3 * init.high**-2, "uniform")
    if fan > 1 and math.isclose(fan**-0.5, init.high, rel_tol=1e-12):
        return [(FAN_UNIFORM, (FAN_UNIFORM, {"fan": fan}))]
    return []


def _by_fans(weight: Weight, precision: float, kind: str) -> list[tuple[str, Call]]:
    """The rules that give a weight this precision (the inverse of its variance).

    Source: `torch.nn.init`; arXiv 1502.01852 (Kaiming He), Glorot and Bengio 2010 (Xavier).
    """
    if len(weight.shape) < 2:
        return []
    receptive = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * receptive, weight.shape[0] * receptive
    rules: list[tuple[float, str, dict[str, Any]]] = [
        (fan_in / 2, "kaiming", {"nonlinearity": "relu"}),
        (fan_out / 2, "kaiming", {"mode": "fan_out", "nonlinearity": "relu"}),
        ((fan_in + fan_out) / 2, "xavier", {}),
        (fan_in, "kaiming", {"nonlinearity": "linear"}),
    ]
    if kind == "uniform":
        rules.append((3 * fan_in, "kaiming", {"a": Name("math.sqrt(5)")}))
        outwards = {"mode": "fan_out", "a": Name("math.sqrt(5)")}
        rules.append((3 * fan_out, "kaiming", outwards))
    return [
        (f"{name} {arguments}", (f"{name}_{kind}", arguments))
        for wanted, name, arguments in rules
        if math.isclose(precision, wanted, rel_tol=1e-9)
    ]


def _computed(weight: Weight, init: Computed) -> TensorMember:
    """A tensor that a function of the generated module works out."""
    arguments = [
        Literal(size, role, role)
        for role, size in zip(("height", "width"), init.sizes, strict=True)
    ]
    if len(weight.shape) == 1:
        arguments.append(Literal(True, "flat", "flat", False))
    return TensorMember((), f"_{init.rule}", tuple(arguments), weight.dtype, weight.buffer)

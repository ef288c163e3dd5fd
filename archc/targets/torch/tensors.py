"""Parameters and buffers that a class keeps itself."""

from __future__ import annotations

from archc.ops.base import Weight
from archc.ops.initial import Computed, Constant, Normal, TruncatedNormal, Uniform
from archc.targets.torch.code import NO_DEFAULT, Literal, TensorMember

_DEFAULTS: dict[str, dict[str, float]] = {
    "uniform": {"a": 0.0, "b": 1.0},
    "normal": {"mean": 0.0, "std": 1.0},
    "trunc_normal": {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0},
    "constant": {},
}
"""What `torch.nn.init`'s functions take when an argument is left out."""


def tensor_member(weight: Weight) -> TensorMember:
    """The declaration of a weight."""
    if isinstance(weight.init, Computed):
        return _computed(weight, weight.init)
    match weight.init:
        case Uniform(low, high):
            name, arguments = "uniform", {"a": low, "b": high}
        case Normal(mean, std):
            name, arguments = "normal", {"mean": mean, "std": std}
        case TruncatedNormal(mean, std, low, high):
            name, arguments = "trunc_normal", {"mean": mean, "std": std, "a": low, "b": high}
        case Constant(value):
            name, arguments = "constant", {"value": value}
    defaults = _DEFAULTS[name]
    return TensorMember(
        tuple(Literal(size, "size", "channels") for size in weight.shape),
        name,
        tuple(Literal(v, r, r, defaults.get(r, NO_DEFAULT)) for r, v in arguments.items()),
        weight.dtype,
        weight.buffer,
    )


def _computed(weight: Weight, init: Computed) -> TensorMember:
    """A tensor that a function of the generated module works out."""
    arguments = [
        Literal(size, role, role)
        for role, size in zip(("height", "width"), init.sizes, strict=True)
    ]
    if len(weight.shape) == 1:
        arguments.append(Literal(True, "flat", "flat", False))
    return TensorMember((), f"_{init.rule}", tuple(arguments), weight.dtype, weight.buffer)

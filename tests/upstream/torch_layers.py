"""torch.nn's constructors and functionals as layers: attributes renamed, nothing computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.upstream.case import ExcludedError

Given = Mapping[str, Any]
Attributes = dict[str, Any]

DROPPED = {"device", "dtype", "inplace"}
"""Arguments that change no value."""


def renamed(*drop: str, **names: str) -> Callable[[Given], Attributes]:
    """A translation that renames arguments and leaves some out, because archc infers them."""

    def translate(given: Given) -> Attributes:
        return {
            names.get(key, key): plain(value)
            for key, value in given.items()
            if key not in drop and key not in DROPPED
        }

    return translate


def plain(value: Any) -> Any:
    """Tuples as lists, whole floats as they are."""
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def without_indices(given: Given) -> Given:
    """Arguments of a maximum. Its indices would be a second result, which is left aside."""
    return {key: value for key, value in given.items() if key != "return_indices"}


_RECURRENT = renamed("input_size", "proj_size", hidden_size="hidden", num_layers="layers")


def recurrent(given: Given) -> Attributes:
    """The samples have no batch axis, so that the one put in front is the first in any case."""
    if given.get("proj_size"):
        raise ExcludedError("states that are projected (`proj_size`)")
    return {**_RECURRENT(given), "batch_first": True}


CONV = renamed("in_channels", out_channels="out", kernel_size="kernel")
AVGPOOL = renamed(kernel_size="kernel", ceil_mode="ceil", divisor_override="divisor")
_MAXPOOL = renamed(kernel_size="kernel", ceil_mode="ceil")


def maxpool(given: Given) -> Attributes:
    return _MAXPOOL(without_indices(given))


def adaptive(given: Given, sizes: Sequence[int]) -> Attributes:
    """`None` stands for the size of the input, which a spec writes as it is."""
    size = without_indices(given)["output_size"]
    if not isinstance(size, int):
        size = [own if one is None else one for one, own in zip(size, sizes, strict=True)]
    return {"size": plain(size)}


def normalized(given: Given) -> Attributes:
    """`normalized_shape` says how many of the last axes are normalised."""
    shape = given["normalized_shape"]
    rest = {key: value for key, value in given.items() if key != "normalized_shape"}
    axes = 1 if isinstance(shape, int) else len(shape)
    return {"axes": axes, **renamed(elementwise_affine="affine")(rest)}


def padding(amounts: Any) -> Any:
    """torch lists pairs from the last axis on, archc in the order of the axes."""
    if isinstance(amounts, int):
        return amounts
    pairs = [[amounts[i], amounts[i + 1]] for i in range(0, len(amounts), 2)]
    return pairs[::-1]


def pad(mode: str) -> Callable[[Given], Attributes]:
    def translate(given: Given) -> Attributes:
        rest = {"value": given["value"]} if "value" in given else {}
        spatial = padding(given["padding"])
        return {"padding": spatial, **({} if mode == "constant" else {"mode": mode}), **rest}

    return translate


def prelu(given: Given) -> Attributes:
    return {"per_channel": True} if given.get("num_parameters", 1) > 1 else {}


def batchnorm(given: Given) -> Attributes:
    return renamed("num_features")(given)

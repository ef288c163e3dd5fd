"""What callers of the Python API give, as the pipeline takes it: params, weights, packages."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archc.compile import Checked
from archc.diagnostics import SpecError

if TYPE_CHECKING:
    from archc.weights import WeightSource

SpecPath = str | os.PathLike[str]


def overrides_of(params: Mapping[str, object]) -> dict[str, str]:
    """Params as a spec would write them.

    Raises:
        TypeError: a spec cannot hold one of them.
    """
    return {name: _text(name, value) for name, value in params.items()}


def _text(name: str, value: object) -> str:
    """A param's value as a spec would write it."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"param {name!r}: a spec cannot hold {value!r}") from error


def weights_of(
    checked: Checked,
    params: Mapping[str, object],
    path: SpecPath | None,
    seed: int,
    allow_missing: Sequence[str],
    ignore_unexpected: Sequence[str],
) -> WeightSource:
    """Weights of a file, or those that are drawn where there is none.

    Raises:
        SpecError: the file does not fit.
        TypeError: patterns are given without a file.
    """
    from archc.alternatives import SpecAlternatives
    from archc.weights import CastWeights, DrawnWeights, Exceptions, load_weights

    if path is None:
        if allow_missing or ignore_unexpected:
            raise TypeError("allow_missing and ignore_unexpected are about a file of weights")
        return CastWeights(DrawnWeights(seed))
    assert checked.graph is not None
    source, problems = load_weights(
        os.fspath(path),
        checked.graph,
        exceptions=Exceptions(tuple(allow_missing), tuple(ignore_unexpected)),
        alternatives=SpecAlternatives(checked, overrides_of(params)),
        seed=seed,
    )
    if source is None:
        raise SpecError(problems)
    return source


def need_torch(what: str) -> None:
    """Say what installs PyTorch where it is missing.

    Raises:
        ModuleNotFoundError: it is missing.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = f"{what} needs PyTorch: pip install 'archc[torch]'"
        raise ModuleNotFoundError(message, name="torch") from error

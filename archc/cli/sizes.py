"""`--at`: a checked network at sizes that a person gives."""

from __future__ import annotations

from collections.abc import Mapping

import click

from archc.compile import Checked, at_sizes
from archc.diagnostics.closest import closest
from archc.types import symbols_of


def checked_at(checked: Checked, sizes: Mapping[str, int]) -> Checked:
    """The network at the sizes given.

    Raises:
        click.BadParameter: the network has no such size.
    """
    if checked.partial is None or not sizes:
        return checked
    inputs = checked.partial.inputs
    names = {name for value in inputs for dim in value.type.shape for name in symbols_of(dim)}
    for name in sizes:
        if name not in names:
            raise click.BadParameter(_unknown(name, sorted(names)), param_hint="'--at'")
    return at_sizes(checked, sizes)


def _unknown(name: str, names: list[str]) -> str:
    if not names:
        return f"there is no symbolic size {name!r}: all sizes of the inputs are fixed"
    close = closest(name, names)
    hint = f"did you mean {close!r}?" if close else f"there are {', '.join(names)}"
    return f"there is no symbolic size {name!r}; {hint}"

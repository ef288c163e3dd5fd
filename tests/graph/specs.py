"""Specs as text, checked: what tests of analyses start from."""

from __future__ import annotations

from archc.compile import Checked, check_source
from archc.diagnostics import Source
from archc.graph import Graph


def checked(text: str, variant: str | None = None, **params: str) -> Checked:
    return check_source(Source("net.yaml", text), None, variant, params)


def graph_of(text: str, variant: str | None = None, **params: str) -> Graph:
    result = checked(text, variant, **params)
    assert result.graph is not None, [f"{d.code}: {d.message}" for d in result.diagnostics]
    return result.graph


def net(layers: str, inputs: str = "{x: [N, 1, 200]}") -> str:
    return f"archc: 1\nname: net\ninputs: {inputs}\nlayers: {layers}\n"

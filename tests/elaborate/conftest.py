"""Specs compiled, and what can be asked of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from archc.compile import Checked, check_source
from archc.diagnostics import Diagnostic, Source
from archc.diagnostics.text import render_full
from archc.graph import Graph
from archc.types import format_shape


@dataclass(frozen=True)
class Compiled:
    """A spec that has no errors."""

    graph: Graph

    @property
    def ops(self) -> dict[str, str]:
        """Path -> op, in dataflow order."""
        return {node.path: node.op_name for node in self.graph.nodes}

    @property
    def wiring(self) -> dict[str, list[str]]:
        """Path -> values read."""
        return {n.path: [value.name for value in n.inputs] for n in self.graph.nodes}

    @property
    def shapes(self) -> dict[str, str]:
        """Path -> shape of the first output."""
        return {node.path: format_shape(node.output.type.shape) for node in self.graph.nodes}

    @property
    def outputs(self) -> dict[str, str]:
        """Output -> value."""
        return {name: value.name for name, value in self.graph.outputs.items()}

    @property
    def keys(self) -> list[str]:
        """Keys of the weights."""
        return [ref.key for ref in self.graph.weights()]

    def attribute(self, path: str, name: str) -> object:
        """An attribute of a layer."""
        return getattr(self.graph.node(path).op, name)


def _text(body: str, inputs: str) -> str:
    return f"archc: 1\nname: demo\ninputs: {inputs}\n{dedent(body).strip()}\n"


IMAGE = "{x: [N, 3, 32, 32]}"


def _check(
    body: str,
    inputs: str,
    variant: str | None,
    overrides: Mapping[str, str] | None,
    folder: Path | None,
) -> Checked:
    return check_source(Source("net.yaml", _text(body, inputs)), folder, variant, overrides)


@pytest.fixture
def compiled() -> Callable[..., Compiled]:
    """Compile what stands after `inputs:`; errors fail the test."""

    def run(
        body: str,
        inputs: str = IMAGE,
        *,
        variant: str | None = None,
        overrides: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Compiled:
        checked = _check(body, inputs, variant, overrides, folder)
        assert checked.graph is not None and checked.ok, render_full(checked.diagnostics)
        return Compiled(checked.graph)

    return run


@pytest.fixture
def ops(compiled: Callable[..., Compiled]) -> Callable[..., dict[str, str]]:
    """Path -> op of a spec of which only the layers matter."""
    return lambda body, **options: compiled(body, **options).ops


@dataclass(frozen=True)
class Finding:
    """A finding as tests compare it: code, the text pointed at, message."""

    code: str
    text: str
    message: str
    line: int
    help: tuple[str, ...]

    @classmethod
    def of(cls, diagnostic: Diagnostic) -> Finding:
        assert diagnostic.primary is not None
        span = diagnostic.primary.span
        text = span.source.text[span.start : span.end]
        return cls(diagnostic.code, text, diagnostic.message, span.line, diagnostic.help)


@pytest.fixture
def findings() -> Callable[..., list[Finding]]:
    """What is found in a spec, in reading order."""

    def run(
        body: str,
        inputs: str = IMAGE,
        *,
        variant: str | None = None,
        overrides: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> list[Finding]:
        checked = _check(body, inputs, variant, overrides, folder)
        return [Finding.of(diagnostic) for diagnostic in checked.diagnostics]

    return run


@pytest.fixture
def faults(findings: Callable[..., list[Finding]]) -> Callable[..., list[tuple[str, str]]]:
    """(code, text pointed at) of what is found in a spec."""
    return lambda body, *args, **options: [
        (finding.code, finding.text) for finding in findings(body, *args, **options)
    ]

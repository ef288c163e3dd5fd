"""Sources, trees, scalars and scopes as the tests of the language's lowest parts use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from archc.diagnostics import Diagnostic, Diagnostics, Source, Span
from archc.spec.expressions import ExpressionError, Unknown, parse_expression
from archc.spec.tree import Node, Scalar
from archc.spec.yaml import parse_yaml


@dataclass(frozen=True)
class Parsed:
    """A tree and what was found on the way."""

    root: Node | None
    found: list[Diagnostic]

    @property
    def codes(self) -> list[str]:
        return [diagnostic.code for diagnostic in self.found]

    def shown(self, index: int = 0) -> str:
        """The text that a finding points at."""
        primary = self.found[index].primary
        assert primary is not None
        return text_of(primary.span)


def text_of(span: Span) -> str:
    return span.source.text[span.start : span.end]


@dataclass(frozen=True)
class MapScope:
    """A scope over a dict."""

    values: Mapping[str, object] = field(default_factory=dict)

    def lookup(self, name: str) -> object:
        return self.values[name]

    def names(self) -> Iterable[str]:
        return self.values


@pytest.fixture(params=[False, True], ids=["libyaml", "pure"])
def compose(request: pytest.FixtureRequest) -> Callable[[str], Parsed]:
    """Parse a text, once with each of the two parsers."""

    def run(text: str) -> Parsed:
        sink = Diagnostics()
        root = parse_yaml(Source("t.yaml", text), sink, pure=request.param)
        return Parsed(root, sink.sorted())

    return run


def _scalar(text: str) -> Scalar:
    source = Source("t.yaml", f"x: {text}\n")
    return Scalar(text, True, Span(source, 3, 3 + len(text)), True)


@pytest.fixture
def scalar() -> Callable[[str], Scalar]:
    """A plain scalar inside a text."""
    return _scalar


@pytest.fixture
def scope() -> type[MapScope]:
    """A scope over a dict."""
    return MapScope


@pytest.fixture
def evaluate() -> Callable[..., object]:
    """Evaluate an expression with names."""

    def run(text: str, unknown: Unknown | None = None, **names: object) -> object:
        return parse_expression(_scalar(text)).evaluate(MapScope(names), unknown)

    return run


@dataclass(frozen=True)
class Refusal:
    """What an expression was refused for: code, message, the text pointed at, help."""

    code: str
    message: str
    shown: str
    help: tuple[str, ...]


@pytest.fixture
def refuse(evaluate: Callable[..., object]) -> Callable[..., Refusal]:
    """Evaluate an expression that must be refused."""

    def run(text: str, **names: object) -> Refusal:
        with pytest.raises(ExpressionError) as caught:
            evaluate(text, **names)
        error = caught.value
        return Refusal(error.code, error.message, text_of(error.span), error.help)

    return run

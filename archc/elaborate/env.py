"""Names and what they stand for while a spec is elaborated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from archc.diagnostics import Span
from archc.records import dataclass, field, replace
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Layer
from archc.types import TensorType

if TYPE_CHECKING:
    from archc.elaborate.frame import Frame, Module

ENTERING = ("in_shape", "in_channels", "in_features", "in_length", "in_height", "in_width")
"""Names of the sizes of the tensor that enters a layer."""


MAX_DEFINITIONS = 32
"""Definitions that may be made from one another, one after the other."""


class Poisoned(Exception):  # noqa: N818 - not an error: the error was reported where it arose
    """A value depends on something that already failed; nothing more is to be said."""


@dataclass(frozen=True, slots=True)
class OpWord:
    """A bare word that names an op or a block, as a value (`act: relu`).

    Attributes:
        name: the word.
        module: the file in which it was written, whose blocks it may mean; two words are equal
            whatever their files.
    """

    name: str
    module: Module | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class LayerValue:
    """A layer with arguments as a value (`act: {gelu: tanh}`), with the frame it belongs to."""

    layer: Layer
    frame: Frame

    def __str__(self) -> str:
        return "a layer"

    def __repr__(self) -> str:
        return "a layer"  # in lists that messages show; its frame holds the whole spec


@dataclass(slots=True)
class Env:
    """One level of names; thunks are evaluated when first asked for.

    Attributes:
        parent: the enclosing level.
        values: what is known.
        thunks: what can be computed: name -> (place, computation).
    """

    parent: Env | None = None
    values: dict[str, object] = field(default_factory=dict)
    thunks: dict[str, tuple[Span, Callable[[], object]]] = field(default_factory=dict)
    _running: list[str] = field(default_factory=list)
    _failed: set[str] = field(default_factory=set)

    def lookup(self, name: str) -> object:
        """The value of a name.

        Raises:
            KeyError: nothing has that name.
            ExpressionError: its definition fails or goes in a circle.
            Poisoned: its definition failed before, or depends on something that failed.
        """
        env: Env | None = self
        while env is not None:
            if name in env.values:
                return env.values[name]
            if name in env.thunks:
                return env._force(name)
            env = env.parent
        raise KeyError(name)

    def _force(self, name: str) -> object:
        span, compute = self.thunks[name]
        if name in self._failed:
            raise Poisoned
        if name in self._running:
            raise ExpressionError("circular-definition", self._circle(name), span)
        if len(self._running) >= MAX_DEFINITIONS:
            raise ExpressionError(
                "expression-limit",
                f"more than {MAX_DEFINITIONS} definitions, each made from the next",
                span,
            )
        self._running.append(name)
        try:
            value = compute()
        except ExpressionError:
            self._failed.add(name)  # whoever asked reports it, once
            raise
        finally:
            self._running.remove(name)
        self.values[name] = value
        return value

    def _circle(self, name: str) -> str:
        """What to say of a definition that needs itself."""
        circle = [*self._running[self._running.index(name) :], name]
        if len(circle) == 2:
            return f"`{name}` is defined by itself"
        way = " needs ".join(f"`{step}`" for step in circle)
        return f"`{name}` is defined by itself: {way}"

    def fail(self, name: str, span: Span) -> None:
        """Let a name stand for something that failed."""
        self.thunks[name] = (span, lambda: None)
        self._failed.add(name)

    def child(self, values: Mapping[str, object] | None = None) -> Env:
        """A level inside this one."""
        return Env(self, dict(values or {}))

    @property
    def depth(self) -> int:
        """Levels from here to the outermost one."""
        return 1 if self.parent is None else 1 + self.parent.depth

    def names(self) -> Iterator[str]:
        """All names, inner first."""
        env: Env | None = self
        while env is not None:
            yield from env.values
            yield from (name for name in env.thunks if name not in env.values)
            env = env.parent


@dataclass(frozen=True, slots=True)
class LayerScope:
    """The names a layer's arguments can use: the environment, then sizes of what enters.

    Attributes:
        env: loop variables, params, lets.
        entering: type of the entering tensor; None when there is none or it failed.
        failed: whether there is one that failed.
        word: the op or block that a name means which nothing defines; None if neither.
        enums: words that attributes of any op take.
        accepts: which further words stand for themselves.
    """

    env: Env
    entering: TensorType | None
    failed: bool
    word: Callable[[str], OpWord | None]
    enums: Callable[[], Collection[str]]
    accepts: Callable[[str], bool] | None = None

    def accepting(self, accepts: Callable[[str], bool]) -> LayerScope:
        """The same scope where some words stand for themselves."""
        return replace(self, accepts=accepts)

    def lookup(self, name: str) -> object:
        """See `Env.lookup`; the last resort is a word of the language."""
        try:
            return self.env.lookup(name)
        except KeyError:
            pass
        if name in ENTERING and (self.entering is not None or self.failed):
            return self._entering(name)
        if name == "none":
            return None
        word = self.word(name)
        if word is not None:
            return word
        if (self.accepts is not None and self.accepts(name)) or name in self.enums():
            return name
        raise KeyError(name)

    def _entering(self, name: str) -> object:
        if self.entering is None:
            raise Poisoned
        shape = self.entering.shape
        if name == "in_shape":
            return list(shape)
        axis = {
            "in_channels": 1,
            "in_features": -1,
            "in_length": 1,
            "in_height": -2,
            "in_width": -1,
        }[name]
        least = {"in_height": 4, "in_width": 3, "in_length": 3}.get(name, 2)
        if len(shape) < least:
            raise KeyError(name)
        return shape[axis]

    def names(self) -> Iterator[str]:
        """Names for suggestions."""
        yield from self.env.names()
        if self.entering is not None:
            yield from ENTERING

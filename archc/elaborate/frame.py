"""Where elaboration stands: the file, the block instance, the level of names."""

from __future__ import annotations

from collections.abc import Mapping

from archc.diagnostics import Span
from archc.elaborate.env import Env
from archc.graph import Value
from archc.records import dataclass, field, replace
from archc.spec.read_chain import Vocabulary
from archc.spec.syntax import Block, Spec

Flow = Value | None
"""What flows along a chain; None is the result of a layer that failed."""


@dataclass(slots=True, eq=False)
class Module:
    """One spec file, with its params evaluated and the blocks it can use.

    Attributes:
        spec: the file, read.
        env: params and lets.
        words: what starts a call in it.
        blocks: name -> (block, the file it belongs to).
        incomplete: whether something it imports is missing, so that a word may be unknown for
            that reason.
    """

    spec: Spec
    env: Env
    words: Vocabulary
    blocks: dict[str, tuple[Block, Module]] = field(default_factory=dict)
    incomplete: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One instance of a block, or the top level of the spec.

    Attributes:
        module: the file whose text is being elaborated.
        env: names visible at its start.
        path: layer path; "" at the top.
        inputs: what flows in, by name (`in` for the first).
        calls: spans of the calls that led here, outermost first.
        blocks: the blocks being elaborated, outermost first.
        side: see `Node.side`; inherited by everything inside.
    """

    module: Module
    env: Env
    path: str
    inputs: Mapping[str, Flow]
    calls: tuple[Span, ...] = ()
    blocks: tuple[Block, ...] = ()
    side: str | None = None


@dataclass(slots=True, eq=False)
class Level:
    """One level of the layer tree while its children are being named.

    Attributes:
        path: dotted path; "" at the top.
        next_number: number of the next unnamed layer.
    """

    path: str
    next_number: int = 0

    def child(self, name: str) -> str:
        """The path of a child."""
        return f"{self.path}.{name}" if self.path else name

    def take_number(self) -> str:
        """The path of the next numbered child."""
        path = self.child(str(self.next_number))
        self.next_number += 1
        return path


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a layer is being elaborated.

    Attributes:
        frame: the block instance.
        level: the level of names.
        env: names visible, loop variables included.
        numbered: whether unnamed layers take numbers.
    """

    frame: Frame
    level: Level
    env: Env
    numbered: bool

    def within(self, level: Level | None = None, env: Env | None = None) -> Place:
        """The same place at another level or with more names."""
        return Place(self.frame, level or self.level, env or self.env, self.numbered)

    def in_file(self, module: Module) -> Place:
        """The same place as seen by the text of another file: only its own names are visible."""
        frame = replace(self.frame, module=module, env=module.env)
        return Place(frame, self.level, module.env, self.numbered)

"""The spec as data: what the reader makes of a YAML tree, before any expression is evaluated."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from typing import Literal

from archc.diagnostics import Source, Span
from archc.records import dataclass, field
from archc.spec.tree import Node, Scalar

JoinKind = Literal["residual", "concat", "add", "mul"]
ChainStyle = Literal["list", "mapping", "single"]


@dataclass(frozen=True, slots=True)
class Common:
    """Keys that every layer takes, unevaluated."""

    origin: Node | None = None
    side: Scalar | None = None
    when: Scalar | None = None
    expect: Node | None = None
    init: Node | None = None
    keys: Node | None = None
    tie: Node | None = None
    doc: str = ""


NO_COMMON = Common()


@dataclass(frozen=True, slots=True)
class Argument:
    """One attribute of a call: `kernel: 7`."""

    key: Scalar
    value: Node

    @property
    def span(self) -> Span:
        """From the key to the end of the value."""
        return self.key.span.to(self.value.span)


@dataclass(frozen=True, slots=True)
class Call:
    """An op or block with its arguments; a bare word is a call without any.

    Attributes:
        head: the word that names the op, the block, or a param that holds one.
        primary: value of the first key (`conv: 64`), None when absent or empty.
        arguments: the rest, by name.
        common: keys that every layer takes.
        span: the whole layer.
    """

    head: Scalar
    primary: Node | None
    arguments: MappingABC[str, Argument]
    common: Common
    span: Span


@dataclass(frozen=True, slots=True)
class Section:
    """A level of its own: a nested list or mapping."""

    chain: Chain
    span: Span


@dataclass(frozen=True, slots=True)
class Join:
    """Branches that meet again.

    Attributes:
        kind: how they meet.
        body: the branches, one per item; for `residual` the main branch, layer after layer.
        shortcut: the other side of a residual; None is the identity.
        skip: condition under which a residual has its shortcut at all.
        drop_path: probability of dropping the main branch in training.
        dim: axis of a concat.
        split: whether each branch gets its share of the input's channels.
        then: chain that runs after the join.
        common: keys that every layer takes.
        span: the whole structure.
        head: the structure's key.
        flawed: whether reading it found errors: its branches are elaborated for what is to be
            found in them, and not joined.
    """

    kind: JoinKind
    body: Chain
    common: Common
    span: Span
    head: Scalar
    shortcut: Chain | None = None
    skip: Scalar | None = None
    drop_path: Scalar | None = None
    dim: Scalar | None = None
    split: Scalar | None = None
    then: Chain | None = None
    flawed: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A body that stands for one layer (`seq:`, a branch): a level only when it is named."""

    chain: Chain
    common: Common
    span: Span


@dataclass(frozen=True, slots=True)
class Broken:
    """Something in layer position that is no layer, reported already; what follows is unknown."""

    span: Span


Layer = Call | Section | Group | Join | Broken


@dataclass(frozen=True, slots=True)
class LayerItem:
    """A layer in a chain.

    Attributes:
        name: as written, possibly holding `{expr}`; None is numbered or implied.
        layer: what it is.
    """

    name: Scalar | None
    layer: Layer


@dataclass(frozen=True, slots=True)
class ForItem:
    """A loop that is spliced in place."""

    header: Scalar
    chain: Chain


@dataclass(frozen=True, slots=True)
class IfItem:
    """Alternatives of which at most one is spliced in place; a None condition is `else`."""

    arms: tuple[tuple[Scalar | None, Chain], ...]


Item = LayerItem | ForItem | IfItem


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers in order, each fed by the one before unless it says `from`.

    Attributes:
        items: what is in it.
        style: a list numbers its layers, a mapping names them, `single` is one bare layer.
        span: all of it.
    """

    items: tuple[Item, ...]
    style: ChainStyle
    span: Span


KINDS = ("int", "float", "bool", "list", "op", "text")


@dataclass(frozen=True, slots=True)
class Param:
    """A declared parameter.

    Attributes:
        name: its name.
        span: of the name.
        kind: one of KINDS when it is required, else None.
        default: value when it is not given.
    """

    name: str
    span: Span
    kind: str | None
    default: Node


@dataclass(frozen=True, slots=True)
class Block:
    """A reusable part with typed parameters."""

    name: str
    span: Span
    params: MappingABC[str, Param]
    lets: MappingABC[str, Argument]
    inputs: tuple[Scalar, ...]
    chain: Chain
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input.

    Attributes:
        name: as the model's users feed it.
        shape: list of dims.
        dtype: word, float32 when absent.
        sizes: symbol -> what is promised of it (`min`, `max`, `multiple`).
    """

    name: Scalar
    shape: Node
    dtype: Scalar | None = None
    sizes: MappingABC[str, tuple[Scalar, MappingABC[str, Argument]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Import:
    """Blocks taken from another file; no names means all of them."""

    path: Scalar
    names: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """One spec file, read."""

    source: Source
    span: Span
    name: str
    doc: str = ""
    params: MappingABC[str, Param] = field(default_factory=dict)
    lets: MappingABC[str, Argument] = field(default_factory=dict)
    variants: MappingABC[str, MappingABC[str, Argument]] = field(default_factory=dict)
    imports: tuple[Import, ...] = ()
    inputs: tuple[Input, ...] = ()
    preprocess: Node | None = None
    checkpoint: MappingABC[str, Argument] = field(default_factory=dict)
    defaults: MappingABC[str, tuple[Scalar, MappingABC[str, Argument]]] = field(
        default_factory=dict
    )
    blocks: MappingABC[str, Block] = field(default_factory=dict)
    layers: Chain | None = None
    outputs: Node | None = None
    expect: MappingABC[str, Argument] = field(default_factory=dict)

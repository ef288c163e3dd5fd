"""Random networks in the forms of the language, as trees that are written in several ways."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from archc.types import DType, TensorType, symbol
from tests.networks.layers import (
    CALMING,
    CHOICES,
    MAX_ELEMENTS,
    choose,
    divisor,
    size,
    static,
    typed,
)

Item = "Layer | Section | Residual | Branches | Loop | Choice | Call | Side"


@dataclass(frozen=True)
class Layer:
    """One layer; `sources` are names, and `refers` attributes that name layers."""

    name: str
    op: str
    attributes: dict[str, Any]
    sources: tuple[str, ...] = ()
    refers: dict[str, str] = field(default_factory=dict)
    own_init: str = ""


@dataclass(frozen=True)
class Body:
    """Items in a row: named ones, or a list."""

    items: tuple[Any, ...]
    named: bool


@dataclass(frozen=True)
class Section:
    name: str
    body: Body


@dataclass(frozen=True)
class Residual:
    name: str
    body: Body
    shortcut: Body | None
    then: Body | None


@dataclass(frozen=True)
class Branches:
    """`concat`, `add` or `mul` of branches."""

    name: str
    kind: str
    branches: tuple[Body, ...]
    dim: int | None
    then: Body | None


@dataclass(frozen=True)
class Loop:
    """The same items several times; each keeps the type of what it reads."""

    name: str
    count: int
    body: Body


@dataclass(frozen=True)
class Choice:
    """One of several bodies, by a param: `if`, any number of `elif`, `else`.

    Attributes:
        name: of the param.
        bodies: two or more; whatever stands in those that are not taken.
        index: of the body that is taken.
    """

    name: str
    bodies: tuple[Body, ...]
    index: int

    @property
    def taken(self) -> Body:
        """The body that is there."""
        return self.bodies[self.index]

    @property
    def is_number(self) -> bool:
        """Whether the param is a number and no flag."""
        return len(self.bodies) > 2


@dataclass(frozen=True)
class Call:
    """A block in use: its body, of which one whole number is a param."""

    name: str
    block: str
    body: Body
    value: int | None


@dataclass(frozen=True)
class Side:
    """What runs beside the chain."""

    name: str
    body: Body
    training: bool


@dataclass(frozen=True)
class Network:
    """A spec to be written.

    Attributes:
        seed: which one it is.
        inputs: name -> type.
        body: its layers.
        outputs: names of layers of the top level; none means the last one's.
        defaults: attributes given to every use of an op, which layers then leave out.
    """

    seed: int
    inputs: dict[str, TensorType]
    body: Body
    outputs: tuple[str, ...]
    defaults: dict[str, dict[str, Any]]


def network(seed: int, most: int = 200) -> Network:
    """Network number `seed`, of up to `most` layers."""
    return _Grower(random.Random(seed), seed, most).grow()


def layers_of(body: Body) -> Iterator[Layer]:
    """All layers, those of a loop once."""
    for item in body.items:
        if isinstance(item, Layer):
            yield item
        for inner in bodies_of(item):
            yield from layers_of(inner)


def bodies_of(item: Any) -> list[Body]:
    """The bodies inside an item."""
    match item:
        case Section() | Loop() | Call() | Side():
            return [item.body]
        case Residual():
            return [b for b in (item.body, item.shortcut, item.then) if b is not None]
        case Branches():
            return [*item.branches, *([item.then] if item.then else [])]
        case Choice():
            return list(item.bodies)
    return []


USUAL = [*["conv", "linear", "attention", "batchnorm", "maxpool"] * 3, "avgpool", "layernorm2d"]
"""Ops that networks have many of."""


class _Grower:
    def __init__(self, rng: random.Random, seed: int, most: int) -> None:
        self.rng, self.seed = rng, seed
        self.left = round(most ** rng.random())
        self.count = 0
        self.blocks: list[tuple[str, Body, TensorType, TensorType]] = []
        self.wild = 0

    def grow(self) -> Network:
        name, type_ = self._input()
        inputs = {name: type_}
        start: list[Any] = []
        if type_.dtype is DType.INT64:
            layer = Layer(self._name(), "embedding", {"rows": 11, "features": 12})
            start, type_ = [layer], TensorType((*type_.shape, 12))
        body, type_ = self._body(type_, 0, named=True, start=start)
        while self.left > 0:
            more, type_ = self._body(type_, 0, named=True)
            if not more.items:
                break
            body = Body((*body.items, *more.items), True)
        if not body.items:
            body = Body((Layer(self._name(), "relu", {}),), True)
        candidates = [i.name for i in body.items if not isinstance(i, (Side, Choice, Loop))]
        outputs: tuple[str, ...] = ()
        if candidates and self.rng.random() < 0.3:
            outputs = tuple(dict.fromkeys([self.rng.choice(candidates), candidates[-1]]))
        defaults = {"conv": {"bias": False}} if self.rng.random() < 0.2 else {}
        return Network(self.seed, inputs, body, outputs, defaults)

    def _input(self) -> tuple[str, TensorType]:
        rng, n = self.rng, symbol("N")
        kind = rng.choice(["image"] * 5 + ["tokens"] * 3 + ["ids", "series", "volume", "flat"])
        channels = rng.choice([3, 4, 6, 8])
        if kind == "image":
            sides: list[Any] = [rng.choice([6, 7, 8, 12]), rng.choice([6, 8, 9])]
            if rng.random() < 0.25:
                sides = [symbol("H"), symbol("W")]
            return "image", TensorType((n, channels, *sides))
        if kind in ("tokens", "ids"):
            length: Any = symbol("T") if rng.random() < 0.3 else rng.choice([4, 6, 9])
            if kind == "ids":
                return "ids", TensorType((n, length), DType.INT64)
            return "tokens", TensorType((n, length, 3 * channels))
        if kind == "series":
            return "series", TensorType((n, channels, rng.choice([8, 13, 16])))
        if kind == "volume":
            return "volume", TensorType((n, 3, 4, 6, 5))
        return "x", TensorType((n, 2 * channels))

    def _name(self, stem: str = "l") -> str:
        self.count += 1
        return f"{stem}{self.count}"

    # -- bodies ---------------------------------------------------------------------------

    def _body(
        self, x: TensorType, depth: int, *, named: bool | None = None, start: Any = ()
    ) -> tuple[Body, TensorType]:
        """Up to ten items; what they yield."""
        named = self.rng.random() < 0.5 if named is None else named
        items: list[Any] = list(start)
        known: dict[str, TensorType] = {items[-1].name: x} if items else {}
        for _ in range(self.rng.randint(1, 10 if depth == 0 else 4)):
            if self.left <= 0:
                break
            made = self._item(x, depth, named, known if items else None)
            if made is None:
                break
            added, x = made
            items += added
            if not isinstance(items[-1], (Side, Loop, Choice)):
                known[items[-1].name] = x
        return Body(tuple(items), named), x

    def _item(
        self, x: TensorType, depth: int, named: bool, known: dict[str, TensorType] | None
    ) -> tuple[list[Any], TensorType] | None:
        makers = [self._layer] * 8
        if depth < 3:
            makers += [self._section, self._residual, self._branches, self._call, self._call]
        if depth < 3 and known is not None:  # a mapping in a list must not begin with a loop
            makers += [self._loop, self._choice]
        if depth == 0:
            makers += [self._side, self._windows, self._relative]
        if named and known is not None and len(known) > 1:
            makers += [self._join, self._join]
        for maker in self.rng.sample(makers, len(makers)):
            made = (
                self._join(x, known or {})
                if maker == self._join
                else self._layer(x, depth)
                if maker == self._layer
                else maker(x, depth)
            )
            if made is not None:
                return made
        return None

    def _layer(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        names = [*sorted(CHOICES), *USUAL]
        if self.wild > 4:
            names = CALMING
        found = choose(self.rng, x, names)
        if found is None:
            self.wild = 0
            return None
        op, attributes, types = found
        self.wild = 0 if op in CALMING else self.wild + 1
        self.left -= 1
        own = ""
        if op in ("conv", "linear") and self.rng.random() < 0.1:
            own = self.rng.choice(["kaiming_normal(fan_out)", "normal(0.02)", "xavier_uniform"])
        return [Layer(self._name(), op, attributes, own_init=own)], types[0]

    def _section(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        body, y = self._body(x, depth + 1)
        return ([Section(self._name("s"), body)], y) if body.items else None

    def _residual(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        body, y = self._body(x, depth + 1)
        if not body.items:
            return None
        if y == x:
            return [Residual(self._name("r"), body, None, self._then(x))], y
        # Another body of the same kind often comes to the same type.
        for _ in range(3):
            other, z = self._body(x, 3)
            if z == y and other.items:
                return [Residual(self._name("r"), body, other, self._then(y))], y
        return None

    def _then(self, x: TensorType) -> Body | None:
        if self.rng.random() < 0.6:
            return None
        return Body(
            (Layer(self._name(), self.rng.choice(["relu", "tanh", "identity"]), {}),), False
        )

    def _branches(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        kind = self.rng.choice(["concat", "concat", "add", "mul"])
        bodies: list[Body] = []
        types: list[TensorType] = []
        for _ in range(5):
            if self.rng.random() < 0.2:
                body, y = Body((), False), x
            else:
                body, y = self._body(x, depth + 1)
            if not types or typed(kind, {}, *types, y):
                bodies.append(body)
                types.append(y)
            if len(bodies) == 3:
                break
        if len(bodies) < 2:
            return None
        made = typed(kind, {}, *types)
        if made is None:
            return None
        dim = 1 if kind == "concat" and self.rng.random() < 0.5 else None
        item = Branches(self._name("j"), kind, tuple(bodies), dim, self._then(made[0]))
        self.wild += 1
        return [item], made[0]

    def _loop(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        for _ in range(4):
            body, y = self._body(x, 3, named=False)
            if y == x and body.items:
                count = self.rng.randint(1, 3)
                self.left -= (count - 1) * len(body.items)
                self.wild += count * len(body.items)
                return [Loop(self._name("f"), count, body)], y
        return None

    def _choice(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        bodies, types = [], []
        for _ in range(self.rng.choice([2, 2, 3, 4])):
            left = self.left
            body, y = self._body(x, 3, named=False)
            if not body.items:
                return None
            bodies.append(body)
            types.append(y)
            self.left = left
        index = self.rng.randrange(len(bodies))
        self.left -= len(bodies[index].items)
        return [Choice(self._name("c"), tuple(bodies), index)], types[index]

    def _call(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        usable = [block for block in self.blocks if block[2] == x]
        if usable and self.rng.random() < 0.7:
            name, body, _, y = self.rng.choice(usable)
            self.left -= len(list(layers_of(body)))
            return [Call(self._name("b"), name, body, _width(body))], y
        body, y = self._body(x, depth + 1)
        if not body.items:
            return None
        name = self._name("block")
        self.blocks.append((name, body, x, y))
        return [Call(self._name("b"), name, body, _width(body))], y

    def _side(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        body, _ = self._body(x, 3)
        training = self.rng.random() < 0.6
        return ([Side(self._name("h"), body, training)], x) if body.items else None

    # -- layers of several inputs ---------------------------------------------------------

    def _join(
        self, x: TensorType, known: dict[str, TensorType]
    ) -> tuple[list[Any], TensorType] | None:
        kind = self.rng.choice(["add", "sub", "mul", "concat"])
        names = list(known)
        for other in self.rng.sample(names[:-1], len(names) - 1):
            sources = [names[-1], other]
            self.rng.shuffle(sources)
            made = typed(kind, {}, *(known[name] for name in sources))
            if made is not None:
                self.left -= 1
                self.wild += 1
                return [Layer(self._name(), kind, {}, tuple(sources))], made[0]
        return None

    def _windows(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        """Attention within windows of an image, channels last and back."""
        if x.rank != 4 or not all(isinstance(dim, int) for dim in x.shape[1:]):
            return None
        channels = static(x, 1) or 1
        window = self.rng.choice([2, 3, 4])
        shift = self.rng.choice([0, 1])
        h, w = x.shape[2:]
        count = -(-h // window) * -(-w // window)
        if count * window**2 * 3 * channels > MAX_ELEMENTS:
            return None
        heads = divisor(self.rng, channels, 2)
        names = [self._name() for _ in range(9)]
        image, parted, qkv, mask, table, index, bias, core, merged = names
        given = {"window": window, "shift": shift}
        spread = {"pattern": "(p c) h -> h p c", "p": window**2}
        rows = self._name()
        items = [
            Layer(image, "rearrange", {"pattern": "b c h w -> b h w c"}),
            Layer(mask, "window_mask", given, (image,)),
            Layer(table, "param", {"shape": [(2 * window - 1) ** 2, heads]}),
            Layer(index, "relative_index", {"window": window}),
            Layer(rows, "lookup", {}, (table, index)),
            Layer(bias, "rearrange", spread, (rows,)),
            Layer(parted, "window_partition", given, (image,)),
            Layer(qkv, "linear", {"out": 3 * channels}),
            Layer(core, "attention", {"heads": heads}, (), {"bias": bias, "mask": mask}),
            Layer(merged, "window_merge", given, (core,), {"like": image}),
            Layer(self._name(), "rearrange", {"pattern": "b h w c -> b c h w"}),
        ]
        self.left -= len(items)
        self.wild += 2
        return [Section(self._name("s"), Body(tuple(items), True))], x

    def _relative(self, x: TensorType, depth: int) -> tuple[list[Any], TensorType] | None:
        """Attention over a square of tokens, its bias from a small network over offsets."""
        length, features = static(x, 1), static(x, -1)
        if x.rank != 3 or length not in (4, 9) or features is None or size(x) > MAX_ELEMENTS // 3:
            return None
        window = 2 if length == 4 else 3
        heads = divisor(self.rng, features, 3)
        names = [self._name() for _ in range(8)]
        coords, hidden, flat, index, rows, bias, qkv, core = names
        items = [
            Layer(qkv, "linear", {"out": 3 * features}),
            Layer(coords, "relative_coords", {"window": window}),
            Layer(hidden, "linear", {"out": heads}, (coords,)),
            Layer(flat, "flatten", {"start": 0, "end": 2}),
            Layer(index, "relative_index", {"window": window}),
            Layer(rows, "lookup", {}, (flat, index)),
            Layer(bias, "rearrange", {"pattern": "(p c) h -> h p c", "p": length}, (rows,)),
            Layer(core, "attention", {"heads": heads}, (qkv,), {"bias": bias}),
        ]
        self.left -= len(items)
        self.wild += 2
        return [Section(self._name("s"), Body(tuple(items), True))], x


def _width(body: Body) -> int | None:
    """The channels of the body's first layer, if it is one that has some."""
    first = body.items[0]
    known = isinstance(first, Layer) and first.op in ("conv", "linear")
    return first.attributes["out"] if known else None

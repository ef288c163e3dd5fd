"""Networks as specs: in the forms that they were drawn in, or in others that mean the same."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import yaml

from archc.ops.table import OPS
from archc.types import DType, TensorType, format_dim
from tests.networks.grow import (
    Body,
    Branches,
    Call,
    Choice,
    Layer,
    Loop,
    Network,
    Residual,
    Section,
    Side,
    bodies_of,
)
from tests.networks.layers import BOUNDS, principal


@dataclass(frozen=True)
class Style:
    """How a network is written; every style means the same network.

    Attributes:
        inline_blocks: each use of a block is a section.
        unroll: each turn of a loop stands by itself, and each choice is made.
        machine: layers are `{op: ..., ...}` with their keys in any order.
        expressions: whole numbers are expressions.
        full: attributes that have defaults are written out, and there are no `defaults`.
        prefix: put in front of every name.
        split: the top level stands in two sections.
    """

    inline_blocks: bool = False
    unroll: bool = False
    machine: bool = False
    expressions: bool = False
    full: bool = False
    prefix: str = ""
    split: bool = False


def spec_of(network: Network, style: Style = Style()) -> str:
    """The network as YAML."""
    return _Writer(network, style).text()


class _Writer:
    def __init__(self, network: Network, style: Style) -> None:
        self.net, self.style = network, style
        self.rng = random.Random(network.seed)
        self.blocks: dict[str, Any] = {}
        self.params: dict[str, Any] = {}
        self.variable = 0
        self.param: int | None = None
        self.turn: int | str | None = None

    def text(self) -> str:
        layers: Any = self._named(self.net.body)
        outputs = [self._own(name) for name in self.net.outputs]
        if self.style.split and len(layers) > 1:
            layers, outputs = self._split(layers, outputs)
        spec: dict[str, Any] = {"archc": 1, "name": f"random{self.net.seed}"}
        if self.params:
            spec["params"] = self.params
        spec["inputs"] = {name: _input(type_) for name, type_ in self.net.inputs.items()}
        if self.net.defaults and not self.style.full:
            spec["defaults"] = self.net.defaults
        if self.blocks:
            spec["blocks"] = self.blocks
        spec["layers"] = layers
        if outputs:
            # Names of their own: that of a layer may be the key of its weight, too.
            spec["outputs"] = {f"y{i}": name for i, name in enumerate(outputs)}
        return str(yaml.dump(spec, Dumper=_Dumper, sort_keys=False, width=10_000))

    def _split(self, layers: dict[str, Any], outputs: list[str]) -> tuple[Any, list[str]]:
        """The top level in two sections."""
        names = list(layers)
        at = len(names) // 2
        first, second = names[:at], names[at:]
        for name in second:
            if isinstance(layers[name], dict) and "from" in layers[name]:
                layers[name]["from"] = _within(layers[name]["from"], "first", first)
        parts = {"first": {n: layers[n] for n in first}, "second": {n: layers[n] for n in second}}
        found = [f"{'first' if o in first else 'second'}.{o}" for o in outputs]
        return parts, found

    def _own(self, name: str) -> str:
        return self.style.prefix + name

    # -- bodies ---------------------------------------------------------------------------

    def _body(self, body: Body) -> Any:
        # What is empty is the input itself, which only a list says.
        return self._named(body) if body.named and body.items else self._listed(body)

    def _named(self, body: Body) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for item in body.items:
            if isinstance(item, (Loop, Choice)):
                made |= self._control(item, named=True)
            else:
                made[self._label(item.name)] = self._item(item)
        return made

    def _label(self, name: str) -> str:
        turn = "" if self.turn is None else f"_{self.turn}"
        return f"{self.style.prefix}{name}{turn}"

    def _listed(self, body: Body) -> list[Any]:
        made: list[Any] = []
        for item in body.items:
            if isinstance(item, (Loop, Choice)):
                found = self._control(item, named=False)
                made += found
            else:
                made.append(self._item(item))
        return made

    def _control(self, item: Loop | Choice, *, named: bool) -> Any:
        body = Body(item.body.items, named)
        if isinstance(item, Choice):
            return self._choice(item, body, named)
        if self.style.unroll:
            outer = self.turn
            turns = []
            for turn in range(item.count):
                self.turn = turn if named else outer
                turns.append(self._body(body))
            self.turn = outer
            if named:
                return {name: value for turn in turns for name, value in turn.items()}
            return [value for turn in turns for value in turn]
        self.variable += 1
        variable = f"i{self.variable}"
        outer, self.turn = self.turn, f"{{{variable}}}" if named else self.turn
        inner = self._body(body)
        self.turn = outer
        loop = {f"for {variable} in range({self._number(item.count)})": inner}
        return loop if named else [loop]

    def _choice(self, item: Choice, body: Body, named: bool) -> Any:
        if self.style.unroll:
            return self._body(body)
        param = f"with_{item.name}"
        self.params[param] = item.holds
        inner = self._body(body)
        if named:
            return {f"if {param}": inner}
        other = self._body(Body(item.other.items, False))
        return [{f"if {param}": inner, "else": other}]

    # -- items ----------------------------------------------------------------------------

    def _item(self, item: Any) -> Any:
        match item:
            case Layer():
                return self._layer(item)
            case Section(body=body):
                return self._level(body)
            case Residual():
                made = {"residual": self._inner(item.body)}
                if item.shortcut is not None:
                    made["shortcut"] = self._inner(item.shortcut)
                return made | self._then(item.then)
            case Branches():
                made = {item.kind: [self._inner(branch) for branch in item.branches]}
                if item.dim is not None:
                    made["dim"] = item.dim
                return made | self._then(item.then)
            case Side():
                beside = "training" if item.training else True
                return {"seq": self._level(item.body), "side": beside}
            case Call():
                return self._call(item)
        raise AssertionError(item)

    def _level(self, body: Body) -> Any:
        """A body that is a level of its own: no turn of a loop has to be told in its names."""
        outer, self.turn = self.turn, None
        made = self._body(body)
        self.turn = outer
        return made

    def _inner(self, body: Body) -> Any:
        """The body of a named structure, which is a level."""
        return self._level(body)

    def _then(self, then: Body | None) -> dict[str, Any]:
        return {} if then is None else {"then": self._level(then)}

    def _call(self, item: Call) -> Any:
        if self.style.inline_blocks:
            return self._level(item.body)
        if item.block not in self.blocks:
            self.blocks[item.block] = {}  # keeps the order in which they are used
            outer, self.param = self.param, item.value
            block: dict[str, Any] = {"params": {"width": "int"}} if item.value is not None else {}
            body = item.body
            block["body"] = self._level(body)
            self.blocks[item.block] = block
            self.param = outer
        return item.block if item.value is None else {item.block: self._number(item.value)}

    def _layer(self, item: Layer) -> Any:
        attributes = dict(item.attributes)
        if self.param is not None and item.op in ("conv", "linear"):
            attributes["out"] = "width" if attributes["out"] == self.param else attributes["out"]
            self.param = None if attributes["out"] == "width" else self.param
        if self.style.full:
            attributes = self._in_full(item.op, attributes)
        values = {name: self._value(value) for name, value in attributes.items()}
        values |= {name: self._own(source) for name, source in item.refers.items()}
        keys: dict[str, Any] = {}
        if item.sources:
            names = [self._label(source) for source in item.sources]
            keys["from"] = names if len(names) > 1 else names[0]
        if item.own_init:
            keys["init"] = item.own_init
        if self.style.machine:
            made = list({"op": item.op, **values, **keys}.items())
            self.rng.shuffle(made)
            return dict(made)
        first = principal(item.op)
        head = values.pop(first, None) if first is not None else None
        if head is None and not values and not keys:
            return item.op
        return {item.op: head, **values, **keys}

    def _in_full(self, op: str, attributes: dict[str, Any]) -> dict[str, Any]:
        """With the defaults of the file and of the op."""
        given = {**self.net.defaults.get(op, {}), **attributes}
        for name, field in OPS[op].model_fields.items():
            default = field.get_default(call_default_factory=True)
            plain = isinstance(default, (bool, int, float, str)) and not field.is_required()
            if name not in given and plain and name not in OPS[op].references:
                given[name] = default
        return given

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return self._number(value) if type(value) is int else value

    def _number(self, value: int) -> Any:
        if not self.style.expressions or value < 0:
            return value
        other = self.rng.randint(1, 9)
        return self.rng.choice(
            [
                f"{value + other} - {other}",
                f"{value * other} // {other}",
                f"max({value}, {min(value, other)})",
                f"sum([{', '.join(['1'] * value)}])" if 0 < value < 12 else f"int({value})",
                f"len(range({value}))",
                f"{value} if {other} > 0 else {other}",
            ]
        )


def _within(source: str | list[str], section: str, names: list[str]) -> Any:
    """References to layers that lie in a section now."""
    if isinstance(source, list):
        return [_within(item, section, names) for item in source]
    return f"{section}.{source}" if source in names else source


def _input(type_: TensorType) -> Any:
    shape = [dim if isinstance(dim, int) else format_dim(dim) for dim in type_.shape]
    open_ = [dim for dim in shape if dim in BOUNDS]
    made: dict[str, Any] = {"shape": shape}
    if type_.dtype is not DType.FLOAT32:
        made["dtype"] = type_.dtype.value
    if open_:
        made["sizes"] = {d: {"min": BOUNDS[d][0], "max": BOUNDS[d][1]} for d in open_}
    return made if len(made) > 1 else shape


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def count_items(body: Body) -> int:
    """Items of a body and of all inside it."""
    return sum(1 + sum(map(count_items, bodies_of(item))) for item in body.items)

"""Networks as specs: in the forms that they were drawn in, or in others that mean the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
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
from tests.networks.style import CHOSEN, LIBRARY, OTHER, PLAIN, Style, Written


def written(network: Network, style: Style = PLAIN) -> Written:
    """The network as YAML, with the files that it imports."""
    return _Writer(network, style).written()


def spec_of(network: Network, style: Style = PLAIN) -> str:
    """The network as YAML, in a style of one file without variants."""
    made = written(network, style)
    assert not made.files and made.variant is None
    return made.text


@dataclass
class _Definitions:
    """What a file defines beside its layers."""

    params: dict[str, Any] = field(default_factory=dict)
    lets: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, Any] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        named = {"params": self.params, "let": self.lets, "blocks": self.blocks}
        return {name: value for name, value in named.items() if value}


class _Writer:
    def __init__(self, network: Network, style: Style) -> None:
        self.net, self.style = network, style
        self.rng = random.Random(network.seed)
        self.file = _Definitions()
        # What blocks need stands where they stand.
        self.library = _Definitions() if style.imported else self.file
        self.here = self.file
        self.variable = 0
        self.param: int | None = None
        self.turn: int | str | None = None
        self.dots = ""
        self.ends: dict[str, str] = {}

    def written(self) -> Written:
        layers: Any = self._named(self.net.body)
        outputs = [self._reference(name) for name in self.net.outputs]
        if self.style.split and len(layers) > 1:
            layers, outputs = self._split(layers, outputs)
        spec: dict[str, Any] = {"archc": 1, "name": f"random{self.net.seed}"}
        files: dict[str, str] = {}
        if self.library.blocks and self.style.imported:
            spec["import"] = [LIBRARY]
            files[LIBRARY] = _yaml({"archc": 1, **self.library.as_data()})
        variant = None
        given = self.file.params
        if given and self.style.variants:
            variant = CHOSEN
            self.file.params, spec["variants"] = _by_variant(given)
        spec["inputs"] = {name: _input(type_) for name, type_ in self.net.inputs.items()}
        if self.net.defaults and not self.style.full:
            spec["defaults"] = self.net.defaults
        spec |= self.file.as_data()
        spec["layers"] = layers
        if outputs:
            # Names of their own: that of a layer may be the key of its weight, too.
            spec["outputs"] = {f"y{i}": name for i, name in enumerate(outputs)}
        return Written(_yaml(spec), files, variant)

    def _split(self, layers: dict[str, Any], outputs: list[str]) -> tuple[Any, list[str]]:
        """The top level in two sections."""
        names = list(layers)
        at = len(names) // 2
        while at < len(names) and names[at].startswith(("elif ", "else")):
            at += 1  # alternatives stand together
        first, second = names[:at], names[at:]
        if not second:
            return layers, outputs
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

    def _named(self, body: Body, made: dict[str, Any] | None = None) -> dict[str, Any]:
        """A mapping of layers: a new one, or `made` with what the body adds."""
        made = {} if made is None else made
        for item in body.items:
            if isinstance(item, Choice):
                made |= self._choice(item, named=True, ending="else" not in made)
            elif isinstance(item, Loop):
                made |= self._loop(item, named=True)
            elif isinstance(item, Section) and self._flat(item.body):
                self._dotted(item, made)
            else:
                made[self.dots + self._label(item.name)] = self._item(item)
        return made

    def _flat(self, body: Body) -> bool:
        """Whether a section is written by dots: it is then no level, which a name stands for."""
        chain = [item for item in body.items if not isinstance(item, Side)]
        ends = bool(chain) and not isinstance(chain[-1], (Loop, Choice))
        return self.style.dotted and body.named and ends

    def _dotted(self, section: Section, made: dict[str, Any]) -> None:
        """Add the layers of a section, each under its whole name."""
        outer, turn = self.dots, self.turn
        self.dots += self._label(section.name) + "."
        self.turn = None
        self._named(section.body, made)
        last = [item for item in section.body.items if not isinstance(item, Side)][-1]
        end = self._reference(last.name)
        self.dots, self.turn = outer, turn
        self.ends[section.name] = end

    def _reference(self, name: str) -> str:
        """A layer of this level, or what a section without a level of its own ends with."""
        return self.ends.get(name) or self.dots + self._label(name)

    def _label(self, name: str) -> str:
        turn = "" if self.turn is None else f"_{self.turn}"
        return f"{self.style.prefix}{name}{turn}"

    def _listed(self, body: Body) -> list[Any]:
        made: list[Any] = []
        for item in body.items:
            if isinstance(item, Choice):
                made += self._choice(item, named=False)
            elif isinstance(item, Loop):
                made += self._loop(item, named=False)
            else:
                made.append(self._item(item))
        return made

    def _loop(self, item: Loop, *, named: bool) -> Any:
        body = Body(item.body.items, named)
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

    def _choice(self, item: Choice, *, named: bool, ending: bool = True) -> Any:
        """Alternatives; `ending` says whether the last may be an `else`."""
        if self.style.unroll:
            return self._body(Body(item.taken.items, named))
        param = f"with_{item.name}"
        self.here.params[param] = item.index if item.is_number else item.index == 0
        made: dict[str, Any] = {}
        for index, body in enumerate(item.bodies):
            flag = f"not {param}" if index else param
            condition = f"{param} == {index}" if item.is_number else flag
            word = f"{'elif' if index else 'if'} {condition}"
            if ending and index == len(item.bodies) - 1:
                word = "else"
            made[word] = self._body(Body(body.items, named))
        return made if named else [made]

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
        outer, dots = self.turn, self.dots
        self.turn, self.dots = None, ""
        made = self._body(body)
        self.turn, self.dots = outer, dots
        return made

    def _inner(self, body: Body) -> Any:
        """The body of a named structure, which is a level."""
        return self._level(body)

    def _then(self, then: Body | None) -> dict[str, Any]:
        return {} if then is None else {"then": self._level(then)}

    def _call(self, item: Call) -> Any:
        if self.style.inline_blocks:
            return self._level(item.body)
        if item.block not in self.library.blocks:
            self.library.blocks[item.block] = {}  # keeps the order in which they are used
            outer, here = self.param, self.here
            self.param, self.here = item.value, self.library
            block: dict[str, Any] = {"params": {"width": "int"}} if item.value is not None else {}
            block["body"] = self._level(item.body)
            self.library.blocks[item.block] = block
            self.param, self.here = outer, here
        return item.block if item.value is None else {item.block: self._number(item.value)}

    def _layer(self, item: Layer) -> Any:
        attributes = dict(item.attributes)
        if self.param is not None and item.op in ("conv", "linear"):
            attributes["out"] = "width" if attributes["out"] == self.param else attributes["out"]
            self.param = None if attributes["out"] == "width" else self.param
        if self.style.full:
            attributes = self._in_full(item.op, attributes)
        values = {name: self._value(value) for name, value in attributes.items()}
        values |= {name: self._reference(source) for name, source in item.refers.items()}
        keys: dict[str, Any] = {}
        if item.sources:
            names = [self._reference(source) for source in item.sources]
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
        for name, declared in OPS[op].model_fields.items():
            default = declared.get_default(call_default_factory=True)
            plain = isinstance(default, (bool, int, float, str)) and not declared.is_required()
            if name not in given and plain and name not in OPS[op].references:
                given[name] = default
        return given

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if value == "N" and self.style.imported and self.here is self.library:
            return "in_shape[0]"  # another file has no symbol of that name
        return self._number(value) if type(value) is int else value

    def _number(self, value: int) -> Any:
        if self.style.lets and value >= 0 and self.rng.random() < 0.3:
            return self._let(value)
        return self._literal(value)

    def _let(self, value: int) -> str:
        """The name of a value that is computed from another."""
        lets, params = self.here.lets, self.here.params
        name = f"value{len(lets)}"
        numbers = {n: v for n, v in params.items() if type(v) is int}
        if lets and self.rng.random() < 0.3:
            lets[name] = f"{value} + 0 * {self.rng.choice(list(lets)[:8])}"
        elif numbers and self.rng.random() < 0.5:
            param = self.rng.choice(list(numbers))
            lets[name] = f"{value - numbers[param]} + {param}"
        else:
            lets[name] = self._literal(value)
        return name

    def _literal(self, value: int) -> Any:
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


def _by_variant(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Params without their values, or with wrong ones, and the variants that give some."""
    others = {n: not v if isinstance(v, bool) else v + 1 for n, v in params.items()}
    kinds = {n: "bool" if isinstance(v, bool) else "int" for n, v in params.items()}
    declared = {n: kinds[n] if i % 2 else others[n] for i, n in enumerate(params)}
    return declared, {OTHER: others, CHOSEN: params}


def _yaml(data: Any) -> str:
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=10_000))


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

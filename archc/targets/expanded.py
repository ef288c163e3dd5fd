"""The graph written back as a spec: no params, blocks, loops or structures left.

Every layer stands in one flat mapping under its full path, in dataflow order, and says `from`
where it does not read the layer before it. The text compiles to the same graph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping

from archc.elaborate.ties import find_key
from archc.graph import Graph, Node
from archc.graph.preprocess import Preprocess
from archc.ops.initial import Computed, Constant, Distribution, Normal, TruncatedNormal, Uniform
from archc.spec.tree import resolve_plain
from archc.types import DType, Expr, TensorType, format_dim
from archc.types.sizes import SizeSet

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def expanded_spec(graph: Graph) -> str:
    """The desugared spec as YAML text."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    yield "archc: 1"
    yield f"name: {_text(graph.name)}"
    if graph.doc:
        yield f"doc: {_quoted(graph.doc)}"
    yield "inputs:"
    told: set[str] = set()
    for value in graph.inputs:
        symbols = [
            name
            for name in map(format_dim, value.type.shape)
            if name in graph.promised and name not in told
        ]
        told.update(symbols)
        yield f"  {value.name}: {_input(value.type, {n: graph.promised[n] for n in symbols})}"
    yield from _preprocess(graph)
    yield "layers:"
    current = graph.inputs[0].name
    known = {ref.own_key for node in graph.nodes for ref in node.weights}
    for node in graph.nodes:
        yield f"  {_key(node.path)}: {_layer(node, current, known)}"
        if node.side is None:
            current = node.output.name
    yield "outputs:"
    for name, value in graph.outputs.items():
        yield f"  {_key(name)}: {_text(_reference(value.name))}"
    if graph.renames:
        yield "checkpoint:"
        yield "  rename:"
        for rule in graph.renames:
            yield f"    {_quoted(rule.pattern)}: {_quoted(rule.replacement)}"


def _input(type_: TensorType, promised: Mapping[str, SizeSet]) -> str:
    shape = "[" + ", ".join(_text(format_dim(dim)) for dim in type_.shape) + "]"
    parts = [f"shape: {shape}"]
    if type_.dtype is not DType.FLOAT32:
        parts.append(f"dtype: {type_.dtype.value}")
    if promised:
        rules = [f"{name}: {{{_promise(sizes)}}}" for name, sizes in promised.items()]
        parts.append(f"sizes: {{{', '.join(rules)}}}")
    return "{" + ", ".join(parts) + "}" if len(parts) > 1 else shape


def _preprocess(graph: Graph) -> Iterator[str]:
    if graph.preprocess:
        yield "preprocess:"
    default = Preprocess().as_data()
    for name, steps in graph.preprocess.items():
        data = {key: value for key, value in steps.as_data().items() if value != default[key]}
        for key in ("crop", "mean", "std"):  # one number stands for all
            if key in data and len(set(data[key])) == 1:
                data[key] = data[key][0]
        yield f"  {name}: {{{', '.join(f'{key}: {_value(value)}' for key, value in data.items())}}}"


def _promise(sizes: SizeSet) -> str:
    """The `min`, `max` and `multiple` that make a set of sizes."""
    first, second = (*sizes.first(2), None, None)[:2]
    assert first is not None
    rules = {"min": first}
    if not sizes.residues:
        rules["max"] = max(sizes.early)
    if second is not None and second - first > 1:
        rules["multiple"] = second - first
    return ", ".join(f"{rule}: {size}" for rule, size in rules.items())


def _reference(name: str) -> str:
    """How a spec names a value: a further output of a layer is `path.1`."""
    return name.replace(":", ".")


def _layer(node: Node, current: str, known: Collection[str]) -> str:
    count = len(node.inputs) - len(node.op.referenced)
    sources = [_reference(value.name) for value in node.inputs]
    attributes = dict(_attributes(node))
    attributes |= {
        name: _text(source)
        for name, source in zip(node.op.referenced, sources[count:], strict=True)
    }
    principal = node.op.principal
    head = attributes.pop(principal, "") if principal is not None else ""
    parts = [f"{node.op_name}: {head}".rstrip() if head else f"{node.op_name}: "]
    parts += [f"{name}: {value}" for name, value in attributes.items()]
    if count and sources[:count] != [_reference(current)]:
        listed = ", ".join(_text(source) for source in sources[:count])
        parts.append(f"from: [{listed}]" if count > 1 else f"from: {listed}")
    init = dict(_inits(node))
    if len(node.weights) == 1 and init:
        parts.append(f"init: {next(iter(init.values()))}")
    elif init:
        parts.append("init: {" + ", ".join(f"{key}: {text}" for key, text in init.items()) + "}")
    keys = dict(_keys(node))
    if keys:
        parts.append("keys: {" + ", ".join(f"{name}: {_text(k)}" for name, k in keys.items()) + "}")
    ties = dict(_ties(node, known))
    if ties:
        parts.append("tie: {" + ", ".join(f"{name}: {_text(k)}" for name, k in ties.items()) + "}")
    if node.side is not None:
        parts.append(f"side: {'training' if node.side == 'training' else 'true'}")
    if len(parts) == 1 and not head:
        return node.op_name
    return "{" + ", ".join(parts) + "}"


def _keys(node: Node) -> Iterator[tuple[str, str]]:
    """Keys of weights that are not the layer's path and the weight's name."""
    level = node.path.rpartition(".")[0]
    for ref in node.weights:
        name = ref.weight.name
        if name and ref.own_key != f"{node.path}.{name}":
            yield name, ref.own_key.removeprefix(f"{level}.") if level else ref.own_key


def _ties(node: Node, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Weights that are tied, with the keys of what they are."""
    for ref in node.weights:
        if not ref.alias:
            continue
        parts = ref.key.split(".")
        for shorter in (".".join(parts[count:]) for count in range(len(parts))):
            # The whole key, unless a level around the layer has the same words inside it.
            if find_key(node.path, shorter, known, but=ref.alias) == ref.key:
                yield ref.weight.name, shorter
                break


def _inits(node: Node) -> Iterator[tuple[str, str]]:
    """How weights are drawn that are not drawn as they are by default."""
    default = {w.name: w.init for w in node.op.weights(*(value.type for value in node.inputs))}
    for ref in node.weights:
        init = ref.weight.init
        if ref.alias:
            continue
        if init != default[ref.weight.name] and not isinstance(init, Computed):
            yield ref.weight.name, _text(_distribution(init))


def _distribution(init: Distribution) -> str:
    match init:
        case Uniform(low, high):
            return f"uniform({low!r}, {high!r})"
        case Normal(mean, std):
            return f"normal({mean!r}, {std!r})"
        case TruncatedNormal(mean, std):
            return f"trunc_normal({mean!r}, {std!r})"
        case Constant(value):
            return repr(value)


def _attributes(node: Node) -> Iterator[tuple[str, str]]:
    """Attributes that differ from their defaults, written as a spec writes them."""
    fields = type(node.op).model_fields
    for name, info in fields.items():
        value = getattr(node.op, name)
        if info.is_required() or value != info.get_default(call_default_factory=True):
            yield name, _value(value)
    for name, value in (node.op.model_extra or {}).items():
        yield name, _value(value)


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Expr):
        return _text(format_dim(value))
    if isinstance(value, str):
        return _text(value)
    return repr(value)


def _text(text: str) -> str:
    """A scalar, quoted where YAML or the language would read something else."""
    value = resolve_plain(text)
    plain = isinstance(value, (int, float)) or (isinstance(value, str) and _PLAIN.fullmatch(text))
    return text if plain else _quoted(text)


def _key(text: str) -> str:
    return text if _KEY.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    """Text in double quotes, as YAML reads it; what no terminal should get is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in quoted)

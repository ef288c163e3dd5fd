"""What can be wrong about one call of an emitter: the changes that follow from its arguments."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import archc.ops
from archc.ops.base import Default
from archc.targets.onnx.layer import LayerEmitter
from archc.types import DType, TensorType

COMMUTATIVE = {"Add", "Mul", "Max", "Min"}
"""Operators whose operands may be exchanged: that is no fault."""

SIBLINGS = {
    **{"Add": "Sub", "Sub": "Add", "Mul": "Div", "Div": "Mul", "Max": "Min", "Min": "Max"},
    **{"ReduceMean": "ReduceSum", "ReduceMax": "ReduceMin", "ReduceL2": "ReduceL1"},
    **{"Softmax": "LogSoftmax", "LogSoftmax": "Softmax", "Sigmoid": "Tanh", "Tanh": "Sigmoid"},
    **{"GlobalAveragePool": "GlobalMaxPool", "GlobalMaxPool": "GlobalAveragePool"},
    **{"Greater": "Less", "Erf": "Tanh", "Sqrt": "Abs", "Exp": "Abs", "Softplus": "Relu"},
    **{"Mod": "Div", "Pow": "Mul", "MatMul": "Add"},
}

WORDS = {
    **{"linear": "nearest", "nearest": "linear", "cubic": "linear", "none": "tanh"},
    **{"tanh": "none", "constant": "edge", "edge": "constant", "reflect": "edge", "wrap": "edge"},
    **{"half_pixel": "asymmetric", "pytorch_half_pixel": "asymmetric", "asymmetric": "half_pixel"},
    **{"align_corners": "half_pixel", "floor": "ceil", "zeros": "reflect", "same": "valid"},
    **{"replicate": "reflect", "circular": "reflect"},
}

MODULES = {"nn.ReLU": "nn.ReLU6", "nn.Identity": "nn.ReLU"}


@dataclass(frozen=True, order=True)
class Mutant:
    """One change at one site.

    Attributes:
        op: the op whose cases pass the site.
        method: what is called: `op`, `constant`, `module`, `expr`, `infer`, ...
        place: file, function and line of the call, empty for a declaration.
        head: operator, constructor or template; `COMPUTED` for a template that the source spells
            only in parts.
        change: what is done.
        slot: to which argument.
    """

    op: str
    method: str
    place: str
    head: str
    change: str
    slot: str

    @property
    def function(self) -> str:
        """File and function of the call: lines move."""
        return self.place.rpartition(":")[0]

    @property
    def source(self) -> str:
        """The line of the call."""
        if not self.place:
            return ""
        file, _, line = self.place.split(":")
        return linecache.getline(str(Path(archc.ops.__path__[0], file)), int(line)).strip()

    def __str__(self) -> str:
        place = f" ({self.function})" if self.place else ""
        return f"{self.op}: {self.method} {self.head}{place}: {self.change} {self.slot}".rstrip()


Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments of a call, the object itself left out."""

# -- changes of values ----------------------------------------------------------------------


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, Default):
        return Default(changed(value.value), value.default)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.5 + 0.25 if abs(value) != float("inf") else -value
    if isinstance(value, str):
        return WORDS.get(value, value)
    if isinstance(value, (list, tuple)) and value:
        return type(value)([changed(value[0]), *value[1:]])
    return value


def reversed_(value: Any) -> Any:
    """A list backwards."""
    if isinstance(value, Default):
        return Default(reversed_(value.value), value.default)
    return type(value)(value[::-1]) if isinstance(value, (list, tuple)) else value


def default_of(value: Any) -> Any:
    """An argument with its default in its place."""
    return value.default if isinstance(value, Default) else value


_NUMBER = re.compile(r"(?<![\w{.])\d+(?![\w}.])")
_TEMPLATE_SWAPS = [
    *(("True", "False"), (" + ", " - "), (" - ", " + "), (" * ", " / "), (" / ", " * ")),
    *((".transpose(", ".unflatten("), (".exp()", ".abs()"), (".sqrt()", ".abs()")),
    *(("F.relu(", "F.relu6("), (".mean(", ".sum("), ("dim=", "start="), ("start=", "end=")),
]


def templates(template: str) -> Iterator[tuple[str, str]]:
    """(what was done, the template after it)."""
    for index, match in enumerate(_NUMBER.finditer(template)):
        text = template[: match.start()] + str(int(match[0]) + 1) + template[match.end() :]
        yield f"raise number {index}", text
    for index, match in enumerate(re.finditer(r"-(\d)", template)):
        text = template[: match.start()] + match[1] + template[match.end() :]
        yield f"drop sign {index}", text
    for old, new in _TEMPLATE_SWAPS:
        if old in template:
            yield f"{old.strip()} becomes {new.strip()}", template.replace(old, new, 1)
    for index, match in enumerate(re.finditer(r", \w+=(\{\w+\}|True)(?=[,)])", template)):
        yield f"drop argument {index}", template[: match.start()] + template[match.end() :]


# -- changes of calls -----------------------------------------------------------------------


def changes(
    method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """(change, slot) of everything that can be wrong about a call."""
    target, _, name = method.partition(".")
    if name in ("require_opset", "refuse"):
        yield "ignore", ""
    elif name == "weight":
        yield "take another", ""
    elif name == "constant":
        yield from (("change", "values"), ("reverse", "values"), ("change last", "values"))
        yield "change", "dtype"
    elif name == "dims":
        yield from (("change", "shape"), ("reverse", "shape"))
    elif name == "split":
        yield from (("change", "axis"), ("reverse", "sizes"))
    else:
        yield from _call_changes(target, name, args, kwargs)


def _call_changes(
    target: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    head, operands = args[0], args[1:]
    if name in ("op", "ops"):
        yield "replace", "operator"
        if kwargs.get("type") is not None:
            yield from (("change shape", "type"), ("change dtype", "type"))
    if name == "module":
        yield "replace", "constructor"
    if name == "expr":
        yield from (("template", what) for what, _ in templates(head))
    if not (name == "op" and head in COMMUTATIVE):
        yield from (("swap", str(i)) for i in range(len(operands) - 1))
    if name == "module":
        yield from (("change", str(i)) for i in range(len(operands)))
    if name in ("op", "ops") and len(operands) > 1:
        yield "omit", str(len(operands) - 1)
    for key, value in kwargs.items():
        if key in ("type", "types") and name in ("op", "ops"):
            continue
        yield "change", key
        if name != "expr":
            yield "drop", key
        inner = value.value if isinstance(value, Default) else value
        if isinstance(inner, (list, tuple)) and len(inner) > 1:
            yield "reverse", key


def apply(mutant: Mutant, emitter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The call with its fault; the same call where the fault makes no difference."""
    name = mutant.method.partition(".")[2]
    change, slot = mutant.change, mutant.slot
    if name == "weight":
        return (_other_weight(emitter, args[0]),), kwargs
    if name in ("constant", "dims", "split"):
        return _apply_named(name, change, slot, args, kwargs)
    if change == "replace":
        return (_replaced(slot, args), *args[1:]), kwargs
    if change == "template":
        return (dict(templates(args[0])).get(slot, args[0]), *args[1:]), kwargs
    if slot == "type":
        return args, {**kwargs, "type": _retyped(change, kwargs.get("type"))}
    if change == "swap":
        at = int(slot) + 1
        swapped = list(args)
        swapped[at : at + 2] = reversed(swapped[at : at + 2])
        return tuple(swapped), kwargs
    if change == "omit":
        return (args[:-1] if len(args) == int(slot) + 2 else args), kwargs
    if slot.isdigit():
        at = int(slot) + 1
        return (*args[:at], *(changed(a) for a in args[at : at + 1]), *args[at + 1 :]), kwargs
    if slot not in kwargs:
        return args, kwargs
    if change == "drop":
        return args, {key: value for key, value in kwargs.items() if key != slot}
    function = reversed_ if change == "reverse" else changed
    return args, {**kwargs, slot: function(kwargs[slot])}


def _apply_named(
    name: str, change: str, slot: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call:
    positions = {"constant": ["values", "dtype", "shape"], "dims": ["shape", "like"]}
    named = dict(zip(positions.get(name, ["x"]), args, strict=False)) | kwargs
    value = named.get(slot, DType.INT64)
    before = tuple(value) if isinstance(value, Sequence) else value
    if slot == "dtype":
        other = {DType.INT64: DType.INT32, DType.FLOAT32: DType.FLOAT64}
        named[slot] = other.get(value, value)
    elif change == "reverse":
        named[slot] = reversed_(before)
    elif change == "change last":
        named[slot] = reversed_(changed(reversed_(before))) if _long(value) else before
    else:
        named[slot] = changed(before)
    return (args, kwargs) if named[slot] == before else ((), named)


def _long(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) > 1


def _replaced(slot: str, args: tuple[Any, ...]) -> str:
    head = args[0]
    if slot == "constructor":
        return MODULES.get(head, "nn.Identity")
    fallback = "Neg" if len(args) == 2 else head
    return SIBLINGS.get(head, fallback)


def _retyped(change: str, type_: TensorType | None) -> TensorType | None:
    if type_ is None:
        return None
    if change == "change dtype":
        is_double = type_.dtype is DType.FLOAT64
        return TensorType(type_.shape, DType.INT64 if is_double else DType.FLOAT64)
    shape = tuple(dim + 1 if i == 0 else dim for i, dim in enumerate(reversed(type_.shape)))
    return type_.with_shape(shape[::-1])


def _other_weight(emitter: Any, name: str) -> str:
    node = emitter._node if isinstance(emitter, LayerEmitter) else emitter.node
    names = [ref.weight.name for ref in node.weights]
    return names[(names.index(name) + 1) % len(names)]

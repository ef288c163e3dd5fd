"""Faults put into the lowerings, one at a time, where an op speaks to an emitter.

A *site* is a call in the source of an op (`g.op(...)`, `t.module(...)`, ...): its line and what is
called. A *mutant* is a site and one change of the call's arguments, made whenever the site is
passed. Sites are found by running the op's own random cases, changes follow from the arguments
seen there; nothing is written by hand for one op.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import archc.ops
from archc.ops.base import Cost, Default, Weight
from archc.ops.initial import Computed
from archc.ops.table import OPS
from archc.targets.onnx.layer import LayerEmitter
from archc.targets.torch.lower import _Recorder
from archc.types import DType, TensorType

OPS_FOLDER = str(Path("archc", "ops"))

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

    def __str__(self) -> str:
        place = f" ({self.function})" if self.place else ""
        return f"{self.op}: {self.method} {self.head}{place}: {self.change} {self.slot}".rstrip()


Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments of a call, the object itself left out."""

_METHODS: dict[str, tuple[type, str]] = {
    **{f"onnx.{name}": (LayerEmitter, name) for name in ("op", "ops", "weight", "constant")},
    **{
        f"onnx.{name}": (LayerEmitter, name)
        for name in ("split", "dims", "require_opset", "refuse")
    },
    **{f"torch.{name}": (_Recorder, name) for name in ("module", "expr", "weight")},
}


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


# -- watching and changing ------------------------------------------------------------------


def _place() -> str:
    """File, function and line of the op's source that makes the call."""
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if OPS_FOLDER in path:
            return f"{Path(path).name}:{frame.f_code.co_qualname}:{frame.f_lineno}"
        if "archc" not in path:
            return ""
        frame = frame.f_back  # type: ignore[assignment]
    return ""


Hook = Callable[[str, str, Any, tuple[Any, ...], dict[str, Any]], Call]


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Have `hook(method, place, emitter, args, kwargs)` decide what emitters are called with."""
    originals = {method: getattr(owner, name) for method, (owner, name) in _METHODS.items()}

    def wrapped(method: str) -> Callable[..., Any]:
        original = originals[method]

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            place = _place()
            if not place:  # a target calls itself, as `split` calls `constant`
                return original(self, *args, **kwargs)
            given, named = hook(method, place, self, args, kwargs)
            return None if given == ("ignored",) else original(self, *given, **named)

        return call

    for method, (owner, name) in _METHODS.items():
        setattr(owner, name, wrapped(method))
    try:
        yield
    finally:
        for method, (owner, name) in _METHODS.items():
            setattr(owner, name, originals[method])


COMPUTED = "(computed)"


@cache
def _sources() -> str:
    """The text of all ops."""
    return "".join(path.read_text() for path in sorted(Path(archc.ops.__path__[0]).glob("*.py")))


def head_of(method: str, args: tuple[Any, ...]) -> str:
    """What tells two calls on one line apart.

    A template that an op computes is one site, whatever it came out as: a fault of the source
    shows in all of them.
    """
    if method == "torch.expr" and args[0] not in _sources():
        return COMPUTED
    if method in (
        "onnx.op",
        "onnx.ops",
        "torch.module",
        "torch.expr",
        "onnx.weight",
        "torch.weight",
    ):
        return str(args[0])
    return ""


@contextmanager
def watched(op: str, found: set[Mutant]) -> Iterator[None]:
    """Collect every mutant that makes a difference to one of the calls that are made."""

    def hook(method: str, place: str, emitter: Any, args: Any, kwargs: Any) -> Call:
        for change, slot in changes(method, args, kwargs):
            mutant = Mutant(op, method, place, head_of(method, args), change, slot)
            if mutant not in found and differs(mutant, emitter, args, kwargs):
                found.add(mutant)
        return args, kwargs

    with hooked(hook):
        yield


@contextmanager
def broken(mutant: Mutant) -> Iterator[list[bool]]:
    """Put the fault in; yields a list that holds something once it made a difference."""
    effective: list[bool] = []
    if not mutant.place:
        with _declared(mutant, effective):
            yield effective
        return

    def hook(method: str, place: str, emitter: Any, args: Any, kwargs: Any) -> Call:
        here = (method, place, head_of(method, args)) == (mutant.method, mutant.place, mutant.head)
        if not here:
            return args, kwargs
        if mutant.change == "ignore":
            effective.append(True)
            return ("ignored",), {}
        if differs(mutant, emitter, args, kwargs):
            effective.append(True)
        return apply(mutant, emitter, args, kwargs)

    with hooked(hook):
        yield effective


def differs(mutant: Mutant, emitter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a fault makes a difference to a call."""
    if mutant.change == "ignore":
        return True
    given, named = apply(mutant, emitter, args, kwargs)
    return (given, _written(named)) != (args, _written(kwargs))


def _written(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments that generated source spells out."""
    return {
        key: value
        for key, value in kwargs.items()
        if not (isinstance(value, Default) and value.value == value.default)
    }


# -- declarations ---------------------------------------------------------------------------


def declared(op: str, rank: int, weights: int) -> list[Mutant]:
    """Mutants of what an op says of shapes, weights and work.

    Args:
        op: the op.
        rank: the largest rank of a first result.
        weights: the largest number of weights.
    """
    made = [Mutant(op, "infer", "", "", "raise", f"axis {axis}") for axis in range(rank)]
    made += [Mutant(op, "infer", "", "", "change", what) for what in ("dtype", "rank")]
    made += [
        Mutant(op, "weights", "", "", change, str(index))
        for change in ("drop", "change shape", "change dtype", "flip buffer", "rename")
        for index in range(weights)
    ]
    return [*made, Mutant(op, "cost", "", "", "change", "macs")]


@contextmanager
def _declared(mutant: Mutant, effective: list[bool]) -> Iterator[None]:
    owner = OPS[mutant.op]
    original = getattr(owner, mutant.method)
    own = mutant.method in owner.__dict__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        wrong = _misdeclared(mutant, result)
        if wrong != result:
            effective.append(True)
        return wrong

    setattr(owner, mutant.method, call)
    try:
        yield
    finally:
        if own:
            setattr(owner, mutant.method, original)
        else:
            delattr(owner, mutant.method)


def _misdeclared(mutant: Mutant, result: Any) -> Any:
    if mutant.method == "cost":
        return Cost(macs=result.macs * 2 + 1)
    if mutant.method == "weights":
        return _wrong_weights(mutant, result)
    if isinstance(result, tuple):
        return (_wrong_type(mutant.slot, result[0]), *result[1:])
    return _wrong_type(mutant.slot, result)


def _wrong_type(slot: str, type_: TensorType) -> TensorType:
    if slot == "dtype":
        return TensorType(type_.shape, DType.FLOAT64)
    if slot == "rank":
        return type_.with_shape((*type_.shape, 1))
    axis = int(slot.removeprefix("axis "))
    if axis >= type_.rank:
        return type_
    shape = list(type_.shape)
    shape[axis] = shape[axis] + 1
    return type_.with_shape(shape)


def _wrong_weights(mutant: Mutant, result: tuple[Weight, ...]) -> tuple[Weight, ...]:
    index = int(mutant.slot)
    if index >= len(result):
        return result
    weight = result[index]
    before, after = result[:index], result[index + 1 :]
    match mutant.change:
        case "drop":
            return (*before, *after)
        case "change shape":
            weight = replace(weight, shape=tuple(size + 1 for size in weight.shape) or (1,))
        case "change dtype":
            weight = replace(weight, dtype=DType.FLOAT64)
        case "flip buffer":
            weight = replace(weight, buffer=not weight.buffer)
        case "rename" if not isinstance(weight.init, Computed):
            weight = replace(weight, name=f"{weight.name}_")
    return (*before, weight, *after)

"""Faults put into the lowerings, one at a time, where an op speaks to an emitter.

A *site* is a call in the source of an op (`g.op(...)`, `t.module(...)`, ...): its line and what is
called. A *mutant* is a site and one change of the call's arguments, made whenever the site is
passed. Sites are found by running the op's own random cases, changes follow from the arguments
seen there; nothing is written by hand for one op.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import archc.ops
from archc.ops.base import Default
from archc.targets.onnx.layer import LayerEmitter
from archc.targets.torch.lower import _Recorder
from tests.mutants.changes import Call, Mutant, apply, changes
from tests.mutants.declared import misdeclared

OPS_FOLDER = str(Path("archc", "ops"))

_METHODS: dict[str, tuple[type, str]] = {
    **{f"onnx.{name}": (LayerEmitter, name) for name in ("op", "ops", "weight", "constant")},
    **{
        f"onnx.{name}": (LayerEmitter, name)
        for name in ("split", "dims", "require_opset", "refuse")
    },
    **{f"torch.{name}": (_Recorder, name) for name in ("module", "expr", "weight")},
}


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
        with misdeclared(mutant, effective):
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

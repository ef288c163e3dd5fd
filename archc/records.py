"""`dataclass` as in the standard library, but for the time it takes to make a class.

The standard decorator (until Python 3.13) compiles every method of every class by itself, and
makes a class anew when it has slots: for the records that a check uses, a fifth of its whole time.
Here only the constructor of a record with slots is compiled, when the first one is made, and that
of a frozen record is twice as fast itself. Whatever has no slots goes to the standard decorator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, field, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
    from dataclasses import dataclass as _standard
else:
    from dataclasses import dataclass as _standard

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True, **options):
        """See `dataclasses.dataclass`."""

        def decorate(cls: type) -> type:
            if not slots or options or cls.__bases__ != (object,):
                return _standard(frozen=frozen, slots=slots, eq=eq, **options)(cls)
            return _record(cls, frozen, eq)

        return decorate if cls is None else decorate(cls)


__all__ = ["dataclass", "field", "fields", "replace"]


def _record(cls: type, frozen: bool, eq: bool) -> type:
    # The standard decorator reads the fields and makes no method.
    listed = fields(_standard(init=False, repr=False, eq=False)(cls))
    assert not any(one.kw_only for one in listed), cls
    content = dict(vars(cls))
    for name in ("__dict__", "__weakref__", *(one.name for one in listed)):
        content.pop(name, None)
    content["__slots__"] = tuple(one.name for one in listed)
    content["__qualname__"] = cls.__qualname__
    made = {"__repr__": _repr, **(_FROZEN if frozen else {}), **(_comparison(listed) if eq else {})}
    if eq and not frozen:
        made["__hash__"] = None
    for name, method in made.items():
        content.setdefault(name, method)
        if content[name] is None:  # `__hash__`, which a class with its own `__eq__` loses
            content[name] = method
    record = type(cls)(cls.__name__, cls.__bases__, content)
    setattr(record, "__init__", _first(record, frozen, listed))  # noqa: B010 - not for mypy
    return record


def _first(record: type, frozen: bool, listed: tuple[Field[Any], ...]) -> Any:
    """A constructor that puts the one to be compiled in its place: many records are never made."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        made = _constructor(record, frozen, listed)
        setattr(record, "__init__", made)  # noqa: B010 - not for mypy
        made(self, *args, **kwargs)

    return __init__


def _constructor(record: type, frozen: bool, listed: tuple[Field[Any], ...]) -> Any:
    scope: dict[str, Any] = {"factory": _FACTORY}
    parameters, lines = [], []
    for one in listed:
        parameter, value = _texts(one, scope)
        if one.init:
            parameters.append(parameter)
        if not value:
            continue
        if frozen:  # what sets a slot, without asking the class, which refuses
            scope[f"set_{one.name}"] = getattr(record, one.name).__set__
            lines.append(f"    set_{one.name}(self, {value})")
        else:
            lines.append(f"    self.{one.name} = {value}")
    if hasattr(record, "__post_init__"):
        lines.append("    self.__post_init__()")
    made: dict[str, Any] = {}
    # The text holds names of fields of classes of archc, nothing else.
    head = f"def __init__(self, {', '.join(parameters)}):"
    exec("\n".join([head, *lines, "    return"]), scope, made)
    return made["__init__"]


def _texts(one: Field[Any], scope: dict[str, Any]) -> tuple[str, str]:
    """A field as a parameter, and the value it is set to: none if `__post_init__` sets it."""
    name = one.name
    if one.default is not MISSING:
        scope[f"default_{name}"] = one.default
        return f"{name}=default_{name}", name if one.init else f"default_{name}"
    if one.default_factory is not MISSING:
        scope[f"make_{name}"] = one.default_factory
        made = f"make_{name}()"
        return f"{name}=factory", f"{made} if {name} is factory else {name}" if one.init else made
    return name, name if one.init else ""


class _Factory:
    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()
"""Default of a parameter whose field makes its own."""


def _comparison(listed: tuple[Field[Any], ...]) -> dict[str, Any]:
    names = [one.name for one in listed if one.compare]
    key: Callable[[object], object] = attrgetter(*names)
    if len(names) == 1:  # alone it gives no tuple, which compares an object with itself as equal
        alone = key
        key = lambda one: (alone(one),)  # noqa: E731

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(key(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _repr(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"


def _set(self: Any, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)


_FROZEN = {
    "__setattr__": _set,
    "__delattr__": _delete,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}

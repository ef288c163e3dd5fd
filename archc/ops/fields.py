"""Types of op attributes, each with one message that says what is accepted.

A `PydanticCustomError` raised here has a diagnostic code as its type; elaboration puts it at the
attribute's place in the spec.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.types import Dim, Expr

MAX_SHOWN = 80
"""Characters of a value that a message shows."""


def describe(value: object) -> str:
    """A value as a message shows it, with its kind."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}` (a boolean)"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the word `{_shortened(value)}`"
    if isinstance(value, (list, tuple)):
        return f"the list {_shortened(str(list(value[:MAX_SHOWN])))}"
    return f"`{_shortened(str(value))}`"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def whole(value: Any, least: int | None, what: str) -> int:
    """Accept an integer of at least `least`.

    Raises:
        PydanticCustomError: `not-an-integer`, `wrong-type` or `bad-value`.
    """
    if isinstance(value, float):
        raise PydanticCustomError(
            "not-an-integer",
            "must be an integer, not the float {value}",
            {"value": value, "help": "wrap it in int() or use // instead of /"},
        )
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError(
            "wrong-type", "must be {what}, not {value}", {"what": what, "value": describe(value)}
        )
    if least is not None and value < least:
        raise PydanticCustomError(
            "bad-value", "must be at least {least}, not {value}", {"least": least, "value": value}
        )
    return value


def _integer(least: int | None, what: str) -> Callable[[Any], int]:
    return lambda value: whole(value, least, what)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PydanticCustomError(
            "wrong-type", "must be a number, not {value}", {"value": describe(value)}
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise PydanticCustomError(
            "bad-value", "must be a finite number, not {value}", {"value": number}
        )
    return number


def _positive_number(value: Any) -> float:
    number = _number(value)
    if number <= 0.0:
        raise PydanticCustomError(
            "bad-value", "must be greater than 0, not {value}", {"value": number}
        )
    return number


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise PydanticCustomError(
            "wrong-type", "must be true or false, not {value}", {"value": describe(value)}
        )
    return value


def _probability(value: Any) -> float:
    number = _number(value)
    if not 0.0 <= number <= 1.0:
        raise PydanticCustomError(
            "bad-value", "must be a probability from 0 to 1, not {value}", {"value": number}
        )
    return number


def integers(least: int | None, what: str) -> Callable[[Any], int | tuple[int, ...]]:
    """A validator of one integer or a list with one per axis."""

    def validate(value: Any) -> int | tuple[int, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(whole(item, least, what) for item in value)
        return whole(value, least, f"{what} or a list of them")

    return validate


def _dim(value: Any) -> Dim:
    return value if isinstance(value, Expr) else whole(value, None, "an integer or a symbolic dim")


_INT_SCHEMA = {"type": "integer"}
_POSITIVE_SCHEMA = {"type": "integer", "minimum": 1}
_NATURAL_SCHEMA = {"type": "integer", "minimum": 0}


def _one_or_list(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


Int = Annotated[int, BeforeValidator(_integer(None, "an integer")), WithJsonSchema(_INT_SCHEMA)]
PositiveInt = Annotated[
    int, BeforeValidator(_integer(1, "a positive integer")), WithJsonSchema(_POSITIVE_SCHEMA)
]
NonNegativeInt = Annotated[
    int, BeforeValidator(_integer(0, "a non-negative integer")), WithJsonSchema(_NATURAL_SCHEMA)
]
Number = Annotated[float, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
PositiveNumber = Annotated[
    float,
    BeforeValidator(_positive_number),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
Probability = Annotated[
    float,
    BeforeValidator(_probability),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
PositiveInts = Annotated[
    int | tuple[int, ...],
    BeforeValidator(integers(1, "a positive integer")),
    WithJsonSchema(_one_or_list(_POSITIVE_SCHEMA)),
]
NonNegativeInts = Annotated[
    int | tuple[int, ...],
    BeforeValidator(integers(0, "a non-negative integer")),
    WithJsonSchema(_one_or_list(_NATURAL_SCHEMA)),
]
DimField = Annotated[Any, BeforeValidator(_dim), WithJsonSchema({"type": ["integer", "string"]})]

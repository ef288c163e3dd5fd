"""The JSON schema of every attribute takes what the attribute takes, to the last number."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from archc.ops.base import Op
from archc.ops.images import CenterCrop, ChannelAffine
from archc.ops.table import OPS

KNOWN: dict[str, type[Op]] = {**OPS, "center_crop": CenterCrop, "channel_affine": ChannelAffine}
NUMBERS = [-2, -1, 0, 1, 2, 3, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]
WORDS = ["half", "nearest", "bilinear", "none", "tanh", "reflect", "constant", "qwerty"]
LISTS: list[Any] = [
    *([0], [1], [2], [-1], [1, 2], [0, 1], [0, 0], [1, 2, 3], [0.5], [0.0], ["x"], [True]),
    *([[0, 1]], [[1, 2, 3]], [[1]], [[0, 1], [1, 0]]),
]
VALUES: list[Any] = [*NUMBERS, *WORDS, *LISTS, True, False, None]

LOOSER = {
    "gelu.approximate": "`approximate: none` may be written as YAML's null",
    "rearrange.pattern": "whether a text is a pattern is no matter of a schema",
    "reshape.shape": "a text is a symbolic size, and which sizes fit depends on the input",
    "resize.size": "a text is a symbolic size",
}
"""Where a schema cannot say all, and why."""

KINDS: dict[str, Any] = {
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "array": lambda v: isinstance(v, list),
}


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value meets a schema, of the keywords that the ops use."""
    known = {"anyOf", "enum", "const", "type", "minimum", "maximum", "exclusiveMinimum"}
    known |= {"items", "minItems", "maxItems", "title", "default", "description"}
    assert set(schema) <= known
    if "anyOf" in schema:
        return any(fits(choice, value) for choice in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(KINDS[kind](value) for kind in kinds):
        return False
    if isinstance(value, list):
        most = schema.get("maxItems", len(value))
        fitting = schema.get("minItems", 0) <= len(value) <= most
        return fitting and all(fits(schema["items"], item) for item in value)
    if KINDS["number"](value):
        above = value > schema["exclusiveMinimum"] if "exclusiveMinimum" in schema else True
        return above and schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


def takes(op: type[Op], field: str, value: Any) -> bool:
    """Whether the op takes the value, whatever else it needs."""
    try:
        op.model_validate({field: value})
    except ValidationError as error:
        return all(one["loc"][:1] != (field,) for one in error.errors())
    return True


@pytest.mark.parametrize("name", KNOWN)
def test_schema_and_attribute_agree(name: str) -> None:
    op = KNOWN[name]
    schema = op.model_json_schema()
    assert "$defs" not in schema
    for field in op.model_fields:
        if f"{name}.{field}" not in LOOSER:
            wrong = [
                v for v in VALUES if fits(schema["properties"][field], v) != takes(op, field, v)
            ]
            assert wrong == [], field


def test_the_looser_ones_are_those_told() -> None:
    for name in LOOSER:
        op, _, field = name.partition(".")
        schema = KNOWN[op].model_json_schema()["properties"][field]
        differing = [v for v in VALUES if fits(schema, v) != takes(KNOWN[op], field, v)]
        assert differing
        if op == "gelu":
            assert differing == [None]
        else:
            assert all(fits(schema, value) for value in differing)


def test_a_list_of_nothing_is_none_to_a_schema() -> None:
    """The attribute takes it, and shape rules then miss the axes."""
    for name, field in (("conv", "kernel"), ("conv", "padding"), ("maxpool", "stride")):
        schema = OPS[name].model_json_schema()["properties"][field]
        assert not fits(schema, [])
    for name, field in (("resize", "size"), ("resize", "scale"), ("pad_to", "dims")):
        schema = OPS[name].model_json_schema()["properties"][field]
        assert not fits(schema, [])


@pytest.mark.parametrize("value", [0, 1, 1.0, "yes"])
def test_flags_are_true_or_false(value: Any) -> None:
    for name, op in KNOWN.items():
        for field in op.model_fields:
            if op.model_json_schema()["properties"][field].get("type") == "boolean":
                assert not takes(op, field, value), (name, field)

"""Padding: how it is written, what it comes to per axis, and how each target pads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import Literalish, OnnxEmitter, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here
from archc.ops.fields import describe, whole
from archc.types import Dim, TensorType, format_dim

PaddingWord = Literal["half", "same", "valid"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
Pair = tuple[Dim, Dim]
"""Elements added before and after along one axis."""

_WHAT = "a non-negative integer"
_ONNX_MODES = {
    "constant": "constant",
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def padding_item(value: Any) -> int | tuple[int, int]:
    """Validate the padding of one axis: an integer for both sides or [before, after].

    Raises:
        PydanticCustomError: `not-an-integer`, `wrong-type` or `bad-value`.
    """
    if not isinstance(value, (list, tuple)):
        return whole(value, 0, f"{_WHAT} or a pair [before, after]")
    if len(value) != 2:
        raise PydanticCustomError(
            "bad-value",
            "takes pairs [before, after] for each axis, not {value}",
            {"value": describe(value)},
        )
    return whole(value[0], 0, _WHAT), whole(value[1], 0, _WHAT)


def _padding(value: Any) -> str | int | tuple[int | tuple[int, int], ...]:
    if isinstance(value, (list, tuple)):
        return tuple(padding_item(item) for item in value)
    if isinstance(value, str):
        if value in ("half", "same", "valid"):
            return value
        raise PydanticCustomError(
            "bad-value",
            "must be an integer, a list with one entry per axis, or one of the words half, same, "
            "valid, not {value}",
            {"value": describe(value)},
        )
    return whole(value, 0, f"{_WHAT}, a list with one per axis, or half, same, valid")


ITEM_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 2,
            "maxItems": 2,
        },
    ]
}

Padding = Annotated[
    PaddingWord | int | tuple[int | tuple[int, int], ...],
    BeforeValidator(_padding),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["half", "same", "valid"]},
                {"type": "integer", "minimum": 0},
                {"type": "array", "items": ITEM_SCHEMA, "minItems": 1},
            ]
        }
    ),
]
"""`1`, `[1, 2]` (per axis), `[[0, 1], [1, 1]]` (before and after, per axis), `half`, `same`,
`valid`."""


def pair(item: int | tuple[int, int]) -> tuple[int, int]:
    """Before and after of one axis."""
    return (item, item) if isinstance(item, int) else item


def flat(pairs: Sequence[Pair]) -> tuple[Dim, ...]:
    """Pairs as `F.pad` takes them: the last axis first."""
    return tuple(amount for both in reversed(pairs) for amount in both)


def demand_mode(
    cx: ShapeContext,
    op: str,
    mode: str,
    x: TensorType,
    pairs: Sequence[tuple[int, int]],
    *,
    at: str = "padding",
) -> None:
    """Demand that the last axes are large enough to be padded with what they hold.

    Reflection leaves the edge out, so it has one element less to give than the axis is long;
    wrapping around goes once at most (torch.nn.functional.pad).

    Raises:
        Refusal: `bad-value`.
    """
    if mode not in ("reflect", "circular"):
        return
    spare = 1 if mode == "reflect" else 0
    for axis, both in enumerate(pairs, x.rank - len(pairs)):
        if both == (0, 0):
            continue
        size = x.shape[axis]
        most = f"{format_dim(size)} - 1" if spare else format_dim(size)
        refusal = Refusal(
            "bad-value",
            f"`{op}` pads axis {axis} by {max(both)} with mode {mode}, which gives {most} "
            "elements at most",
            at=at,
            because=comes_from_here(x),
            help=["use less padding, or mode replicate, which repeats the edge as often as needed"],
        )
        cx.at_least(size, max(both) + spare, refusal)


def pad_code(
    t: TorchEmitter,
    x: Operand | TorchCode,
    pairs: Sequence[Pair],
    mode: str = "constant",
    value: float = 0.0,
) -> TorchCode:
    """`F.pad` of the last axes; negative amounts crop."""
    literals: dict[str, Literalish] = {"pad": flat(pairs)}
    template = "F.pad({0}, {pad}"
    if mode not in ("constant", "zeros"):
        template += ", mode={mode}"
        literals["mode"] = mode
    elif value:
        template += ", value={value}"
        literals["value"] = value
    return t.expr(template + ")", x, **literals)


def pad_node(
    g: OnnxEmitter,
    x: Operand,
    pairs: Sequence[Pair],
    mode: str = "constant",
    value: float = 0.0,
    type: TensorType | None = None,
) -> Operand:
    """Pad of the last axes; the layer's output when `type` is None."""
    onnx_mode = _ONNX_MODES[mode]
    if onnx_mode == "wrap":
        g.require_opset(19, "circular padding is Pad's mode wrap")
    still = [0] * (x.type.rank - len(pairs))
    amounts = g.dims([*still, *(p[0] for p in pairs), *still, *(p[1] for p in pairs)])
    fill = None
    if value:
        fill = g.constant(value if x.type.dtype.is_floating else int(value), x.type.dtype, ())
    return g.op("Pad", x, amounts, fill, type=type, mode=onnx_mode)


def padded_type(x: TensorType, pairs: Sequence[Pair]) -> TensorType:
    """The type after padding the last axes."""
    first = x.rank - len(pairs)
    ends = [n + before + after for n, (before, after) in zip(x.shape[first:], pairs, strict=True)]
    return x.with_shape((*x.shape[:first], *ends))

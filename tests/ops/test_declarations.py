"""All that ops declare of a case, held against `declarations.txt`: what no other test compares.

Each case there was chosen because some small change of `archc/ops` shows in it and in no other
test: a rank refused one too early, the wrong input blamed, a suggestion left out, a number of the
arithmetic, an axis that is said to be read. What runs in the frameworks is tested against them
elsewhere (`test_reach.py`, the parity tests). ARCHC_UPDATE_DOCS=1 writes the answers anew; read the
difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from archc.ops.base import Op, Weight
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.images import CenterCrop, ChannelAffine, ToFloat
from archc.ops.reach import Reach
from archc.ops.table import OPS
from archc.types import DType, TensorType, format_dim, symbol

FILE = Path(__file__).with_name("declarations.txt")
KNOWN: dict[str, type[Op]] = {
    **OPS,
    "to_float": ToFloat,
    "channel_affine": ChannelAffine,
    "center_crop": CenterCrop,
}


def blocks() -> list[tuple[str, list[str]]]:
    """Cases, each with its answer."""
    parts = FILE.read_text(encoding="utf-8").split("\n\n")
    lines = [part.strip("\n").split("\n") for part in parts]
    return [(head, [line[4:] for line in rest]) for head, *rest in lines]


def type_of(text: str) -> TensorType:
    shape, _, dtype = text.partition("]")
    words = [word.strip() for word in shape.lstrip("[").split(",") if word.strip()]
    sizes = tuple(int(word) if word.isdecimal() else symbol(word) for word in words)
    return TensorType(sizes, DType(dtype.strip() or "float32"))


def answer(case: str) -> list[str]:
    """What the op says of attributes and inputs."""
    call, _, inputs = case.partition(" | ")
    name, _, attributes = call.partition(" ")
    xs = [type_of(text) for text in inputs.split("; ") if text]
    try:
        op = KNOWN[name].model_validate(json.loads(attributes))
    except ValidationError as error:
        return [
            f"{one['type']} {'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors()
        ]
    cx = ShapeContext()
    try:
        outcome = op.infer(cx, *xs)
    except Refusal as refusal:
        return list(refused(refusal))
    outputs = [outcome] if isinstance(outcome, TensorType) else list(outcome)
    return [*typed(outputs, cx), *declared(op, xs, outputs)]


def refused(refusal: Refusal) -> Iterator[str]:
    place = f" at {refusal.at}" if refusal.at else ""
    yield f"{refusal.code}{place}: {refusal.message}"
    if refusal.label:
        yield f"  label: {refusal.label}"
    yield from (f"  {index}: {text}" for index, text in refusal.because)
    yield from (f"  help: {text}" for text in refusal.help)


def typed(outputs: list[TensorType], cx: ShapeContext) -> Iterator[str]:
    many = len(outputs) > 8 and len(set(outputs)) == 1
    yield f"-> {len(outputs)} * {outputs[0]}" if many else "-> " + " ".join(map(str, outputs))
    for one in cx.conditions:
        yield f"if {format_dim(one.left)} {one.relation} {format_dim(one.right)}"


def declared(op: Op, xs: list[TensorType], outputs: list[TensorType]) -> Iterator[str]:
    yield from map(owned, op.weights(*xs))
    macs = op.cost(xs, outputs).macs
    if macs != 0:
        yield f"macs {format_dim(macs)}"
    yield from (f"= {line}" for line in op.explain(*xs))
    for reaches in op.reach(xs, outputs):
        yield "reads " + "; ".join(map(read, reaches))


def owned(weight: Weight) -> str:
    notes = " buffer" if weight.buffer else ""
    notes += "" if weight.zero_row is None else f" zeros at {weight.zero_row}"
    name = weight.name or "(own)"
    return f"{name} {list(weight.shape)} {weight.dtype.value} {weight.init}{notes}"


def read(reach: Reach) -> str:
    """`2*3-1..+1`: along axis 2 of the output, from `3*p - 1` to `3*p + 1`."""
    axes = ",".join(map(str, reach.axes))
    if reach.is_whole:
        return "all"
    if reach.stride is None:
        return f"some along {axes}" if axes else "some"
    if (reach.stride, reach.low, reach.high) == (1, 0, 0):
        return axes
    low, high = (f"{'' if str(end).startswith('-') else '+'}{end}" for end in reach[2:])
    return f"{axes}*{reach.stride}{low}..{high}"


@pytest.mark.skipif("ARCHC_UPDATE_DOCS" not in os.environ, reason="changes the file")
def test_the_answers_are_written_anew() -> None:
    parts = [
        "\n".join([case, *(f"    {line}".rstrip() for line in answer(case))])
        for case, _ in blocks()
    ]
    FILE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


@pytest.mark.parametrize(("case", "said"), blocks(), ids=lambda part: str(part)[:60])
def test_declaration(case: str, said: list[str]) -> None:
    assert [line.rstrip() for line in answer(case)] == said

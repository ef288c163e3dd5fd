"""Random spatial ops with inputs for them, right and wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from archc.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool
from archc.ops.base import Op
from archc.ops.conv import Conv
from archc.ops.conv_transpose import ConvTranspose
from archc.ops.pad import Pad, PadTo
from archc.ops.pool import AvgPool, MaxPool
from archc.ops.resize import Resize


@dataclass(frozen=True)
class Case:
    """An op and the shapes it is given."""

    name: str
    op: Op
    shapes: tuple[tuple[int, ...], ...]


ranks = st.integers(1, 3)
Draw = Any


def image(draw: Draw, count: int, channels: int | None = None) -> tuple[int, ...]:
    """[N, C, ...] with `count` spatial axes."""
    largest = (14, 10, 6)[count - 1]
    sizes = draw(st.lists(st.integers(1, largest), min_size=count, max_size=count))
    batch = draw(st.integers(1, 2))
    return (batch, draw(st.integers(1, 3)) if channels is None else channels, *sizes)


def each(draw: Draw, count: int, values: st.SearchStrategy[Any]) -> Any:
    """One value, or one for each axis."""
    return draw(st.one_of(values, st.lists(values, min_size=count, max_size=count)))


def paddings(draw: Draw, count: int, most: int) -> Any:
    """Padding in each of its forms."""
    amounts = st.integers(0, most)
    form = draw(st.sampled_from(["int", "int", "int", "list", "pairs", "half", "same", "valid"]))
    if form in ("half", "same", "valid"):
        return form
    if form == "int":
        return draw(amounts)
    items = amounts if form == "list" else st.tuples(amounts, amounts)
    return draw(st.lists(items, min_size=count, max_size=count))


@st.composite
def convs(draw: Draw) -> Case:
    count = draw(ranks)
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels = draw(st.sampled_from([groups, 2 * groups, 2 * groups, 3]))
    padding = paddings(draw, count, 3)
    attributes = {
        "out": draw(st.sampled_from([groups, 2 * groups, 2])),
        "kernel": each(draw, count, st.integers(1, 4)),
        "stride": 1 if padding == "same" else each(draw, count, st.integers(1, 3)),
        "padding": padding,
        "dilation": each(draw, count, st.sampled_from([1, 1, 2, 3])),
        "groups": groups,
        "bias": draw(st.booleans()),
        "padding_mode": draw(
            st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])
        ),
    }
    return Case("conv", Conv.model_validate(attributes), (image(draw, count, channels),))


@st.composite
def conv_transposes(draw: Draw) -> Case:
    count = draw(ranks)
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    attributes = {
        "out": draw(st.sampled_from([groups, 2 * groups])),
        "kernel": each(draw, count, st.integers(1, 4)),
        "stride": each(draw, count, st.integers(1, 3)),
        "padding": paddings(draw, count, 3),
        "output_padding": each(draw, count, st.sampled_from([0, 0, 1, 2])),
        "dilation": each(draw, count, st.sampled_from([1, 1, 2, 3])),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    shape = image(draw, count, groups * draw(st.integers(1, 2)))
    return Case("conv_transpose", ConvTranspose.model_validate(attributes), (shape,))


def _pool(draw: Draw, count: int) -> dict[str, Any]:
    padding = paddings(draw, count, 2)
    stride = draw(st.sampled_from(["kernel", "given"]))
    attributes = {
        "kernel": each(draw, count, st.integers(1, 4)),
        "stride": each(draw, count, st.integers(1, 5)) if stride == "given" else None,
        "padding": padding,
        "ceil": draw(st.booleans()),
    }
    return {**attributes, "stride": 1} if padding == "same" else attributes


@st.composite
def maxpools(draw: Draw) -> Case:
    count = draw(ranks)
    attributes = _pool(draw, count)
    attributes["dilation"] = each(draw, count, st.sampled_from([1, 1, 2, 3]))
    return Case("maxpool", MaxPool.model_validate(attributes), (image(draw, count),))


@st.composite
def avgpools(draw: Draw) -> Case:
    count = draw(ranks)
    attributes = _pool(draw, count)
    attributes["count_include_pad"] = draw(st.sampled_from([True, True, False]))
    attributes["divisor"] = draw(st.sampled_from([None, None, None, 1, 3]))
    if draw(st.integers(0, 2)) == 0:
        # Equal padding, and windows that hang over: what is drawn apart seldom comes to that.
        attributes |= {
            "kernel": draw(st.integers(2, 4)),
            "stride": draw(st.integers(1, 4)),
            "padding": 1,
            "count_include_pad": draw(st.booleans()),
            "divisor": None,
        }
    return Case("avgpool", AvgPool.model_validate(attributes), (image(draw, count),))


@st.composite
def adaptives(
    draw: Draw, kind: type[AdaptiveAvgPool] | type[AdaptiveMaxPool] | None = None
) -> Case:
    count = draw(ranks)
    kind = kind or draw(st.sampled_from([AdaptiveAvgPool, AdaptiveMaxPool]))
    op = kind.model_validate({"size": each(draw, count, st.integers(1, 7))})
    return Case(kind.word, op, (image(draw, count),))


@st.composite
def global_pools(draw: Draw) -> Case:
    return Case("global_avgpool", GlobalAvgPool(), (image(draw, draw(ranks)),))


@st.composite
def pads(draw: Draw) -> Case:
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=6)))
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    amounts = st.integers(0, 4)
    items = st.one_of(amounts, st.tuples(amounts, amounts))
    attributes = {
        "padding": draw(st.one_of(amounts, st.lists(items, min_size=1, max_size=len(shape) + 1))),
        "mode": mode,
        "value": draw(st.sampled_from([0.0, -1.5])) if mode == "constant" else 0.0,
    }
    return Case("pad", Pad.model_validate(attributes), (shape,))


@st.composite
def pad_tos(draw: Draw) -> Case:
    count = draw(ranks)
    axes = st.integers(-count - 2, count + 1)
    attributes = {
        "multiple": draw(st.integers(1, 5)),
        "dims": draw(st.one_of(st.none(), axes, st.lists(axes, min_size=1, max_size=3))),
        "value": draw(st.sampled_from([0.0, 2.0])),
    }
    return Case("pad_to", PadTo.model_validate(attributes), (image(draw, count),))


@st.composite
def resizes(draw: Draw) -> Case:
    count = draw(ranks)
    linear = ("linear", "bilinear", "trilinear")[count - 1]
    mode = draw(st.sampled_from(["nearest", "nearest", linear, linear, "linear", "bicubic"]))
    attributes: dict[str, Any] = {"mode": mode}
    if mode != "nearest":
        attributes["align_corners"] = draw(st.booleans())
    shapes = [image(draw, count)]
    by = draw(st.sampled_from(["size", "scale", "like"]))
    if by == "size":
        attributes["size"] = each(draw, count, st.integers(1, 13))
    elif by == "scale":
        scales = st.sampled_from([1, 2, 3, 4, 5, 7, 0.5, 0.25, 1.5, 2.5, 0.75, 1.25, 0.625])
        attributes["scale"] = each(draw, count, scales)
    else:
        attributes["like"] = True
        shapes.append(image(draw, count))
    return Case("resize", Resize.model_validate(attributes), tuple(shapes))


FAMILIES: dict[str, st.SearchStrategy[Case]] = {
    "conv": convs(),
    "conv_transpose": conv_transposes(),
    "maxpool": maxpools(),
    "avgpool": avgpools(),
    "adaptive": adaptives(),
    "global_avgpool": global_pools(),
    "pad": pads(),
    "pad_to": pad_tos(),
    "resize": resizes(),
}

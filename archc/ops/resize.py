"""Resizing the spatial axes by interpolation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import Literalish, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_floating
from archc.ops.fields import Flag, describe, whole
from archc.ops.forms import reshape
from archc.ops.nearest import gather_nearest, resize_agrees
from archc.ops.reach import UNTRACKED, Reach, Reaches
from archc.ops.spatial import axis_names, per_axis, spatial_rank, worked
from archc.types import (
    Dim,
    DType,
    Expr,
    TensorType,
    format_dim,
    format_shape,
    is_static,
    provably_equal,
)

MAX_DENOMINATOR = 1024
"""Scales are fractions with a power of two up to this one below the line."""


def _size(value: Any) -> Dim:
    return value if isinstance(value, Expr) else whole(value, 1, "a positive integer")


def _sizes(value: Any) -> Dim | tuple[Dim, ...] | None:
    if isinstance(value, (list, tuple)):
        return tuple(_size(item) for item in value)
    return None if value is None else _size(value)


def _scale(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PydanticCustomError(
            "wrong-type",
            "must be a number or a list with one per axis, not {value}",
            {"value": describe(value)},
        )
    if not (math.isfinite(value) and value > 0):
        raise PydanticCustomError(
            "bad-value", "must be a positive number, not {value}", {"value": value}
        )
    if Fraction(value).denominator > MAX_DENOMINATOR or value > 2**20:
        raise PydanticCustomError(
            "bad-value",
            "must be a multiple of 1/1024, which computers hold exactly, not {value}",
            {"value": value, "help": "write the sizes instead, e.g. size: [in_height // 3, ...]"},
        )
    return int(value) if value == int(value) else value


def _scales(value: Any) -> int | float | tuple[int | float, ...] | None:
    if isinstance(value, (list, tuple)):
        return tuple(_scale(item) for item in value)
    return None if value is None else _scale(value)


def _schema(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}, {"type": "null"}]}


Sizes = Annotated[
    Any,
    BeforeValidator(_sizes),
    WithJsonSchema(_schema({"type": ["integer", "string"], "minimum": 1})),
]
Scales = Annotated[
    int | float | tuple[int | float, ...] | None,
    BeforeValidator(_scales),
    WithJsonSchema(_schema({"type": "number", "exclusiveMinimum": 0})),
]
Mode = Literal["nearest", "linear", "bilinear", "trilinear", "bicubic"]

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class _Axis(NamedTuple):
    """One spatial axis: its size before and after, and the scale where one was given."""

    name: str
    size: Dim
    out: Dim
    scale: Fraction | None

    @property
    def formula(self) -> str:
        if self.scale is None:
            return f"{format_dim(self.size)} ->"
        size, (top, bottom) = format_dim(self.size), self.scale.as_integer_ratio()
        size = f"({size})" if " " in size else size
        return f"{size}*{top}" if bottom == 1 else f"({size}*{top})//{bottom}"

    @property
    def step(self) -> Fraction | None:
        """Input positions per output position; None when it depends on symbolic sizes."""
        if self.scale is not None:
            return 1 / self.scale
        if is_static(self.size) and is_static(self.out):
            return Fraction(self.size, self.out)
        more, less = self.out // self.size, self.size // self.out
        if is_static(more) and more > 0 and provably_equal(more * self.size, self.out):
            return Fraction(1, more)
        if is_static(less) and less > 0 and provably_equal(less * self.out, self.size):
            return Fraction(less)
        return None

    @property
    def corner_step(self) -> Fraction | None:
        """The same between the corners, which stay in their places."""
        if not (is_static(self.size) and is_static(self.out)):
            return None
        return Fraction(self.size - 1, self.out - 1) if self.out > 1 else Fraction(0)


class Resize(Op):
    """Interpolation of the spatial axes of [N, C, ...] to a size, by a scale, or like a layer.

    `linear` means bilinear for two spatial axes and trilinear for three. Positions are those of
    torch: pixel centres (`half_pixel`), or the corners with `align_corners`; `nearest` takes the
    element at `floor(i * in / out)`. With `scale` the size is `floor(size * scale)` and positions
    follow the scale itself, not the ratio of the sizes. Scales are fractions that computers hold
    exactly, and one above 1 has to make the axis longer.

    Source: torch.nn.functional.interpolate (without antialias), ONNX Resize.
    """

    channels_first = True
    principal = "size"
    references: ClassVar[tuple[str, ...]] = ("like",)

    size: Sizes = None
    scale: Scales = None
    mode: Mode = "nearest"
    align_corners: Flag = False
    like: Flag = False

    def infer(self, cx: ShapeContext, x: TensorType, like: TensorType | None = None) -> TensorType:
        """[N, C, ...] -> [N, C, *size]."""
        count = spatial_rank("resize", x)
        demand_floating(x)
        self._demand_one_way(like)
        self._torch_mode(count)
        axes = self._axes(x, like)
        for axis in axes:
            self._demand_change(cx, x, axis)
        return x.with_shape((*x.shape[:2], *(axis.out for axis in axes)))

    def _demand_one_way(self, like: TensorType | None) -> None:
        """Demand exactly one of `size`, `scale` and `like`.

        Raises:
            Refusal: `missing-attribute` or `bad-value`.
        """
        given = [
            name
            for name, value in (("size", self.size), ("scale", self.scale), ("like", like))
            if value is not None
        ]
        if not given:
            raise Refusal(
                "missing-attribute",
                "`resize` needs a size",
                help=["write one of {resize: 224}, {resize: , scale: 2}, {resize: , like: input}"],
            )
        if len(given) > 1:
            raise Refusal(
                "bad-value",
                f"`resize` takes one of size, scale and like, not {' and '.join(given)}",
                at=given[-1],
            )

    def _torch_mode(self, count: int) -> str:
        """The mode as torch names it for `count` spatial axes.

        Raises:
            Refusal: `bad-value`, the mode is for another number of axes, or has no corners.
        """
        linear = _LINEAR[count]
        if self.mode == "nearest":
            if self.align_corners:
                raise Refusal(
                    "bad-value",
                    "`resize`: align_corners has no meaning for mode nearest",
                    at="align_corners",
                    help=[f"leave it out, or write mode: {linear}"],
                )
            return "nearest"
        if self.mode == "linear":
            return linear
        if self.mode != linear and not (self.mode == "bicubic" and count == 2):
            plural = "axis" if count == 1 else "axes"
            raise Refusal(
                "bad-value",
                f"`resize`: mode {self.mode} does not work on {count} spatial {plural}",
                at="mode",
                help=[f"mode: {linear} does"],
            )
        return self.mode

    def _axes(self, x: TensorType, like: TensorType | None) -> list[_Axis]:
        names, sizes = axis_names(x.rank - 2), x.shape[2:]
        if like is not None:
            if like.rank != x.rank:
                raise Refusal(
                    "wrong-rank",
                    f"`resize` needs a `like` with {x.rank} axes as its input has, not "
                    f"{format_shape(like.shape)}",
                    at="like",
                    because=comes_from_here(like, 1),
                )
            return [_Axis(*axis, None) for axis in zip(names, sizes, like.shape[2:], strict=True)]
        if self.size is not None:
            outs = per_axis("resize", self.size, x, at="size")
            return [_Axis(*axis, None) for axis in zip(names, sizes, outs, strict=True)]
        assert self.scale is not None
        scales = per_axis("resize", self.scale, x, at="scale")
        fractions = [Fraction(scale) for scale in scales]
        return [
            _Axis(name, size, size * scale.numerator // scale.denominator, scale)
            for name, size, scale in zip(names, sizes, fractions, strict=True)
        ]

    def _demand_change(self, cx: ShapeContext, x: TensorType, axis: _Axis) -> None:
        """Demand that a scale leaves an element, and that one above 1 adds one.

        onnxruntime copies an axis whose size stays, whatever the scale says about positions.

        Raises:
            Refusal: `empty-output` or `bad-value`.
        """
        if axis.scale is None or axis.scale == 1:
            return
        scale = float(axis.scale)
        if axis.scale < 1:
            least = math.ceil(1 / axis.scale)
            refusal = Refusal(
                "empty-output",
                f"`resize`: scale {scale} needs a {axis.name} of at least {least}, "
                f"and it is {format_dim(axis.size)}",
                at="scale",
                because=comes_from_here(x),
            )
        else:
            least = math.ceil(1 / (axis.scale - 1))
            refusal = Refusal(
                "bad-value",
                f"`resize`: scale {scale} adds nothing to a {axis.name} below {least}, "
                f"and it is {format_dim(axis.size)}",
                at="scale",
                because=comes_from_here(x),
                help=["write the size instead"],
            )
        if least > 1:
            cx.at_least(axis.size, least, refusal)

    def explain(self, x: TensorType, like: TensorType | None = None) -> tuple[str, ...]:
        """`height (7*3)//2 = 10`."""
        axes = [axis for axis in self._axes(x, like) if axis.scale is not None]
        return worked((axis.name, axis.formula, axis.out) for axis in axes)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The neighbours that are interpolated; of `like` no element is read."""
        x = inputs[0]
        axes = self._axes(x, inputs[1] if len(inputs) > 1 else None)
        spatial = (self._neighbours(axis, i) for i, axis in enumerate(axes, 2))
        own = (Reach((0,)), Reach((1,)), *spatial)
        return (own,) if len(inputs) == 1 else (own, ())

    def _neighbours(self, axis: _Axis, index: int) -> Reach:
        """What a position of one axis reads, the edges left out of account."""
        step = axis.corner_step if self.align_corners else axis.step
        if step is None:
            return UNTRACKED
        if self.mode == "nearest":
            rest = Fraction(step.denominator - 1, step.denominator)
            return Reach((index,), step, -rest, 0)
        first = Fraction(0) if self.align_corners else (step - 1) / 2
        # Elements nearer than `width` count; positions are multiples of 1/grain.
        width = 2 if self.mode == "bicubic" else 1
        grain = math.lcm(step.denominator, first.denominator)
        reach = width - Fraction(1, grain)
        return Reach((index,), step, first - reach, first + reach)

    def to_torch(self, t: TorchEmitter, x: Operand, like: Operand | None = None) -> TorchCode:
        """`F.interpolate`."""
        literals: dict[str, Literalish] = {"mode": self._torch_mode(x.type.rank - 2)}
        operands = [x] if like is None else [x, like]
        if like is not None:
            target = "size={1}.shape[2:]"
        elif self.size is not None:
            target, literals["size"] = "size={size}", self.size
        else:
            target, literals["scale"] = "scale_factor={scale}", self.scale
        template = f"F.interpolate({{0}}, {target}, mode={{mode}}"
        if self.mode != "nearest":
            template += ", align_corners={corners}"
            literals["corners"] = self.align_corners
        return t.expr(template + ")", *operands, **literals)

    def to_onnx(self, g: OnnxEmitter, x: Operand, like: Operand | None = None) -> Operand:
        """Resize; Gather where it would take other neighbours than torch does."""
        axes = self._axes(x.type, None if like is None else like.type)
        if self.mode == "nearest":
            if not all(resize_agrees(axis.size, axis.out, axis.scale) for axis in axes):
                return gather_nearest(g, x, [(a.out, a.scale) for a in axes])
            return _resize(
                g,
                x,
                axes,
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        positions = "align_corners" if self.align_corners else "half_pixel"
        if self.mode == "bicubic":
            return _bicubic(g, x, axes, positions)
        return _resize(g, x, axes, mode="linear", coordinate_transformation_mode=positions)


def _bicubic(g: OnnxEmitter, x: Operand, axes: list[_Axis], positions: str) -> Operand:
    """Resize with the channels among the samples.

    Past a Resize as it is, onnxruntime moves a Transpose, and then has no cubic kernel for the
    order of axes that it made; past a Reshape it moves none.
    """
    n, c, *spatial = x.type.shape
    merged = x.type.with_shape((n * c, 1, *spatial))
    resized = x.type.with_shape((n * c, 1, *(axis.out for axis in axes)))
    y = _resize(
        g,
        reshape(g, x, merged.shape, merged),
        axes,
        type=resized,
        mode="cubic",
        coordinate_transformation_mode=positions,
        cubic_coeff_a=-0.75,
        exclude_outside=0,
    )
    return reshape(g, y, (n, c, *resized.shape[2:]))


def _resize(
    g: OnnxEmitter,
    x: Operand,
    axes: list[_Axis],
    type: TensorType | None = None,
    **attributes: Any,
) -> Operand:
    """Resize by scales where they were given, so that positions follow them; else to sizes."""
    if axes[0].scale is not None:
        scales = [1.0, 1.0, *(float(axis.scale or 1) for axis in axes)]
        return g.op("Resize", x, None, g.constant(scales, DType.FLOAT32), type=type, **attributes)
    # All sizes are given: where sizes are those of `axes` alone, onnxruntime mistakes them for all
    # of them when it moves a Transpose past the Resize.
    outs = [axis.out for axis in axes]
    return g.op(
        "Resize", x, None, None, g.dims([*x.type.shape[:2], *outs]), type=type, **attributes
    )

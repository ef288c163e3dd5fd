"""Ops that take parts of a tensor: one index, a range, equal or given shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext, static_size
from archc.ops.demands import axis_of, comes_from_here
from archc.ops.fields import Int, PositiveInt, describe, whole
from archc.ops.reach import UNTRACKED, Reach, Reaches
from archc.types import Dim, TensorType, ceil_div, format_dim, format_shape, is_static

MAX_OUTPUTS = 1000
"""Outputs of one layer."""


def _beyond(what: str, x: TensorType, axis: int, at: str) -> Refusal:
    size = format_dim(x.shape[axis])
    return Refusal(
        "bad-value",
        f"{what} is outside of axis {axis} of {format_shape(x.shape)}, whose size is {size}",
        at=at,
        because=[(0, f"{size} comes from here")],
    )


def _replaced(x: TensorType, axis: int, size: Dim) -> TensorType:
    return x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :]))


def _written(numbers: Mapping[str, int]) -> tuple[dict[str, str], dict[str, int]]:
    """How a template writes each number, and the literals it refers to.

    A negative number stands in the template itself: a literal would be put in parentheses.
    """
    texts = {name: str(n) if n < 0 else f"{{{name}}}" for name, n in numbers.items()}
    return texts, {name: n for name, n in numbers.items() if n >= 0}


class Select(Op):
    """One index along `dim`, which disappears; negative indices count from the end.

    Source: torch.select, ONNX Gather.
    """

    principal = "index"

    index: Int
    dim: Int = 1

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[a, b, c] -> [a, c] for dim 1."""
        axis = axis_of(self.dim, x)
        least = self.index + 1 if self.index >= 0 else -self.index
        cx.at_least(x.shape[axis], least, _beyond(f"index {self.index}", x, axis, "index"))
        return x.with_shape((*x.shape[:axis], *x.shape[axis + 1 :]))

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position along the axes that stay."""
        axis = axis_of(self.dim, inputs[0])
        return (
            tuple(
                UNTRACKED if i == axis else Reach((i - (i > axis),)) for i in range(inputs[0].rank)
            ),
        )

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x[:, index]`."""
        axis = axis_of(self.dim, x.type)
        texts, literals = _written({"index": self.index})
        return t.expr(f"{{0}}[{':, ' * axis}{texts['index']}]", x, **literals)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Gather with a scalar index, which removes the axis."""
        return g.op("Gather", x, g.constant(self.index), axis=axis_of(self.dim, x.type))


class Slice(Op):
    """Every `step`-th index from `start` up to `stop` (excluded) along `dim`.

    Negative positions count from the end. Unlike in Python, a position outside of the axis is
    refused instead of cut off. Source: Python slicing of torch tensors, ONNX Slice.
    """

    start: Int = 0
    stop: Int | None = None
    step: PositiveInt = 1
    dim: Int = 1

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[a, b, c] -> [a, b', c] for dim 1."""
        axis = axis_of(self.dim, x)
        start, stop = self._range(x.shape[axis])
        for at, place in (("start", self.start), ("stop", self.stop)):
            if place:
                refusal = _beyond(f"position {place}", x, axis, at)
                cx.at_least(x.shape[axis], abs(place), refusal)
        length = stop - start
        empty = Refusal(
            "empty-output",
            f"`slice` from {format_dim(start)} to {format_dim(stop)} takes nothing of axis {axis} "
            f"of {format_shape(x.shape)}",
            at="stop" if self.stop is not None else "start",
            because=comes_from_here(x),
        )
        cx.at_least(length, 1, empty)
        return _replaced(x, axis, ceil_div(length, self.step))

    def _range(self, size: Dim) -> tuple[Dim, Dim]:
        """First position and the one behind the last, counted from the start of the axis."""
        start = self.start if self.start >= 0 else size + self.start
        if self.stop is None:
            return start, size
        return start, self.stop if self.stop >= 0 else size + self.stop

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """The length of the range."""
        axis = axis_of(self.dim, x)
        start, stop = self._range(x.shape[axis])
        length = format_dim(ceil_div(stop - start, self.step))
        rounded = "" if self.step == 1 else f" in steps of {self.step}"
        return (f"axis {axis} {format_dim(start)} to {format_dim(stop)}{rounded} = {length}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The range's positions along `dim`, the same position along the others."""
        x = inputs[0]
        axis = axis_of(self.dim, x)
        start, _ = self._range(x.shape[axis])
        cut = Reach((axis,), self.step, start, start) if is_static(start) else UNTRACKED
        return (tuple(cut if i == axis else Reach((i,)) for i in range(x.rank)),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x[:, start:stop:step]`."""
        defaults = {"start": 0, "stop": None, "step": 1}
        given = {"start": self.start, "stop": self.stop, "step": self.step}
        texts, literals = _written(
            {name: n for name, n in given.items() if n is not None and n != defaults[name]}
        )
        tail = f":{texts['step']}" if "step" in texts else ""
        span = f"{texts.get('start', '')}:{texts.get('stop', '')}{tail}"
        axis = axis_of(self.dim, x.type)
        return t.expr(f"{{0}}[{':, ' * axis}{span}]", x, **literals)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Slice; the end of the axis is the largest number."""
        stop = 2**63 - 1 if self.stop is None else self.stop
        axis = axis_of(self.dim, x.type)
        parts = [g.constant([value]) for value in (self.start, stop, axis, self.step)]
        return g.op("Slice", x, *parts)


def _shares(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise PydanticCustomError(
            "wrong-type",
            "must be a list of sizes such as [32, 64], not {value}",
            {"value": describe(value), "help": "`chunk` makes equal shares of a given number"},
        )
    return tuple(whole(item, 1, "a positive integer") for item in value)


Shares = Annotated[
    tuple[int, ...],
    BeforeValidator(_shares),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}),
]


def _parted(op: str, x: TensorType, axis: int) -> int:
    """The fixed size of the axis that is parted."""
    size = x.shape[axis]
    return static_size(
        size,
        Refusal(
            "symbolic-weight",
            f"`{op}` needs a fixed size to part, and axis {axis} of {format_shape(x.shape)} is "
            f"{format_dim(size)}",
            at="dim",
            because=[(0, f"{format_dim(size)} comes from here")],
        ),
    )


def _demand_few(op: str, outputs: int, at: str) -> None:
    if outputs > MAX_OUTPUTS:
        raise Refusal(
            "too-large",
            f"`{op}` into {outputs:,} outputs; a layer has at most {MAX_OUTPUTS:,}",
            at=at,
        )


def _shares_reach(x: TensorType, axis: int) -> Reaches:
    return (tuple(UNTRACKED if i == axis else Reach((i,)) for i in range(x.rank)),)


def _split(g: OnnxEmitter, x: Operand, axis: int, sizes: Sequence[int]) -> tuple[Operand, ...]:
    types = [_replaced(x.type, axis, size) for size in sizes]
    return g.split(x, axis=axis, sizes=sizes, types=types)


class Split(Op):
    """Shares of given sizes along `dim`, as several outputs.

    Source: torch.split with a list of sizes, ONNX Split.
    """

    principal = "sizes"

    sizes: Shares
    dim: Int = 1

    def infer(self, cx: ShapeContext, x: TensorType) -> tuple[TensorType, ...]:
        """[a, b, c] -> [a, sizes[0], c], [a, sizes[1], c], ... for dim 1."""
        _demand_few("split", len(self.sizes), "sizes")
        axis = axis_of(self.dim, x)
        size: Dim = x.shape[axis]
        total = sum(self.sizes)
        refusal = Refusal(
            "shape-mismatch",
            f"the sizes of `split` add up to {total}, but axis {axis} of "
            f"{format_shape(x.shape)} is {format_dim(size)}",
            at="sizes",
            label=f"{' + '.join(map(str, self.sizes))} = {total}",
            because=[(0, f"{format_dim(size)} comes from here")],
        )
        cx.equal(size, total, refusal)
        return tuple(_replaced(x, axis, share) for share in self.sizes)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position; along `dim` it depends on which of the outputs."""
        return _shares_reach(inputs[0], axis_of(self.dim, inputs[0]))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.split([...], dim=dim)`."""
        only = "[0]" if len(self.sizes) == 1 else ""  # one result is a tensor, not a tuple
        template = f"{{0}}.split({{sizes}}, dim={{dim}}){only}"
        return t.expr(template, x, sizes=self.sizes, dim=self.dim)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> tuple[Operand, ...]:
        """Split."""
        return _split(g, x, axis_of(self.dim, x.type), self.sizes)


class Chunk(Op):
    """`chunks` equal shares along `dim`, as several outputs; a remainder is refused.

    Source: torch.chunk, ONNX Split.
    """

    principal = "chunks"

    chunks: PositiveInt
    dim: Int = 1

    def infer(self, cx: ShapeContext, x: TensorType) -> tuple[TensorType, ...]:
        """[a, b, c] -> `chunks` times [a, b / chunks, c] for dim 1."""
        axis = axis_of(self.dim, x)
        size = _parted("chunk", x, axis)
        _demand_few("chunk", self.chunks, "chunks")
        if size % self.chunks:
            raise Refusal(
                "indivisible",
                f"axis {axis} of {format_shape(x.shape)} cannot be parted into {self.chunks} "
                "equal chunks",
                at="chunks",
                label=f"{size} = {size // self.chunks} * {self.chunks} + {size % self.chunks}",
                because=[(0, f"{size} comes from here")],
            )
        return tuple(_replaced(x, axis, share) for share in self._sizes(x, axis))

    def _sizes(self, x: TensorType, axis: int) -> list[int]:
        return [_parted("chunk", x, axis) // self.chunks] * self.chunks

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """The share."""
        axis = axis_of(self.dim, x)
        size = _parted("chunk", x, axis)
        return (f"axis {axis} {size} / {self.chunks} = {size // self.chunks}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """The same position; along `dim` it depends on which of the outputs."""
        return _shares_reach(inputs[0], axis_of(self.dim, inputs[0]))

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`x.chunk(chunks, dim=dim)`."""
        only = "[0]" if self.chunks == 1 else ""  # one result is a tensor, not a tuple
        template = f"{{0}}.chunk({{chunks}}, dim={{dim}}){only}"
        return t.expr(template, x, chunks=self.chunks, dim=self.dim)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> tuple[Operand, ...]:
        """Split."""
        axis = axis_of(self.dim, x.type)
        return _split(g, x, axis, self._sizes(x.type, axis))

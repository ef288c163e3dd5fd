"""`rearrange`: einops' notation for regrouping and reordering axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated

from pydantic import AfterValidator, ConfigDict
from pydantic_core import PydanticCustomError

from archc.ops.base import OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here
from archc.ops.fields import PositiveInt
from archc.ops.forms import reshape
from archc.ops.pattern import Groups, Pattern, PatternError, parse_pattern
from archc.ops.reach import WHOLE, Reach, Reaches, scattered
from archc.types import Dim, TensorType, dim_product, format_dim, format_shape, is_static


def _checked(text: str) -> str:
    try:
        parse_pattern(text)
    except PatternError as error:
        raise PydanticCustomError(
            "bad-value", "is not a pattern: {why}", {"why": str(error), "help": error.help}
        ) from None
    return text


class Rearrange(Op):
    """Axes regrouped and reordered by a pattern, `b (g c) h w -> b (c g) h w`.

    The left side names the axes of the input, parentheses part one of them; the right side says
    where each goes, parentheses merge. Sizes that do not follow from the input are attributes:
    `{rearrange: b (g c) h w -> b (c g) h w, g: 2}`. `...` stands for any number of axes, `1` for
    an axis of that size. Source: einops.rearrange; ONNX Reshape, Transpose, Reshape.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, PositiveInt]

    principal = "pattern"
    text_fields = frozenset({"pattern"})
    copies = True

    pattern: Annotated[str, AfterValidator(_checked)]

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes given for axes of the pattern."""
        return self.__pydantic_extra__ or {}

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """As the pattern says."""
        pattern = self._expanded(x)
        self._check_names(pattern)
        dims = self._dims(pattern, x, cx)
        return x.with_shape(_merge(pattern.right, dims))

    def _expanded(self, x: TensorType) -> Pattern:
        """The pattern for an input of this rank."""
        pattern = parse_pattern(self.pattern)
        named = len(pattern.left) - pattern.has_ellipsis
        if x.rank < named or (x.rank > named and not pattern.has_ellipsis):
            raise Refusal(
                "wrong-rank",
                f"the pattern names {named} axes, but {format_shape(x.shape)} has {x.rank}",
                at="pattern",
                because=comes_from_here(x),
            )
        return pattern.expand(x.rank - named)

    def _check_names(self, pattern: Pattern) -> None:
        names = pattern.names
        for name in self.sizes:
            if name not in names:
                raise Refusal(
                    "unknown-attribute",
                    f"`rearrange` has no attribute `{name}`, nor does its pattern name such an "
                    "axis",
                    at=name,
                    help=[f"the axes of the pattern are {', '.join(names)}"],
                )

    def _dims(self, pattern: Pattern, x: TensorType, cx: ShapeContext) -> dict[str, Dim]:
        """The size of each named axis."""
        dims: dict[str, Dim] = dict(self.sizes)
        for axis, (group, whole) in enumerate(zip(pattern.left, x.shape, strict=True)):
            unknown = [name for name in group if name not in self.sizes]
            if len(unknown) > 1:
                raise Refusal(
                    "missing-attribute",
                    f"`({' '.join(group)})` needs the size of all its axes but one",
                    at="pattern",
                    help=[f"give one of them: {unknown[0]}: 2"],
                )
            known = prod(self.sizes[name] for name in group if name in self.sizes)
            if unknown:
                cx.divisible(whole, known, self._indivisible(group, axis, x, known))
                dims[unknown[0]] = whole // known
            else:
                cx.equal(whole, known, self._unequal(group, axis, x, known))
        return dims

    def _indivisible(self, group: Sequence[str], axis: int, x: TensorType, known: int) -> Refusal:
        size = format_dim(x.shape[axis])
        return Refusal(
            "indivisible",
            f"axis {axis} of {format_shape(x.shape)} is {size}, which `({' '.join(group)})` cannot "
            f"part by {known}",
            at=next(name for name in group if name in self.sizes) if known > 1 else "pattern",
            because=[(0, f"{size} comes from here")],
        )

    def _unequal(self, group: Sequence[str], axis: int, x: TensorType, known: int) -> Refusal:
        size = format_dim(x.shape[axis])
        text = group[0] if len(group) == 1 else f"({' '.join(group)})" if group else "1"
        return Refusal(
            "shape-mismatch",
            f"axis {axis} of {format_shape(x.shape)} is {size}, but `{text}` is {known}",
            at=group[0] if group else "pattern",
            because=[(0, f"{size} comes from here")],
        )

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """The products of merged axes and the quotients of parted ones."""
        pattern = self._expanded(x)
        dims = self._dims(pattern, x, ShapeContext())
        sides = [(pattern.left, x.shape), (pattern.right, _merge(pattern.right, dims))]
        return tuple(
            f"({' '.join(group)}) = {' * '.join(_factor(dims[name]) for name in group)} = "
            f"{format_dim(whole)}"
            for groups, shape in sides
            for group, whole in zip(groups, shape, strict=True)
            if len(group) > 1
        )

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Whole axes that move keep their positions; parted and merged ones scatter them."""
        pattern = self._expanded(inputs[0])
        place = {name: (i, len(group)) for i, group in enumerate(pattern.right) for name in group}
        return (tuple(_moved([place[name] for name in group]) for group in pattern.left),)

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """Parts with `unflatten`, reorders with `permute`, merges with `flatten`.

        None of them names the sizes of other axes, so the batch stays free.
        """
        pattern = self._expanded(x.type)
        parting, sizes = _parting(pattern.left, self.sizes)
        order = pattern.order
        moving = "" if order == sorted(order) else f".permute({', '.join(map(str, order))})"
        return t.expr("{0}" + parting + moving + _merging(pattern.right), x, **sizes)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Reshape, Transpose, Reshape, without those that change nothing."""
        pattern = self._expanded(x.type)
        dims = self._dims(pattern, x.type, ShapeContext())
        result = x.type.with_shape(_merge(pattern.right, dims))
        order = pattern.order
        if order == sorted(order):
            return x if result == x.type else reshape(g, x, result.shape)
        parted = x.type.with_shape(dims[name] for group in pattern.left for name in group)
        moved = parted.with_shape(parted.shape[axis] for axis in order)
        if parted != x.type:
            x = reshape(g, x, parted.shape, parted)
        if moved == result:
            return g.op("Transpose", x, perm=order)
        return reshape(g, g.op("Transpose", x, type=moved, perm=order), result.shape)


def _moved(places: Sequence[tuple[int, int]]) -> Reach:
    """Where an axis goes: for each of its names the axis of the result and how many merge there."""
    if not places:
        return WHOLE
    if len(places) == 1 and places[0][1] == 1:
        return Reach((places[0][0],))
    return scattered(*(axis for axis, _ in places))


def _merge(groups: Groups, dims: Mapping[str, Dim]) -> tuple[Dim, ...]:
    """The size of each group."""
    return tuple(dim_product(dims[name] for name in group) for group in groups)


def _factor(dim: Dim) -> str:
    return format_dim(dim) if is_static(dim) else f"({format_dim(dim)})"


def _parting(groups: Groups, given: Mapping[str, int]) -> tuple[str, dict[str, tuple[int, ...]]]:
    """Calls that part the left side's groups, from the last axis on so that axes keep their place.

    The size that the pattern leaves open stays open.

    Returns:
        The calls as a template, and the sizes it refers to.
    """
    calls, sizes = "", dict[str, tuple[int, ...]]()
    for axis, group in reversed(list(enumerate(groups))):
        if not group:
            calls += f".squeeze({axis})"
        elif len(group) > 1:
            field = f"sizes{axis}"
            sizes[field] = tuple(given.get(name, -1) for name in group)
            calls += f".unflatten({axis}, {{{field}}})"
    return calls, sizes


def _merging(groups: Groups) -> str:
    """Calls that merge the right side's groups, from the first axis on."""
    calls = ""
    for axis, group in enumerate(groups):
        if not group:
            calls += f".unsqueeze({axis})"
        elif len(group) > 1:
            calls += f".flatten({axis}, {axis + len(group) - 1})"
    return calls

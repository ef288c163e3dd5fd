"""What attention is made of: its sizes, and its arithmetic in ONNX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from archc.ops.base import OnnxEmitter, Operand
from archc.ops.forms import DATA_TYPES, l2_normalise, reshape, scalar
from archc.types import Dim, DType, TensorType

MAX_LOGIT_SCALE = math.log(100.0)
"""Bound of the learned logarithm that scales cosines (arXiv 2111.09883)."""


HIDDEN = {
    DType.FLOAT32: -1.7014117331926443e38,
    DType.BFLOAT16: -1.6947656946257677e38,
    DType.FLOAT16: -32752.0,
}
"""Half the lowest number of each dtype, added to the score of what is hidden: with a score it is no
infinity, so that where everything is hidden the weights are equal and not nan."""


class AttentionSizes(NamedTuple):
    """What an attention works on.

    Attributes:
        batch: leading axes.
        length: positions that ask.
        context: positions that are asked.
        heads: of the queries.
        kv_heads: of keys and values.
        features: of a query and of a key, in one head.
        values: of a value, in one head.
    """

    batch: tuple[Dim, ...]
    length: Dim
    context: Dim
    heads: int
    kv_heads: int
    features: int
    values: int

    @property
    def scores(self) -> tuple[Dim, ...]:
        """The shape of the scores."""
        return (*self.batch, self.heads, self.length, self.context)


def attend(
    g: OnnxEmitter,
    main: Sequence[Operand],
    sizes: AttentionSizes,
    *,
    scale: float,
    cosine: Operand | None,
    terms: Sequence[Operand],
) -> Operand:
    """Attention, as the layer's output: Reshape, Transpose, MatMul, Softmax, MatMul and back.

    Args:
        g: the emitter.
        main: queries, keys and values, or one operand that holds them side by side.
        sizes: what it works on.
        scale: factor of the scores.
        cosine: logarithm of the factor, where directions only are compared.
        terms: added to the scores; together first, which is done but once where none of them
            depends on what flows.
    """
    query, key, value = main if len(main) == 3 else split_packed(g, main[0], sizes)
    query = _part(g, query, sizes.heads, sizes.features)
    key = _repeated(g, _part(g, key, sizes.kv_heads, sizes.features), sizes)
    value = _repeated(g, _part(g, value, sizes.kv_heads, sizes.values), sizes)
    if cosine is not None:
        query, key = (l2_normalise(g, x) for x in (query, key))
    else:
        query = g.op("Mul", query, scalar(g, scale, query), type=query.type)
    scores = _scores(g, query, key)
    if cosine is not None:
        scores = _scaled(g, scores, cosine)
    if terms:
        scores = g.op("Add", scores, summed(g, terms), type=scores.type)
    weights = g.op("Softmax", scores, type=scores.type, axis=-1)
    mixed = scores.type.with_shape((*sizes.scores[:-1], sizes.values))
    result = g.op("MatMul", weights, value, type=mixed)
    merged = scores.type.with_shape((*sizes.batch, sizes.length, sizes.heads, sizes.values))
    result = g.op("Transpose", result, type=merged, perm=_swapped(merged.rank, -3, -2))
    return reshape(g, result, (*sizes.batch, sizes.length, sizes.heads * sizes.values))


def summed(g: OnnxEmitter, terms: Sequence[Operand]) -> Operand:
    """The sum of at least one term, axes of size 1 repeated."""
    total = terms[0]
    for term in terms[1:]:
        shape = _broadcast(total.type.shape, term.type.shape)
        total = g.op("Add", total, term, type=total.type.with_shape(shape))
    return total


def _broadcast(first: Sequence[Dim], second: Sequence[Dim]) -> tuple[Dim, ...]:
    """The shape of a sum of two terms whose shapes are known to fit."""
    rank = max(len(first), len(second))
    padded = [(*[1] * (rank - len(shape)), *shape) for shape in (first, second)]
    return tuple(b if a == 1 else a for a, b in zip(*padded, strict=True))


def split_packed(g: OnnxEmitter, x: Operand, sizes: AttentionSizes) -> tuple[Operand, ...]:
    """Queries, keys and values that stand side by side along the last axis."""
    features = sizes.heads * sizes.features
    share = x.type.with_shape((*x.type.shape[:-1], features))
    return g.split(x, axis=x.type.rank - 1, sizes=[features] * 3, types=[share] * 3)


def _part(g: OnnxEmitter, x: Operand, heads: int, size: int) -> Operand:
    """[..., length, features] -> [..., heads, length, head features]."""
    *batch, length, _ = x.type.shape
    parted = x.type.with_shape((*batch, length, heads, size))
    x = reshape(g, x, parted.shape, parted)
    moved = parted.with_shape((*batch, heads, length, size))
    return g.op("Transpose", x, type=moved, perm=_swapped(moved.rank, -3, -2))


def _repeated(g: OnnxEmitter, x: Operand, sizes: AttentionSizes) -> Operand:
    """Each head of keys or values as often as there are queries' heads to a group."""
    if sizes.kv_heads == sizes.heads:
        return x
    *batch, _, context, size = x.type.shape
    single = x.type.with_shape((*batch, sizes.kv_heads, 1, context, size))
    groups = x.type.with_shape(
        (*batch, sizes.kv_heads, sizes.heads // sizes.kv_heads, context, size)
    )
    x = g.op("Unsqueeze", x, g.constant([len(batch) + 1]), type=single)
    x = g.op("Expand", x, g.dims(groups.shape), type=groups)
    merged = x.type.with_shape((*batch, sizes.heads, context, size))
    return reshape(g, x, merged.shape, merged)


def _scores(g: OnnxEmitter, query: Operand, key: Operand) -> Operand:
    *batch, context, size = key.type.shape
    flipped = key.type.with_shape((*batch, size, context))
    key = g.op("Transpose", key, type=flipped, perm=_swapped(flipped.rank, -2, -1))
    product = query.type.with_shape((*query.type.shape[:-1], context))
    return g.op("MatMul", query, key, type=product)


def _scaled(g: OnnxEmitter, scores: Operand, logarithm: Operand) -> Operand:
    """Scores times `exp(min(logarithm, log 100))`."""
    bounded = g.op("Min", logarithm, scalar(g, MAX_LOGIT_SCALE, scores), type=logarithm.type)
    factor = g.op("Exp", bounded, type=logarithm.type)
    return g.op("Mul", scores, factor, type=scores.type)


def mask_terms(
    g: OnnxEmitter, mask: Operand | None, visible: Operand | None, dtype: DType
) -> list[Operand]:
    """Masks as terms of the scores; what two of them hide is hidden once.

    Args:
        g: the emitter.
        mask: [..., length, context], in all heads alike: numbers, or what is seen.
        visible: [..., context], the keys that are seen by all queries.
        dtype: of the scores.
    """
    terms: list[Operand] = []
    seen: list[Operand] = []
    if mask is not None:
        mask = _unsqueezed(g, mask, [-3]) if mask.type.rank > 2 else mask
        (seen if mask.type.dtype is DType.BOOL else terms).append(mask)
    if visible is not None:
        if visible.type.dtype is not DType.BOOL:
            flags = TensorType(visible.type.shape, DType.BOOL)
            visible = g.op("Cast", visible, type=flags, to=DATA_TYPES[DType.BOOL])
        seen.append(_unsqueezed(g, visible, [-3, -2]))
    if len(seen) == 2:
        shape = (*seen[1].type.shape[:-2], *seen[0].type.shape[-2:])
        seen = [g.op("And", *seen, type=TensorType(shape, DType.BOOL))]
    if seen:
        zero, low = (g.constant(value, dtype, ()) for value in (0.0, HIDDEN[dtype]))
        hiding = TensorType(seen[0].type.shape, dtype)
        terms.append(g.op("Where", seen[0], zero, low, type=hiding))
    return terms


def causal_term(g: OnnxEmitter, sizes: AttentionSizes, dtype: DType) -> Operand:
    """Minus infinity for each pair of a query and a later key."""
    square = TensorType((sizes.length, sizes.context), dtype)
    never = g.constant(-math.inf, dtype, ())
    full = g.op("Expand", never, g.dims(square.shape), type=square)
    return g.op("Trilu", full, g.constant(1), type=square, upper=1)


def _unsqueezed(g: OnnxEmitter, x: Operand, axes: list[int]) -> Operand:
    rank = x.type.rank + len(axes)
    places = {axis % rank for axis in axes}
    sizes = iter(x.type.shape)
    shape = (1 if axis in places else next(sizes) for axis in range(rank))
    return g.op("Unsqueeze", x, g.constant(axes), type=x.type.with_shape(shape))


def _swapped(rank: int, first: int, second: int) -> list[int]:
    """The order of axes with two of them exchanged."""
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return order

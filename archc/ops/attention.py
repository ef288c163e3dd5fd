"""Attention between positions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from archc.ops.base import Cost, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_float32, demand_rank, demand_static
from archc.ops.fields import Flag, Number, PositiveInt, Probability
from archc.ops.forms import l2_normalise, reshape, scalar
from archc.ops.reach import UNTRACKED, WHOLE, Reach, Reaches
from archc.types import Dim, TensorType, dim_product, format_dim, format_shape

MAX_LOGIT_SCALE = math.log(100.0)
"""Bound of the learned logarithm that scales cosines (arXiv 2111.09883)."""


class _Sizes(NamedTuple):
    """What an attention works on.

    Attributes:
        batch: leading axes.
        length: positions that ask.
        context: positions that are asked.
        features: of a query and a key, over all heads.
        values: of a value, over all heads.
    """

    batch: tuple[Dim, ...]
    length: Dim
    context: Dim
    features: int
    values: int


class Attention(Op):
    """Scaled dot-product attention, `softmax(scale * q @ k.T + bias + mask) @ v` in each head.

    One input holds queries, keys and values side by side along the last axis; with three inputs
    (`from: [q, k, v]`) they are given apart. Each is parted into `heads`; there are no weights:
    projections are `linear` layers before and after.

    `scale` is `head_features ** -0.5` unless given. `causal` lets a position see itself and those
    before it. `dropout` acts on the attention weights in training. `bias` [heads, length, context]
    is added to the scores; `mask` [..., length, context] likewise, in all heads alike, its leading
    axes the last ones of the batch. `cosine` [heads, 1, 1] compares directions only: the scores are
    cosines times `exp(min(cosine, log 100))`, in place of `scale`.

    Source: torch.nn.functional.scaled_dot_product_attention, arXiv 1706.03762; cosine form
    arXiv 2111.09883; ONNX MatMul, Softmax, MatMul.
    """

    principal = "heads"
    arity = (1, 3)
    references = ("bias", "mask", "cosine")

    heads: PositiveInt
    scale: Number | None = None
    causal: Flag = False
    dropout: Probability = 0.0
    bias: Flag = False
    mask: Flag = False
    cosine: Flag = False

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        """[..., length, 3 * features] -> [..., length, features], or q, k, v -> like q."""
        main, referenced = self._parted(xs)
        for x in xs:
            demand_float32("attention", x)
        for x in main:
            demand_rank("attention", x, 3)
        if len(main) == 2:
            raise Refusal("wrong-arity", "`attention` takes 1 or 3 inputs, not 2")
        if self.cosine and self.scale is not None:
            raise Refusal(
                "bad-value",
                "`cosine` takes the place of `scale`; one of them is enough",
                at="scale",
            )
        sizes = self._sizes(main)
        self._demand_agreement(cx, main)
        if self.causal:
            self._demand_equal_lengths(cx, sizes)
        for name, x in referenced.items():
            self._demand_fit(cx, name, x, xs, sizes)
        return main[0].with_shape((*sizes.batch, sizes.length, sizes.values))

    def _parted(
        self, xs: Sequence[TensorType]
    ) -> tuple[Sequence[TensorType], dict[str, TensorType]]:
        """What attends, and what is referred to by name."""
        count = len(xs) - len(self.referenced)
        return xs[:count], dict(zip(self.referenced, xs[count:], strict=True))

    # -- sizes ----------------------------------------------------------------------------

    def _sizes(self, main: Sequence[TensorType]) -> _Sizes:
        first = main[0]
        why = "it is parted into heads"
        if len(main) == 1:
            packed = demand_static("attention", first, -1, why)
            self._demand_share(first, packed, 3 * self.heads, "queries, keys and values of")
            features = packed // 3
            length = first.shape[-2]
            return _Sizes(first.shape[:-2], length, length, features, features)
        features = demand_static("attention", first, -1, why)
        self._demand_share(first, features, self.heads, "")
        values = demand_static("attention", main[2], -1, why)
        self._demand_share(main[2], values, self.heads, "", 2)
        return _Sizes(first.shape[:-2], first.shape[-2], main[1].shape[-2], features, values)

    def _demand_share(
        self, x: TensorType, size: int, shares: int, what: str, operand: int = 0
    ) -> None:
        if size % shares == 0:
            return
        among = f"{what} {self.heads} heads".strip()
        raise Refusal(
            "indivisible",
            f"{size} features cannot be shared out among {among}: {format_shape(x.shape)}",
            at="heads",
            because=comes_from_here(x, operand),
            help=[
                "`attention` takes queries, keys and values: {linear: 3 * in_features} makes them"
            ]
            if what and size % self.heads == 0
            else (),
        )

    def _demand_agreement(self, cx: ShapeContext, main: Sequence[TensorType]) -> None:
        """Demand that keys fit queries, and values fit keys."""
        for index in range(1, len(main)):
            other = main[index - 1]
            x = main[index]
            # Queries and keys agree in features, keys and values in length; both in the batch.
            apart = x.rank - (2 if index == 1 else 1)
            if x.rank != other.rank:
                raise self._disagreement(main, index, "they have other numbers of axes")
            for axis in range(x.rank):
                if axis != apart:
                    why = (
                        f"axis {axis} is {format_dim(other.shape[axis])} and "
                        f"{format_dim(x.shape[axis])}"
                    )
                    refusal = self._disagreement(main, index, why)
                    cx.equal(other.shape[axis], x.shape[axis], refusal)

    def _disagreement(self, main: Sequence[TensorType], index: int, why: str) -> Refusal:
        names = ("queries", "keys", "values")
        left, right = main[index - 1], main[index]
        return Refusal(
            "shape-mismatch",
            f"{names[index - 1]} {format_shape(left.shape)} and {names[index]} "
            f"{format_shape(right.shape)} do not fit: {why}",
            because=[*comes_from_here(left, index - 1), *comes_from_here(right, index)],
        )

    def _demand_equal_lengths(self, cx: ShapeContext, sizes: _Sizes) -> None:
        length, context = format_dim(sizes.length), format_dim(sizes.context)
        refusal = Refusal(
            "shape-mismatch",
            f"`causal` needs as many queries as keys, not {length} and {context}",
            at="causal",
        )
        cx.equal(sizes.length, sizes.context, refusal)

    def _demand_fit(
        self,
        cx: ShapeContext,
        name: str,
        x: TensorType,
        xs: Sequence[TensorType],
        sizes: _Sizes,
    ) -> None:
        """Demand the shape that a reference must have."""
        operand = len(xs) - len(self.referenced) + self.referenced.index(name)
        wanted: tuple[Dim, ...] = (self.heads, sizes.length, sizes.context)
        if name == "cosine":
            wanted = (self.heads, 1, 1)
        if name == "mask":
            count = max(0, min(x.rank - 2, len(sizes.batch)))
            batch = sizes.batch[len(sizes.batch) - count :]
            wanted = (*batch, sizes.length, sizes.context)
        refusal = Refusal(
            "shape-mismatch",
            f"`{name}` must be {format_shape(wanted)}, not {format_shape(x.shape)}",
            at=name,
            because=comes_from_here(x, operand),
        )
        if x.rank != len(wanted):
            raise refusal
        for found, size in zip(x.shape, wanted, strict=True):
            cx.equal(found, size, refusal)

    # -- facts ----------------------------------------------------------------------------

    def cost(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Cost:
        """The two matrix products: scores, and values by their weights."""
        sizes = self._sizes(self._parted(inputs)[0])
        pairs = dim_product(sizes.batch) * sizes.length * sizes.context
        return Cost(macs=pairs * (sizes.features + sizes.values))

    def explain(self, *xs: TensorType) -> tuple[str, ...]:
        """Features per head."""
        sizes = self._sizes(self._parted(xs)[0])
        return (
            f"head features {sizes.values} / {self.heads} = {sizes.values // self.heads}",
            f"scores {format_shape((*sizes.batch, self.heads, sizes.length, sizes.context))}",
        )

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """A query reads all keys and values; if causal, some of them."""
        main, referenced = self._parted(inputs)
        rank = main[0].rank
        context = UNTRACKED if self.causal else WHOLE
        batch = tuple(Reach((axis,)) for axis in range(rank - 2))
        reaches = [(*batch, context, WHOLE) for _ in main]
        if len(main) == 3:
            reaches[0] = (*batch, Reach((rank - 2,)), WHOLE)
        return (*reaches, *((UNTRACKED,) * x.rank for x in referenced.values()))

    def _scale(self, sizes: _Sizes) -> float:
        return float((sizes.features // self.heads) ** -0.5 if self.scale is None else self.scale)

    # -- torch ----------------------------------------------------------------------------

    def to_torch(self, t: TorchEmitter, *xs: Operand) -> TorchCode:
        """`F.scaled_dot_product_attention`; with `bias` or `cosine` its arithmetic in the open.

        A bias that is learned rules fused kernels out anyway.
        """
        count = len(xs) - len(self.referenced)
        sizes = self._sizes([x.type for x in xs[:count]])
        named = dict(zip(self.referenced, xs[count:], strict=True))
        code: dict[str, Operand | TorchCode] = dict(named)
        if "mask" in named and named["mask"].type.rank > 2:
            code["mask"] = t.expr("{0}.unsqueeze(-3)", named["mask"])
        in_the_open = self.bias or self.cosine or (self.mask and self.causal)
        write = self._open if in_the_open else self._fused
        return write(t, self._heads(t, xs[:count], sizes), code, sizes)

    def _heads(self, t: TorchEmitter, main: Sequence[Operand], sizes: _Sizes) -> list[TorchCode]:
        """The arguments query, key and value: [..., heads, length, head features] each."""
        if len(main) == 1:
            rank = main[0].type.rank
            order = (rank - 1, *range(rank - 2), rank, rank - 2, rank + 1)
            size = sizes.features // self.heads
            template = f"*{{0}}.unflatten(-1, {{heads}}).permute{order}.unbind()"
            return [t.expr(template, main[0], heads=(3, self.heads, size))]
        widths = (sizes.features, sizes.features, sizes.values)
        return [
            t.expr(
                "{0}.unflatten(-1, {heads}).transpose(-3, -2)",
                x,
                heads=(self.heads, width // self.heads),
            )
            for x, width in zip(main, widths, strict=True)
        ]

    def _fused(
        self,
        t: TorchEmitter,
        heads: Sequence[TorchCode],
        code: Mapping[str, Operand | TorchCode],
        sizes: _Sizes,
    ) -> TorchCode:
        given = ", ".join(f"{{{i}}}" for i in range(len(heads)))
        operands: list[Operand | TorchCode] = list(heads)
        options: dict[str, float] = {}
        if "mask" in code:
            given += f", attn_mask={{{len(operands)}}}"
            operands.append(code["mask"])
        if self.dropout:
            given += ", dropout_p={p} if self.training else 0.0"
            options["p"] = self.dropout
        if self.causal:
            given += ", is_causal=True"
        if self.scale is not None:
            given += ", scale={scale}"
            options["scale"] = self._scale(sizes)
        template = f"F.scaled_dot_product_attention({given}).transpose(-3, -2).flatten(-2)"
        return t.expr(template, *operands, **options)

    def _open(
        self,
        t: TorchEmitter,
        heads: Sequence[TorchCode],
        code: Mapping[str, Operand | TorchCode],
        sizes: _Sizes,
    ) -> TorchCode:
        terms = [code[name] for name in ("bias", "mask") if name in code]
        operands: list[Operand | TorchCode] = [*heads, *terms]
        given = ", ".join(f"{{{i}}}" for i in range(len(operands)))
        options: dict[str, float] = {}
        if "cosine" in code:
            given += f", logit_scale={{{len(operands)}}}"
            operands.append(code["cosine"])
        else:
            given += ", scale={scale}"
            options["scale"] = self._scale(sizes)
        if self.causal:
            given += ", causal=True"
        if self.dropout:
            given += ", dropout={p} if self.training else 0.0"
            options["p"] = self.dropout
        return t.expr(f"_attend({given})", *operands, **options)

    # -- onnx -----------------------------------------------------------------------------

    def to_onnx(self, g: OnnxEmitter, *xs: Operand) -> Operand:
        """Split, Reshape, Transpose, MatMul, Softmax, MatMul, Transpose, Reshape."""
        count = len(xs) - len(self.referenced)
        named = dict(zip(self.referenced, xs[count:], strict=True))
        sizes = self._sizes([x.type for x in xs[:count]])
        query, key, value = xs[:count] if count == 3 else self._split(g, xs[0], sizes)
        query = self._part(g, query, sizes.features)
        key = self._part(g, key, sizes.features)
        value = self._part(g, value, sizes.values)
        if self.cosine:
            query, key = (l2_normalise(g, x) for x in (query, key))
        else:
            query = g.op("Mul", query, scalar(g, self._scale(sizes), query), type=query.type)
        scores = self._scores(g, query, key)
        if self.cosine:
            scores = _scaled(g, scores, named["cosine"])
        for term in self._terms(g, named, scores, sizes):
            scores = g.op("Add", scores, term, type=scores.type)
        weights = g.op("Softmax", scores, type=scores.type, axis=-1)
        *batch, heads, length, _ = scores.type.shape
        width = value.type.shape[-1]
        mixed = scores.type.with_shape((*batch, heads, length, width))
        result = g.op("MatMul", weights, value, type=mixed)
        merged = scores.type.with_shape((*batch, length, heads, width))
        result = g.op("Transpose", result, type=merged, perm=_swapped(merged.rank, -3, -2))
        return reshape(g, result, (*sizes.batch, sizes.length, sizes.values))

    def _split(self, g: OnnxEmitter, x: Operand, sizes: _Sizes) -> tuple[Operand, ...]:
        share = x.type.with_shape((*x.type.shape[:-1], sizes.features))
        axis = x.type.rank - 1
        return g.split(x, axis=axis, sizes=[sizes.features] * 3, types=[share] * 3)

    def _part(self, g: OnnxEmitter, x: Operand, features: int) -> Operand:
        """[..., length, features] -> [..., heads, length, head features]."""
        *batch, length, _ = x.type.shape
        size = features // self.heads
        parted = x.type.with_shape((*batch, length, self.heads, size))
        x = reshape(g, x, parted.shape, parted)
        moved = parted.with_shape((*batch, self.heads, length, size))
        return g.op("Transpose", x, type=moved, perm=_swapped(moved.rank, -3, -2))

    def _scores(self, g: OnnxEmitter, query: Operand, key: Operand) -> Operand:
        *batch, context, size = key.type.shape
        flipped = key.type.with_shape((*batch, size, context))
        key = g.op("Transpose", key, type=flipped, perm=_swapped(flipped.rank, -2, -1))
        product = query.type.with_shape((*query.type.shape[:-1], context))
        return g.op("MatMul", query, key, type=product)

    def _terms(
        self, g: OnnxEmitter, named: dict[str, Operand], scores: Operand, sizes: _Sizes
    ) -> list[Operand]:
        """What is added to the scores."""
        terms = [named["bias"]] if "bias" in named else []
        if "mask" in named:
            mask = named["mask"]
            if mask.type.rank > 2:
                *batch, length, context = mask.type.shape
                spread = mask.type.with_shape((*batch, 1, length, context))
                mask = g.op("Unsqueeze", mask, g.constant([-3]), type=spread)
            terms.append(mask)
        if self.causal:
            square = scores.type.with_shape((sizes.length, sizes.context))
            never = scalar(g, -math.inf, scores)
            full = g.op("Expand", never, g.dims(square.shape), type=square)
            terms.append(g.op("Trilu", full, g.constant(1), type=square, upper=1))
        return terms


def _swapped(rank: int, first: int, second: int) -> list[int]:
    """The order of axes with two of them exchanged."""
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return order


def _scaled(g: OnnxEmitter, scores: Operand, logarithm: Operand) -> Operand:
    """Scores times `exp(min(logarithm, log 100))`."""
    bounded = g.op("Min", logarithm, scalar(g, MAX_LOGIT_SCALE, scores), type=logarithm.type)
    factor = g.op("Exp", bounded, type=logarithm.type)
    return g.op("Mul", scores, factor, type=scores.type)

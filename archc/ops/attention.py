"""Attention between positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.ops.attention_forms import (
    AttentionSizes,
    attend,
    causal_term,
    mask_terms,
)
from archc.ops.attention_native import NATIVE_OPSET, attend_natively
from archc.ops.base import Cost, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_float32, demand_rank, demand_static
from archc.ops.fields import Flag, Number, PositiveInt, Probability
from archc.ops.reach import UNTRACKED, WHOLE, Reach, Reaches
from archc.types import Dim, DType, TensorType, dim_product, format_dim, format_shape

_MASKS = {
    "mask": (DType.FLOAT32, DType.BOOL),
    "visible": (DType.BOOL, DType.INT64, DType.INT32),
}
"""Dtypes of references that say what is seen."""


class Attention(Op):
    """Scaled dot-product attention, `softmax(scale * q @ k.T + bias + mask) @ v` in each head.

    One input holds queries, keys and values side by side along the last axis; with three inputs
    (`from: [q, k, v]`) they are given apart. Each is parted into `heads`; there are no weights:
    projections are `linear` layers before and after. With `kv_heads`, keys and values have fewer
    heads, each of which serves a group of neighbouring heads of the queries.

    `scale` is `head_features ** -0.5` unless given. `causal` lets a position see itself and those
    before it. `dropout` acts on the attention weights in training. `bias` [heads, length, context]
    is added to the scores; `mask` [..., length, context] likewise, in all heads alike, its leading
    axes the last ones of the batch; a boolean mask hides what is false. `visible` [..., context],
    booleans or integers, hides the keys at which it is 0, from all queries alike: padding. Where
    all is hidden the weights are equal. `cosine` [heads, 1, 1] compares directions only: the scores
    are cosines times `exp(min(cosine, log 100))`, in place of `scale`.

    Source: torch.nn.functional.scaled_dot_product_attention, arXiv 1706.03762; grouped heads
    arXiv 2305.13245; cosine form arXiv 2111.09883; ONNX Attention (opset 23), or MatMul, Softmax,
    MatMul.
    """

    principal = "heads"
    arity = (1, 3)
    references = ("bias", "mask", "visible", "cosine")

    heads: PositiveInt
    kv_heads: PositiveInt | None = None
    scale: Number | None = None
    causal: Flag = False
    dropout: Probability = 0.0
    bias: Flag = False
    mask: Flag = False
    visible: Flag = False
    cosine: Flag = False

    def infer(self, cx: ShapeContext, *xs: TensorType) -> TensorType:
        """[..., length, 3 * features] -> [..., length, features], or q, k, v -> like q."""
        main, referenced = self._parted(xs)
        for x in (*main, *(x for name, x in referenced.items() if name not in _MASKS)):
            demand_float32("attention", x)
        for x in main:
            demand_rank("attention", x, 3)
        if len(main) == 2:
            raise Refusal("wrong-arity", "`attention` takes 1 or 3 inputs, not 2")
        self._demand_groups(main)
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
        return main[0].with_shape((*sizes.batch, sizes.length, sizes.heads * sizes.values))

    def _parted(
        self, xs: Sequence[TensorType]
    ) -> tuple[Sequence[TensorType], dict[str, TensorType]]:
        """What attends, and what is referred to by name."""
        count = len(xs) - len(self.referenced)
        return xs[:count], dict(zip(self.referenced, xs[count:], strict=True))

    # -- sizes ----------------------------------------------------------------------------

    def _sizes(self, main: Sequence[TensorType]) -> AttentionSizes:
        first = main[0]
        why = "it is parted into heads"
        if len(main) == 1:
            packed = demand_static("attention", first, -1, why)
            self._demand_share(first, packed, 3 * self.heads, "queries, keys and values of")
            size = packed // 3 // self.heads
            length = first.shape[-2]
            heads = self.heads
            return AttentionSizes(first.shape[:-2], length, length, heads, heads, size, size)
        features = demand_static("attention", first, -1, why)
        self._demand_share(first, features, self.heads, "")
        values = demand_static("attention", main[2], -1, why)
        self._demand_share(main[2], values, self._kv_heads, "", 2)
        return AttentionSizes(
            batch=first.shape[:-2],
            length=first.shape[-2],
            context=main[1].shape[-2],
            heads=self.heads,
            kv_heads=self._kv_heads,
            features=features // self.heads,
            values=values // self._kv_heads,
        )

    @property
    def _kv_heads(self) -> int:
        return self.heads if self.kv_heads is None else self.kv_heads

    def _demand_groups(self, main: Sequence[TensorType]) -> None:
        """Demand that heads of keys can be shared out among those of the queries."""
        if self.heads % self._kv_heads:
            raise Refusal(
                "indivisible",
                f"{self.heads} heads of queries cannot share {self._kv_heads} heads of keys evenly",
                at="kv_heads",
            )
        if len(main) == 1 and self._kv_heads != self.heads:
            raise Refusal(
                "wrong-arity",
                "with `kv_heads` queries, keys and values have other sizes and are given apart",
                at="kv_heads",
                help=["name them: `from: [q, k, v]`"],
            )

    def _demand_share(
        self, x: TensorType, size: int, shares: int, what: str, operand: int = 0
    ) -> None:
        if size % shares == 0:
            return
        among = f"{what} {self._kv_heads if operand else self.heads} heads".strip()
        raise Refusal(
            "indivisible",
            f"{size} features cannot be shared out among {among}: {format_shape(x.shape)}",
            at="kv_heads" if operand and self.kv_heads is not None else "heads",
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
                if axis == apart:
                    continue
                wanted, found = other.shape[axis], x.shape[axis]
                why = f"axis {axis} is {format_dim(wanted)} and {format_dim(found)}"
                if index == 1 and axis == x.rank - 1 and self._kv_heads != self.heads:
                    wanted = wanted // self.heads * self._kv_heads
                    why = (
                        f"{self._kv_heads} of {self.heads} heads have {format_dim(wanted)} "
                        f"features, not {format_dim(found)}"
                    )
                cx.equal(wanted, found, self._disagreement(main, index, why))

    def _disagreement(self, main: Sequence[TensorType], index: int, why: str) -> Refusal:
        names = ("queries", "keys", "values")
        left, right = main[index - 1], main[index]
        return Refusal(
            "shape-mismatch",
            f"{names[index - 1]} {format_shape(left.shape)} and {names[index]} "
            f"{format_shape(right.shape)} do not fit: {why}",
            because=[*comes_from_here(left, index - 1), *comes_from_here(right, index)],
        )

    def _demand_equal_lengths(self, cx: ShapeContext, sizes: AttentionSizes) -> None:
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
        sizes: AttentionSizes,
    ) -> None:
        """Demand the shape that a reference must have."""
        operand = len(xs) - len(self.referenced) + self.referenced.index(name)
        wanted: tuple[Dim, ...] = (self.heads, sizes.length, sizes.context)
        if name in _MASKS and x.dtype not in _MASKS[name]:
            taken = " or ".join(dtype.value for dtype in _MASKS[name])
            raise Refusal(
                "wrong-dtype",
                f"`{name}` is {taken}, not {x.dtype.value}",
                at=name,
                because=comes_from_here(x, operand),
            )
        if name == "cosine":
            wanted = (self.heads, 1, 1)
        if name == "visible":
            wanted = (*sizes.batch, sizes.context)
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
        return Cost(macs=pairs * self.heads * (sizes.features + sizes.values))

    def explain(self, *xs: TensorType) -> tuple[str, ...]:
        """Features per head."""
        sizes = self._sizes(self._parted(xs)[0])
        kept = sizes.values * self._kv_heads
        lines = [f"head features {kept} / {self._kv_heads} = {sizes.values}"]
        if self._kv_heads != self.heads:
            share = self.heads // self._kv_heads
            lines.append(f"heads per group {self.heads} / {self._kv_heads} = {share}")
        return (*lines, f"scores {format_shape(sizes.scores)}")

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

    def _scale(self, sizes: AttentionSizes) -> float:
        return float(sizes.features**-0.5 if self.scale is None else self.scale)

    # -- torch ----------------------------------------------------------------------------

    def to_torch(self, t: TorchEmitter, *xs: Operand) -> TorchCode:
        """`F.scaled_dot_product_attention`; with `bias` or `cosine` its arithmetic in the open.

        A bias that is learned rules fused kernels out anyway.
        """
        count = len(xs) - len(self.referenced)
        sizes = self._sizes([x.type for x in xs[:count]])
        named = dict(zip(self.referenced, xs[count:], strict=True))
        terms = [*([named["bias"]] if "bias" in named else []), *self._masks(t, named, xs[0])]
        in_the_open = self.bias or self.cosine or (terms and self.causal) or len(terms) > 1
        write = self._open if in_the_open else self._fused
        return write(t, self._heads(t, xs[:count], sizes, bool(in_the_open)), terms, named, sizes)

    def _masks(
        self, t: TorchEmitter, named: Mapping[str, Operand], like: Operand
    ) -> list[Operand | TorchCode]:
        """Masks as terms of the scores; what two of them hide is hidden once."""
        terms: list[Operand | TorchCode] = []
        seen: Operand | TorchCode | None = None
        if "mask" in named:
            mask = named["mask"]
            widened = t.expr("{0}.unsqueeze(-3)", mask) if mask.type.rank > 2 else mask
            if mask.type.dtype is DType.BOOL:
                seen = widened
            else:
                terms.append(widened)
        if "visible" in named:
            keys = t.expr("{0}[..., None, None, :]", named["visible"])
            seen = keys if seen is None else t.expr("torch.logical_and({0}, {1})", seen, keys)
        return terms if seen is None else [*terms, t.expr("_hide({0}, {1})", seen, like)]

    def _heads(
        self, t: TorchEmitter, main: Sequence[Operand], sizes: AttentionSizes, repeat: bool
    ) -> list[TorchCode]:
        """The arguments query, key and value: [..., heads, length, head features] each."""
        if len(main) == 1:
            rank = main[0].type.rank
            order = (rank - 1, *range(rank - 2), rank, rank - 2, rank + 1)
            template = f"*{{0}}.unflatten(-1, {{heads}}).permute{order}.unbind()"
            return [t.expr(template, main[0], heads=(3, self.heads, sizes.features))]
        shapes = (
            (self.heads, sizes.features),
            (self._kv_heads, sizes.features),
            (self._kv_heads, sizes.values),
        )
        parted = [
            t.expr("{0}.unflatten(-1, {heads}).transpose(-3, -2)", x, heads=shape)
            for x, shape in zip(main, shapes, strict=True)
        ]
        if repeat and self._kv_heads != self.heads:
            share = self.heads // self._kv_heads
            parted[1:] = [
                t.expr("{0}.repeat_interleave({share}, dim=-3)", x, share=share) for x in parted[1:]
            ]
        return parted

    def _fused(
        self,
        t: TorchEmitter,
        heads: Sequence[TorchCode],
        terms: Sequence[Operand | TorchCode],
        named: Mapping[str, Operand],
        sizes: AttentionSizes,
    ) -> TorchCode:
        given = ", ".join(f"{{{i}}}" for i in range(len(heads)))
        operands: list[Operand | TorchCode] = [*heads, *terms]
        options: dict[str, float] = {}
        if terms:
            given += f", attn_mask={{{len(heads)}}}"
        if self.dropout:
            given += ", dropout_p={p} if self.training else 0.0"
            options["p"] = self.dropout
        if self.causal:
            given += ", is_causal=True"
        if self._kv_heads != self.heads:
            given += ", enable_gqa=True"
        if self.scale is not None:
            given += ", scale={scale}"
            options["scale"] = self._scale(sizes)
        template = f"F.scaled_dot_product_attention({given}).transpose(-3, -2).flatten(-2)"
        return t.expr(template, *operands, **options)

    def _open(
        self,
        t: TorchEmitter,
        heads: Sequence[TorchCode],
        terms: Sequence[Operand | TorchCode],
        named: Mapping[str, Operand],
        sizes: AttentionSizes,
    ) -> TorchCode:
        operands: list[Operand | TorchCode] = [*heads, *terms]
        given = ", ".join(f"{{{i}}}" for i in range(len(operands)))
        options: dict[str, float] = {}
        if "cosine" in named:
            given += f", logit_scale={{{len(operands)}}}"
            operands.append(named["cosine"])
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
        """Attention from opset 23 on; else MatMul, Softmax, MatMul, with the heads as an axis."""
        count = len(xs) - len(self.referenced)
        named = dict(zip(self.referenced, xs[count:], strict=True))
        sizes = self._sizes([x.type for x in xs[:count]])
        terms = [named["bias"]] if "bias" in named else []
        dtype = xs[0].type.dtype
        terms += mask_terms(g, named.get("mask"), named.get("visible"), dtype)
        scale, cosine = self._scale(sizes), named.get("cosine")
        if g.opset >= NATIVE_OPSET and cosine is None:
            return attend_natively(
                g, xs[:count], sizes, scale=scale, causal=self.causal, terms=terms
            )
        if self.causal:
            terms.append(causal_term(g, sizes, dtype))
        return attend(g, xs[:count], sizes, scale=scale, cosine=cosine, terms=terms)

"""Attention as the one operator that ONNX has for it from opset 23 on."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ops.attention_forms import AttentionSizes, split_packed, summed
from archc.ops.base import OnnxEmitter, Operand
from archc.ops.forms import reshape
from archc.types import dim_product

NATIVE_OPSET = 23
"""The operator set that introduces Attention."""


def attend_natively(
    g: OnnxEmitter,
    main: Sequence[Operand],
    sizes: AttentionSizes,
    *,
    scale: float,
    causal: bool,
    terms: Sequence[Operand],
) -> Operand:
    """Attention, as the layer's output, by the operator that parts the heads itself.

    It takes one axis of samples; further ones (windows) are merged into it before and parted
    after. onnxruntime computes it faster than its parts, above all for many samples: heads are
    never moved as a whole.

    Args:
        g: the emitter.
        main: queries, keys and values, or one operand that holds them side by side.
        sizes: what it works on.
        scale: factor of the scores.
        causal: whether later keys are hidden.
        terms: added to the scores.
    """
    flat = [_one_batch(g, x) for x in main]
    query, key, value = flat if len(flat) == 3 else split_packed(g, flat[0], sizes)
    shape = (query.type.shape[0], sizes.length, sizes.heads * sizes.values)
    is_last = len(sizes.batch) == 1
    result = g.op(
        "Attention",
        query,
        key,
        value,
        _mask(g, summed(g, terms), sizes) if terms else None,
        type=None if is_last else query.type.with_shape(shape),
        q_num_heads=sizes.heads,
        kv_num_heads=sizes.kv_heads,
        scale=scale,
        is_causal=int(causal),
    )
    return result if is_last else reshape(g, result, (*sizes.batch, *shape[1:]))


def _one_batch(g: OnnxEmitter, x: Operand) -> Operand:
    """[..., length, features] -> [samples, length, features]."""
    if x.type.rank == 3:
        return x
    merged = x.type.with_shape((dim_product(x.type.shape[:-2]), *x.type.shape[-2:]))
    return reshape(g, x, merged.shape, merged)


def _mask(g: OnnxEmitter, term: Operand, sizes: AttentionSizes) -> Operand:
    """The term as [samples or 1, heads or 1, length, context].

    Only those two axes may be left to the operator to repeat: onnxruntime demands the last two in
    full, and windows are samples, of which it repeats all or nothing.
    """
    has_windows = len(sizes.batch) > 1 and term.type.rank > 3
    heads = term.type.shape[-3] if term.type.rank > 2 else 1
    before = sizes.batch if has_windows else term.type.shape[:-3]
    spread = term.type.with_shape((*before, heads, sizes.length, sizes.context))
    is_short = has_windows and term.type.rank < spread.rank
    if is_short or spread.shape[-term.type.rank :] != term.type.shape:
        term = g.op("Expand", term, g.dims(spread.shape), type=spread)
    if has_windows:
        merged = term.type.with_shape((dim_product(sizes.batch), *spread.shape[-3:]))
        return reshape(g, term, merged.shape, merged)
    missing = 4 - term.type.rank
    if not missing:
        return term
    shape = (*[1] * missing, *term.type.shape)
    axes = g.constant(list(range(missing)))
    return g.op("Unsqueeze", term, axes, type=term.type.with_shape(shape))

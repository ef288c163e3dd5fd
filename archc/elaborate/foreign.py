"""Words that other frameworks use, for suggestions of what they are called here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from archc.ops.base import Op

_OPS = {
    "averagepool": "avgpool",
    "averagepooling": "avgpool",
    "bn": "batchnorm",
    "batchnormalization": "batchnorm",
    "clip": "hardtanh",
    "convolution": "conv",
    "deconv": "conv_transpose",
    "deconvolution": "conv_transpose",
    "dense": "linear",
    "depthwiseconv": "conv",
    "dwconv": "conv",
    "fc": "linear",
    "fullyconnected": "linear",
    "gap": "global_avgpool",
    "gemm": "linear",
    "globalaveragepool": "global_avgpool",
    "globalaveragepooling": "global_avgpool",
    "gn": "groupnorm",
    "groupnormalization": "groupnorm",
    "interpolate": "resize",
    "layernormalization": "layernorm",
    "ln": "layernorm",
    "localresponsenorm": "lrn",
    "maxpooling": "maxpool",
    "mha": "attention",
    "multiheadattention": "attention",
    "selfattention": "attention",
    "separableconv": "conv",
    "stochasticdepth": "drop_path",
    "swish": "silu",
    "transposedconv": "conv_transpose",
    "upsample": "resize",
    "upsampling": "resize",
    "view": "reshape",
    "zeropad": "pad",
    "zeropadding": "pad",
}
"""Written plainly: in small letters, without `_` and without the number of axes."""

_FORMS = {
    "depthwiseconv": "{conv: in_channels, kernel: 3, groups: in_channels}",
    "dwconv": "{conv: in_channels, kernel: 3, groups: in_channels}",
    "separableconv": "two layers: {conv: in_channels, kernel: 3, groups: in_channels}, {conv: ...}",
}
"""What takes more than another word."""

_ATTRIBUTES = {
    "channels": "out",
    "dilation_rate": "dilation",
    "drop_prob": "p",
    "epsilon": "eps",
    "filters": "out",
    "hidden_units": "out",
    "kernel_size": "kernel",
    "num_filters": "out",
    "num_groups": "groups",
    "num_heads": "heads",
    "negative_slope": "slope",
    "out_channels": "out",
    "out_features": "out",
    "output_size": "size",
    "pool_size": "kernel",
    "rate": "p",
    "scale_factor": "scale",
    "units": "out",
    "use_bias": "bias",
    "window": "kernel",
}

_NEEDLESS = {
    **dict.fromkeys(
        ("in_channels", "in_features", "in_planes", "input_dim", "input_shape", "num_features"),
        "leave it out: the size of what enters is known",
    ),
    **dict.fromkeys(
        ("activation", "act", "nonlinearity"),
        "write the activation as a layer of its own, behind this one",
    ),
    "inplace": "leave it out: activations work in place where nothing else needs what they read",
    "name": "the name of a layer stands before it: `stem: {conv: 64, kernel: 7}`",
}


_CALL = re.compile(r"(?:[A-Za-z_]\w*\s*\.\s*)*([A-Za-z_]\w*)\s*\((.*)\)", re.DOTALL)


def plain(word: str) -> str:
    """A word as `BatchNorm2d` and `batch_norm` share it: `batchnorm`."""
    return re.sub(r"[123]d$", "", _joined(word))


def _joined(word: str) -> str:
    return word.lower().replace("_", "")


def foreign_op(word: str, known: Collection[str]) -> str | None:
    """A suggestion for the op or block that another framework's word stands for.

    Args:
        word: as written.
        known: ops and blocks that can be called.
    """
    form, name = _FORMS.get(plain(word)), _meant(word, known)
    if form is not None:
        return f"write {form}"
    return f"did you mean `{name}`?" if name else None


def foreign_call(text: str, ops: Mapping[str, type[Op]], blocks: Collection[str]) -> str | None:
    """What to write for a layer that is written as a call in Python; None if it is not one.

    Args:
        text: such as `nn.Conv2d(3, 8, kernel_size=3)`.
        ops: those that can be called.
        blocks: likewise.
    """
    match = _CALL.fullmatch(text)
    name = _meant(match[1], [*ops, *blocks]) if match is not None else None
    if match is None or name is None:
        return None
    inside = match[2].strip()
    if not inside or (name in ops and not ops[name].model_fields):
        return name
    one = match[0].startswith(name) and not re.search("[,=]", inside)
    return f"{{{name}: {inside if one else '...'}}}"


def _meant(word: str, known: Collection[str]) -> str | None:
    if word in known:
        return word
    bare = plain(word)
    same = [name for name in known if plain(name) == bare]
    # `LayerNorm2d` is an op of its own.
    same.sort(key=lambda name: _joined(name) != _joined(word))
    name = same[0] if same else _OPS.get(bare)
    return name if name in known else None


def foreign_attribute(word: str, options: Collection[str]) -> str | None:
    """A suggestion for an attribute of an op that another framework's word stands for.

    Args:
        word: as written.
        options: the op's attributes.
    """
    name = _ATTRIBUTES.get(word)
    return f"did you mean `{name}`?" if name in options else _NEEDLESS.get(word)

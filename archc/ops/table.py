"""The table of ops: the word in a spec -> its declaration. One line per op.

A declaration is imported when its word is first used: a network needs a few of them, and to make
all their classes takes longer than to check it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from archc.ops.base import Op

OpTable = Mapping[str, type[Op]]
"""The word in a spec -> its declaration."""


class LazyOps(Mapping[str, type[Op]]):
    """Ops by their words. Looking at the words alone imports no declaration.

    Args:
        places: word -> the module in `archc.ops` and the class in it.
    """

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places = places
        self._imported: dict[str, type[Op]] = {}

    def __getitem__(self, word: str) -> type[Op]:
        op = self._imported.get(word)
        if op is None:
            module, name = self._places[word]
            op = self._imported[word] = getattr(import_module(f"archc.ops.{module}"), name)
        return op

    def __contains__(self, word: object) -> bool:
        return word in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


OPS = LazyOps(
    {
        "adaptive_avgpool": ("adaptive_pool", "AdaptiveAvgPool"),
        "adaptive_maxpool": ("adaptive_pool", "AdaptiveMaxPool"),
        "add": ("join", "Add"),
        "add_param": ("param", "AddParam"),
        "add_positions": ("embedding", "AddPositions"),
        "attention": ("attention", "Attention"),
        "avgpool": ("pool", "AvgPool"),
        "batchnorm": ("batchnorm", "BatchNorm"),
        "celu": ("smooth", "Celu"),
        "center_crop": ("images", "CenterCrop"),
        "channel_affine": ("images", "ChannelAffine"),
        "chunk": ("parts", "Chunk"),
        "concat": ("join", "Concat"),
        "conv": ("conv", "Conv"),
        "conv_transpose": ("conv_transpose", "ConvTranspose"),
        "drop_path": ("regularise", "DropPath"),
        "dropout": ("regularise", "Dropout"),
        "elu": ("smooth", "Elu"),
        "embedding": ("embedding", "Embedding"),
        "flatten": ("reshape", "Flatten"),
        "gelu": ("smooth", "Gelu"),
        "global_avgpool": ("adaptive_pool", "GlobalAvgPool"),
        "groupnorm": ("groupnorm", "GroupNorm"),
        "gru": ("recurrent", "GRU"),
        "hardsigmoid": ("activation", "Hardsigmoid"),
        "hardswish": ("activation", "Hardswish"),
        "hardtanh": ("activation", "Hardtanh"),
        "identity": ("activation", "Identity"),
        "instancenorm": ("groupnorm", "InstanceNorm"),
        "layernorm": ("layernorm", "LayerNorm"),
        "layernorm2d": ("layernorm", "LayerNorm2d"),
        "leaky_relu": ("activation", "LeakyRelu"),
        "linear": ("linear", "Linear"),
        "log_softmax": ("softmax", "LogSoftmax"),
        "lookup": ("lookup", "Lookup"),
        "lrn": ("lrn", "LRN"),
        "lstm": ("recurrent", "LSTM"),
        "maxpool": ("pool", "MaxPool"),
        "mish": ("smooth", "Mish"),
        "mul": ("join", "Mul"),
        "mul_param": ("param", "MulParam"),
        "pad": ("pad", "Pad"),
        "pad_to": ("pad", "PadTo"),
        "param": ("param", "Param"),
        "permute": ("axes", "Permute"),
        "prelu": ("activation", "PRelu"),
        "prepend_param": ("param", "PrependParam"),
        "rearrange": ("rearrange", "Rearrange"),
        "relative_coords": ("lookup", "RelativeCoords"),
        "relative_index": ("lookup", "RelativeIndex"),
        "relu": ("activation", "Relu"),
        "relu6": ("activation", "Relu6"),
        "reshape": ("reshape", "Reshape"),
        "resize": ("resize", "Resize"),
        "rmsnorm": ("layernorm", "RMSNorm"),
        "rnn": ("recurrent", "RNN"),
        "rope": ("rope", "Rope"),
        "scale": ("scale", "Scale"),
        "select": ("parts", "Select"),
        "selu": ("smooth", "Selu"),
        "sigmoid": ("smooth", "Sigmoid"),
        "silu": ("smooth", "Silu"),
        "slice": ("parts", "Slice"),
        "softmax": ("softmax", "Softmax"),
        "softplus": ("smooth", "Softplus"),
        "softsign": ("smooth", "Softsign"),
        "split": ("parts", "Split"),
        "squeeze": ("axes", "Squeeze"),
        "sub": ("join", "Sub"),
        "tanh": ("smooth", "Tanh"),
        "transpose": ("axes", "Transpose"),
        "unsqueeze": ("axes", "Unsqueeze"),
        "window_mask": ("window", "WindowMask"),
        "window_merge": ("window", "WindowMerge"),
        "window_partition": ("window", "WindowPartition"),
    }
)

WORDS = frozenset(
    {
        "bicubic",
        "bilinear",
        "circular",
        "constant",
        "half",
        "linear",
        "nearest",
        "none",
        "reflect",
        "relu",
        "replicate",
        "same",
        "tanh",
        "trilinear",
        "valid",
        "zeros",
    }
)
"""Words that attributes of these ops take, to know one without importing every declaration."""

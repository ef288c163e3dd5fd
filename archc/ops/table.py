"""The table of ops: the word in a spec -> its declaration. One line per op."""

from __future__ import annotations

from archc.ops.activation import (
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LeakyRelu,
    PRelu,
    Relu,
    Relu6,
)
from archc.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool
from archc.ops.attention import Attention
from archc.ops.axes import Permute, Squeeze, Transpose, Unsqueeze
from archc.ops.base import Op
from archc.ops.batchnorm import BatchNorm
from archc.ops.conv import Conv
from archc.ops.conv_transpose import ConvTranspose
from archc.ops.embedding import AddPositions, Embedding
from archc.ops.groupnorm import GroupNorm, InstanceNorm
from archc.ops.join import Add, Concat, Mul, Sub
from archc.ops.layernorm import LayerNorm, LayerNorm2d, RMSNorm
from archc.ops.linear import Linear
from archc.ops.lookup import Lookup, RelativeCoords, RelativeIndex
from archc.ops.lrn import LRN
from archc.ops.pad import Pad, PadTo
from archc.ops.param import AddParam, MulParam, Param, PrependParam
from archc.ops.parts import Chunk, Select, Slice, Split
from archc.ops.pool import AvgPool, MaxPool
from archc.ops.rearrange import Rearrange
from archc.ops.recurrent import GRU, LSTM, RNN
from archc.ops.regularise import Dropout, DropPath
from archc.ops.reshape import Flatten, Reshape
from archc.ops.resize import Resize
from archc.ops.rope import Rope
from archc.ops.scale import Scale
from archc.ops.smooth import Celu, Elu, Gelu, Mish, Selu, Sigmoid, Silu, Softplus, Softsign, Tanh
from archc.ops.softmax import LogSoftmax, Softmax
from archc.ops.window import WindowMask, WindowMerge, WindowPartition

OPS: dict[str, type[Op]] = {
    "adaptive_avgpool": AdaptiveAvgPool,
    "adaptive_maxpool": AdaptiveMaxPool,
    "add": Add,
    "add_param": AddParam,
    "add_positions": AddPositions,
    "attention": Attention,
    "avgpool": AvgPool,
    "batchnorm": BatchNorm,
    "celu": Celu,
    "chunk": Chunk,
    "concat": Concat,
    "conv": Conv,
    "conv_transpose": ConvTranspose,
    "drop_path": DropPath,
    "dropout": Dropout,
    "elu": Elu,
    "embedding": Embedding,
    "flatten": Flatten,
    "gelu": Gelu,
    "global_avgpool": GlobalAvgPool,
    "groupnorm": GroupNorm,
    "gru": GRU,
    "hardsigmoid": Hardsigmoid,
    "hardswish": Hardswish,
    "hardtanh": Hardtanh,
    "identity": Identity,
    "instancenorm": InstanceNorm,
    "layernorm": LayerNorm,
    "layernorm2d": LayerNorm2d,
    "leaky_relu": LeakyRelu,
    "linear": Linear,
    "log_softmax": LogSoftmax,
    "lookup": Lookup,
    "lrn": LRN,
    "lstm": LSTM,
    "maxpool": MaxPool,
    "mish": Mish,
    "mul": Mul,
    "mul_param": MulParam,
    "pad": Pad,
    "pad_to": PadTo,
    "param": Param,
    "permute": Permute,
    "prelu": PRelu,
    "prepend_param": PrependParam,
    "rearrange": Rearrange,
    "relative_coords": RelativeCoords,
    "relative_index": RelativeIndex,
    "relu": Relu,
    "relu6": Relu6,
    "reshape": Reshape,
    "resize": Resize,
    "rmsnorm": RMSNorm,
    "rnn": RNN,
    "rope": Rope,
    "scale": Scale,
    "select": Select,
    "selu": Selu,
    "sigmoid": Sigmoid,
    "silu": Silu,
    "slice": Slice,
    "softmax": Softmax,
    "softplus": Softplus,
    "softsign": Softsign,
    "split": Split,
    "squeeze": Squeeze,
    "sub": Sub,
    "tanh": Tanh,
    "transpose": Transpose,
    "unsqueeze": Unsqueeze,
    "window_mask": WindowMask,
    "window_merge": WindowMerge,
    "window_partition": WindowPartition,
}

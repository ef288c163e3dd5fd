"""The table of ops: the word in a spec -> its declaration. One line per op."""

from __future__ import annotations

from archc.ops.activation import Relu
from archc.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool
from archc.ops.base import Op
from archc.ops.conv import Conv
from archc.ops.conv_transpose import ConvTranspose
from archc.ops.join import Add
from archc.ops.linear import Linear
from archc.ops.pad import Pad, PadTo
from archc.ops.pool import AvgPool, MaxPool
from archc.ops.resize import Resize

OPS: dict[str, type[Op]] = {
    "adaptive_avgpool": AdaptiveAvgPool,
    "adaptive_maxpool": AdaptiveMaxPool,
    "add": Add,
    "avgpool": AvgPool,
    "conv": Conv,
    "conv_transpose": ConvTranspose,
    "global_avgpool": GlobalAvgPool,
    "linear": Linear,
    "maxpool": MaxPool,
    "pad": Pad,
    "pad_to": PadTo,
    "relu": Relu,
    "resize": Resize,
}

"""The table of ops: the word in a spec -> its declaration. One line per op."""

from __future__ import annotations

from archc.ops.activation import Relu
from archc.ops.base import Op
from archc.ops.join import Add
from archc.ops.linear import Linear

OPS: dict[str, type[Op]] = {
    "add": Add,
    "linear": Linear,
    "relu": Relu,
}

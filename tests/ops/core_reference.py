"""What activations, norms, shape ops and joins have to compute, by torch's own functions.

Every function takes an op, its inputs and its weights and returns a tensor or several, in the
dtype of the inputs. `reference` raises `Impossible` where the op must be refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from archc.ops.base import Op

Tensor = torch.Tensor
Result = Tensor | tuple[Tensor, ...]


class Impossible(Exception):  # noqa: N818 - a verdict
    """torch cannot run this, or archc says that it must not be run."""


def reference(name: str, op: Op, inputs: list[Tensor], weights: dict[str, Tensor]) -> Result:
    """The result of the op called `name`."""
    try:
        return FUNCTIONS[name](op, *inputs, **weights)
    except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
        raise Impossible(str(error)) from error


def demand(holds: bool) -> None:
    """What archc refuses although torch would do something."""
    if not holds:
        raise Impossible


def batchnorm(
    op: Op,
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    num_batches_tracked: Tensor | None = None,
) -> Tensor:
    demand(2 <= x.dim() <= 5)
    assert (weight is not None) == op.affine
    assert (running_mean is not None) == (num_batches_tracked is not None)
    training = not op.track_running_stats
    return F.batch_norm(x, running_mean, running_var, weight, bias, training, 0.1, op.eps)


def layernorm(
    op: Op, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    demand(op.axes <= x.dim())
    return F.layer_norm(x, x.shape[-op.axes :], weight, bias, op.eps)


def layernorm2d(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    demand(x.dim() == 4)
    mean = x.mean(1, keepdim=True)
    variance = ((x - mean) ** 2).mean(1, keepdim=True)
    standard = (x - mean) / (variance + op.eps).sqrt()
    return standard * weight[:, None, None] + bias[:, None, None]


def rmsnorm(op: Op, x: Tensor, weight: Tensor | None = None) -> Tensor:
    demand(op.axes <= x.dim())
    eps = torch.finfo(torch.float32).eps if op.eps is None else op.eps
    return F.rms_norm(x, x.shape[-op.axes :], weight, eps)


def groupnorm(
    op: Op, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    demand(x.dim() >= 2)
    return F.group_norm(x, op.groups, weight, bias, op.eps)


def instancenorm(
    op: Op,
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    num_batches_tracked: Tensor | None = None,
) -> Tensor:
    demand(3 <= x.dim() <= 5)
    own = not op.track_running_stats
    assert (running_mean is None) == (num_batches_tracked is None) == own
    return F.instance_norm(x, running_mean, running_var, weight, bias, own, 0.1, op.eps)


def prelu(op: Op, x: Tensor, weight: Tensor) -> Tensor:
    demand(not op.per_channel or x.dim() >= 2)
    return F.prelu(x, weight)


def flatten(op: Op, x: Tensor) -> Tensor:
    return torch.flatten(x, op.start, op.end)


def squeeze(op: Op, x: Tensor) -> Tensor:
    demand(x.size(op.dim) == 1)
    return x.squeeze(op.dim)


def slice_(op: Op, x: Tensor) -> Tensor:
    size = x.size(op.dim)
    demand(abs(op.start) <= size and abs(op.stop or 0) <= size)
    places = range(size)[op.start : op.stop : op.step]
    demand(len(places) > 0)
    return x.index_select(op.dim, torch.tensor(places))


def split(op: Op, x: Tensor) -> tuple[Tensor, ...]:
    return torch.split(x, list(op.sizes), op.dim)


def chunk(op: Op, x: Tensor) -> tuple[Tensor, ...]:
    demand(x.size(op.dim) % op.chunks == 0)
    return torch.tensor_split(x, op.chunks, op.dim)


def rearrange(op: Op, x: Tensor) -> Tensor:
    """Element by element: where the axes' indices say it comes from and goes to."""
    left, right = (_groups(side) for side in op.pattern.split("->"))
    named = len(left) - (["..."] in left)
    demand(len(left) == x.dim() or (["..."] in left and named <= x.dim()))
    others = [f"other{i}" for i in range(x.dim() - named)]
    left, right = _spread(left, others), _spread(right, others)
    sizes = dict(op.sizes)
    for group, size in zip(left, x.shape, strict=True):
        unknown = [name for name in group if name not in sizes]
        demand(len(unknown) <= 1)
        known = prod(sizes[name] for name in group if name in sizes)
        if unknown:
            demand(size % known == 0)
            sizes[unknown[0]] = size // known
        demand(size == prod(sizes[name] for name in group))
    names = sorted(sizes)
    grids = torch.meshgrid(*(torch.arange(sizes[name]) for name in names), indexing="ij")
    index = dict(zip(names, (grid.flatten() for grid in grids), strict=True))
    result = torch.empty([prod(sizes[name] for name in group) for group in right], dtype=x.dtype)
    result[_places(right, sizes, index)] = x[_places(left, sizes, index)]
    return result


def _groups(text: str) -> list[list[str]]:
    tokens = re.findall(r"\([^)]*\)|\S+", text)
    return [[name for name in token.strip("()").split() if name != "1"] for token in tokens]


def _spread(groups: list[list[str]], others: list[str]) -> list[list[str]]:
    result = []
    for group in groups:
        if group == ["..."]:
            result += [[name] for name in others]
        else:
            result.append([n for name in group for n in (others if name == "..." else [name])])
    return result


def _places(
    groups: list[list[str]], sizes: dict[str, int], index: dict[str, Tensor]
) -> tuple[Tensor, ...]:
    zero = torch.zeros_like(next(iter(index.values())))
    places = []
    for group in groups:
        place = zero
        for name in group:
            place = place * sizes[name] + index[name]
        places.append(place)
    return tuple(places)


def _same_shapes(xs: tuple[Tensor, ...]) -> None:
    demand(all(x.shape == xs[0].shape for x in xs))


def add(op: Op, *xs: Tensor) -> Tensor:
    _same_shapes(xs)
    return sum(xs[1:], start=xs[0])


def sub(op: Op, *xs: Tensor) -> Tensor:
    _same_shapes(xs)
    return xs[0] - xs[1]


def mul(op: Op, *xs: Tensor) -> Tensor:
    demand(all(x.dim() == xs[0].dim() for x in xs))
    result = xs[0]
    for x in xs[1:]:
        result = result * x
    return result


FUNCTIONS: dict[str, Callable[..., Result]] = {
    "add": add,
    "batchnorm": batchnorm,
    "celu": lambda op, x: F.celu(x, op.alpha),
    "chunk": chunk,
    "concat": lambda op, *xs: torch.cat(xs, op.dim),
    "drop_path": lambda op, x: x,
    "dropout": lambda op, x: x,
    "elu": lambda op, x: F.elu(x, op.alpha),
    "flatten": flatten,
    "gelu": lambda op, x: F.gelu(x, approximate=op.approximate),
    "groupnorm": groupnorm,
    "hardsigmoid": lambda op, x: F.hardsigmoid(x),
    "hardswish": lambda op, x: F.hardswish(x),
    "hardtanh": lambda op, x: nn.Hardtanh(op.min, op.max)(x),
    "identity": lambda op, x: x,
    "instancenorm": instancenorm,
    "layernorm": layernorm,
    "layernorm2d": layernorm2d,
    "leaky_relu": lambda op, x: F.leaky_relu(x, op.slope),
    "log_softmax": lambda op, x: F.log_softmax(x, op.dim),
    "lrn": lambda op, x: F.local_response_norm(x, op.size, op.alpha, op.beta, op.k),
    "mish": lambda op, x: F.mish(x),
    "mul": mul,
    "permute": lambda op, x: torch.permute(x, op.dims),
    "prelu": prelu,
    "rearrange": rearrange,
    "relu": lambda op, x: F.relu(x),
    "relu6": lambda op, x: F.relu6(x),
    "reshape": lambda op, x: torch.reshape(x, op.shape),
    "rmsnorm": rmsnorm,
    "select": lambda op, x: torch.select(x, op.dim, op.index),
    "selu": lambda op, x: F.selu(x),
    "sigmoid": lambda op, x: torch.sigmoid(x),
    "silu": lambda op, x: F.silu(x),
    "slice": slice_,
    "softmax": lambda op, x: F.softmax(x, op.dim),
    "softplus": lambda op, x: F.softplus(x, op.beta, op.threshold),
    "softsign": lambda op, x: F.softsign(x),
    "split": split,
    "squeeze": squeeze,
    "sub": sub,
    "tanh": lambda op, x: torch.tanh(x),
    "transpose": lambda op, x: torch.transpose(x, *op.dims),
    "unsqueeze": lambda op, x: torch.unsqueeze(x, op.dim),
}

"""What spatial ops have to compute: torch's functions where it has them, plain loops elsewhere.

Every function takes an op and tensors and returns the result in the dtype of its input. It raises
`Impossible` where the op must be refused.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812

from archc.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool, GlobalAvgPool
from archc.ops.base import Op
from archc.ops.conv import Conv
from archc.ops.conv_transpose import ConvTranspose
from archc.ops.pad import Pad, PadTo
from archc.ops.pool import AvgPool, MaxPool
from archc.ops.resize import Resize

Tensor = torch.Tensor


class Impossible(Exception):  # noqa: N818 - a verdict
    """No framework could run this, or archc says that it must not be run."""


def reference(op: Op, tensors: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
    """The result of `op`."""
    try:
        return _FUNCTIONS[type(op)](op, *tensors, **weights)
    except (RuntimeError, ValueError) as error:
        raise Impossible(str(error)) from error


def axes_of(value: object, count: int) -> tuple:
    """One value per axis."""
    if not isinstance(value, tuple):
        return (value,) * count
    if len(value) != count:
        raise Impossible("wrong length")
    return value


def pairs_of(op: Op, count: int) -> list[tuple[int, int]]:
    """Padding of each axis, from the words of the documentation."""
    kernel = axes_of(op.kernel, count)
    dilation = axes_of(getattr(op, "dilation", 1), count)
    stride = op.stride if getattr(op, "stride", None) is not None else op.kernel
    if op.padding == "valid":
        return [(0, 0)] * count
    if op.padding == "half":
        return [((k - 1) // 2 * d,) * 2 for k, d in zip(kernel, dilation, strict=True)]
    if op.padding == "same":
        if any(s != 1 for s in axes_of(stride, count)):
            raise Impossible("same needs stride 1")
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(t // 2, t - t // 2) for t in total]
    return [p if isinstance(p, tuple) else (p, p) for p in axes_of(op.padding, count)]


def torch_pad(x: Tensor, pairs: list[tuple[int, int]], **kwargs: object) -> Tensor:
    """`F.pad` with pairs in the order of the axes."""
    return F.pad(x, [n for pair in reversed(pairs) for n in pair], **kwargs)


def conv(op: Conv, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    count = x.dim() - 2
    if not 1 <= count <= 3:
        raise Impossible("rank")
    function = (F.conv1d, F.conv2d, F.conv3d)[count - 1]
    if x.shape[1] % op.groups or op.out % op.groups:
        raise Impossible("groups")
    mode = "constant" if op.padding_mode == "zeros" else op.padding_mode
    x = torch_pad(x, pairs_of(op, count), mode=mode)
    steps = {
        "stride": axes_of(op.stride, count),
        "dilation": axes_of(op.dilation, count),
        "groups": op.groups,
    }
    return function(x, weight, bias, **steps)


def conv_transpose(
    op: ConvTranspose, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    count = x.dim() - 2
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[count - 1]
    if x.shape[1] % op.groups or op.out % op.groups or op.padding == "same":
        raise Impossible("groups or same")
    pairs = pairs_of(op, count)
    y = function(
        x,
        weight,
        bias,
        stride=axes_of(op.stride, count),
        output_padding=axes_of(op.output_padding, count),
        groups=op.groups,
        dilation=axes_of(op.dilation, count),
    )
    for axis, (before, after) in enumerate(pairs, 2):
        stride = axes_of(op.stride, count)[axis - 2]
        extra = axes_of(op.output_padding, count)[axis - 2]
        nothing = max(extra - after, 0) if extra >= stride else 0
        if before + after + nothing >= y.shape[axis]:
            raise Impossible("all cropped, but for what no window reaches")
        y = y.narrow(axis, before, y.shape[axis] - before - after)
    return y


def starts(size: int, extent: int, stride: int, before: int, after: int, ceil: bool) -> list[int]:
    """Where windows start. A last one may hang over if it starts in front of the padding."""
    found = []
    while True:
        start = len(found) * stride - before
        inside = start + extent <= size + after
        hanging = ceil and start + extent < size + after + stride and start < size
        if not (inside or hanging):
            return found
        found.append(start)


def _slides(op: Op, x: Tensor) -> list[tuple[list[int], int, int, int, int]]:
    """For each axis: starts, kernel, dilation, before, after."""
    count = x.dim() - 2
    kernel = axes_of(op.kernel, count)
    stride = kernel if op.stride is None else axes_of(op.stride, count)
    dilation = axes_of(getattr(op, "dilation", 1), count)
    slides = []
    for n, k, s, d, (before, after) in zip(
        x.shape[2:], kernel, stride, dilation, pairs_of(op, count), strict=True
    ):
        if max(before, after) > k // 2:
            raise Impossible("more than half the kernel")
        found = starts(n, d * (k - 1) + 1, s, before, after, op.ceil)
        if not found:
            raise Impossible("no window fits")
        slides.append((found, k, d, before, after))
    return slides


def maxpool(op: MaxPool, x: Tensor) -> Tensor:
    """Window by window."""
    for axis, (found, k, d, before, after) in enumerate(_slides(op, x), 2):
        size = x.shape[axis]
        if d > 1 and before + after and size < d:
            raise Impossible("a window may read nothing")
        parts = []
        for start in found:
            reads = [i for i in range(start, start + d * k, d) if 0 <= i < size]
            parts.append(x.index_select(axis, torch.tensor(reads)).amax(axis, keepdim=True))
        x = torch.cat(parts, axis)
    return x


def avgpool(op: AvgPool, x: Tensor) -> Tensor:
    """Sums of windows axis by axis, then divided by how many elements each window counts."""
    slides = _slides(op, x)
    uneven = any(before != after for *_, before, after in slides)
    if op.divisor is not None and len(slides) == 1:
        raise Impossible("torch has no divisor in 1d")
    if uneven and op.divisor is None:
        hanging = any(
            op.ceil and after + s > k
            for s, (_, k, _, _, after) in zip(_strides(op, len(slides)), slides, strict=True)
        )
        if not op.count_include_pad or hanging:
            raise Impossible("torch cannot count these")
    volume = len(slides) == 3 and not (uneven and op.divisor is not None)
    if volume and not _torch_takes_volume(x, slides, uneven):
        raise Impossible("torch wants a 3d image as large as the kernel")
    counts = torch.ones((), dtype=x.dtype)
    for axis, (found, k, _, before, after) in enumerate(slides, 2):
        size = x.shape[axis]
        low, high = (-before, size + after) if op.count_include_pad else (0, size)
        parts = [
            x.narrow(axis, max(a, 0), min(a + k, size) - max(a, 0)).sum(axis, keepdim=True)
            if min(a + k, size) > max(a, 0)
            else x.narrow(axis, 0, 1) * 0
            for a in found
        ]
        x = torch.cat(parts, axis)
        each = torch.tensor([min(a + k, high) - max(a, low) for a in found], dtype=x.dtype)
        counts = counts.unsqueeze(-1) * each
    return x / (counts if op.divisor is None else op.divisor)


def _torch_takes_volume(x: Tensor, slides: list, uneven: bool) -> bool:
    return all(
        size + (before + after if uneven else 0) >= k
        for size, (_, k, _, before, after) in zip(x.shape[2:], slides, strict=True)
    )


def _strides(op: AvgPool, count: int) -> tuple[int, ...]:
    return axes_of(op.kernel if op.stride is None else op.stride, count)


def torch_pool(op: MaxPool | AvgPool, x: Tensor) -> Tensor:
    """torch's own pool, for padding that it can express."""
    count = x.dim() - 2
    pairs = pairs_of(op, count)
    assert all(before == after for before, after in pairs)
    padding = [before for before, _ in pairs]
    arguments = (op.kernel, op.stride, padding)
    if isinstance(op, MaxPool):
        function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[count - 1]
        return function(x, *arguments, op.dilation, op.ceil)
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[count - 1]
    divisor = () if count == 1 else (op.divisor,)
    return function(x, *arguments, op.ceil, op.count_include_pad, *divisor)


def adaptive_avgpool(op: AdaptiveAvgPool, x: Tensor) -> Tensor:
    count = x.dim() - 2
    function = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[count - 1]
    return function(x, axes_of(op.size, count))


def adaptive_maxpool(op: AdaptiveMaxPool, x: Tensor) -> Tensor:
    count = x.dim() - 2
    function = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[count - 1]
    return function(x, axes_of(op.size, count))


def global_avgpool(op: GlobalAvgPool, x: Tensor) -> Tensor:
    return x.flatten(2).mean(2)


def pad(op: Pad, x: Tensor) -> Tensor:
    """`F.pad` in whichever number of axes torch takes, the further ones unpadded."""
    given = (op.padding,) * (x.dim() - 2) if isinstance(op.padding, int) else op.padding
    if not given:
        raise Impossible("no axis behind the channels")
    pairs = [p if isinstance(p, tuple) else (p, p) for p in given]
    if op.mode == "constant":
        if len(pairs) > x.dim():
            raise Impossible("axes")
        return torch_pad(x, pairs, value=op.value)
    if op.value:
        raise Impossible("a value beside the elements")
    errors = []
    for count in (1, 2, 3):
        if any(sum(p) for p in pairs[: max(0, len(pairs) - count)]):
            continue
        exactly = [(0, 0)] * (count - len(pairs)) + pairs[max(0, len(pairs) - count) :]
        try:
            return torch_pad(x, exactly, mode=op.mode)
        except (RuntimeError, NotImplementedError) as error:
            errors.append(str(error))
    raise Impossible("; ".join(errors))


def pad_to(op: PadTo, x: Tensor) -> Tensor:
    dims = range(2, x.dim()) if op.dims is None else op.dims
    if any(not -x.dim() <= d < x.dim() for d in dims):
        raise Impossible("axis")
    pairs = [(0, 0)] * x.dim()
    for d in dims:
        pairs[d] = (0, -x.shape[d] % op.multiple)
    return torch_pad(x, pairs, value=op.value)


def resize(op: Resize, x: Tensor, like: Tensor | None = None) -> Tensor:
    count = x.dim() - 2
    if sum(value is not None for value in (op.size, op.scale, like)) != 1:
        raise Impossible("one of size, scale, like")
    mode = op.mode
    if mode == "linear":
        mode = ("linear", "bilinear", "trilinear")[count - 1]
    corners = {} if mode == "nearest" else {"align_corners": op.align_corners}
    if mode == "nearest" and op.align_corners:
        raise Impossible("nearest has no corners")
    if op.scale is not None:
        scales = axes_of(op.scale, count)
        if any(s > 1 and math.floor(n * s) == n for n, s in zip(x.shape[2:], scales, strict=True)):
            raise Impossible("the axis stays")
        if mode == "nearest":
            return _nearest(x, scale_factor=scales)
        return F.interpolate(x, scale_factor=scales, mode=mode, **corners)
    size = axes_of(op.size, count) if like is None else tuple(like.shape[2:])
    if len(size) != count:
        raise Impossible("rank of like")
    try:
        if mode == "nearest":
            return _nearest(x, size=size)
        return F.interpolate(x, size=size, mode=mode, **corners)
    except NotImplementedError as error:
        raise Impossible(str(error)) from error


def _nearest(x: Tensor, **target: object) -> Tensor:
    """The neighbours that float32 arithmetic takes, in any dtype."""
    return F.interpolate(x.float(), mode="nearest", **target).to(x.dtype)


_FUNCTIONS = {
    Conv: conv,
    ConvTranspose: conv_transpose,
    MaxPool: maxpool,
    AvgPool: avgpool,
    AdaptiveAvgPool: adaptive_avgpool,
    AdaptiveMaxPool: adaptive_maxpool,
    GlobalAvgPool: global_avgpool,
    Pad: pad,
    PadTo: pad_to,
    Resize: resize,
}

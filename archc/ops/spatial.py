"""Sliding windows: attributes per axis, how many windows fit, and the arithmetic behind it.

Convolutions and pools share this: inputs are [N, C, L], [N, C, H, W] or [N, C, D, H, W], and
every spatial axis is one `Window`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, WithJsonSchema

from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import comes_from_here, demand_rank
from archc.ops.fields import integers, whole
from archc.ops.padding import pair
from archc.ops.reach import WHOLE, Reach, Reaches
from archc.records import dataclass
from archc.types import Dim, TensorType, format_dim, format_shape

T = TypeVar("T")

_NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_positive = integers(1, "a positive integer")


def _optional_positive(value: Any) -> int | None:
    return None if value is None else whole(value, 1, "a positive integer")


def _optional_positives(value: Any) -> int | tuple[int, ...] | None:
    return None if value is None else _positive(value)


OptionalPositiveInt = Annotated[
    int | None,
    BeforeValidator(_optional_positive),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}),
]
OptionalPositiveInts = Annotated[
    int | tuple[int, ...] | None,
    BeforeValidator(_optional_positives),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
                {"type": "null"},
            ]
        }
    ),
]

PaddingValue = Literal["half", "same", "valid"] | int | tuple[int | tuple[int, int], ...]


def axis_names(count: int) -> tuple[str, ...]:
    """What `count` spatial axes are called, in order."""
    return _NAMES[count]


def spatial_rank(op: str, x: TensorType) -> int:
    """How many spatial axes `x` has: 1, 2 or 3.

    Raises:
        Refusal: `wrong-rank`.
    """
    demand_rank(op, x, 3, 5)
    return x.rank - 2


def per_axis(op: str, values: T | tuple[T, ...], x: TensorType, *, at: str) -> tuple[T, ...]:
    """One value for every spatial axis of `x`.

    Raises:
        Refusal: `bad-value`, the list has another number of entries.
    """
    count = x.rank - 2
    if not isinstance(values, tuple):
        return (values,) * count
    if len(values) == count:
        return values
    names = ", ".join(axis_names(count))
    help_ = [f"write one value, or one each for {names}"]
    if at == "padding" and count == 1 and len(values) == 2:
        help_ = [f"for before and after write padding: [[{values[0]}, {values[1]}]]"]
    raise Refusal(
        "bad-value",
        f"`{op}`: `{at}` has {len(values)} entries, but {format_shape(x.shape)} has "
        f"{count} spatial {'axis' if count == 1 else 'axes'} ({names})",
        at=at,
        because=comes_from_here(x),
        help=help_,
    )


def one_or_tuple(values: Iterable[T]) -> T | tuple[T, ...]:
    """Equal values as the one value, as a person writes a square kernel."""
    items = tuple(values)
    return items[0] if all(item == items[0] for item in items) else items


@dataclass(frozen=True, slots=True)
class Window:
    """A window sliding along one spatial axis.

    Attributes:
        name: what the axis is called, e.g. `height`.
        size: elements of the input along the axis.
        kernel: elements the window reads.
        stride: distance between windows.
        before: padding in front.
        after: padding behind.
        dilation: distance between the elements the window reads.
        ceil: whether a last window may hang over the end. It has to start in front of the
            padding behind, as torch has it (aten/src/ATen/native/Pool.h).
    """

    name: str
    size: Dim
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int = 1
    ceil: bool = False

    @property
    def extent(self) -> int:
        """Elements from the first that the window reads to the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def end(self) -> int:
        """Padding behind with which the same windows fit without hanging over."""
        if not self.ceil:
            return self.after
        return min(self.after + self.stride, self.extent) - 1

    @property
    def drops_last(self) -> bool:
        """Whether a window may be left out because it would start in the padding behind.

        ONNX says so from opset 22 on only, and its shape inference counts the window.
        """
        return self.ceil and self.after + self.stride > self.extent

    @property
    def hangs_over(self) -> bool:
        """Whether, at some size, the last window reaches beyond the padding behind."""
        covered = self.size + self.before + self.after - self.extent
        return self.output != covered // self.stride + 1

    @property
    def least(self) -> int:
        """The smallest size into which one window fits."""
        return self.extent - self.before - self.end

    @property
    def output(self) -> Dim:
        """How many windows there are."""
        return (self.size + self.before + self.end - self.extent) // self.stride + 1

    @property
    def formula(self) -> str:
        """The arithmetic of `output`, e.g. `(32 + 2*0 - 5)//1 + 1`."""
        size = format_dim(self.size)
        if self.drops_last:
            return f"ceil(({size} + {self.before})/{self.stride})"
        padding = f"{self.before} + {self.after}"
        if self.before == self.after:
            padding = f"2*{self.before}"
        extent = f"{self.kernel}"
        if self.dilation > 1:
            extent = f"({self.dilation}*({self.kernel} - 1) + 1)"
        room = f"({size} + {padding} - {extent})"
        return f"ceil({room}/{self.stride}) + 1" if self.ceil else f"{room}//{self.stride} + 1"


def sliding(slides: Sequence[Window]) -> Reaches:
    """What the windows read: of the channels all, along the other axes their extent."""
    spatial = (
        Reach((axis,), w.stride, -w.before, w.extent - 1 - w.before)
        for axis, w in enumerate(slides, 2)
    )
    return ((Reach((0,)), WHOLE, *spatial),)


def windows(
    op: str,
    x: TensorType,
    *,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: PaddingValue,
    dilation: int | tuple[int, ...] = 1,
    ceil: bool = False,
) -> tuple[Window, ...]:
    """The window along each spatial axis of `x`.

    Raises:
        Refusal: `wrong-rank`; `bad-value`, a list of another length or `same` with a stride.
    """
    count = spatial_rank(op, x)
    kernels = per_axis(op, kernel, x, at="kernel")
    strides = per_axis(op, stride, x, at="stride")
    dilations = per_axis(op, dilation, x, at="dilation")
    pairs = _pairs(op, padding, x, kernels, strides, dilations)
    return tuple(
        Window(name, x.shape[2 + i], kernels[i], strides[i], *pairs[i], dilations[i], ceil)
        for i, name in enumerate(axis_names(count))
    )


def _pairs(
    op: str,
    padding: PaddingValue,
    x: TensorType,
    kernels: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * len(kernels)
    if padding == "half":
        # torchvision.ops.misc.Conv2dNormActivation; an even kernel shortens the axis by one step.
        return [pair(d * ((k - 1) // 2)) for k, d in zip(kernels, dilations, strict=True)]
    if padding == "same":
        if any(step != 1 for step in strides):
            raise Refusal(
                "bad-value",
                f"`{op}`: `padding: same` keeps the size, which needs stride 1, "
                f"not {one_or_tuple(strides)}",
                at="padding",
                help=["padding: half gives ceil(size / stride) for odd kernels"],
            )
        totals = [d * (k - 1) for k, d in zip(kernels, dilations, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    assert not isinstance(padding, str)
    items: tuple[int | tuple[int, int], ...] = per_axis(op, padding, x, at="padding")
    return [pair(item) for item in items]


def demand_fit(cx: ShapeContext, op: str, x: TensorType, slides: Sequence[Window]) -> None:
    """Demand that at least one window fits along every axis.

    Raises:
        Refusal: `kernel-too-large`.
    """
    for w in slides:
        if w.least <= 1:
            continue
        kernel = f"{w.kernel}" if w.dilation == 1 else f"{w.kernel} with dilation {w.dilation}"
        padded = format_dim(w.size + w.before + w.after)
        refusal = Refusal(
            "kernel-too-large",
            f"`{op}`: a kernel of {kernel} needs a {w.name} of at least {w.least}, "
            f"and it is {format_dim(w.size)}",
            at="kernel",
            label=f"covers {w.extent}, but the padded {w.name} is {padded}",
            because=comes_from_here(x),
            help=_fitting(op, w),
        )
        cx.at_least(w.size, w.least, refusal)


def _fitting(op: str, w: Window) -> list[str]:
    if not isinstance(w.size, int):
        return []
    largest = (w.size + w.before + w.end - 1) // w.dilation + 1
    help_ = [f"a kernel of {largest} fits"] if largest >= 1 else []
    enough = -(-(w.extent - w.size) // 2)
    # Pools take no more padding than half the kernel.
    if op == "conv" or enough <= w.kernel // 2:
        help_.insert(0, f"padding: {enough} makes it fit")
    return help_


def worked(formulas: Iterable[tuple[str, str, Dim]]) -> tuple[str, ...]:
    """Lines such as `height (32 + 2*0 - 5)//1 + 1 = 28`, equal arithmetic once.

    Args:
        formulas: name, arithmetic and result for each axis.
    """
    lines: dict[str, str] = {}
    for name, formula, result in formulas:
        text = f"{formula} = {format_dim(result)}"
        lines.setdefault(text, f"{name} {text}")
    return tuple(lines.values())

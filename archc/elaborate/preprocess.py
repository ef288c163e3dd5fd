"""`preprocess:` as written, turned into what makes each input of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard, cast

from archc.diagnostics import Diagnostics, Label
from archc.diagnostics.closest import closest
from archc.elaborate.arguments import Evaluator, shown
from archc.elaborate.env import Poisoned
from archc.graph import Value
from archc.graph.preprocess import INTERPOLATIONS, MAX_SIDE, Interpolation, Preprocess
from archc.spec.expressions import ExpressionError
from archc.spec.tree import Entry, Node, is_empty
from archc.spec.tree import Mapping as MappingNode
from archc.types import format_shape, is_static

KEYS = ("resize", "crop", "interpolation", "scale", "mean", "std")
CHANNELS = (1, 3)
"""Channels that an image can have: gray, and red, green, blue."""


def bind_preprocess(
    node: Node | None, inputs: Sequence[Value], evaluator: Evaluator, sink: Diagnostics
) -> dict[str, Preprocess]:
    """The preprocessing by input; what failed is left out.

    Args:
        node: what is written under `preprocess`: the steps for the only image, or steps by input.
        inputs: the inputs, bound.
        evaluator: evaluates at the top of the file.
        sink: where findings go.
    """
    if node is None or is_empty(node):
        return {}
    if not isinstance(node, MappingNode):
        sink.error(
            "wrong-kind",
            "`preprocess` is a mapping of steps",
            node.span,
            help=["write {resize: 256, crop: 224, mean: [...], std: [...]}"],
        )
        return {}
    bound: dict[str, Preprocess] = {}
    for value, steps in _by_input(node, inputs, sink):
        made = _Binder(evaluator, sink, value, steps).bind()
        if made is not None:
            bound[value.name] = made
    return bound


def _by_input(
    node: MappingNode, inputs: Sequence[Value], sink: Diagnostics
) -> list[tuple[Value, MappingNode]]:
    """Which steps are for which input."""
    named = {value.name: value for value in inputs}
    keyed = [e for e in node.entries if e.key.text in named and isinstance(e.value, MappingNode)]
    if not keyed:
        images = [value for value in inputs if value.type.rank == 4]
        if len(images) == 1 or len(inputs) == 1:
            return [((images or list(inputs))[0], node)]
        sink.error(
            "unfit-preprocess",
            f"the model has {len(images)} inputs that can be images, and steps are for one",
            node.span,
            help=[f"say for which: {{{(images or list(inputs))[0].name}: {{resize: ...}}}}"],
        )
        return []
    pairs = []
    for entry in node.entries:
        if entry in keyed and isinstance(entry.value, MappingNode):
            pairs.append((named[entry.key.text], entry.value))
            continue
        close = closest(entry.key.text, list(named))
        sink.error(
            "unknown-name",
            f"there is no input `{entry.key.text}`"
            if entry.key.text not in named
            else f"the steps for `{entry.key.text}` are a mapping",
            entry.key.span,
            help=[f"did you mean `{close}`?" if close else f"its inputs: {', '.join(named)}"],
        )
    return pairs


class _Binder:
    """Reads the steps for one input, and holds them to its type."""

    def __init__(
        self, evaluator: Evaluator, sink: Diagnostics, value: Value, node: MappingNode
    ) -> None:
        self.evaluator = evaluator
        self.sink = sink
        self.value = value
        self.node = node
        self.written = {entry.key.text: entry for entry in node.entries}
        self.failed = False

    def bind(self) -> Preprocess | None:
        """The steps; None after errors."""
        for entry in self.node.entries:
            if entry.key.text not in KEYS:
                self._unknown_key(entry)
        resize, crop = self._sides("resize"), self._sides("crop")
        made = Preprocess(
            resize=resize,
            crop=(crop, crop) if isinstance(crop, int) else crop,
            interpolation=self._interpolation(),
            scale=self._numbers("scale", 1 / 255, count=1, positive=True)[0],
            mean=self._numbers("mean", 0.0),
            std=self._numbers("std", 1.0, positive=True),
        )
        if not self.failed:
            self._check_input()
        if not self.failed:
            self._check_sizes(made)
            self._check_channels(made)
        return None if self.failed else made

    # -- values ---------------------------------------------------------------------------

    def _error(self, code: str, message: str, key: str, *help: str) -> None:
        entry = self.written.get(key)
        self.failed = True
        secondary = [Label(self.value.span, f"`{self.value.name}` is {self.value.type}")]
        self.sink.error(
            code,
            message,
            self.node.span if entry is None else entry.value.span,
            secondary=secondary if code == "unfit-preprocess" else [],
            help=help,
        )

    def _unknown_key(self, entry: Entry) -> None:
        self.failed = True
        close = closest(entry.key.text, list(KEYS))
        listing = ", ".join(f"`{key}`" for key in KEYS)
        self.sink.error(
            "unknown-key",
            f"`preprocess` has no step `{entry.key.text}`",
            entry.key.span,
            help=[f"did you mean `{close}`?" if close else f"its steps: {listing}"],
        )

    def _value(self, key: str) -> object:
        """What is written; None for nothing, and after errors."""
        entry = self.written.get(key)
        if entry is None or is_empty(entry.value):
            return None
        accept = (lambda word: True) if key == "interpolation" else None
        try:
            return self.evaluator.value(entry.value, accept)
        except ExpressionError as error:
            self.sink.error(error.code, error.message, error.span, help=error.help)
        except Poisoned:
            pass
        self.failed = True
        return None

    def _sides(self, key: str) -> int | tuple[int, int] | None:
        value = self._value(key)
        if value is None or _is_side(value):
            return value
        if isinstance(value, list) and len(value) == 2 and all(map(_is_side, value)):
            return value[0], value[1]
        wanted = f"a number of pixels from 1 to {MAX_SIDE:,}, or [height, width]"
        self._error("bad-value", f"`{key}` is {wanted}, not {shown(value)}", key)
        return None

    def _interpolation(self) -> Interpolation:
        value = self._value("interpolation")
        if value is not None and value not in INTERPOLATIONS:
            close = closest(str(value), list(INTERPOLATIONS))
            listing = ", ".join(f"`{word}`" for word in INTERPOLATIONS)
            self._error(
                "bad-value",
                f"images cannot be interpolated as {shown(value)}",
                "interpolation",
                f"did you mean `{close}`?" if close else f"there are {listing}",
            )
            return "bilinear"
        return cast("Interpolation", value or "bilinear")

    def _numbers(
        self, key: str, default: float, *, count: int | None = None, positive: bool = False
    ) -> tuple[float, ...]:
        value = self._value(key)
        if value is None:
            return (default,)
        numbers = value if isinstance(value, list) else [value]
        fits = numbers and (count is None or not isinstance(value, list))
        if fits and all(_is_number(n) and (n > 0 or not positive) for n in numbers):
            return tuple(map(float, numbers))
        sign = "positive " if positive else ""
        wanted = f"a {sign}number"
        if count is None:
            wanted += f", or a list of {sign}numbers, one for each channel"
        self._error("bad-value", f"`{key}` is {wanted}, not {shown(value)}", key)
        return (default,)

    # -- the input ------------------------------------------------------------------------

    def _check_input(self) -> None:
        """Demand [N, C, H, W] of floats with the channels of an image."""
        type_ = self.value.type
        if type_.rank == 4 and type_.shape[1] in CHANNELS and type_.dtype.is_floating:
            return
        self._error(
            "unfit-preprocess",
            f"input `{self.value.name}` takes {type_}, and an image becomes floats of "
            "[N, 1 or 3, H, W]",
            "",
        )

    def _check_sizes(self, made: Preprocess) -> None:
        """Demand that every image comes out in the sizes that the input fixes."""
        wanted = self.value.type.shape[2:]
        fixed = [size for size in wanted if is_static(size)]
        if made.crop is not None and made.resize is not None:
            sides = made.resize if isinstance(made.resize, tuple) else (made.resize, made.resize)
            if made.crop[0] > sides[0] or made.crop[1] > sides[1]:
                self._error(
                    "unfit-preprocess",
                    f"a centre of {made.crop[0]}x{made.crop[1]} cannot be cut out of an image "
                    f"whose sides are resized to {' and '.join(map(str, dict.fromkeys(sides)))}",
                    "crop",
                    f"resize to at least {max(made.crop)}",
                )
                return
        if made.size is None:
            if made.resize is not None and fixed:
                self._error(
                    "unfit-preprocess",
                    f"the shorter side becomes {made.resize}, and the input is of "
                    f"{format_shape(wanted)} whatever the image",
                    "resize",
                    f"cut the centre out: `crop: {max(fixed)}`",
                )
            return
        if all(
            not is_static(size) or size == side
            for size, side in zip(wanted, made.size, strict=True)
        ):
            return
        self._error(
            "unfit-preprocess",
            f"images come out as {made.size[0]}x{made.size[1]}, and the input is of "
            f"{format_shape(wanted)}",
            "resize" if made.crop is None else "crop",
            f"`crop: {fixed[0]}`" if len(set(fixed)) == 1 else f"`crop: {fixed}`",
        )

    def _check_channels(self, made: Preprocess) -> None:
        channels = self.value.type.shape[1]
        for key, numbers in (("mean", made.mean), ("std", made.std)):
            if len(numbers) not in (1, channels):
                self._error(
                    "unfit-preprocess",
                    f"`{key}` has {len(numbers)} numbers for {channels} "
                    f"channel{'' if channels == 1 else 's'}",
                    key,
                )


def _is_side(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIDE


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

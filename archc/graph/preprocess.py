"""What is done to an image before it enters a network: data that travels with the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from archc.records import dataclass

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Layout = Literal["NCHW", "NHWC"]

INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)

MAX_SIDE = 1 << 14
"""Pixels of a side that an image is resized to: what is asked for has to fit into memory."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """The way from an image of 8 bits per channel to a tensor, step by step.

    The image is resized, its centre is cut out, and its values become
    `(pixel * scale - mean) / std`, channel by channel.

    Attributes:
        resize: what the shorter side becomes (the longer one follows, rounded down), or height
            and width; None leaves the image's size.
        crop: height and width of the centre that is kept; None keeps all.
        interpolation: of the resize; averages over what it shrinks (antialias), but for nearest.
        scale: what pixels are multiplied by.
        mean: what is subtracted, for all channels or one per channel.
        std: what the result is divided by, likewise.
        layout: order of the axes.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: Interpolation = "bilinear"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout = "NCHW"

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of every result; None where they depend on the image."""
        if self.crop is not None:
            return self.crop
        return self.resize if isinstance(self.resize, tuple) else None

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the resize.

        The longer side is rounded down, as torchvision's Resize does.
        """
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        short = min(height, width)
        return height * self.resize // short, width * self.resize // short

    def corner(self, height: int, width: int) -> tuple[int, int]:
        """Where the centre that is kept starts: top and left, halves rounded to even."""
        if self.crop is None:
            return 0, 0
        return round((height - self.crop[0]) / 2), round((width - self.crop[1]) / 2)

    def as_data(self) -> dict[str, Any]:
        """Plain data, as a model's metadata carry it; `from_data` reads it back."""
        resize = list(self.resize) if isinstance(self.resize, tuple) else self.resize
        return {
            "resize": resize,
            "crop": None if self.crop is None else list(self.crop),
            "interpolation": self.interpolation,
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
            "layout": self.layout,
        }

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Preprocess:
        """What `as_data` described.

        Raises:
            KeyError: a part is missing.
            TypeError: a part is of the wrong type.
            ValueError: a part has a value that it cannot have.
        """
        resize, crop = data["resize"], data["crop"]
        if data["interpolation"] not in INTERPOLATIONS or data["layout"] not in get_args(Layout):
            raise ValueError("unknown interpolation or layout")
        std = _numbers(data["std"])
        scale = float(data["scale"])
        if 0.0 in std or scale <= 0:
            raise ValueError("values cannot be divided by zero")
        return Preprocess(
            resize=_side(resize) if isinstance(resize, int) else _sides(resize),
            crop=_sides(crop),
            interpolation=data["interpolation"],
            scale=scale,
            mean=_numbers(data["mean"]),
            std=std,
            layout=data["layout"],
        )

    def __str__(self) -> str:
        return "; ".join(self._steps())

    def _steps(self) -> list[str]:
        """The steps in words, those that do something."""
        steps = []
        if self.resize is not None:
            target = f"shorter side to {self.resize}"
            if isinstance(self.resize, tuple):
                target = f"resize to {self.resize[0]}x{self.resize[1]}"
            steps.append(f"{target} ({self.interpolation})")
        if self.crop is not None:
            steps.append(f"centre {self.crop[0]}x{self.crop[1]}")
        divisor = 1 / self.scale
        if divisor != 1:
            steps.append(f"/ {divisor:g}")
        if any(self.mean):
            steps.append(f"- {_listed(self.mean)}")
        if any(value != 1 for value in self.std):
            steps.append(f"/ {_listed(self.std)}")
        return steps


def _side(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
        raise ValueError("a side is an integer from 1 on")
    return value


def _sides(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    height, width = value
    return _side(height), _side(width)


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _listed(values: Sequence[float]) -> str:
    texts = [f"{value:g}" for value in values]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"

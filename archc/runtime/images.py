"""Images as inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archc.graph.preprocess import Preprocess
from archc.runtime.model import ModelInput, RunError, check_readable

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 1 << 27
"""Pixels of an image after its resize: a strip would otherwise become as long as memory."""

_CHANNELS = {1: "L", 3: "RGB"}  # channels of the model's input -> mode of Pillow


def read_image(path: str, declared: ModelInput, steps: Preprocess | None = None) -> Any:
    """An image as [1, C, H, W], or as [1, H, W, C] if the steps say so.

    It is turned upright and made gray or RGB. Then the steps follow, as torchvision's transforms
    compute them of an image of Pillow. Where they leave a size open that the model fixes, the
    image is stretched to it. Without steps, values are 0 to 1. A model that takes integers is
    given the pixels as they are, 0 to 255.

    Args:
        path: a file that Pillow can read.
        declared: the input.
        steps: what makes it of an image.

    Raises:
        RunError: it is no image, the input takes none, or the steps do not fit one of the two.
    """
    import numpy as np

    check_readable(path)
    steps = steps or Preprocess()
    axes = declared.shape if steps.layout == "NCHW" else _channels_first(declared.shape)
    mode = _CHANNELS.get(axes[1]) if len(axes) == 4 and isinstance(axes[1], int) else None
    if mode is None:
        raise RunError(
            "run-failed",
            f"input `{declared.name}` takes {declared}, and an image is [N, 1 or 3, H, W]",
            path,
            "give a .npy file, or an .npz with all inputs by name",
        )
    size = tuple(dim if isinstance(dim, int) else None for dim in axes[2:])
    pixels = np.asarray(_opened(path, mode, steps, (size[0], size[1])))
    pixels = pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)
    if declared.dtype.startswith("float"):
        pixels = _values(pixels, steps)
    return (pixels if steps.layout == "NCHW" else pixels.transpose(1, 2, 0))[None]


def _channels_first(shape: tuple[int | str | None, ...]) -> tuple[int | str | None, ...]:
    return (shape[0], shape[-1], *shape[1:-1])


def _values(pixels: Any, steps: Preprocess) -> Any:
    """`(pixel * scale - mean) / std` of [C, H, W] in float32, rounded as torchvision does it."""
    import numpy as np

    mean, std = (np.array(one, np.float32)[:, None, None] for one in (steps.mean, steps.std))
    return (pixels.astype(np.float32) / np.float32(1 / steps.scale) - mean) / std


def _opened(
    path: str, mode: str, steps: Preprocess, fixed: tuple[int | None, int | None]
) -> Image.Image:
    """The image in a mode, resized and cut; `fixed` is (height, width) that the model fixes."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise RunError(
            "missing-extra", "reading images needs Pillow", path, "pip install 'archc[image]'"
        ) from error
    try:
        with Image.open(path) as file:
            image = _eight_bits(ImageOps.exif_transpose(file)).convert(mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # SyntaxError is what Pillow raises on a PNG whose chunks are broken.
        raise RunError(
            "bad-input-file",
            f"`{path}` is no image that can be read",
            path,
            "give an image, a .npy file or an .npz file",
        ) from error
    image = _cut(
        path, _resized(path, image, steps.resized(image.height, image.width), steps), steps
    )
    if steps.size is None:
        height, width = fixed[0] or image.height, fixed[1] or image.width
        image = _resized(path, image, (height, width), steps)
    return image


def _resized(
    path: str, image: Image.Image, size: tuple[int, int], steps: Preprocess
) -> Image.Image:
    """The image in (height, width); Pillow averages over what it shrinks."""
    from PIL import Image

    height, width = size
    if (width, height) == image.size:
        return image
    if height * width > MAX_PIXELS:
        was = f"{image.width}x{image.height}"
        raise RunError(
            "run-failed",
            f"`{path}` of {was} pixels would be resized to {width}x{height}, more than "
            f"{MAX_PIXELS:,} pixels",
            path,
            "cut the image to a less extreme shape",
        )
    return image.resize((width, height), Image.Resampling[steps.interpolation.upper()])


def _cut(path: str, image: Image.Image, steps: Preprocess) -> Image.Image:
    """The centre of the image."""
    if steps.crop is None:
        return image
    height, width = steps.crop
    if height > image.height or width > image.width:
        raise RunError(
            "run-failed",
            f"`{path}` is of {image.width}x{image.height} pixels, too small for a centre of "
            f"{width}x{height}",
            path,
        )
    top, left = steps.corner(image.height, image.width)
    return image.crop((left, top, left + width, top + height))


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 bits per pixel in 8; Pillow would cut it off at 255 instead of scaling."""
    import numpy as np
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    scaled = np.asarray(image).astype(np.float64) / 257  # 65535 becomes 255
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))

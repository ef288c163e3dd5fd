"""Images as inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archc.runtime.model import ModelInput, RunError

if TYPE_CHECKING:
    from PIL import Image

_CHANNELS = {1: "L", 3: "RGB"}  # channels of the model's input -> mode of Pillow


def read_image(path: str, declared: ModelInput) -> Any:
    """An image as [1, C, H, W].

    It is turned upright, made gray or RGB, and scaled to the sizes that the model fixes; a size
    that the model leaves open is the image's. Values are 0 to 1 for a model that takes floats,
    0 to 255 for one that takes integers.

    Args:
        path: a file that Pillow can read.
        declared: the input, [N, C, H, W].

    Raises:
        RunError: it is no image, or the input takes none.
    """
    import numpy as np

    shape = declared.shape
    mode = _CHANNELS.get(shape[1]) if len(shape) == 4 and isinstance(shape[1], int) else None
    if mode is None:
        raise RunError(
            "run-failed",
            f"input `{declared.name}` takes {declared}, and an image is [N, 1 or 3, H, W]",
            path,
            "give a .npy file, or an .npz with all inputs by name",
        )
    size = tuple(dim if isinstance(dim, int) else None for dim in shape[2:])
    image = _opened(path, mode, (size[0], size[1]))
    pixels = np.asarray(image)
    if declared.dtype.startswith("float"):
        pixels = pixels.astype(np.float32) / 255
    return pixels[None, None] if mode == "L" else pixels.transpose(2, 0, 1)[None]


def _opened(path: str, mode: str, size: tuple[int | None, int | None]) -> Image.Image:
    """The image in a mode and of a size (height, width); None keeps the image's own."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise RunError(
            "missing-extra", "reading images needs Pillow", path, "pip install 'archc[image]'"
        ) from error
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            image = _eight_bits(image).convert(mode)
            height, width = size[0] or image.height, size[1] or image.width
            if (width, height) != image.size:
                image = image.resize((width, height), Image.Resampling.BILINEAR)
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # SyntaxError is what Pillow raises on a PNG whose chunks are broken.
        raise RunError(
            "bad-input-file",
            f"`{path}` is no image that can be read",
            path,
            "give an image, a .npy file or an .npz file",
        ) from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 bits per pixel in 8; Pillow would cut it off at 255 instead of scaling."""
    import numpy as np
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    scaled = np.asarray(image).astype(np.float64) / 257  # 65535 becomes 255
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))

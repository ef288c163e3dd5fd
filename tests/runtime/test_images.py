"""Images made to inputs, against torchvision's functions on images of Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from archc.graph.preprocess import INTERPOLATIONS, Preprocess
from archc.runtime import ModelInput, RunError, read_image
from archc.runtime.metadata import read_preprocess
from tests.zoo.oracle import torchvision_models

OPEN = ModelInput("image", ("N", 3, "H", "W"), "float32")


def saved(path, height: int, width: int, seed: int = 0) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def theirs(path: str, steps: Preprocess) -> np.ndarray:
    torchvision_models()
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as F  # noqa: N812

    image = Image.open(path)
    if steps.resize is not None:
        size = [steps.resize] if isinstance(steps.resize, int) else list(steps.resize)
        image = F.resize(image, size, InterpolationMode(steps.interpolation), antialias=True)
    if steps.crop is not None:
        image = F.center_crop(image, list(steps.crop))
    return F.normalize(F.to_tensor(image), steps.mean, steps.std).numpy()


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    side=st.integers(1, 50),
    other=st.integers(1, 50) | st.none(),
    part=st.tuples(st.floats(0, 1), st.floats(0, 1)) | st.none(),
    interpolation=st.sampled_from(INTERPOLATIONS),
    means=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    stds=st.lists(st.floats(0.1, 2), min_size=3, max_size=3),
)
def test_any_steps_are_torchvisions(
    tmp_path_factory, height, width, side, other, part, interpolation, means, stds
) -> None:
    steps = Preprocess(
        side if other is None else (side, other),
        interpolation=interpolation,
        mean=tuple(means),
        std=tuple(stds),
    )
    if part is not None:
        sizes = steps.resized(height, width)
        crop = tuple(max(1, int(size * share)) for size, share in zip(sizes, part, strict=True))
        steps = Preprocess(steps.resize, crop, interpolation, mean=steps.mean, std=steps.std)
    path = saved(tmp_path_factory.getbasetemp() / "any.png", height, width, side)
    np.testing.assert_array_equal(read_image(path, OPEN, steps)[0], theirs(path, steps))


def test_channels_last_pixels_stay_pixels(tmp_path) -> None:
    path = saved(tmp_path / "x.png", 9, 12)
    steps = Preprocess(mean=(0.5,), layout="NHWC")
    declared = ModelInput("image", ("N", "H", "W", 3), "uint8")
    pixels = read_image(path, declared, steps)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[0], np.asarray(Image.open(path)))


def test_what_no_step_sizes_is_stretched_to_the_input(tmp_path) -> None:
    path = saved(tmp_path / "x.png", 9, 12)
    declared = ModelInput("image", (1, 3, 4, 5), "float32")
    stretched = Image.open(path).resize((5, 4), Image.Resampling.BICUBIC)
    expected = np.asarray(stretched).transpose(2, 0, 1).astype(np.float32) / 255
    steps = Preprocess(interpolation="bicubic")
    np.testing.assert_array_equal(read_image(path, declared, steps)[0], expected)


def test_an_image_smaller_than_what_is_cut_out_is_refused(tmp_path) -> None:
    path = saved(tmp_path / "x.png", 9, 12)
    with pytest.raises(RunError) as refused:
        read_image(path, OPEN, Preprocess(crop=(10, 10)))
    assert refused.value.diagnostic.code == "run-failed"
    assert "too small for a centre of 10x10" in str(refused.value)


def test_a_strip_that_would_become_huge_is_refused(tmp_path) -> None:
    path = tmp_path / "strip.png"
    Image.fromarray(np.zeros((1, 60_000, 3), np.uint8)).save(path)
    with pytest.raises(RunError) as refused:
        read_image(str(path), OPEN, Preprocess(resize=256))
    assert refused.value.diagnostic.code == "run-failed"
    assert "15360000x256" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"image": 3}', '{"image": {}}', '{"image": {"resize": "x"}}', "9" * 9]
)
def test_unreadable_metadata_say_nothing(text: str) -> None:
    assert read_preprocess({"archc.preprocess": text}) == {}

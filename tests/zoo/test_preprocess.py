"""The zoo's preprocessing against the transforms that torchvision publishes with its weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from archc.runtime import ModelInput, read_image
from tests.zoo.catalogue import MODELS, SEGMENTATION
from tests.zoo.graphs import graph_of
from tests.zoo.test_torchvision import graph_at_published_size, published

each_model = pytest.mark.parametrize(
    ("spec", "variant", "name"), [pytest.param(*row, id=row[2]) for row in MODELS]
)


def _settings(name: str) -> tuple[object, ...]:
    theirs = published(name).transforms()
    assert theirs.antialias
    return (
        [theirs.crop_size[0]] * 2,
        theirs.resize_size[0],
        theirs.interpolation.value,
        theirs.mean,
        theirs.std,
    )


@each_model
def test_steps_are_the_published_ones(spec, variant, name) -> None:
    (steps,) = graph_at_published_size(spec, variant, name).preprocess.values()
    data = steps.as_data()
    keys = ("crop", "resize", "interpolation", "mean", "std")
    assert tuple(data[key] for key in keys) == _settings(name)
    assert (data["scale"], data["layout"]) == (1 / 255, "NCHW")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A photograph in landscape, and one in portrait of odd sizes, as files."""
    folder = tmp_path_factory.mktemp("photos")
    china = Image.fromarray(load_sample_image("china.jpg"))
    flower = Image.fromarray(load_sample_image("flower.jpg")).transpose(Image.Transpose.ROTATE_90)
    paths = [folder / "china.png", folder / "flower.png"]
    china.save(paths[0])
    flower.crop((0, 0, 401, 637)).save(paths[1])
    return paths


# One of each kind of transforms.
_KINDS = {json.dumps(_settings(row[2])): row for row in reversed(MODELS)}


@pytest.mark.parametrize(
    ("spec", "variant", "name"), [pytest.param(*row, id=row[2]) for row in _KINDS.values()]
)
def test_photographs_become_what_torchvision_makes_of_them(spec, variant, name, photos) -> None:
    graph = graph_at_published_size(spec, variant, name)
    (steps,) = graph.preprocess.values()
    (value,) = graph.inputs
    declared = ModelInput(value.name, (None, *value.type.shape[1:]), "float32")
    for path in photos:
        theirs = published(name).transforms()(Image.open(path)).numpy()
        np.testing.assert_array_equal(read_image(str(path), declared, steps)[0], theirs)


@pytest.mark.parametrize(
    ("spec", "variant", "name"), [pytest.param(*row, id=row[2]) for row in SEGMENTATION]
)
def test_photographs_to_segment_keep_their_form(spec, variant, name, photos) -> None:
    (steps,) = graph_of(spec, variant).preprocess.values()
    declared = ModelInput("image", (None, 3, "H", "W"), "float32")
    for path in photos:
        theirs = published(name).transforms()(Image.open(path)).numpy()
        np.testing.assert_array_equal(read_image(str(path), declared, steps)[0], theirs)

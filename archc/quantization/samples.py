"""Samples of what a model will see: a folder of images, or arrays with or without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.records import dataclass
from archc.runtime import Model, RunError, fitting_feed, read_arrays, read_image

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

LABELS = "labels"
"""The array of an `.npz` that holds the right classes; it is no input."""

_BATCH = 16
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples, read as they are asked for.

    Attributes:
        count: how many.
        read: from the positions of some to a feed that holds them.
        labels: the right class of each; None where nobody knows.
        step: how many a run takes.
    """

    count: int
    read: Callable[[Sequence[int]], Mapping[str, Any]]
    labels: Array | None
    step: int

    def feeds(self, chosen: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        """Some of them, as what the model is fed run by run."""
        for start in range(0, len(chosen), self.step):
            yield self.read(chosen[start : start + self.step])


def read_samples(model: Model, path: str) -> Samples:
    """Samples for a model.

    Args:
        model: the model.
        path: a folder of images (folders in it included), or an `.npz` of arrays by input, whose
            first axis counts the samples; an array named `labels` holds their classes.

    Raises:
        RunError: there is nothing that can be read, or it does not fit the model.
    """
    try:
        if Path(path).is_dir():
            return _images(model, path)
    except OSError as error:  # too long a name
        reason = error.strerror or str(error)
        raise RunError("unreadable-file", f"cannot read `{path}`: {reason}", path) from error
    if not path.lower().endswith(".npz"):
        raise RunError(
            "bad-input-file",
            f"`{path}` is neither a folder of images nor an .npz file",
            path,
        )
    return _arrays(model, path)


def _images(model: Model, folder: str) -> Samples:
    if len(model.inputs) != 1:
        raise RunError(
            "run-failed",
            f"the model takes {len(model.inputs)} inputs, and an image is one",
            model.path,
            "give an .npz file with all inputs by name",
        )
    (declared,) = model.inputs
    files = sorted(file for file in Path(folder).rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise RunError("bad-input-file", f"`{folder}` holds no images", folder)
    steps = model.image_steps(declared.name, True)

    def read(chosen: Sequence[int]) -> Mapping[str, Any]:
        import numpy as np

        images = [read_image(str(files[i]), declared, steps) for i in chosen]
        if len({image.shape for image in images}) > 1:
            raise RunError(
                "bad-input-file",
                f"`{folder}` holds images of several sizes, and the model takes any",
                folder,
                "let `preprocess` of the spec give them one size",
            )
        return fitting_feed(model, {declared.name: np.concatenate(images)}, folder)

    read([0])  # what fits no image is said at once
    return Samples(len(files), read, None, _step(model))


def _arrays(model: Model, path: str) -> Samples:
    import numpy as np

    arrays = dict(read_arrays(model, path))
    labels = arrays.pop(LABELS, None)
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if labels is not None:
        counts[LABELS] = len(labels) if labels.ndim == 1 else 0
    if len(set(counts.values())) > 1 or not min(counts.values(), default=0):
        listed = ", ".join(f"`{name}` {count}" for name, count in counts.items()) or "none"
        message = f"`{path}` has to hold as many samples of each input: {listed}"
        raise RunError("bad-input-file", message, path)

    def read(chosen: Sequence[int]) -> Mapping[str, Any]:
        rows = np.asarray(chosen)
        part = {name: array[rows] for name, array in arrays.items()}
        feed: Mapping[str, Any] = fitting_feed(model, part, path)
        return feed

    step = _step(model)
    count = min(counts.values())
    read(range(min(step, count)))  # what does not fit is said at once
    return Samples(count, read, labels, step)


def _step(model: Model) -> int:
    """How many samples a run takes: what the model fixes, or some."""
    first = model.inputs[0].shape[:1]
    return first[0] if first and isinstance(first[0], int) else _BATCH

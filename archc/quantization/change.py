"""What quantising has changed: outputs, the classes they name, how many of them are right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from archc.quantization.samples import Samples
from archc.records import dataclass
from archc.runtime import Model

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class OutputChange:
    """One output.

    Attributes:
        name: its name.
        largest: `max|quantized - float| / max|float|`.
        typical: the root mean square of the difference over that of the float output.
    """

    name: str
    largest: float
    typical: float


@dataclass(frozen=True, slots=True)
class Change:
    """The quantized model beside the float one, on the same samples.

    Attributes:
        count: how many samples.
        outputs: every floating-point output.
        agreement: share of the samples for which both name the same class, if the first output
            has one row of scores per sample.
        accuracy: share of right classes, of the float and of the quantized model, if labels are
            known.
    """

    count: int
    outputs: tuple[OutputChange, ...]
    agreement: float | None = None
    accuracy: tuple[float, float] | None = None


def measured(exact: Model, quantized: Model, samples: Samples, chosen: Sequence[int]) -> Change:
    """Run both models on the same samples.

    Args:
        exact: the float model.
        quantized: the quantized one.
        samples: from which to take.
        chosen: positions of those to take.

    Raises:
        RunError: one of the models fails.
    """
    import numpy as np

    results: list[tuple[dict[str, Array], dict[str, Array]]] = []
    for feed in samples.feeds(chosen):
        results.append((exact.run(feed), quantized.run(feed)))
    names = [name for name, array in results[0][0].items() if array.dtype.kind == "f"]
    pairs = {
        name: tuple(np.concatenate([run[side][name] for run in results]) for side in (0, 1))
        for name in names
    }
    outputs = tuple(_output(name, *pair) for name, pair in pairs.items())
    first = pairs[names[0]] if names else ()
    if not first or first[0].ndim != 2 or len(first[0]) != len(chosen):
        return Change(len(chosen), outputs)
    ours, theirs = (array.argmax(axis=1) for array in first)
    agreement = float((ours == theirs).mean())
    if samples.labels is None:
        return Change(len(chosen), outputs, agreement)
    labels = samples.labels[np.asarray(chosen)]
    right = float((ours == labels).mean()), float((theirs == labels).mean())
    return Change(len(chosen), outputs, agreement, right)


def _output(name: str, exact: Array, quantized: Array) -> OutputChange:
    import numpy as np

    wide = exact.astype(np.float64)
    difference = np.abs(quantized.astype(np.float64) - wide)
    scale, power = np.abs(wide).max(), np.square(wide).mean()
    return OutputChange(
        name,
        float(difference.max() / scale) if scale > 0 else float(difference.max()),
        float(np.sqrt(np.square(difference).mean() / power)) if power > 0 else 0.0,
    )


def change_lines(change: Change) -> Iterator[str]:
    """The change, as a person reads it."""
    yield f"beside the float model, on {change.count} samples that were held out:"
    if change.agreement is not None:
        yield f"  same class      {change.agreement:.1%}"
    if change.accuracy is not None:
        before, after = change.accuracy
        yield f"  right class     {after:.1%}, and {before:.1%} in float"
    for output in change.outputs:
        sizes = f"{output.typical:.1%} typical, {output.largest:.1%} of the largest at most"
        yield f"  error of `{output.name}`  {sizes}"

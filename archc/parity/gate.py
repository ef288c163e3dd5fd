"""The gate: when two results count as the same.

It is calibrated against float64: with `e(y) = max|y - ref64| / max|ref64|`, a result's error may
be at most 16 times that of torch in float32, and 1e-6 at least. Fixed tolerances fail correct
deep networks and pass broken shallow ones. docs/parity.md holds the evidence for both numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from archc.records import dataclass, replace
from archc.types import DType

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FLOOR = 1e-6
FACTOR = 16.0


class Gate(NamedTuple):
    """What passes.

    Attributes:
        floor: the error that always does.
        factor: how many times torch's own error may be.
    """

    floor: float = FLOOR
    factor: float = FACTOR


USUAL = Gate()
GATES = {DType.FLOAT16: Gate(2.0**-9, 4.0), DType.BFLOAT16: Gate(2.0**-6, 4.0)}
"""For fewer bits than float32: four times the rounding error of one operation, or torch's own.

Where both runtimes round every result, nothing else tells them apart: the zoo stays below 2.5
times torch's error, single layers below 1.7 (docs/precision.md).
"""


def gate_of(dtype: DType) -> Gate:
    """What passes in a network of `dtype`."""
    return GATES.get(dtype, USUAL)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One output on one input.

    Attributes:
        output: its name.
        sizes: value of every symbolic dim.
        optimized: whether onnxruntime optimised the graph; None where it ran in something else.
        torch_error: scaled error of torch in the network's own precision against float64.
        ort_error: scaled error of what is compared (onnxruntime, mostly) against float64.
        problem: what differs other than numbers (shape, dtype, NaN positions); empty if nothing.
        draw: what kind of input.
        conditioning: how far rounding the inputs alone, or every layer's result, moves the result;
            worked out only where the result would fail otherwise, and 0 elsewhere.
        gate: what passes.
        resolution: the error that a kernel makes however small its result is, scaled as the others.
    """

    output: str
    sizes: Mapping[str, int]
    optimized: bool | None
    torch_error: float
    ort_error: float
    problem: str = ""
    draw: str = ""
    conditioning: float = 0.0
    gate: Gate = USUAL
    resolution: float = 0.0

    @property
    def limit(self) -> float:
        """The largest error that passes."""
        unavoidable = self.gate.factor * max(self.torch_error, self.conditioning)
        return max(self.gate.floor, unavoidable, self.resolution)

    @property
    def ok(self) -> bool:
        """Whether it passes the gate."""
        return not self.problem and self.ort_error <= self.limit

    @property
    def badness(self) -> float:
        """How many times the limit the error is; infinite where no number says it."""
        return float("inf") if self.problem else self.ort_error / self.limit


def compare(
    name: str,
    sizes: Mapping[str, int],
    optimized: bool | None,
    torch_output: Array,
    ort_output: Array,
    reference: Array,
    gate: Gate = USUAL,
    *,
    draw: str = "",
    rounded: Callable[[], Array] | None = None,
    absolute: float = 0.0,
    runtime: str = "onnxruntime",
) -> Comparison:
    """Compare one output of two runtimes against float64.

    Args:
        name: the output.
        sizes: value of every symbolic dim.
        optimized: whether onnxruntime optimised the graph.
        torch_output: of torch in the network's own precision.
        ort_output: of onnxruntime.
        reference: of torch in float64.
        gate: what passes; by default that of float32.
        draw: what kind of input.
        rounded: gives the output in float64 on inputs of which each element is off by one
            rounding; asked only when the result would fail. What inputs that close together
            make of a result (a norm of two nearly equal values) is no fault of a runtime.
        absolute: the error that the kernel makes however small its result is.
        runtime: what made `ort_output`.
    """
    problem = _problem(torch_output, ort_output, reference, runtime)
    if problem:
        return Comparison(name, sizes, optimized, 0.0, float("inf"), problem, draw, gate=gate)
    torch_error = scaled_error(torch_output, reference)
    error = scaled_error(ort_output, reference)
    resolution = absolute / _scale(reference) if absolute else 0.0
    found = Comparison(name, sizes, optimized, torch_error, error, "", draw, 0.0, gate, resolution)
    if rounded is None or found.ok:
        return found
    return replace(found, conditioning=scaled_error(rounded(), reference))


def scaled_error(output: Array, reference: Array) -> float:
    """`max|y - ref| / max|ref|` over the finite elements; absolute where the reference is zero."""
    import numpy as np

    finite = np.isfinite(reference) & np.isfinite(output)
    if not finite.any():
        return 0.0
    difference = np.abs(output[finite].astype(np.float64) - reference[finite])
    return float(difference.max() / _scale(reference[finite]))


def _scale(reference: Array) -> float:
    """What errors are measured by: the largest finite number, or 1 where all are zero."""
    import numpy as np

    finite = np.abs(reference[np.isfinite(reference)])
    return float(finite.max(initial=0.0)) or 1.0


def _problem(torch_output: Array, ort_output: Array, reference: Array, runtime: str) -> str:
    """What differs that is no rounding."""
    import numpy as np

    if torch_output.shape != ort_output.shape:
        shapes = f"torch {list(torch_output.shape)}, {runtime} {list(ort_output.shape)}"
        return f"shapes differ: {shapes}"
    if torch_output.dtype != ort_output.dtype:
        return f"dtypes differ: torch {torch_output.dtype}, {runtime} {ort_output.dtype}"
    if not np.issubdtype(torch_output.dtype, np.floating):
        return "" if np.array_equal(torch_output, ort_output) else "integers differ"
    finite = np.isfinite(torch_output)
    if torch_output.size and not finite.any():
        return "nothing but NaN and infinity: there is nothing to compare"
    if not np.array_equal(_special(torch_output), _special(ort_output)):
        return "NaN or infinity at different places"
    # A float32 result may overflow where float64 does not; the reverse has no such reason.
    special = _special(reference)
    if not np.array_equal(special[special != 0], _special(torch_output)[special != 0]):
        return "NaN or infinity in float64, and numbers in the network's own precision"
    return ""


def _special(array: Array) -> Array:
    """0 for a finite element, 1 and -1 for infinities, 2 for NaN."""
    import numpy as np

    kinds = np.where(np.isinf(array), np.sign(array), 0.0)
    return np.where(np.isnan(array), 2.0, kinds)

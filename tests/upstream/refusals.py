"""Why archc refuses what a suite tries: each refusal with the part of its message that tells it."""

from __future__ import annotations

from archc.diagnostics import Diagnostic

EPS = "an `eps` that is not positive, under which a norm may divide by zero"
DTYPE = "integers, where the layer takes floating-point numbers only"
HALF = "padding of more than half the kernel, which torch refuses: a window could lie in it alone"

REFUSALS: dict[tuple[str, str, str], str] = {
    ("attention", "shape-mismatch", "as many queries as keys"): "causal with fewer queries than "
    "keys: torch counts positions from the first key, others from the last, so that `causal` asks "
    "for as many",
    ("attention", "wrong-dtype", "float32"): "float16 declared for one layer: a whole network is "
    "built in another dtype (`--dtype`)",
    ("avgpool", "bad-value", "`divisor` must be at least 1"): "a divisor that is not positive",
    ("avgpool", "bad-value", "more than half the kernel"): HALF,
    ("avgpool", "bad-value", "leave unequal padding out of the mean"): "padding that differs "
    "between the sides and does not count, which torch.nn.AvgPool2d cannot do",
    ("chunk", "indivisible", "equal chunks"): "shares of unequal size: `chunk` refuses a "
    "remainder, `split` says the sizes",
    ("groupnorm", "bad-value", "`eps` must be"): EPS,
    ("hardtanh", "bad-value", "needs min < max"): "bounds without anything between them, which "
    "torch.nn.Hardtanh refuses likewise",
    ("layernorm", "bad-value", "`eps` must be"): EPS,
    ("maxpool", "bad-value", "more than half the kernel"): HALF,
    ("maxpool", "wrong-dtype", "floating-point"): DTYPE,
    ("pad", "wrong-dtype", "floating-point"): DTYPE,
    ("resize", "bad-value", "multiple of 1/1024"): "a scale that binary fractions do not hold "
    "exactly (1.7, 0.6): what size it gives would depend on rounding",
    ("rmsnorm", "bad-value", "`eps` must be"): EPS,
    ("slice", "bad-value", "is outside of axis"): "positions outside of the axis, which archc "
    "refuses and others cut off",
}
"""(op, code of the diagnostic, part of its message) -> the reason that the page prints."""


def reason_of(op: str, finding: Diagnostic) -> str | None:
    """Why archc refuses by design; None where it should not have."""
    for (word, code, part), reason in REFUSALS.items():
        if word == op and code == finding.code and part in finding.message:
            return reason
    return None

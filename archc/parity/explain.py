"""Why two networks differ: a layer that is wrong, or rounding that the network amplifies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archc.graph import Graph
from archc.parity.divergence import Divergence
from archc.parity.gate import Comparison
from archc.parity.layers import LayerError
from archc.parity.others import Other, TorchOther
from archc.parity.report import Report
from archc.parity.rounding import amplified
from archc.parity.situation import Situation
from archc.records import dataclass, replace
from archc.runtime import RunError
from archc.types import DType
from archc.weights import CastWeights, WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Feed = Mapping[str, Array]

_CLEARLY = 0.1
"""Part of the worst result that still shows a mistake clearly."""

AMPLIFIED = (
    "no layer is wrong on its own; the network amplifies their rounding, which is the measure here"
)
"""Note of a report that passes by what roundings alone make of the network."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the network in torch.

    Attributes:
        sizes: value of every symbolic dim.
        draw: what kind of input.
        feed: the inputs.
        single: outputs in the network's own precision.
        double: outputs in float64.
        nudged: gives outputs in float64 on inputs off by one rounding.
    """

    sizes: Mapping[str, int]
    draw: str
    feed: Feed
    single: Mapping[str, Array]
    double: Mapping[str, Array]
    nudged: Callable[[], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Networks:
    """What is compared.

    Attributes:
        graph: of the spec.
        weights: that both networks have, before they are rounded to its precision.
        own: its PyTorch form.
        other: the other one.
    """

    graph: Graph
    weights: WeightSource
    own: TorchOther
    other: Other


def explained(networks: Networks, report: Report, trials: Sequence[Trial]) -> Report:
    """The report of a comparison that fails, with the reason as far as it can be told.

    Args:
        networks: what is compared.
        report: what was found.
        trials: what the networks were run on.

    Returns:
        The report with the first layer that diverges. Or one that passes, where no layer is wrong
        on its own and the error is what the rounding of right layers makes of the network.
    """
    try:
        divergence = _located(networks, report, trials)
        if divergence is None or divergence.together:
            by_rounding = _by_rounding(networks, report, trials)
            if by_rounding.ok:
                return by_rounding
        return replace(report, divergence=divergence)
    except (LayerError, RunError):
        return report  # the comparison stands, without a place


def _located(networks: Networks, report: Report, trials: Sequence[Trial]) -> Divergence | None:
    """Where the networks part, on the smallest of the inputs that show it clearly."""
    failed = [item for item in report.comparisons if not item.ok]
    clear = _CLEARLY * max(item.badness for item in failed)
    shown = [(trial, item) for trial in trials for item in failed if _is_of(item, trial)]
    trial, _ = min(
        ((trial, item) for trial, item in shown if item.badness >= clear),
        key=lambda pair: sum(array.size for array in pair[0].feed.values()),
    )
    levels = {item.optimized for item in failed if _is_of(item, trial)}
    graph, weights = networks.graph, networks.weights
    situation = Situation(graph, weights, trial.feed, trial.sizes, False not in levels)
    found = networks.other.locate(situation)
    if found is not None or graph.dtype is DType.BFLOAT16:
        return found  # what functions return in bfloat16 is not traced
    return networks.own.locate(situation)


def _by_rounding(networks: Networks, report: Report, trials: Sequence[Trial]) -> Report:
    """The report with what roundings make of the network as a measure, where a result fails."""
    return replace(report, comparisons=tuple(_measured(networks, report, trials)), note=AMPLIFIED)


def _measured(networks: Networks, report: Report, trials: Sequence[Trial]) -> Iterator[Comparison]:
    errors: dict[int, Mapping[str, float]] = {}
    for item in report.comparisons:
        if item.ok or item.problem:
            yield item
            continue
        at = next(i for i, trial in enumerate(trials) if _is_of(item, trial))
        if at not in errors:
            weights = CastWeights(networks.weights)
            trial = trials[at]
            errors[at] = amplified(networks.graph, weights, trial.feed, trial.sizes)
        measure = max(item.conditioning, errors[at].get(item.output, 0.0))
        yield replace(item, conditioning=measure)


def _is_of(item: Comparison, trial: Trial) -> bool:
    return item.sizes == trial.sizes and item.draw == trial.draw

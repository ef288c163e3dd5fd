"""The first layer of an ONNX model that computes something else than the spec says.

Every layer is run alone, in onnxruntime and in torch, on the values that torch feeds it: what one
layer gets wrong does not touch the verdict on the next. Only one layer's values are held at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from archc.graph import Node
from archc.parity.attributes import Emitted, differences
from archc.parity.divergence import NEIGHBOURS, Divergence, LayerErrors
from archc.parity.gate import Comparison, compare
from archc.parity.layers import LayerRun
from archc.parity.segments import OnnxFile, Segment
from archc.parity.situation import Situation
from archc.records import dataclass, field
from archc.runtime import RunError
from archc.weights import WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


_NOTABLE, _SURE = 0.1, 30.0
"""An error that is a mistake and no long sum in another order: this part of the worst layer's, or
this many times the limit.

onnxruntime adds up the elements of a mean in order, torch in pairs: over 100,000 of them the former
is off by a few times the limit."""


@dataclass(frozen=True, slots=True)
class OnnxSubject:
    """An ONNX model that is compared with a spec.

    Attributes:
        file: the model.
        values: name of a value in the graph -> its name in the file.
        emitted: what archc writes for the spec.
        weights: of the spec; None where they were read from the file itself.
        shapes: shapes of the file's values where they need not be the spec's.
        other: what the file is called in sentences.
    """

    file: OnnxFile
    values: Mapping[str, str]
    emitted: Emitted
    weights: WeightSource | None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    other: str = "the file"


@dataclass(slots=True)
class _Check:
    """A layer that was run alone."""

    run: LayerRun
    tensors: tuple[str, ...]
    local: Comparison
    segment: Segment


class _Held:
    """Values of the network by their names in the file, as long as later layers read them.

    Args:
        subject: the model.
        layers: in the order in which they are run.
    """

    def __init__(self, subject: OnnxSubject, layers: Sequence[Node]) -> None:
        self.arrays: dict[str, Array] = {}
        self.shapes: dict[str, Array] = {}
        self._subject = subject
        self._last: dict[str, int] = {}
        self._lets_go: dict[int, list[str]] = {}
        last = {value.name: i for i, node in enumerate(layers) for value in node.inputs}
        for node in reversed(layers):
            for value in node.outputs:
                if value.name not in subject.values:
                    # What stands for this layer in the file reaches back to its inputs.
                    for source in node.inputs:
                        last[source.name] = max(last[source.name], last.get(value.name, 0))
        for key, index in last.items():
            name = subject.values.get(key, "")
            self._last[name] = max(self._last.get(name, 0), index)
        for name, index in self._last.items():
            if name not in subject.file.inputs:
                self._lets_go.setdefault(index, []).append(name)

    def take(self, run: LayerRun, index: int) -> None:
        """Hold a layer's results; let go what no later layer reads."""
        import numpy as np

        for value, array in zip(run.node.outputs, run.single, strict=True):
            name = self._subject.values.get(value.name)
            if name is not None:
                array = array.reshape(self._subject.shapes.get(name, array.shape))
                self.shapes[name] = np.broadcast_to(np.zeros((), array.dtype), array.shape)
                if self._last.get(name, -1) > index:
                    self.arrays.setdefault(name, array)
        for name in self._lets_go.get(index, ()):
            self.arrays.pop(name, None)

    def feed(self, segment: Segment) -> dict[str, Array]:
        """What a part of the model is run on."""
        import numpy as np

        known = {name: self.arrays[name] for name in segment.inputs}
        return known | {name: np.ascontiguousarray(self.shapes[name]) for name in segment.shapes}


def locate(
    situation: Situation, subject: OnnxSubject, only: Collection[str] | None = None
) -> Divergence | None:
    """The first layer that diverges; None if no layer does on its own.

    Args:
        situation: what both are run on.
        subject: the model.
        only: paths of the layers to look at; by default all that the file has a value for.

    Raises:
        LayerError: a layer of the spec cannot be run alone.
    """
    recent: deque[_Check] = deque(maxlen=NEIGHBOURS)
    before: list[_Check] = []
    found: _Check | None = None
    after: list[_Check] = []
    wrong: dict[str, float] = {}
    for check in _checks(situation, subject, only):
        if not check.local.ok:
            wrong[check.run.node.path] = check.local.badness
        least = min(_SURE, _NOTABLE * max(wrong.values(), default=0.0))
        if not check.local.ok and (found is None or wrong[found.run.node.path] < least):
            before, found, after = list(recent), check, []
        elif found is not None and len(after) < NEIGHBOURS:
            after.append(check)
        recent.append(check)
    if found is None:
        return None
    shown = [*before, found, *after]
    errors = _propagated(situation, subject, shown)
    at = len(before)
    least = min(_SURE, _NOTABLE * max(wrong.values()))
    also = [path for path in wrong if path != shown[at].run.node.path and wrong[path] >= least]
    same = differences(
        found.run.node,
        subject.emitted,
        subject.file,
        found.segment.nodes,
        subject.values,
        subject.weights,
    )
    return Divergence(
        errors[at], subject.other, same, tuple(errors[:at]), tuple(errors[at + 1 :]), tuple(also)
    )


def _checks(
    situation: Situation, subject: OnnxSubject, only: Collection[str] | None
) -> Iterator[_Check]:
    """Every layer that the file has a value for, run alone."""
    from archc.targets.onnx.emit import exported_layers

    held = _Held(subject, exported_layers(situation.graph))
    for value in situation.graph.inputs:
        name = subject.values[value.name]
        held.arrays[name] = held.shapes[name] = situation.feed[value.name]
    for index, run in enumerate(situation.layers()):
        names = [subject.values.get(value.name, "") for value in run.node.outputs]
        if all(names) and (only is None or run.node.path in only):
            yield _check(situation, subject, run, tuple(names), held)
        held.take(run, index)


def _check(
    situation: Situation,
    subject: OnnxSubject,
    run: LayerRun,
    names: tuple[str, ...],
    held: _Held,
) -> _Check:
    file = subject.file
    ready = {name: held.arrays[name] for name in names if name in held.arrays}
    for name in names:
        if name in file.initializers:
            import onnx

            ready[name] = onnx.numpy_helper.to_array(file.initializers[name])
    wanted = [name for name in names if name not in ready]
    segment = file.segment(wanted, held.arrays.keys(), held.shapes.keys())
    try:
        if wanted:
            ready |= file.run(segment, held.feed(segment), optimized=situation.optimized)
    except RunError as error:
        message = error.diagnostic.message
        failed = _failed(run.node, situation, message)
        return _Check(run, names, failed, segment)
    results = [
        ready[name].reshape(array.shape) if name in subject.shapes else ready[name]
        for name, array in zip(names, run.single, strict=True)
    ]
    compared = [
        compare(
            run.node.outputs[i].name,
            situation.sizes,
            situation.optimized,
            run.single[i],
            result,
            run.double[i],
            situation.gate,
            absolute=run.absolute,
            rounded=lambda i=i: run.nudged(i),  # type: ignore[misc]
        )
        for i, result in enumerate(results)
    ]
    return _Check(run, names, max(compared, key=lambda item: item.badness), segment)


def _failed(node: Node, situation: Situation, message: str) -> Comparison:
    return Comparison(
        node.output.name, situation.sizes, situation.optimized, 0.0, float("inf"), message
    )


def _propagated(
    situation: Situation, subject: OnnxSubject, checks: list[_Check]
) -> list[LayerErrors]:
    """The checks with what arrives behind each layer in the whole network."""
    feed = {subject.values[name]: array for name, array in situation.feed.items()}
    names = list(dict.fromkeys(check.tensors[0] for check in checks))
    names = [name for name in names if name in subject.file.values]
    segment = subject.file.segment(names, ())
    try:
        arrays = subject.file.run(segment, feed, optimized=situation.optimized) if names else {}
    except RunError:
        arrays = {}
    return [
        LayerErrors(
            check.run.node,
            check.local,
            _compared(situation, subject, check.run, arrays.get(check.tensors[0])),
            check.tensors[0],
        )
        for check in checks
    ]


def _compared(
    situation: Situation, subject: OnnxSubject, run: LayerRun, array: Array | None
) -> Comparison | None:
    if array is None:
        return None
    if subject.shapes:
        array = array.reshape(run.single[0].shape)
    return compare(
        run.node.output.name,
        situation.sizes,
        situation.optimized,
        run.single[0],
        array,
        run.exact[0],
        situation.gate,
    )


def locate_by_propagation(situation: Situation, subject: OnnxSubject) -> Divergence | None:
    """The first layer behind which the whole network differs, where no layer does on its own.

    So it is where a runtime's rewriting of several layers together is at fault. The layers are
    searched by halves.

    Raises:
        LayerError: a layer of the spec cannot be run alone.
    """
    from archc.targets.onnx.emit import exported_layers

    file = subject.file
    places = [
        index
        for index, node in enumerate(exported_layers(situation.graph))
        if subject.values.get(node.output.name) in file.values
    ]
    low, high = 0, len(places)
    found: LayerErrors | None = None
    while low < high:
        middle = (low + high) // 2
        run = next(islice(situation.layers(), places[middle], None))
        name = subject.values[run.node.output.name]
        feed = {subject.values[key]: array for key, array in situation.feed.items()}
        arrays = file.run(file.segment([name], ()), feed, optimized=situation.optimized)
        errors = LayerErrors(run.node, None, _compared(situation, subject, run, arrays[name]), name)
        assert errors.propagated is not None
        if errors.propagated.ok:
            low = middle + 1
        else:
            found, high = errors, middle
    if found is None:
        return None
    return Divergence(found, subject.other, together=True)

"""Where an ONNX file parts from a spec, whoever wrote it: by names, by numbers, by halves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from archc.graph import Graph, Node
from archc.graph.passes import Rewriting, optimised
from archc.parity.attributes import Emitted
from archc.parity.divergence import NEIGHBOURS, Divergence, LayerErrors
from archc.parity.locate import OnnxSubject, locate, locate_by_propagation
from archc.parity.match import Candidate, Matching, candidate, match
from archc.parity.segments import OnnxFile
from archc.parity.situation import Situation
from archc.targets.onnx.emit import emit_onnx, exported_layers
from archc.targets.onnx.opsets import DEFAULT_OPSET, opset_supported
from archc.types import DType
from archc.weights import CastWeights, ComputedWeights, WeightSource
from archc.weights.cast import WideWeights

_ENOUGH = 0.5
"""Part of the layers' names that a file has if it was written by archc."""

_SLICE = 64
"""Values read from one run: all of them at once would not fit for a large network."""


def locate_in_onnx(
    situation: Situation, path: Path, weights: WeightSource | None
) -> Divergence | None:
    """The first layer of an ONNX file that diverges; None if none can be told.

    Args:
        situation: what both are run on.
        path: the file.
        weights: those it should have; None where they were read from it.

    Raises:
        LayerError: a layer of the spec cannot be run alone.
        RunError: onnxruntime refuses the file.
    """
    file = OnnxFile(path)
    situation, rewriting = _as_written(situation, file)
    if weights is not None and rewriting is not None:
        weights = ComputedWeights(weights, rewriting.recipes)
    if weights is not None:
        weights = _as_held(CastWeights(weights), situation.graph)
    subject = _by_names(situation.graph, file, weights)
    if subject is not None:
        found = locate(situation, subject)
        if found is None and _is_whole(situation.graph, subject):
            return locate_by_propagation(situation, subject)
        if found is not None:
            return found
    divergence = _by_numbers(situation, file, weights)
    if divergence is None and subject is not None:
        return locate_by_propagation(situation, subject)
    return divergence


def _as_held(weights: WeightSource, graph: Graph) -> WeightSource:
    """The weights as a file has them: those of bfloat16 are held in float32 to be run."""
    return WideWeights(weights, graph) if graph.dtype is DType.BFLOAT16 else weights


def _is_whole(graph: Graph, subject: OnnxSubject) -> bool:
    """Whether the file has a value for every layer, so that all of them were looked at."""
    layers = exported_layers(graph)
    return all(value.name in subject.values for node in layers for value in node.outputs)


def _as_written(situation: Situation, file: OnnxFile) -> tuple[Situation, Rewriting | None]:
    """The network in the form that the file holds: as the spec says it, or after passes."""
    rewriting = optimised(situation.graph)
    if not rewriting.done:
        return situation, None
    held = {(node.name, node.op_type) for node in file.nodes}
    held |= {(name, str(list(tensor.dims))) for name, tensor in file.initializers.items()}
    plain, after = (
        len(parts & held) / len(parts)
        for parts in (_emitted(g, file).parts for g in (situation.graph, rewriting.graph))
    )
    if after <= max(plain, _ENOUGH):
        return situation, None
    weights = ComputedWeights(situation.weights, rewriting.recipes)
    return replace(situation, graph=rewriting.graph, weights=weights), rewriting


def _by_names(graph: Graph, file: OnnxFile, weights: WeightSource | None) -> OnnxSubject | None:
    """The file under archc's own names; None if it has others."""
    emitted = _emitted(graph, file)
    inputs = _inputs(graph, file)
    values = {
        name: value
        for name, value in emitted.values.items()
        if value in file.values or value in file.initializers
    } | inputs
    # A layer that ONNX has no node for shares its input's name.
    for name, value in emitted.values.items():
        if value in inputs:
            values[name] = inputs[value]
    expected = {value for value in emitted.values.values() if value not in inputs}
    if len(expected & set(file.values)) < _ENOUGH * len(expected - file.initializers.keys()):
        return None
    return OnnxSubject(file, values, emitted, weights)


def _by_numbers(
    situation: Situation, file: OnnxFile, weights: WeightSource | None
) -> Divergence | None:
    """The first layer whose value the file has not, though it has its inputs."""
    graph = situation.graph
    inputs = _inputs(graph, file)
    known = {name: candidate(value, -1, situation.feed[name]) for name, value in inputs.items()}
    candidates = list(_candidates(situation, file))
    matching = match(known, situation.layers(), candidates, gate=situation.gate)
    node = matching.first_unmatched()
    if node is None:
        return None
    good = matching.good_before(node)
    closest = _behind_inputs(node, matching, file, candidates)
    if closest is not None:
        good[node.output.name] = closest
    values = {name: item.name for name, item in good.items()}
    shapes = {item.name: item.shape for item in good.values()}
    subject = OnnxSubject(file, values, _emitted(graph, file), weights, shapes)
    shown = [other.path for other in matching.nodes]
    index = shown.index(node.path)
    found = locate(situation, subject, set(shown[max(0, index - NEIGHBOURS) : index + 1]))
    if found is None or found.layer.node.path != node.path:
        return _unlocated(matching, node.path, closest)
    return _explained(found, matching, file)


def _behind_inputs(
    node: Node, matching: Matching, file: OnnxFile, candidates: Sequence[Candidate]
) -> Candidate | None:
    """The closest counterpart of a layer's value.

    An activation may come closer to its own input than to what stands in its place; that is then
    what the file makes of the input.
    """
    closest = matching.closest.get(node.output.name)
    inputs = {v.name for v in node.inputs}
    inputs = {item.name for name, item in matching.matched.items() if name in inputs}
    if closest is None or closest.name not in inputs:
        return closest
    for item in candidates:
        maker = file.maker(item.name)
        if item.count == closest.count and maker is not None and inputs & set(maker.input):
            return item
    return closest


def _unlocated(matching: Matching, path: str, closest: Candidate | None) -> Divergence:
    """What is known without a part of the file to run alone."""
    node = next(item for item in matching.nodes if item.path == path)
    errors = matching.errors.get(node.output.name)
    name = closest.name if closest else ""
    note = "" if closest else "the file computes nothing of this size"
    return Divergence(LayerErrors(node, None, errors, name), "the file", note=note)


def _explained(found: Divergence, matching: Matching, file: OnnxFile) -> Divergence:
    """The finding with what was made of the file's values."""
    node, maker = found.layer.node, file.maker(found.layer.counterpart)
    named = f" `{maker.name}`" if maker is not None and maker.name else ""
    note = "the file's values were matched by their numbers"
    note += f"; this one comes from {maker.op_type}{named}" if maker is not None else ""
    made = {value.name: other.path for other in matching.nodes for value in other.outputs}
    folded = [
        made[value.name]
        for value in node.inputs
        if value.name in made and value.name not in matching.matched
    ]
    if not folded:
        return replace(found, note=note)
    note += f", which computes `{folded[0]}` and this layer in one"
    return replace(found, note=note, differences=())


def _candidates(situation: Situation, file: OnnxFile) -> Iterator[Candidate]:
    """Every value of the file, a slice at a time."""
    inputs = _inputs(situation.graph, file)
    feed = {inputs[name]: array for name, array in situation.feed.items()}
    names = list(file.values)
    for start in range(0, len(names), _SLICE):
        segment = file.segment(names[start : start + _SLICE], ())
        arrays = file.run(segment, feed, optimized=situation.optimized)
        for name, array in arrays.items():
            if hasattr(array, "reshape"):  # no sequence, no map
                yield candidate(name, file.order(name), array)


def _inputs(graph: Graph, file: OnnxFile) -> dict[str, str]:
    """The file's name of each input: the same, or the one at its place."""
    names = [value.name for value in graph.inputs]
    if set(names) <= set(file.inputs):
        return {name: name for name in names}
    return dict(zip(names, file.inputs, strict=False))


def _emitted(graph: Graph, file: OnnxFile) -> Emitted:
    """What archc writes for the operator set of the file."""
    for opset in (file.opset, DEFAULT_OPSET):
        if opset_supported(opset):
            model, _ = emit_onnx(graph, opset)
            if model is not None:
                return Emitted(model)
    raise AssertionError(f"{graph.name}: verified, and cannot be written")

"""The first layer of a torch module that computes something else than the spec says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.graph import Node
from archc.parity.divergence import NEIGHBOURS, Difference, Divergence, LayerErrors
from archc.parity.gate import Comparison, compare
from archc.parity.layers import LAYER, LayerRun
from archc.parity.match import Candidate, Matching, candidate, match
from archc.parity.situation import Situation
from archc.parity.trace import run_module, trace
from archc.records import dataclass, replace

if TYPE_CHECKING:
    import torch

_PLAIN = (int, float, str, tuple, type(None))
_SPEC_NAMES = {
    "ceil_mode": "ceil",
    "kernel_size": "kernel",
    "negative_slope": "slope",
    "num_groups": "groups",
    "out_channels": "out",
    "out_features": "out",
    "p": "rate",
}


@dataclass(frozen=True, slots=True)
class TorchSubject:
    """A torch module that is compared with a spec.

    Attributes:
        module: it, in evaluation mode.
        file: its source, if there is one.
        other: what it is called in sentences.
    """

    module: torch.nn.Module
    file: Path | None
    other: str = "the module"


def locate_in_module(situation: Situation, subject: TorchSubject) -> Divergence | None:
    """The first layer that diverges; None if every value has its counterpart.

    Submodules are matched by their paths, which are the spec's; what functions compute is
    matched by its numbers.

    Raises:
        LayerError: a layer of the spec cannot be run alone.
    """
    graph = situation.graph
    inputs = [situation.feed[value.name] for value in graph.inputs]
    values, by_path = trace(subject.module, inputs, subject.file)
    known = {
        value.name: candidate(value.name, -1, situation.feed[value.name]) for value in graph.inputs
    }
    matching = match(known, situation.layers(), values, by_path, situation.gate)
    node = _first_wrong(situation, subject, by_path, matching.first_unmatched())
    if node is None:
        return None
    return _divergence(situation, subject, matching, node, by_path)


def _first_wrong(
    situation: Situation,
    subject: TorchSubject,
    by_path: dict[str, list[Candidate]],
    unmatched: Node | None,
) -> Node | None:
    """The first layer whose submodule is wrong on its own, or else whose value has no counterpart.

    What is wrong with a layer may hide in what reaches it until a later layer shows it.
    """
    parts = dict(subject.module.named_modules())
    for run in situation.layers():
        if unmatched is not None and run.node.path == unmatched.path:
            break
        if run.node.path in by_path and not _local(situation, run, parts[run.node.path]).ok:
            return run.node
    return unmatched


def _divergence(
    situation: Situation,
    subject: TorchSubject,
    matching: Matching,
    node: Node,
    by_path: dict[str, list[Candidate]],
) -> Divergence:
    index = [other.path for other in matching.nodes].index(node.path)
    shown = matching.nodes[max(0, index - NEIGHBOURS) : index + NEIGHBOURS + 1]
    parts = dict(subject.module.named_modules())
    errors: dict[str, LayerErrors] = {}
    found: tuple[Difference, ...] = ()
    for run in situation.layers():
        path = run.node.path
        if all(other.path != path for other in shown):
            continue
        part = parts.get(path) if path in by_path else None
        name = run.node.output.name
        value = matching.matched.get(name) or matching.closest.get(name)
        propagated = matching.errors.get(name)
        local = None if part is None else _local(situation, run, part)
        errors[path] = LayerErrors(run.node, local, propagated, value.name if value else "")
        if path == node.path and part is not None:
            found = _differences(run, part)
        if path == shown[-1].path:
            break
    rows = [errors[other.path] for other in shown]
    at = [row.node.path for row in rows].index(node.path)
    result = Divergence(rows[at], subject.other, found, tuple(rows[:at]), tuple(rows[at + 1 :]))
    return replace(result, note=_note(rows[at], subject))


def _note(row: LayerErrors, subject: TorchSubject) -> str:
    if row.local is not None and row.local.ok:
        return f"on its own it is right: {subject.other} feeds it something else than the spec"
    if row.local is None and not row.counterpart:
        return f"{subject.other} computes nothing of this size"
    return ""


def _local(situation: Situation, run: LayerRun, part: torch.nn.Module) -> Comparison:
    try:
        results = list(run_module(part, run.inputs).values())
    except Exception as error:  # whatever somebody's module raises
        said = str(error).strip().splitlines()
        problem = f"it fails on what the spec feeds it: {said[0] if said else type(error).__name__}"
        return Comparison(run.node.output.name, situation.sizes, None, 0.0, float("inf"), problem)
    compared = [
        compare(
            run.node.outputs[i].name,
            situation.sizes,
            None,
            run.single[i],
            result,
            run.double[i],
            situation.gate,
            runtime="the module",
            rounded=lambda i=i: run.nudged(i),  # type: ignore[misc]
        )
        for i, result in enumerate(results[: len(run.single)])
    ]
    return max(compared, key=lambda item: item.badness)


def _differences(run: LayerRun, part: torch.nn.Module) -> tuple[Difference, ...]:
    """Settings and weights of a submodule that are not those of the spec's."""
    mine = getattr(run.module.module, LAYER, None)
    if mine is None or not hasattr(mine, "forward"):
        return ()
    if type(mine).__name__ != type(part).__name__:
        return (Difference("class", type(mine).__name__, type(part).__name__),)
    ours, theirs = _settings(mine), _settings(part)
    found = [
        Difference(name, str(ours[name]), str(theirs[name]), _attribute(run.node, name))
        for name in ours.keys() & theirs.keys()
        if ours[name] != theirs[name]
    ]
    own = {name: tensor.float() for name, tensor in mine.state_dict().items()}
    for name, tensor in part.state_dict().items():
        if name in own and tensor.shape != own[name].shape:
            shapes = str(list(own[name].shape)), str(list(tensor.shape))
            found.append(Difference(f"`{run.node.path}.{name}`", *shapes))
        elif name in own and not bool((tensor.float() == own[name]).all()):
            found.append(Difference(f"`{run.node.path}.{name}`", "given", "another"))
    return tuple(sorted(found, key=lambda item: item.what))


def _settings(module: torch.nn.Module) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and isinstance(value, _PLAIN)
    }


def _attribute(node: Node, name: str) -> str | None:
    choice = (name, _SPEC_NAMES.get(name, name))
    return next((item for item in choice if item in node.attribute_spans), None)

"""Whether the tensors of a checkpoint are those of a network, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph, Node, WeightRef
from archc.types import DType, format_shape
from archc.weights.files import Stored

_LISTED = 10


def fit_findings(graph: Graph, tensors: Mapping[str, Stored], path: Path) -> list[Diagnostic]:
    """What keeps a checkpoint from fitting; empty if nothing does.

    Args:
        graph: the network.
        tensors: what the checkpoint holds, by key.
        path: the checkpoint, for the messages.
    """
    owners = {ref.key: node for node in reversed(graph.nodes) for ref in node.weights}
    refs = {ref.key: ref for ref in graph.weights()}
    missing = [key for key in refs if key not in tensors]
    unexpected = [key for key in tensors if key not in refs]
    help = _prefix_help(missing, unexpected) if missing and unexpected else ()
    findings: list[Diagnostic] = []
    if missing:
        label = Label(owners[missing[0]].span, f"`{missing[0]}` belongs here")
        count = f"{len(missing)} of the network's {len(refs)} weights"
        message = f"`{path}` lacks {count}: {_listed(missing)}"
        findings.append(Diagnostic("weights-missing", message, label, help=help))
    if unexpected:
        message = f"the network has no place for {len(unexpected)} of the {len(tensors)} tensors"
        message += f" in `{path}`: {_listed(unexpected)}"
        findings.append(Diagnostic("weights-unexpected", message, help=help, path=str(path)))
    return [*findings, *_mismatches(refs, tensors, owners, path)]


def _mismatches(
    refs: Mapping[str, WeightRef],
    tensors: Mapping[str, Stored],
    owners: Mapping[str, Node],
    path: Path,
) -> Iterator[Diagnostic]:
    """One finding per layer, the first few."""
    differing: dict[str, list[str]] = {}
    for key, ref in refs.items():
        if key in tensors and tensors[key] != (ref.weight.shape, ref.weight.dtype):
            differing.setdefault(owners[key].path, []).append(key)
    layers = list(differing.values())
    help = _class_help([(refs[key], tensors[key]) for keys in layers for key in keys])
    for index, keys in enumerate(layers[:_LISTED]):
        said = "; ".join(_difference(refs[key], tensors[key]) for key in keys)
        left = len(layers) - _LISTED
        if index == _LISTED - 1 and left > 0:
            said += f"; {left} more layers differ"
        message = f"`{path}` does not fit the network: {said}"
        yield Diagnostic("weights-mismatch", message, Label(owners[keys[0]].span), help=help)


def _difference(ref: WeightRef, stored: Stored) -> str:
    ours, theirs = format_shape(ref.weight.shape), format_shape(stored.shape)
    if stored.dtype is not ref.weight.dtype:
        name = stored.dtype.value if isinstance(stored.dtype, DType) else stored.dtype
        ours, theirs = f"{ours} {ref.weight.dtype.value}", f"{theirs} {name}"
    return f"`{ref.key}` is {theirs} in the file and {ours} in the network"


def _prefix_help(missing: Sequence[str], unexpected: Sequence[str]) -> tuple[str, ...]:
    """What to do where keys differ by one prefix."""
    prefix = _extra_prefix(unexpected, missing)
    if prefix:
        saved = f"torch.save(model.{prefix}state_dict(), path)"
        return (f"the file's keys carry the prefix `{prefix}`: save it with {saved}",)
    prefix = _extra_prefix(missing, unexpected)
    if prefix:
        return (f"the file's keys lack the prefix `{prefix}` that the spec's names have",)
    return ()


def _extra_prefix(longer: Sequence[str], shorter: Sequence[str]) -> str | None:
    """The prefix without which every one of `longer` is one of `shorter`, if there is one."""
    rests = set(shorter)
    parts = longer[0].split(".")
    for count in range(1, len(parts)):
        prefix = ".".join(parts[:count]) + "."
        if all(key.startswith(prefix) and key.removeprefix(prefix) in rests for key in longer):
            return prefix
    return None


def _class_help(pairs: Sequence[tuple[WeightRef, Stored]]) -> tuple[str, ...]:
    """The usual cause: a checkpoint with another number of classes."""
    classes = {stored.shape[0] for _, stored in pairs if stored.shape}
    ours = {ref.weight.shape[0] for ref, _ in pairs if ref.weight.shape}
    only_first = all(
        stored.dtype is ref.weight.dtype
        and len(stored.shape) == len(ref.weight.shape)
        and stored.shape[1:] == ref.weight.shape[1:]
        for ref, stored in pairs
    )
    if len(classes) == len(ours) == 1 and only_first:
        count = min(classes)
        return (f"if the checkpoint was trained for {count} classes: --set num_classes={count}",)
    return ()


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(f"`{key}`" for key in keys[:_LISTED])
    left = len(keys) - _LISTED
    return f"{shown} and {left} more" if left > 0 else shown

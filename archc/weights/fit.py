"""Whether the tensors of a checkpoint are those of a network, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from archc.diagnostics import Diagnostic, Label
from archc.graph.graph import Graph, Node, WeightRef
from archc.types import DType, format_shape
from archc.weights.difference import first_difference, whole_levels
from archc.weights.files import Stored

_LISTED = 10
_FEW = 3  # levels that are proposed to be left out


def fits(ref: WeightRef, stored: Stored) -> bool:
    """Whether a tensor can be this weight."""
    return stored == (ref.weight.shape, ref.weight.dtype)


def fit_findings(graph: Graph, tensors: Mapping[str, Stored], path: Path) -> list[Diagnostic]:
    """What keeps a checkpoint from fitting; empty if nothing does.

    Args:
        graph: the network.
        tensors: what the checkpoint holds, by key.
        path: the checkpoint, for the messages.
    """
    refs = {ref.key: ref for ref in graph.weights()}
    missing = [key for key in refs if key not in tensors]
    unexpected = [key for key in tensors if key not in refs]
    findings = [
        *_missing(graph, refs, missing, path),
        *_unexpected(tensors, unexpected, path),
    ]
    findings += _mismatches(refs, tensors, _owners(graph), path)
    if missing and unexpected:  # another network: nothing is to be left out of it
        prefix = _prefix_help(missing, unexpected)
        help = prefix or (first_difference(refs, tensors),)
        count = len(findings) if prefix else 1
        return [
            replace(finding, help=help if index < count else ())
            for index, finding in enumerate(findings)
        ]
    if missing or unexpected:
        first = (first_difference(refs, tensors), *findings[0].help)
        findings[0] = replace(findings[0], help=first)
    return findings


def _owners(graph: Graph) -> dict[str, Node]:
    return {ref.key: node for node in reversed(graph.nodes) for ref in node.weights}


def _missing(
    graph: Graph, refs: Mapping[str, WeightRef], missing: Sequence[str], path: Path
) -> Iterator[Diagnostic]:
    if not missing:
        return
    owners = _owners(graph)
    label = Label(owners[missing[0]].span, f"`{missing[0]}` belongs here")
    message = f"`{path}` lacks {len(missing)} of the network's {len(refs)} weights: "
    levels = whole_levels(missing, refs)
    help = ""
    if all(owners[key].side == "training" for key in missing):
        help = f"they matter in training only; to draw them: {_options('allow-missing', levels)}"
    elif len(levels) <= _FEW:
        help = f"to draw them as the spec declares: {_options('allow-missing', levels)}"
    yield Diagnostic(
        "weights-missing", message + listed(missing), label, help=(help,) if help else ()
    )


def _unexpected(
    tensors: Mapping[str, Stored], unexpected: Sequence[str], path: Path
) -> Iterator[Diagnostic]:
    if not unexpected:
        return
    message = f"the network has no place for {len(unexpected)} of the {len(tensors)} tensors"
    message += f" in `{path}`: {listed(unexpected)}"
    levels = whole_levels(unexpected, tensors)
    help = f"to leave them out: {_options('ignore-unexpected', levels)}"
    yield Diagnostic(
        "weights-unexpected",
        message,
        help=(help,) if len(levels) <= _FEW else (),
        path=str(path),
    )


def _options(option: str, levels: Sequence[str]) -> str:
    return " ".join(f"--{option} '{level}'" for level in levels)


def _mismatches(
    refs: Mapping[str, WeightRef],
    tensors: Mapping[str, Stored],
    owners: Mapping[str, Node],
    path: Path,
) -> Iterator[Diagnostic]:
    """One finding per layer, the first few."""
    differing: dict[str, list[str]] = {}
    for key, ref in refs.items():
        if key in tensors and not fits(ref, tensors[key]):
            differing.setdefault(owners[key].path, []).append(key)
    layers = list(differing.values())
    levels = whole_levels([key for keys in layers for key in keys], refs)
    help = (f"to draw them anew: {_options('allow-missing', levels)}",) * (len(levels) <= _FEW)
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


def listed(keys: Sequence[str]) -> str:
    """Keys as a message shows them, the first few."""
    shown = ", ".join(f"`{key}`" for key in keys[:_LISTED])
    left = len(keys) - _LISTED
    return f"{shown} and {left} more" if left > 0 else shown

"""Partial loads: what a checkpoint may lack, and what of it may be left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from archc.diagnostics import Diagnostic, Severity
from archc.diagnostics.closest import closest
from archc.graph.graph import Graph
from archc.weights.files import Stored
from archc.weights.fit import fits, listed


class Exceptions(NamedTuple):
    """What a person allows; patterns of keys, in which `*` is any text and `?` any character.

    Attributes:
        missing: weights that are drawn where the checkpoint lacks them, or holds them in another
            shape or dtype.
        unexpected: tensors that are left out where the network has no place for them.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


NO_EXCEPTIONS = Exceptions()


def excepted(
    graph: Graph, tensors: Mapping[str, Stored], exceptions: Exceptions, path: Path
) -> tuple[dict[str, Stored], frozenset[str], list[Diagnostic]]:
    """The tensors of a checkpoint that are to fit.

    Args:
        graph: the network.
        tensors: what the checkpoint holds, by the network's keys.
        exceptions: what is allowed.
        path: the file, for the messages.

    Returns:
        The tensors without those that are left out, and with stand-ins for weights that are
        drawn; the keys of these; patterns that match nothing, and a note of what is drawn.
    """
    refs = {ref.key: ref for ref in graph.weights()}
    findings = [
        *_unmatched("allow-missing", exceptions.missing, refs, "weight of the network"),
        *_unmatched("ignore-unexpected", exceptions.unexpected, tensors, f"tensor of `{path}`"),
    ]
    kept = {
        key: stored
        for key, stored in tensors.items()
        if key in refs or not _matches(exceptions.unexpected, key)
    }
    drawn = [
        key
        for key, ref in refs.items()
        if _matches(exceptions.missing, key) and not (key in kept and fits(ref, kept[key]))
    ]
    kept |= {key: Stored(refs[key].weight.shape, refs[key].weight.dtype) for key in drawn}
    if drawn:
        findings.append(_note(path, drawn))
    return kept, frozenset(drawn), findings


def _matches(patterns: Iterable[str], key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _unmatched(
    option: str, patterns: Iterable[str], keys: Collection[str], what: str
) -> Iterable[Diagnostic]:
    for pattern in patterns:
        if any(fnmatchcase(key, pattern) for key in keys):
            continue
        levels = {key.rpartition(".")[0] + ".*" for key in keys if "." in key}
        options = [*sorted(levels), *keys]
        close = closest(pattern, options, len(options))
        yield Diagnostic(
            "unmatched-pattern",
            f"--{option} '{pattern}' matches no {what}",
            help=(f"did you mean '{close}'?",) if close else (),
        )


def _note(path: Path, drawn: list[str]) -> Diagnostic:
    count = f"{len(drawn)} weight{'' if len(drawn) == 1 else 's'}"
    return Diagnostic(
        "weights-drawn",
        f"{count} that `{path}` does not give are drawn: {listed(drawn)}",
        severity=Severity.NOTE,
    )

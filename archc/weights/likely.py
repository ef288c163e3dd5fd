"""What a checkpoint that does not fit was probably made for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from archc.graph.graph import Graph, WeightRef
from archc.weights.files import Stored
from archc.weights.fit import fits

_CLOSE = 0.1  # share of keys in which a checkpoint may differ from what it looks like

View = Callable[[Graph], Mapping[str, Stored]]
"""The tensors of the checkpoint as a network's keys name them."""


class Alternatives(Protocol):
    """Networks that the same spec describes."""

    def variants(self) -> Iterable[tuple[str, Graph]]:
        """The other variants by name."""
        ...

    def resized(self, variant: str | None, old: int, new: int) -> Iterable[tuple[str, Graph]]:
        """Networks with one param of the value `old` set to `new`, by the param's name.

        Args:
            variant: of which variant; None for the one that was chosen.
            old: the value of the param.
            new: the value it gets.
        """
        ...


def likely_help(graph: Graph, view: View, alternatives: Alternatives) -> tuple[str, ...]:
    """Advice to build what the checkpoint looks like; empty where nothing is close."""
    differing = _difference(graph, view(graph))
    option = _resized(None, differing, view, alternatives)
    if option is not None:
        return (f"if the checkpoint was trained for {_size(option)} classes: {option}",)
    closest: tuple[int, str, Graph] | None = None
    for name, other in alternatives.variants():
        count = len(_difference(other, view(other)))
        if count < (closest[0] if closest else len(differing)):
            closest = (count, name, other)
        if count == 0:
            break
    if closest is None:
        return ()
    count, name, other = closest
    left = _difference(other, view(other))
    option = _resized(name, left, view, alternatives) if left else None
    if option is None and count > _CLOSE * len(view(other)):
        return ()
    options = f"--variant {name}" + (f" {option}" if option else "")
    return (f"this looks like {name}: {options}",)


def _size(option: str) -> str:
    return option.rpartition("=")[2]


Pair = tuple[WeightRef, Stored]


def _difference(graph: Graph, tensors: Mapping[str, Stored]) -> dict[str, Pair | None]:
    """Keys that one side lacks (with None), and those whose tensors differ."""
    refs = {ref.key: ref for ref in graph.weights()}
    differing: dict[str, Pair | None] = dict.fromkeys(refs.keys() ^ tensors.keys())
    for key, ref in refs.items():
        if key in tensors and not fits(ref, tensors[key]):
            differing[key] = (ref, tensors[key])
    return differing


def _resized(
    variant: str | None,
    differing: Mapping[str, Pair | None],
    view: View,
    alternatives: Alternatives,
) -> str | None:
    """The option that sets the one size in which all differing tensors differ, if there is one."""
    sizes: set[tuple[int, int]] = set()
    for pair in differing.values():
        if pair is None or not pair[0].weight.shape or not pair[1].shape:
            return None
        sizes.add((pair[0].weight.shape[0], pair[1].shape[0]))
    if len(sizes) != 1:
        return None
    ((old, new),) = sizes
    for name, other in alternatives.resized(variant, old, new):
        if not _difference(other, view(other)):
            return f"--set {name}={new}"
    return None

"""Other networks that the same spec describes: what a checkpoint may have been made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from archc.compile import Checked, check_source
from archc.graph import Graph
from archc.spec.tree import Node, Scalar, resolve_plain


class SpecAlternatives:
    """The networks of a spec, elaborated when they are asked for.

    Args:
        checked: the spec as it was chosen.
        overrides: params that were set, as text.
    """

    def __init__(self, checked: Checked, overrides: Mapping[str, str]) -> None:
        self.checked = checked
        self.overrides = overrides

    def variants(self) -> Iterator[tuple[str, Graph]]:
        """The other variants by name."""
        for name in self._names():
            graph = None if name == self._chosen() else self._graph(name, self.overrides)
            if graph is not None:
                yield name, graph

    def resized(self, variant: str | None, old: int, new: int) -> Iterator[tuple[str, Graph]]:
        """Networks with one param of the value `old` set to `new`, by the param's name.

        A param is known by the number that is written for it; expressions are not looked into.
        """
        variant = variant or self._chosen()
        for name, value in self._params(variant).items():
            if value != old or isinstance(value, bool):
                continue
            graph = self._graph(variant, {**self.overrides, name: str(new)})
            if graph is not None:
                yield name, graph

    def _names(self) -> list[str]:
        return [] if self.checked.spec is None else list(self.checked.spec.variants)

    def _chosen(self) -> str | None:
        name = None if self.checked.graph is None else self.checked.graph.name
        return name if name in self._names() else None

    def _graph(self, variant: str | None, overrides: Mapping[str, str]) -> Graph | None:
        source, files = self.checked.source, self.checked.files
        if source is None:
            return None
        is_file = bool(files) and files[0] == Path(source.name)
        folder = files[0].parent if is_file else Path()
        ops, budgets = self.checked.ops, self.checked.budgets
        return check_source(source, folder, variant, overrides, ops=ops, budgets=budgets).graph

    def _params(self, variant: str | None) -> dict[str, object]:
        """What is written for each param: its default, the variant's value, or what was set."""
        spec = self.checked.spec
        if spec is None:
            return {}
        values = {name: _literal(param.default) for name, param in spec.params.items()}
        chosen = spec.variants.get(variant or "", {})
        values |= {name: _literal(argument.value) for name, argument in chosen.items()}
        return values | {
            name: resolve_plain(text) for name, text in self.overrides.items() if name in values
        }


def _literal(node: Node) -> object:
    return node.value if isinstance(node, Scalar) else None

"""The networks of the zoo: what each is and costs, read from the specs.

Parameters and multiply-accumulates are those a spec states under `expect`, which every check holds
it to; a network that states none is checked for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from archc.compile import check_file, read_with_imports
from archc.diagnostics import Diagnostics
from archc.elaborate import Choice, declared_inputs
from archc.graph import Value
from archc.graph.costs import sample_macs
from archc.records import dataclass
from archc.spec.files import read_source
from archc.spec.shipped import shipped_files
from archc.spec.syntax import Spec
from archc.spec.tree import Mapping, Scalar
from archc.types import Dim

_ARXIV = r"\d{4}\.\d{4,5}"
_PAPER = re.compile(
    rf"\b(?:arXiv[ :]({_ARXIV}(?:,\s{_ARXIV})*)|doi[ :](10\.\d{{4,}}/[^\s,;)]*[^\s,;).]))"
)


@dataclass(frozen=True, slots=True)
class Paper:
    """A publication that a spec's `doc` names, as `arXiv 1512.03385` or `doi 10.1109/5.726791`.

    Attributes:
        kind: `arXiv` or `doi`.
        id: its number there.
    """

    kind: str
    id: str

    @property
    def url(self) -> str:
        """Where it is read."""
        host = "https://arxiv.org/abs/" if self.kind == "arXiv" else "https://doi.org/"
        return host + self.id


@dataclass(frozen=True, slots=True)
class Network:
    """One network of the zoo.

    Attributes:
        name: what it is built by.
        family: the name of its spec.
        inputs: its inputs.
        parameters: trainable elements; None when the spec has errors.
        macs: multiply-accumulates of one sample; likewise.
        doc: what the spec says of the family.
    """

    name: str
    family: str
    inputs: tuple[Value, ...]
    parameters: int | None
    macs: Dim | None
    doc: str

    @property
    def papers(self) -> tuple[Paper, ...]:
        """The publications that the spec names."""
        return papers(self.doc)


def papers(doc: str) -> tuple[Paper, ...]:
    """The publications that a text names, in its order; `arXiv 2302.13971, 2307.09288` are two."""
    found: dict[Paper, None] = {}
    for match in _PAPER.finditer(doc):
        numbers = [Paper("arXiv", number) for number in re.findall(_ARXIV, match[1] or "")]
        found |= dict.fromkeys(numbers or [Paper("doi", match[2])])
    return tuple(found)


def networks(word: str = "") -> Iterator[Network]:
    """The networks of the zoo, family by family, each family in the order of its spec.

    Args:
        word: what their name, family or `doc` has to contain, in any case; "" takes all.
    """
    wanted = word.lower()
    for family, path in shipped_files().items():
        yield from _family(family, path, wanted)


def _family(family: str, path: Path, wanted: str) -> Iterator[Network]:
    source, _ = read_source(str(path))
    if source is None:
        return
    sink = Diagnostics()
    read = read_with_imports(source, path.parent, sink)
    spec = read.spec
    if spec is None:
        return
    all_of_it = wanted in family.lower() or wanted in spec.doc.lower()
    for variant in spec.variants or (None,):
        name = variant or family
        if not (all_of_it or wanted in name.lower()):
            continue
        inputs = declared_inputs(spec, Choice(variant), read.sources, sink)
        parameters, macs = _cost(spec, name, path, variant)
        yield Network(name, family, inputs, parameters, macs, spec.doc)


def _cost(spec: Spec, name: str, path: Path, variant: str | None) -> tuple[int | None, Dim | None]:
    parameters, macs = _stated(spec, "parameters", name), _stated(spec, "macs", name)
    if parameters is not None and macs is not None:
        return parameters, macs
    graph = check_file(str(path), variant).graph
    return (None, None) if graph is None else (graph.parameter_count, sample_macs(graph))


def _stated(spec: Spec, total: str, name: str) -> int | None:
    """A total that a spec states of a network as a plain number."""
    argument = spec.expect.get(total)
    node = None if argument is None else argument.value
    if isinstance(node, Mapping):
        node = next((entry.value for entry in node.entries if entry.key.text == name), None)
    value = node.value if isinstance(node, Scalar) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None

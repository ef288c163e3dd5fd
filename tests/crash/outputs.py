"""What builds write, in versions that can be told apart, and the states of a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archc.artifacts import Target, build_graph
from archc.compile import check_source
from archc.diagnostics import Diagnostic, Source
from archc.graph import Graph
from archc.graph.graph import WeightRef
from archc.output import OutputError
from archc.runtime import write_arrays

VERSIONS = 4
"""How many versions of every output there are; 0 and 1 differ in weights, the others in layers."""

_SPEC = """\
archc: 1
name: net
inputs: {x: [N, 3, 8, 8]}
layers:
  conv: {conv: WIDTH, kernel: 3}
  act: ACT
  flat: flatten
  head: {linear: 50}
"""
_CHANGES = ({}, {}, {"ACT": "gelu"}, {"WIDTH": "20"})
_BEGUN = re.compile(r"\.[0-9a-f]{16}\.archc-set")

Files = Mapping[str, str]
"""Names of files -> hashes of what is in them."""


class Numbers:
    """Weights that take no threads to make: children of a fork have none."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def array(self, ref: WeightRef) -> Any:
        """See `WeightSource.array`."""
        # A generator of its own for each weight: the order of reading makes no difference.
        digest = hashlib.sha256(f"{self._seed}:{ref.key}".encode()).digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))
        return rng.random(ref.weight.shape, dtype=np.float32)

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """See `WeightSource.chunks`."""
        yield self.array(ref).data.cast("B")


def graph_of(version: int) -> Graph:
    """The network of a version."""
    text = _SPEC
    for word, value in {"WIDTH": "16", "ACT": "relu", **_CHANGES[version]}.items():
        text = text.replace(word, value)
    graph = check_source(Source("net.yaml", text)).graph
    assert graph is not None
    return graph


GRAPHS = [graph_of(version) for version in range(VERSIONS)]

Build = Callable[[Path, int], list[Diagnostic]]
"""Write a version into a folder; returns what was wrong, if it was not written."""


def _builds(name: str, target: Target, **options: Any) -> Build:
    def build(folder: Path, version: int) -> list[Diagnostic]:
        written = build_graph(GRAPHS[version], target, folder / name, Numbers(version), **options)
        return [] if written.files else list(written.diagnostics)

    return build


def _arrays(folder: Path, version: int) -> list[Diagnostic]:
    try:
        write_arrays({"y": np.arange(5000) + version}, folder / "out.npz")
    except OutputError as error:
        return [error.diagnostic]
    return []


BUILDS: dict[str, Build] = {
    "torch": _builds("net.py", "torch"),
    "torch synced": _builds("net.py", "torch", sync=True),
    "external": _builds("net.onnx", "onnx", external_data=True),
    "external synced": _builds("net.onnx", "onnx", external_data=True, sync=True),
    "inline": _builds("net.onnx", "onnx", external_data=False),
    "arrays": _arrays,
}
_MAIN = {"torch": "net.py", "arrays": "out.npz"}
SYNCED = ("torch synced", "external synced", "arrays")
"""What is on the disk before it counts as done."""


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def temporaries(folder: Path) -> list[str]:
    """What should not outlive the next output."""
    return [path.name for path in folder.iterdir() if ".archc-" in path.name]


@dataclass
class Output:
    """One kind of output, and how its versions look when they are complete.

    Attributes:
        kind: a key of `BUILDS`.
        versions: the files of each version.
    """

    kind: str
    versions: list[Files] = field(default_factory=list)

    @property
    def main(self) -> str:
        """The main file."""
        return _MAIN.get(self.kind.split()[0], "net.onnx")

    def learn(self, folder: Path) -> Output:
        """Build every version once, in folders of their own."""
        for version in range(VERSIONS):
            place = folder / f"{self.kind}-{version}"
            place.mkdir()
            assert BUILDS[self.kind](place, version) == []
            self.versions.append(contents(place))
        assert len({tuple(sorted(files.items())) for files in self.versions}) == VERSIONS
        return self

    def state(self, folder: Path) -> str:
        """Which version a reader of the folder finds.

        Returns:
            Its number; `nothing`; `begun`, where a main file is absent and a record says what is
            missing; or `mixed`.
        """
        found = contents(folder)
        for version, files in enumerate(self.versions):
            if all(found.get(name) == digest for name, digest in files.items()):
                return str(version)
        if self.main in found:
            return "mixed"
        if any(_BEGUN.fullmatch(name) for name in found):
            return "begun"
        return "nothing" if not any(self._belongs(name) for name in found) else "mixed"

    def strangers(self, folder: Path) -> set[str]:
        """Files that no version has."""
        known = {name for files in self.versions for name in files}
        return set(contents(folder)) - known

    def _belongs(self, name: str) -> bool:
        # External data of another version is no part of what a reader finds.
        return any(name in files for files in self.versions) and not name.endswith(".data")


def load_versions(folder: Path) -> None:
    """Load and run every version that `Output.learn` has built: complete means that they work."""
    from safetensors.numpy import load_file

    from archc.runtime import open_model, random_feed

    for version in range(VERSIONS):
        for kind in ("external", "inline"):
            model = open_model(folder / f"{kind}-{version}" / "net.onnx")
            assert model.run(random_feed(model, {}, 0))
        place = folder / f"torch-{version}"
        compile((place / "net.py").read_text(encoding="utf-8"), "net.py", "exec")
        tensors = load_file(place / "net.safetensors")
        refs = {ref.key: ref for ref in GRAPHS[version].weights()}
        assert set(tensors) == set(refs)
        for key, tensor in tensors.items():
            assert np.array_equal(tensor, Numbers(version).array(refs[key]))

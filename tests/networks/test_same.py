"""Ways of writing that mean the same network give the same network, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import yaml

from archc.compile import check_file
from archc.graph import Graph
from archc.targets.expanded import expanded_spec
from archc.targets.onnx import onnx_bytes
from archc.targets.onnx.emit import emit_onnx
from archc.weights import RandomisedWeights
from tests.networks.check import compiled
from tests.networks.grow import network
from tests.networks.style import Style
from tests.networks.write import spec_of, written
from tests.zoo.catalogue import SPECS

NUMBERS = range(int(os.environ.get("ARCHC_NETWORKS", "20")))
OPSET = 20

# Written in these ways, a network has the same names.
SAME_NAMES = {
    "blocks inlined": Style(inline_blocks=True),
    "loops unrolled": Style(unroll=True),
    "keys in another order": Style(machine=True),
    "expressions for numbers": Style(expressions=True),
    "defaults written out": Style(full=True),
    "values by let": Style(lets=True),
    "names with dots": Style(dotted=True),
    "blocks imported": Style(imported=True),
    "let, dots and imports": Style(lets=True, dotted=True, imported=True, expressions=True),
    "all at once": Style(True, True, True, True, True, lets=True, dotted=True),
}
OTHER_NAMES = {
    "renamed": Style(prefix="other_"),
    "split into sections": Style(split=True),
    # A variant gives the network its name.
    "a variant": Style(variants=True),
    "a variant, let, dots and imports": Style(
        lets=True, dotted=True, imported=True, variants=True, expressions=True
    ),
    "renamed and all at once": Style(
        True, True, True, True, True, prefix="other_", lets=True, dotted=True
    ),
}


def model(graph: Graph) -> bytes:
    """The model but for the lines of the spec that nodes came from."""
    proto = onnx.load_from_string(onnx_bytes(graph, RandomisedWeights(0), OPSET))
    for node in proto.graph.node:
        node.ClearField("metadata_props")
    return bytes(proto.SerializeToString(deterministic=True))


def nameless(graph: Graph) -> bytes:
    """The model with its names replaced by numbers; of weights only the shapes count."""
    proto = onnx.load_from_string(model(graph))
    keys = {ref.key for ref in graph.weights()}
    names: dict[str, str] = {}

    def number(name: str) -> str:
        return names.setdefault(name, f"v{len(names)}") if name else ""

    for value in proto.graph.input:
        value.name = number(value.name)
    for node in proto.graph.node:
        # Weights are named by their first use, which an order of initializers cannot change.
        for names_of in (node.input, node.output):
            names_of[:] = [number(name) for name in names_of]
        node.name = ""
    for tensor in proto.graph.initializer:
        if tensor.name in keys:
            tensor.ClearField("raw_data")
        tensor.name = number(tensor.name)
    for value in (*proto.graph.output, *proto.graph.value_info):
        value.name = number(value.name)
    ordered = sorted(proto.graph.initializer, key=lambda tensor: tensor.name)
    typed = sorted(proto.graph.value_info, key=lambda value: value.name)
    for field, items in (("initializer", ordered), ("value_info", typed)):
        copies = [type(item).FromString(item.SerializeToString()) for item in items]
        proto.graph.ClearField(field)
        getattr(proto.graph, field).extend(copies)
    proto.graph.name = ""
    proto.ClearField("metadata_props")
    return proto.SerializeToString(deterministic=True)


@pytest.mark.parametrize("way", SAME_NAMES)
def test_another_way_of_writing_gives_the_same_bytes(way: str) -> None:
    for number in NUMBERS:
        net = network(number, 60)
        first, second = compiled(written(net)), compiled(written(net, SAME_NAMES[way]))
        assert model(first) == model(second), (number, way)
        assert nameless(first) == nameless(second)


@pytest.mark.parametrize("way", OTHER_NAMES)
def test_other_names_change_nothing_else(way: str) -> None:
    for number in NUMBERS:
        net = network(number, 60)
        other = compiled(written(net, OTHER_NAMES[way]))
        assert nameless(compiled(written(net))) == nameless(other), (number, way)


def test_the_expanded_spec_gives_the_same_bytes() -> None:
    for number in NUMBERS:
        graph = compiled(written(network(number, 60)))
        again = compiled(expanded_spec(graph))
        assert model(again) == model(graph), number
        assert expanded_spec(again) == expanded_spec(graph)


def architecture(graph: Graph) -> tuple[bytes, list[object]]:
    """The model but for the numbers in its weights, and what is declared of these."""
    written, _ = emit_onnx(graph, OPSET)
    assert written is not None
    header = written.header
    for node in header.graph.node:
        node.ClearField("metadata_props")
    header.ClearField("metadata_props")
    weights = [(ref.key, ref.alias, ref.weight) for ref in graph.weights()]
    return header.SerializeToString(deterministic=True), weights


def first_variant(path: Path) -> Graph:
    """A network of a family of the zoo: without a variant, or else the first."""
    for variant in (None, *yaml.safe_load(path.read_text(encoding="utf-8")).get("variants", ())):
        graph = check_file(str(path), variant).graph
        if graph is not None:
            return graph
    raise AssertionError(f"{path} has no variant that compiles")


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_expanded_zoo_gives_the_same_network(path: Path) -> None:
    graph = first_variant(path)
    again = compiled(expanded_spec(graph))
    assert architecture(again) == architecture(graph)
    assert expanded_spec(again) == expanded_spec(graph)


@pytest.mark.parametrize("spec", ["lenet5", "squeezenet", "shufflenet_v2"])
def test_the_expanded_zoo_gives_the_same_bytes(spec: str) -> None:
    graph = compiled((SPECS / f"{spec}.yaml").read_text(encoding="utf-8"))
    assert model(compiled(expanded_spec(graph))) == model(graph)


_PROGRAM = """
import hashlib, sys
from pathlib import Path
from archc.cli import main
for target, name in (("onnx", "net.onnx"), ("torch", "net.py")):
    try:
        main(["build", sys.argv[1], "--to", target, "-o", name, "--seed", "7"])
    except SystemExit as stop:
        assert not stop.code, stop.code
for name in ("net.onnx", "net.py", "net.safetensors"):
    print(hashlib.sha256(Path(name).read_bytes()).hexdigest())
"""


def test_files_are_the_same_in_every_process_hash_seed_and_folder(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    spec = tmp_path / "net.yaml"
    spec.write_text(spec_of(network(6)), encoding="utf-8")
    found = []
    for seed in ("0", "1", "424242"):
        folder = tmp_path / f"run{seed}"
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, os.path.relpath(spec, folder)],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split()[-3:])
    assert found[0] == found[1] == found[2]

"""A model of the zoo held against torchvision: keys, numbers, both targets."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from safetensors.torch import save_file

from archc.graph import Graph
from archc.graph.passes import Rewriting, optimised
from archc.parity import Comparison, compare, scaled_error
from archc.runtime import open_model
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.weights import ComputedWeights, WeightSource, load_weights
from tests.zoo.catalogue import BINNED, SIZED, other_size
from tests.zoo.graphs import Size, at_size, graph_of, own_size
from tests.zoo.oracle import draw_images, named_outputs, oracle_model, randomise, settle

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

OPEN = (321, 321)
"""The size taken first of a spec that leaves it open."""

BLIND = 1e-3
"""Where float32 is further than this from float64, comparing with it says little."""

WAYS = ((".pth", 1), (".safetensors", 2))
"""File through which the weights go, and number of images: at the first size, at the second."""


@dataclass(frozen=True)
class Run:
    """A network at one size of image.

    Attributes:
        size: height and width.
        same_bits: whether the generated module computed torchvision's outputs bit by bit.
        difference: largest scaled difference between the two.
        module: the module's outputs against torchvision's.
        onnx: onnxruntime's outputs against torchvision's: layer by layer, without its
            optimisation; and as `archc build` writes the network, with it.
    """

    size: Size
    same_bits: bool
    difference: float
    module: tuple[Comparison, ...]
    onnx: tuple[Comparison, ...]


def proof_sizes(spec: str, variant: str | None) -> list[Size]:
    """The spec's own size, and another one."""
    return [own_size(graph_of(spec, variant)) or OPEN, other_size(spec, variant)]


def network(spec: str, variant: str | None, size: Size) -> Graph:
    """The network that is run at a size."""
    graph = graph_of(spec, variant)
    if own_size(graph) in (None, size):
        return graph
    return at_size(spec, variant, *(size if spec in SIZED | BINNED else ("H", "W")))


def run(spec: str, variant: str | None, name: str, size: Size, suffix: str, batch: int) -> Run:
    """Compare a model with torchvision's, all weights and statistics moved from their defaults.

    Args:
        spec: its spec.
        variant: of the spec.
        name: torchvision's name of it.
        size: height and width of the images.
        suffix: of the checkpoint of torchvision's through which the weights reach the network.
        batch: how many images, two at most.
    """
    graph = network(spec, variant, size)
    images = draw_images(2, size)
    oracle = settle(randomise(oracle_model(name, size)), images)
    image = images[:batch]
    with tempfile.TemporaryDirectory(prefix="archc-zoo-") as folder:
        weights = _through_file(oracle, graph, Path(folder) / f"weights{suffix}")
        expected, ours, reference = _run_torch(oracle, graph, weights, image)
        del oracle
        assert list(ours) == list(expected)
        onnx: list[Comparison] = []
        for optimized in (False, True):
            path = _write_onnx(graph, weights, Path(folder), optimized)
            results = open_model(path, optimized=optimized).run({"image": image.numpy()})
            assert list(results) == list(expected)
            onnx += [
                compare(key, {}, optimized, expected[key], result, reference[key])
                for key, result in results.items()
            ]
    assert all(item.torch_error < BLIND for item in onnx), onnx
    return Run(
        size,
        all(expected[key].tobytes() == ours[key].tobytes() for key in expected),
        max(scaled_error(ours[key], expected[key]) for key in expected),
        tuple(compare(key, {}, False, expected[key], ours[key], reference[key]) for key in ours),
        tuple(onnx),
    )


def _run_torch(
    oracle: torch.nn.Module, graph: Graph, weights: WeightSource, image: torch.Tensor
) -> tuple[Arrays, Arrays, Arrays]:
    """Outputs of torchvision, of the generated module, and of torchvision in float64."""
    module = load_module(emit_torch(graph), weights).eval()
    with torch.no_grad():
        results = [oracle(image), module(image)]
        del module  # large ones fit once in each precision, not twice
        results.append(oracle.double()(image.double()))
    expected, ours, reference = (
        {key: value.numpy() for key, value in named_outputs(result).items()} for result in results
    )
    return expected, ours, reference


def _write_onnx(graph: Graph, weights: WeightSource, folder: Path, optimized: bool) -> Path:
    """The network layer by layer, or as `archc build` writes it for inference."""
    rewriting = optimised(graph) if optimized else Rewriting(graph)
    path = folder / "model.onnx"
    written = write_onnx(rewriting.graph, ComputedWeights(weights, rewriting.recipes), path)
    assert not written.diagnostics
    return path


def _through_file(oracle: torch.nn.Module, graph: Graph, path: Path) -> WeightSource:
    """torchvision's weights, written by it or by safetensors and read by archc."""
    if path.suffix == ".pth":
        torch.save(oracle.state_dict(), path)
    else:
        save_file(oracle.state_dict(), path)
    weights, problems = load_weights(path, graph)
    assert not problems, problems
    assert weights is not None
    return weights

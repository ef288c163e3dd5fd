"""Building: a checked graph and weights written as ONNX, or as PyTorch source and safetensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archc.diagnostics import Diagnostic
from archc.graph import Graph
from archc.output import OutputError, OutputSet
from archc.weights import WeightSource

Target = Literal["onnx", "torch"]
SUFFIXES: dict[Target, str] = {"onnx": ".onnx", "torch": ".py"}

Progress = Callable[[int, int], None]
"""Called with bytes written so far and in all."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a build left on disk.

    Attributes:
        files: paths, the main file first.
        diagnostics: errors; when there are any, nothing was written.
    """

    files: tuple[Path, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


def default_output(graph: Graph, target: Target) -> Path:
    """The file a build writes when none is named: the model's name in the working folder."""
    return Path(graph.name + SUFFIXES[target])


def build_graph(
    graph: Graph,
    target: Target,
    output: Path,
    weights: WeightSource,
    *,
    opset: int = 20,
    external_data: bool | None = None,
    spec: Path | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write a graph.

    Args:
        graph: the network.
        target: `onnx` or `torch`.
        output: the main file; side files stand beside it.
        weights: where the numbers come from.
        opset: ONNX operator set.
        external_data: whether ONNX weights stand in a file of their own; None decides by size.
        spec: the spec's file, which is never written over.
        progress: told of bytes written.
    """
    if target == "onnx":
        return _onnx(graph, output, weights, opset, external_data, spec, progress)
    return _torch(graph, output, weights, spec)


def _onnx(
    graph: Graph,
    output: Path,
    weights: WeightSource,
    opset: int,
    external_data: bool | None,
    spec: Path | None,
    progress: Progress | None,
) -> Written:
    from archc.targets.onnx import write_onnx

    try:
        result = write_onnx(
            graph,
            weights,
            output,
            opset=opset,
            external=external_data,
            inputs=[] if spec is None else [spec],
            progress=progress,
        )
    except OutputError as error:
        return Written((), (error.diagnostic,))
    return Written(result.files, result.diagnostics)


def _torch(graph: Graph, output: Path, weights: WeightSource, spec: Path | None) -> Written:
    from archc.targets.torch import emit_torch
    from archc.weights import write_safetensors

    source = emit_torch(graph)
    if source.diagnostics:
        return Written((), source.diagnostics)
    numbers = output.with_suffix(".safetensors")
    try:
        with OutputSet(output, inputs=[] if spec is None else [spec]) as files:
            write_safetensors(graph, weights, files.side(numbers))
            files.main.write(source.text.encode())
    except OutputError as error:
        return Written((), (error.diagnostic,))
    return Written((output, numbers))

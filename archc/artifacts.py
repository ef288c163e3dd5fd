"""Building: a checked graph and weights written as ONNX, or as PyTorch source and safetensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archc.diagnostics import Diagnostic
from archc.graph import Graph
from archc.graph.budget import MAX_PARAMETERS, over_budget
from archc.graph.graph import WeightRef
from archc.output import OutputError, OutputSet
from archc.records import dataclass
from archc.weights import WeightSource

if TYPE_CHECKING:
    from archc.weights.source import Array

Target = Literal["onnx", "torch"]
SUFFIXES: dict[Target, str] = {"onnx": ".onnx", "torch": ".py"}

Progress = Callable[[int, int], None]
"""Called with bytes of weights written so far and in all."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a build left on disk.

    Attributes:
        files: paths, the main file first; none when nothing was written.
        diagnostics: what was found.
        optimised: what passes did to the network, a phrase each.
    """

    files: tuple[Path, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    optimised: tuple[str, ...] = ()


def default_output(graph: Graph, target: Target) -> Path:
    """The file a build writes when none is named: the model's name in the working folder.

    PyTorch source is given a name that Python can import.
    """
    name = re.sub(r"\W", "_", graph.name) if target == "torch" else graph.name
    return Path(name + SUFFIXES[target])


def build_graph(
    graph: Graph,
    target: Target,
    output: Path,
    weights: WeightSource,
    *,
    opset: int | None = None,
    external_data: bool | None = None,
    optimize: bool = True,
    max_parameters: int = MAX_PARAMETERS,
    inputs: Sequence[Path] = (),
    force: bool = False,
    sync: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Write a graph; all files appear, or none.

    Args:
        graph: the network.
        target: `onnx` or `torch`.
        output: the main file; side files stand beside it.
        weights: where the numbers come from.
        opset: ONNX operator set; None for the lowest usual one that has the dtype.
        external_data: whether ONNX weights stand in a file of their own; None decides by size.
        optimize: whether ONNX holds the network as inference runs it fastest, or every layer and
            weight under its own name (`archc.graph.passes`).
        max_parameters: a network with more is refused before anything is allocated.
        inputs: files that are read and must not be written over: the spec, imports, a checkpoint.
        force: whether weights that archc did not write may be replaced.
        sync: whether the files are on the disk, and outlive a power cut, on return.
        progress: told of bytes written.
    """
    refused = _misnamed(output, target, inputs) or over_budget(graph, max_parameters)
    if refused is not None:
        return Written((), (refused,))
    if target == "torch":
        kept = output.with_suffix(".safetensors")
        refused = None if force or kept in inputs else _trained(kept)
        if refused is not None:
            return Written((), (refused,))
        return _torch(graph, output, weights, inputs, sync, progress)
    from archc.targets.onnx import for_inference, write_onnx

    exported, source, done = for_inference(graph, weights, optimize=optimize)
    result = write_onnx(
        exported,
        source,
        output,
        opset=opset,
        external=external_data,
        inputs=inputs,
        sync=sync,
        progress=progress,
    )
    return Written(result.files, result.diagnostics, done)


def _misnamed(output: Path, target: Target, inputs: Sequence[Path]) -> Diagnostic | None:
    """Why the output's name is none for the target; a folder or an input is refused elsewhere."""
    suffix = SUFFIXES[target]
    if output.suffix == suffix or output.is_dir() or output in inputs:
        return None
    what = "an ONNX file" if target == "onnx" else "a Python module"
    return Diagnostic(
        "unwritable-output",
        f"`{output}` is no name for {what}",
        help=(f"choose a name that ends in {suffix}",),
        path=str(output),
    )


def _trained(path: Path) -> Diagnostic | None:
    """Why a file of weights must not be replaced: archc did not write it, or not as it is now."""
    from archc.weights import is_unchanged

    try:
        if not path.is_file() or is_unchanged(path):
            return None
    except OSError:
        pass  # what cannot be read is not known to be archc's
    return Diagnostic(
        "overwrites-weights",
        f"`{path}` holds weights that archc did not write, and would be overwritten",
        help=("choose another name with -o, or --force to replace it",),
        path=str(path),
    )


def _torch(
    graph: Graph,
    output: Path,
    weights: WeightSource,
    inputs: Sequence[Path],
    sync: bool,
    progress: Progress | None,
) -> Written:
    from archc.targets.torch import emit_torch
    from archc.weights import write_safetensors

    source = emit_torch(graph)
    if any(finding.is_error for finding in source.diagnostics):
        return Written((), source.diagnostics)
    counted = _Counted(weights, graph, progress)
    try:
        with OutputSet(output, inputs=inputs, durable=sync) as files:
            files.need(counted.total)
            write_safetensors(graph, counted, files.side(output.with_suffix(".safetensors")))
            files.main.write(source.text.encode())
    except OutputError as error:
        return Written((), (*source.diagnostics, error.diagnostic))
    return Written(files.paths, source.diagnostics)


class _Counted:
    """Weights that tell how many bytes of them were read."""

    def __init__(self, weights: WeightSource, graph: Graph, progress: Progress | None) -> None:
        self._weights = weights
        self._progress = progress
        self.total = sum(ref.weight.nbytes for ref in graph.weights())
        self._done = 0

    def array(self, ref: WeightRef) -> Array:
        return self._weights.array(ref)

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        for chunk in self._weights.chunks(ref):
            yield chunk
            self._done += chunk.nbytes
            if self._progress is not None:
                self._progress(self._done, self.total)

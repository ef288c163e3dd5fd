"""Holds one network on all targets: in memory, as source in a fresh process, as ONNX.

The source executed in memory and the same text imported by another process agree bit by bit. The
ONNX model, layer by layer as the spec has it and as passes make it for inference, is checked in
full, types that ONNX infers are those archc wrote, and onnxruntime computes what torch does by
the gate, with its own optimisations and without.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from archc.compile import check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.graph.passes import optimised
from archc.parity.draws import draw_inputs
from archc.parity.gate import FACTOR, FLOOR, compare, scaled_error
from archc.parity.sizes import choose_sizes
from archc.targets.torch import TorchSource, emit_torch, load_module
from archc.weights import ComputedWeights, RandomisedWeights, WeightSource, save_safetensors
from tests.installed import opsets
from tests.ops.harness import onnx_model, run_onnx

Array = np.ndarray
Results = dict[str, Array]


OPSETS = opsets(17, 18, 20, 21, 23)


@dataclass(frozen=True)
class Prepared:
    """A network that was run in memory, and what another process needs to run it again.

    Attributes:
        name: of its files.
        feed: its inputs.
        expected: its results.
    """

    name: str
    feed: Mapping[str, Array]
    expected: Results


def compiled(text: str) -> Graph:
    """The typed graph.

    Raises:
        AssertionError: archc refuses the spec.
    """
    checked = check_source(Source("random.yaml", text))
    errors = [f"{d.code}: {d.message}" for d in checked.diagnostics if d.is_error]
    assert checked.graph is not None, errors[0]
    return checked.graph


def check_targets(text: str, folder: Path, name: str, seed: int) -> Prepared:
    """Compare torch and ONNX in this process, and leave the source and its inputs in `folder`.

    Raises:
        AssertionError: something does not agree.
    """
    graph = compiled(text)
    sizes, problems = choose_sizes(graph, None, None)
    assert not problems, problems[0].message
    feed = draw_inputs(graph, sizes[seed % len(sizes)], seed)
    weights = RandomisedWeights(seed)
    source = emit_torch(graph)
    assert not [d for d in source.diagnostics if d.is_error], source.diagnostics[0].message
    module = load_module(source, weights).eval()
    mine = _run(graph, module, feed)
    _write(folder, name, graph, source, weights, feed)
    doubled = {name: _doubled(x) for name, x in feed.items()}
    truth = _run(graph, module.double(), doubled)
    nearby = _run(graph, _rounding(module, seed), doubled)
    # Circular padding is there from opset 19 on.
    taking = OPSETS[2:] if "circular" in text else OPSETS
    opset = taking[seed % len(taking)]
    rewriting = optimised(graph)
    written = {
        "as written": onnx_model(graph, weights, opset),
        "for inference": onnx_model(
            rewriting.graph, ComputedWeights(weights, rewriting.recipes), opset
        ),
    }
    for form, model in written.items():
        _check_names(model, graph)
        for optimise in (False, True):
            found = run_onnx(model, list(feed.values()), optimise)
            _compare(f"{form}, optimise={optimise}", graph, found, mine, truth, nearby)
    return Prepared(name, feed, mine)


def _check_names(model: onnx.ModelProto, graph: Graph) -> None:
    assert [value.name for value in model.graph.input] == [value.name for value in graph.inputs]
    assert [value.name for value in model.graph.output] == list(graph.outputs)


def _compare(
    form: str,
    graph: Graph,
    found: Sequence[Array],
    mine: Results,
    truth: Results,
    nearby: Results,
) -> None:
    for name, theirs in zip(graph.outputs, found, strict=True):
        verdict = compare(name, {}, False, mine[name], theirs, truth[name])
        assert not verdict.problem, f"ONNX {form}: {name}: {verdict.problem}"
        # What rounding between layers makes: a random network may amplify it (a norm of values
        # that are nearly equal does).
        unavoidable = max(verdict.torch_error, scaled_error(nearby[name], truth[name]))
        limit = max(FLOOR, FACTOR * unavoidable)
        assert verdict.ort_error <= limit, (
            f"ONNX {form}: {name}: error {verdict.ort_error:.2e} over {limit:.2e}"
        )


def _run(graph: Graph, module: torch.nn.Module, feed: Mapping[str, Array]) -> Results:
    with torch.no_grad():
        result: Any = module(*(torch.from_numpy(feed[value.name]) for value in graph.inputs))
    if not isinstance(result, dict):
        result = {next(iter(graph.outputs)): result}
    return {name: tensor.numpy() for name, tensor in result.items()}


def _doubled(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _rounding(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The module in float64, but what enters each of its parts is off by one float32 rounding."""
    generator = torch.Generator().manual_seed(seed)

    def off(x: Any) -> Any:
        if not (isinstance(x, torch.Tensor) and x.is_floating_point()):
            return x
        signs = torch.randint(0, 2, x.shape, generator=generator) * 2 - 1
        return x * (1.0 + 2.0**-24 * signs)

    def before(part: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(map(off, inputs))

    for part in module.modules():
        part.register_forward_pre_hook(before)
    return module


# -- a fresh process ------------------------------------------------------------------------


def _write(
    folder: Path,
    name: str,
    graph: Graph,
    source: TorchSource,
    weights: WeightSource,
    feed: Mapping[str, Array],
) -> None:
    (folder / f"{name}.py").write_text(source.text, encoding="utf-8")
    (folder / f"{name}.class").write_text(source.class_name, encoding="utf-8")
    save_safetensors(graph, weights, folder / f"{name}.safetensors")
    np.savez(folder / f"{name}.in.npz", **{f"x{i}": x for i, x in enumerate(feed.values())})


_PROGRAM = """
import importlib, sys, numpy, torch
from pathlib import Path
from safetensors.torch import load_file
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
torch.set_num_threads(1)
for path in sorted(folder.glob("*.class")):
    name = path.stem
    module = getattr(importlib.import_module(name), path.read_text())()
    module.load_state_dict(load_file(folder / f"{name}.safetensors"))
    feed = numpy.load(folder / f"{name}.in.npz")
    with torch.no_grad():
        result = module.eval()(*(torch.from_numpy(feed[key]) for key in feed.files))
    if not isinstance(result, dict):
        result = {"": result}
    numpy.savez(folder / f"{name}.out.npz", *(y.numpy() for y in result.values()))
assert "archc" not in sys.modules
"""


def check_fresh(folder: Path, prepared: Sequence[Prepared]) -> dict[str, str]:
    """Run the sources of `folder` in one new process, which knows nothing of archc.

    Returns:
        Name of a network -> what is wrong with it.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    wrong: dict[str, str] = {}
    for network in prepared:
        path = folder / f"{network.name}.out.npz"
        if not path.exists():
            wrong[network.name] = f"no result from a fresh process: {done.stderr[-500:]}"
            continue
        with np.load(path) as found:
            results = [found[key] for key in found.files]
        for (name, mine), theirs in zip(network.expected.items(), results, strict=True):
            if mine.dtype != theirs.dtype or mine.tobytes() != theirs.tobytes():
                wrong[network.name] = f"{name}: a fresh process computes other numbers"
    return wrong

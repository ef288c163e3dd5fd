"""Holds one network on all targets: in memory, as source in a fresh process, as ONNX.

The source executed in memory and the same text imported by another process agree bit by bit. The
ONNX model, layer by layer as the spec has it and as passes make it for inference, is checked in
full, types that ONNX infers are those archc wrote, and onnxruntime computes what torch does by
the gate, with its own optimisations and without. Where it does not, its layers are looked at one by
one, and what they round (`rounding.py`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
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
from archc.parity.arrays import doubled
from archc.parity.draws import draw_inputs
from archc.parity.gate import FACTOR, FLOOR, compare
from archc.parity.sizes import choose_sizes
from archc.targets.torch import TorchSource, emit_torch, load_module
from archc.weights import ComputedWeights, RandomisedWeights, WeightSource, save_safetensors
from tests.installed import opsets
from tests.networks.rounding import Form, rounded
from tests.networks.style import Written
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


def compiled(spec: str | Written) -> Graph:
    """The typed graph.

    Raises:
        AssertionError: archc refuses the spec.
    """
    made = Written(spec) if isinstance(spec, str) else spec
    with tempfile.TemporaryDirectory(prefix="archc-imports-") as name:
        made.save_imports(Path(name))
        checked = check_source(Source("random.yaml", made.text), Path(name), made.variant)
    errors = [f"{d.code}: {d.message}" for d in checked.diagnostics if d.is_error]
    assert checked.graph is not None, errors[0]
    return checked.graph


def check_targets(spec: str | Written, folder: Path, name: str, seed: int) -> Prepared:
    """Compare torch and ONNX in this process, and leave the source and its inputs in `folder`.

    Raises:
        AssertionError: something does not agree.
    """
    graph = compiled(spec)
    sizes, problems = choose_sizes(graph, None, None)
    assert not problems, problems[0].message
    feed = draw_inputs(graph, sizes[seed % len(sizes)], seed)
    weights = RandomisedWeights(seed)
    source = emit_torch(graph)
    assert not [d for d in source.diagnostics if d.is_error], source.diagnostics[0].message
    module = load_module(source, weights).eval()
    mine = run_module(graph, module, feed)
    _write(folder, name, graph, source, weights, feed)
    wide = {name: doubled(x) for name, x in feed.items()}
    truth = run_module(graph, module.double(), wide)
    # Circular padding is there from opset 19 on.
    circular = any("circular" in node.op.model_dump().values() for node in graph.nodes)
    taking = OPSETS[2:] if circular else OPSETS
    opset = taking[seed % len(taking)]
    rewriting = optimised(graph)
    written = {
        "as written": (graph, weights),
        "for inference": (rewriting.graph, ComputedWeights(weights, rewriting.recipes)),
    }
    for said, (layers, own) in written.items():
        model = onnx_model(layers, own, opset)
        _check_names(model, graph)
        for optimise in (False, True):
            form = Form(layers, own, model, optimise)
            problem = problem_of(form, feed, sizes[seed % len(sizes)], mine, truth, seed)
            assert not problem, f"ONNX {said}, optimise={optimise}: {problem}"
    return Prepared(name, feed, mine)


def _check_names(model: onnx.ModelProto, graph: Graph) -> None:
    assert [value.name for value in model.graph.input] == [value.name for value in graph.inputs]
    assert [value.name for value in model.graph.output] == list(graph.outputs)


def problem_of(
    form: Form,
    feed: Mapping[str, Array],
    sizes: Mapping[str, int],
    mine: Results,
    truth: Results,
    seed: int,
) -> str:
    """What onnxruntime gets wrong; empty if nothing."""
    found = run_onnx(form.model, list(feed.values()), form.optimise)
    rounding = None
    for name, theirs in zip(form.graph.outputs, found, strict=True):
        verdict = compare(name, sizes, form.optimise, mine[name], theirs, truth[name])
        if verdict.problem:
            return f"{name}: {verdict.problem}"
        if verdict.ok:
            continue
        rounding = rounding or rounded(form, feed, sizes, seed)
        if rounding.wrong:
            return f"{name}: {rounding.wrong}"
        unavoidable = max(verdict.torch_error, rounding.error(name, truth[name]))
        limit = max(FLOOR, FACTOR * unavoidable)
        if verdict.ort_error > limit:
            return f"{name}: error {verdict.ort_error:.2e} over {limit:.2e}"
    return ""


def run_module(graph: Graph, module: torch.nn.Module, feed: Mapping[str, Array]) -> Results:
    with torch.no_grad():
        result: Any = module(*(torch.from_numpy(feed[value.name]) for value in graph.inputs))
    if not isinstance(result, dict):
        result = {next(iter(graph.outputs)): result}
    return {name: tensor.numpy() for name, tensor in result.items()}


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
torch.set_num_threads(int(sys.argv[2]))
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
        # Another number of threads sums in another order.
        [sys.executable, "-I", "-c", _PROGRAM, str(folder), str(torch.get_num_threads())],
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

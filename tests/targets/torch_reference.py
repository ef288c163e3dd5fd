"""Generated PyTorch source held against the graph, layer by layer, and against ruff."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from archc.graph import Graph, Node, Scope
from archc.targets.torch import TorchSource, emit_torch, load_module
from archc.weights import RandomisedWeights

RUFF = Path(sys.executable).with_name("ruff")
SEED = 5


def with_scopes(
    graph: Graph,
    blocks: Mapping[str, str | None],
    params: Mapping[str, Mapping[str, int]] | None = None,
) -> Graph:
    """The graph with block instances (path -> block) and named sections (path -> None)."""
    span = graph.scopes[""].span
    scopes = dict(graph.scopes)
    for path, block in blocks.items():
        scopes[path] = Scope(path, block, span, params=(params or {}).get(path, {}))
    return replace(graph, scopes=scopes)


def ruff(text: str, *command: str) -> str:
    """What ruff, as a user without settings runs it, has to say of a source."""
    run = [RUFF, *command, "--isolated", "--no-cache", "--stdin-filename", "net.py", "-"]
    result = subprocess.run(run, input=text, capture_output=True, encoding="utf-8", check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def assert_tidy(source: TorchSource) -> None:
    """The source is as `ruff format` leaves it and as `ruff check` likes it."""
    assert ruff(source.text, "format", "--diff") == "", source.text
    assert ruff(source.text, "check") == "", source.text


def checked(graph: Graph, tidy: bool = True) -> tuple[TorchSource, torch.nn.Module]:
    """The source and the network, after what holds for every graph was asserted."""
    source = emit_torch(graph)
    assert source.diagnostics == ()
    if tidy:
        assert_tidy(source)
    module = load_module(source, RandomisedWeights(SEED))
    expected = {ref.key: tuple(ref.weight.shape) for ref in graph.weights()}
    assert {key: tuple(value.shape) for key, value in module.state_dict().items()} == expected
    assert [key for key, _ in module.named_parameters()] == [
        key for key in module.state_dict() if not _is_buffer(graph, key)
    ]
    return source, module


def _is_buffer(graph: Graph, key: str) -> bool:
    return next(ref.weight.buffer for ref in graph.weights() if ref.key == key)


def assert_equals_layers(graph: Graph, module: torch.nn.Module, training: bool = False) -> None:
    """The network computes, bit for bit, what its layers compute one after the other."""
    inputs = [example(graph, i) for i in range(len(graph.inputs))]
    module.train(training)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    with torch.no_grad():
        expected = run_layers(graph, state, inputs, training)
        results = module(*inputs)
    if isinstance(results, Tensor):
        results = dict(zip(graph.outputs, [results], strict=True))
    for name, value in expected.items():
        assert torch.equal(results[name], value), name


def example(graph: Graph, index: int, batch: int = 2) -> Tensor:
    """An input, with every symbolic size that of its axis plus the batch."""
    shape = graph.inputs[index].type.shape
    sizes = [dim if isinstance(dim, int) else batch + axis for axis, dim in enumerate(shape)]
    return torch.randn(sizes, generator=torch.Generator().manual_seed(index))


def run_layers(
    graph: Graph, state: Mapping[str, Tensor], inputs: Iterable[Tensor], training: bool
) -> dict[str, Tensor]:
    """The outputs of a graph by an interpreter that knows nothing of source or modules."""
    values = {value.name: x for value, x in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        if node.side == "training" and not training:
            continue
        operands = [values[value.name] for value in node.inputs]
        weights = {ref.weight.name: state[ref.key] for ref in node.weights}
        made = _LAYERS[node.op_name](node, operands, weights, training)
        made = made if isinstance(made, tuple) else (made,)
        values.update((v.name, x) for v, x in zip(node.outputs, made, strict=True))
    return {name: values[v.name] for name, v in graph.outputs.items() if v.name in values}


Weights = Mapping[str, Tensor]


def _conv(node: Node, xs: list[Tensor], w: Weights, training: bool) -> Tensor:
    op: Any = node.op
    x, padding = xs[0], op.padding
    if isinstance(padding, tuple):
        # (before, after) of height, then of width; F.pad wants the last axis first.
        (top, bottom), (left, right) = padding
        x, padding = F.pad(x, (left, right, top, bottom)), 0
    return F.conv2d(x, w["weight"], w.get("bias"), op.stride, padding, groups=op.groups)


def _batchnorm(node: Node, xs: list[Tensor], w: Weights, training: bool) -> Tensor:
    op: Any = node.op
    stats = (None, None) if training else (w["running_mean"], w["running_var"])
    return F.batch_norm(xs[0], *stats, w["weight"], w["bias"], training, eps=op.eps)


_LAYERS: dict[str, Callable[[Node, list[Tensor], Weights, bool], Any]] = {
    "conv": _conv,
    "batchnorm": _batchnorm,
    "linear": lambda node, xs, w, t: F.linear(xs[0], w["weight"], w.get("bias")),
    "relu": lambda node, xs, w, t: F.relu(xs[0]),
    "sigmoid": lambda node, xs, w, t: torch.sigmoid(xs[0]),
    "hardswish": lambda node, xs, w, t: F.hardswish(xs[0]),
    "identity": lambda node, xs, w, t: xs[0],
    "add": lambda node, xs, w, t: sum(xs[1:], start=xs[0]),
    "mul": lambda node, xs, w, t: reduce(torch.mul, xs),
    "mul_param": lambda node, xs, w, t: xs[0] * w[""],
    "concat": lambda node, xs, w, t: torch.cat(xs, dim=1),
    "chunk": lambda node, xs, w, t: xs[0].chunk(node.op.chunks, dim=1),  # type: ignore[attr-defined]
    "permute": lambda node, xs, w, t: xs[0].permute(node.op.dims),  # type: ignore[attr-defined]
    "adaptive_avgpool": lambda node, xs, w, t: F.adaptive_avg_pool2d(xs[0], 1),
    "flatten": lambda node, xs, w, t: xs[0].flatten(1),
    "maxpool": lambda node, xs, w, t: F.max_pool2d(xs[0], node.op.kernel),  # type: ignore[attr-defined]
}

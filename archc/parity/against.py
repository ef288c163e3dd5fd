"""Networks of others to compare a spec with: `model.onnx`, `module.py:build`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph, Value
from archc.graph.graph import WeightRef
from archc.graph.passes import optimised
from archc.parity.others import OnnxOther, Other, TorchOther
from archc.parity.report import Report
from archc.parity.verify import Tell, verify_graph
from archc.records import dataclass
from archc.runtime import ModelInput, RunError, first_line, open_model
from archc.types import DType, symbols_of
from archc.weights import RandomisedWeights, WeightSource, load_weights

if TYPE_CHECKING:
    import torch

    from archc.weights.files import Stored

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Against:
    """A network of somebody else's, ready to be compared.

    Attributes:
        graph: what it is compared with: the spec, or the spec after archc's own passes where the
            file holds what they make.
        other: it.
        weights: with which the spec is run: those that it has.
        sizes: sizes that it fixes.
    """

    graph: Graph
    other: Other
    weights: WeightSource
    sizes: Mapping[str, int]


def open_against(
    text: str, graph: Graph, weights: WeightSource | None, seed: int
) -> tuple[Against | None, list[Diagnostic]]:
    """Open what is named after `--against`.

    A Python file is executed: whoever names it asks for that.

    Args:
        text: `model.onnx`, or `module.py:name`, where `name` is a class or function that takes no
            arguments and yields a module.
        graph: the spec.
        weights: of both networks; by default those of an ONNX file, or random ones that a module
            is given.
        seed: of random weights.

    Returns:
        The network, or None and why there is none.
    """
    path, _, name = text.rpartition(":")
    try:
        if path.endswith(".py") and name:
            return _open_module(Path(path), name, graph, weights or RandomisedWeights(seed))
        return _open_model(Path(text), graph, weights, seed)
    except RunError as error:
        return None, [error.diagnostic]


def verify_spec(
    graph: Graph,
    *,
    against: str | None = None,
    weights: str | Path | None = None,
    batches: Sequence[int] | None = None,
    sizes: Mapping[str, int] | None = None,
    opset: int | None = None,
    optimize: bool = True,
    seed: int = 0,
    tell: Tell = lambda text: None,
) -> Report:
    """Compare a spec with its own ONNX form, or with a network of somebody else's.

    Args:
        graph: the spec.
        against: see `open_against`; None for the ONNX that archc writes.
        weights: a checkpoint whose weights both have; by default see `open_against`.
        batches: see `verify_graph`.
        sizes: see `verify_graph`; what the other network fixes is added.
        opset: ONNX operator set to write.
        optimize: whether to write it as a build for inference does.
        seed: of weights and inputs.
        tell: told of every step.
    """
    source: WeightSource | None = None
    other: Other | None = None
    if weights is not None:
        source, problems = load_weights(weights, graph)
        if source is None:
            return Report(graph.name, (), diagnostics=tuple(problems))
    if against is not None and graph.dtype is DType.BFLOAT16:
        return Report(graph.name, (), diagnostics=(_no_bfloat16(against),))
    if against is not None:
        opened, problems = open_against(against, graph, source, seed)
        if opened is None:
            return Report(graph.name, (), diagnostics=tuple(problems))
        graph, other, source = opened.graph, opened.other, opened.weights
        sizes = {**opened.sizes, **(sizes or {})}
    return verify_graph(
        graph,
        batches=batches,
        sizes=sizes,
        opset=opset,
        optimize=optimize,
        seed=seed,
        weights=source,
        other=other,
        tell=tell,
    )


def _no_bfloat16(against: str) -> Diagnostic:
    """Why a network of somebody else's is not compared in bfloat16."""
    return Diagnostic(
        "run-failed",
        f"`{against}` cannot be compared in bfloat16: neither numpy nor onnxruntime's CPU has it",
        help=("compare in float32, or in float16",),
        path=against,
    )


# -- an ONNX file -----------------------------------------------------------------------------


def _open_model(
    path: Path, graph: Graph, weights: WeightSource | None, seed: int
) -> tuple[Against | None, list[Diagnostic]]:
    model = open_model(path, optimized=False)
    ours = [value.name for value in graph.inputs]
    by_name = {item.name: item for item in model.inputs}
    same = set(ours) == set(by_name)
    pairs = [by_name[name] for name in ours] if same else list(model.inputs)
    sizes: dict[str, int] = {}
    for value, declared in zip(graph.inputs, pairs, strict=False):
        problem = _other_shape(value, declared, path)
        if problem is not None:
            return None, [problem]
        for dim, size in zip(value.type.shape, declared.shape, strict=True):
            if isinstance(size, int) and str(dim) in symbols_of(dim):
                sizes[str(dim)] = size
    other = OnnxOther(path, weights, by_order=True)
    if weights is not None:
        return Against(graph, other, weights, sizes), []
    source, problems = _weights_of(path, graph, seed)
    if source is None:
        # A file of archc's own, with batch norms folded: it is what the passes make of the spec.
        rewritten = optimised(graph).graph
        source, others = _weights_of(path, rewritten, seed, by_order=False)
        problems = problems if others else []
        graph = rewritten
    return (Against(graph, other, source, sizes) if source else None), problems


def _other_shape(value: Value, declared: ModelInput, path: Path) -> Diagnostic | None:
    """Why an input of a file is none for what the spec feeds it."""
    ours, theirs = value.type.shape, declared.shape
    differs = len(ours) != len(theirs) or any(
        isinstance(dim, int) and isinstance(size, int) and dim != size
        for dim, size in zip(ours, theirs, strict=True)
    )
    if not differs and declared.dtype == value.type.dtype.value:
        return None
    message = f"input `{declared.name}` of `{path}` is {declared}, and `{value.name}` {value.type}"
    return Diagnostic("interface-mismatch", message, Label(value.span))


def _weights_of(
    path: Path, graph: Graph, seed: int, by_order: bool = True
) -> tuple[WeightSource | None, list[Diagnostic]]:
    """The weights of an ONNX file: by name, or else in the order of their use."""
    from archc.parity.initializers import InitializerWeights, find_weights
    from archc.targets.onnx import emit_onnx

    written, problems = emit_onnx(graph)
    if written is None:
        return None, problems
    found, missing = find_weights(path, written.weights, by_order=by_order)
    if missing:
        listed = ", ".join(f"`{key}`" for key in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        message = f"`{path}` lacks {len(missing)} of the network's weights: {listed}{more}"
        owner = next(n for n in graph.nodes for ref in n.weights if ref.key == missing[0])
        help_ = (
            "exporters fold batch norms into convolutions, and rename what they change: name the "
            "weights that the file was made from: --weights model.pth",
        )
        return None, [Diagnostic("weights-missing", message, Label(owner.span), help=help_)]
    source = InitializerWeights(found, RandomisedWeights(seed))
    problems = _misfits(graph, source.stored(), path, {ref.key for ref in written.weights})
    return (None if problems else source), problems


def _misfits(
    graph: Graph, stored: Mapping[str, Stored], path: Path, needed: set[str]
) -> list[Diagnostic]:
    """Weights of other shapes or dtypes than the spec's."""
    from archc.weights.files import Stored
    from archc.weights.fit import fit_findings

    tensors = {ref.key: Stored(ref.weight.shape, ref.weight.dtype) for ref in graph.weights()}
    tensors |= {key: item for key, item in stored.items() if key in needed}
    return fit_findings(graph, tensors, path)


# -- a torch module ---------------------------------------------------------------------------


def _open_module(
    path: Path, name: str, graph: Graph, weights: WeightSource
) -> tuple[Against | None, list[Diagnostic]]:
    module, problem = _build(path, name)
    if module is None:
        return None, [problem] if problem else []
    problems = _give(module, graph, weights, path)
    other = TorchOther(f"{path.name}:{name}", module.eval(), path.resolve())
    return (None if problems else Against(graph, other, weights, {})), problems


def _build(path: Path, name: str) -> tuple[torch.nn.Module | None, Diagnostic | None]:
    """Execute a Python file and make the module that it defines."""
    import torch

    file = path.resolve()
    if not file.is_file():
        message = f"there is no file `{path}`"
        return None, Diagnostic("missing-file", message, path=str(path))
    spec = importlib.util.spec_from_file_location(f"archc_against_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = code
    sys.path.insert(0, str(file.parent))  # what stands beside it can be imported
    try:
        spec.loader.exec_module(code)
        made: Any = getattr(code, name, None)
        if made is None:
            return None, _bad(path, f"`{path}` defines no `{name}`")
        if not isinstance(made, torch.nn.Module):
            made = made()
    except Exception as error:  # whatever somebody's code raises
        kind = type(error).__name__
        return None, _bad(path, f"`{path}:{name}` cannot be made: {kind}: {first_line(error)}")
    finally:
        sys.path.remove(str(file.parent))
    if not isinstance(made, torch.nn.Module):
        said = f"`{path}:{name}` makes a {type(made).__name__}, not a torch.nn.Module"
        return None, _bad(path, said)
    return made, None


def _bad(path: Path, message: str) -> Diagnostic:
    return Diagnostic("bad-module", message, path=str(path))


def _give(
    module: torch.nn.Module, graph: Graph, weights: WeightSource, path: Path
) -> list[Diagnostic]:
    """Give a module the weights of the spec, key by key; what does not fit is said."""
    import torch

    from archc.weights.files import Stored
    from archc.weights.fit import fit_findings

    state = module.state_dict()
    refs: dict[str, WeightRef] = {ref.key: ref for ref in graph.weights()}
    known = DType._value2member_map_
    tensors: dict[str, Stored] = {}
    for key, tensor in state.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        tensors[key] = Stored(tuple(tensor.shape), DType(dtype) if dtype in known else dtype)
    for key, ref in refs.items():
        # Counters and what is computed need not be in a state_dict.
        if key.endswith(_COUNTER) or (ref.weight.buffer and key not in tensors):
            tensors.setdefault(key, Stored(ref.weight.shape, ref.weight.dtype))
    trained = {key for key, _ in module.named_parameters()}
    problems = fit_findings(
        graph, {k: v for k, v in tensors.items() if k in refs or k in trained}, path
    )
    if problems:
        return problems
    shared = {
        key: torch.from_numpy(weights.array(ref)) for key, ref in refs.items() if key in state
    }
    module.load_state_dict(shared, strict=False)
    return []

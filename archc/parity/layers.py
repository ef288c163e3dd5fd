"""Layers run one by one in torch: the reference that tells where two networks part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archc.graph import Graph, Node, Scope
from archc.graph.graph import WeightRef
from archc.graph.specialise import specialised
from archc.parity.arrays import array_of, doubled, kernel_error, nudged, rounding_of, tensor_of
from archc.records import dataclass, replace
from archc.types import DType
from archc.weights import WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Array = npt.NDArray[Any]

LAYER = "layer"
"""Name of the only layer in the network that is made of one layer."""


class LayerError(Exception):
    """A layer cannot be run alone."""


@dataclass(frozen=True, slots=True)
class LayerRun:
    """A layer on the values that torch in the network's own precision feeds it.

    Attributes:
        node: the layer, at concrete sizes.
        inputs: what it is fed.
        single: its results in the network's own precision.
        double: its results in float64 on the same inputs.
        exact: its results where every layer before it was run in float64 too.
        module: it as a module, in float64 by now.
    """

    node: Node
    inputs: tuple[Array, ...]
    single: tuple[Array, ...]
    double: tuple[Array, ...]
    exact: tuple[Array, ...]
    module: LayerModule

    def nudged(self, index: int) -> Array:
        """A result in float64 on inputs of which each element is off by one rounding."""
        import numpy as np

        rng = np.random.default_rng(0)
        units = [rounding_of(value.type.dtype) for value in self.node.inputs]
        pairs = zip(self.inputs, units, strict=True)
        return self.module.run([nudged(array, unit, 0.0, rng) for array, unit in pairs])[index]

    @property
    def absolute(self) -> float:
        """The error that onnxruntime's kernel, in float32 always, makes of the smallest result."""
        return kernel_error(self.node.op)


class LayerModule:
    """One layer as a PyTorch network of its own, in single and double precision.

    Args:
        node: the layer, at concrete sizes.
        weights: of the whole network.
        dtype: of the whole network.
    """

    def __init__(self, node: Node, weights: WeightSource, dtype: DType = DType.FLOAT32) -> None:
        from archc.targets.torch import emit_torch, load_module

        inputs = tuple(replace(value, name=f"x{i}") for i, value in enumerate(node.inputs))
        outputs = tuple(
            replace(value, name=LAYER if i == 0 else f"{LAYER}_{i}")
            for i, value in enumerate(node.outputs)
        )
        own = {_local_key(ref): ref for ref in node.weights}
        refs = tuple(WeightRef(key, ref.weight) for key, ref in own.items())
        alone = replace(
            node, path=LAYER, inputs=inputs, outputs=outputs, weights=refs, side=None, calls=()
        )
        names = {f"y{i}": value for i, value in enumerate(outputs)}
        scopes = {"": Scope("", None, node.span)}
        graph = Graph("Layer", "", inputs, (alone,), names, scopes, dtype=dtype)
        source = emit_torch(graph)
        if any(finding.is_error for finding in source.diagnostics):
            raise LayerError(source.diagnostics[0].message)
        self.module: torch.nn.Module = load_module(source, _Local(weights, own)).eval()
        self._dtypes = [value.type.dtype for value in node.inputs]

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Results in the precision that the module has now."""
        import torch

        with torch.no_grad():
            result = self.module(*map(tensor_of, inputs, self._dtypes))
        tensors = list(result.values()) if isinstance(result, dict) else [result]
        return tuple(map(array_of, tensors))

    def double(self) -> None:
        """Go over to float64."""
        self.module.double()


class _Local:
    """The weights of one layer, under the names they have in a network of that layer alone."""

    def __init__(self, weights: WeightSource, refs: Mapping[str, WeightRef]) -> None:
        self._weights = weights
        self._refs = refs

    def array(self, ref: WeightRef) -> Any:
        return self._weights.array(self._refs[ref.key])

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        return self._weights.chunks(self._refs[ref.key])


def run_layers(
    graph: Graph, weights: WeightSource, feed: Mapping[str, Array], sizes: Mapping[str, int]
) -> Iterator[LayerRun]:
    """Run the exported layers of a network in turn, each as a module of its own.

    No more values are held than later layers read.

    Args:
        graph: the network.
        weights: its weights.
        feed: its inputs, by name.
        sizes: value of every symbolic dim.

    Raises:
        LayerError: a layer cannot be run alone.
    """
    from archc.targets.onnx.emit import exported_layers

    fixed, problems = specialised(graph, sizes)
    if problems:
        raise LayerError(problems[0].message)
    layers = exported_layers(fixed)
    single = {value.name: feed[value.name] for value in fixed.inputs}
    exact = {name: doubled(array) for name, array in single.items()}
    readers = {value.name: i for i, node in enumerate(layers) for value in node.inputs}
    for index, node in enumerate(layers):
        run = _run(node, weights, fixed.dtype, single, exact)
        for value, mine, true in zip(node.outputs, run.single, run.exact, strict=True):
            single[value.name], exact[value.name] = mine, true
        yield run
        for value in (*node.inputs, *node.outputs):
            if readers.get(value.name, -1) <= index:
                single.pop(value.name, None)
                exact.pop(value.name, None)


def _run(
    node: Node,
    weights: WeightSource,
    dtype: DType,
    single: Mapping[str, Array],
    exact: Mapping[str, Array],
) -> LayerRun:
    inputs = tuple(single[value.name] for value in node.inputs)
    try:
        module = LayerModule(node, weights, dtype)
        mine = module.run(inputs)
        module.double()
        local = module.run([doubled(array) for array in inputs])
        true = module.run([exact[value.name] for value in node.inputs])
    except LayerError:
        raise
    except Exception as error:  # torch raises whatever its operators do
        raise LayerError(f"`{node.path}` cannot be run alone: {error}") from error
    return LayerRun(node, inputs, mine, local, true, module)


def _local_key(ref: WeightRef) -> str:
    return f"{LAYER}.{ref.weight.name}" if ref.weight.name else LAYER

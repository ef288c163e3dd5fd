"""The weights of a spec found in an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from archc.graph.graph import WeightRef
from archc.types import DType
from archc.weights import WeightSource
from archc.weights.drawn import little_endian
from archc.weights.files import Stored

if TYPE_CHECKING:
    from archc.weights.source import Array


class InitializerWeights:
    """Weights that an ONNX file holds; what it has no need of comes from elsewhere.

    Args:
        arrays: by the spec's keys.
        rest: where other weights come from.
    """

    def __init__(self, arrays: Mapping[str, Array], rest: WeightSource) -> None:
        self._arrays = arrays
        self._rest = rest

    def array(self, ref: WeightRef) -> Array:
        """The whole weight; see `WeightSource.array`."""
        found = self._arrays.get(ref.key)
        return self._rest.array(ref) if found is None else np.array(found)

    def chunks(self, ref: WeightRef) -> Iterator[memoryview]:
        """Raw data; see `WeightSource.chunks`."""
        yield little_endian(self.array(ref)).reshape(-1).data.cast("B")

    def stored(self) -> dict[str, Stored]:
        """Shapes and dtypes of what the file holds."""
        known = DType._value2member_map_
        return {
            key: Stored(a.shape, DType(a.dtype.name) if a.dtype.name in known else a.dtype.name)
            for key, a in self._arrays.items()
        }


def find_weights(
    path: Path, refs: Sequence[WeightRef], *, by_order: bool = True
) -> tuple[dict[str, Array], list[str]]:
    """The weights of a spec in an ONNX file, by the spec's keys, and the keys of those missing.

    Initializers are found by name. Where names are missing, the initializers that are left are
    taken in the order in which nodes read them, if each has the shape (matrices: or the
    transposed one) of the next weight that is missing; all of them, or none.

    Args:
        path: the model.
        refs: the weights that the exported network reads, in its order.
        by_order: whether those of other names are looked for at all.
    """
    model = onnx.load(path)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {
        ref.key: onnx.numpy_helper.to_array(tensors[ref.key]) for ref in refs if ref.key in tensors
    }
    missing = [ref for ref in refs if ref.key not in found]
    if missing:
        order = dict.fromkeys(name for node in model.graph.node for name in node.input)
        left = [tensors[name] for name in order if name in tensors and name not in found]
        taken = _in_order(missing, left) if by_order else None
        if taken is None:
            return found, [ref.key for ref in missing]
        found |= taken
    return found, []


def _in_order(
    refs: Sequence[WeightRef], tensors: Sequence[onnx.TensorProto]
) -> dict[str, Array] | None:
    found: dict[str, Array] = {}
    rest = iter(tensors)
    for ref in refs:
        shape = ref.weight.shape
        for tensor in rest:
            dims = tuple(tensor.dims)
            if dims == shape:
                found[ref.key] = onnx.numpy_helper.to_array(tensor)
                break
            if len(shape) == 2 and dims == shape[::-1]:
                found[ref.key] = np.ascontiguousarray(onnx.numpy_helper.to_array(tensor).T)
                break
        else:
            return None
    return found

"""Typing one layer: from an op and its input values to a node with exact output types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from archc.diagnostics import Span
from archc.graph.graph import Node, Value, WeightRef
from archc.ops.base import Op, Weight
from archc.ops.conditions import Condition, Refusal, ShapeContext
from archc.records import dataclass, field
from archc.types import TensorType, format_shape
from archc.types.dims import DimTooComplexError

Bounds = Mapping[str, tuple[int, int | None]]

MAX_ELEMENTS = 2**63 - 1
"""Elements of one tensor: what the int64 of ONNX and of PyTorch can count."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What the attributes of a layer and the types of its inputs decide.

    Attributes:
        outputs: types of what it makes.
        weights: tensors that it owns.
        conditions: what must hold at run time for it to work.
    """

    outputs: tuple[TensorType, ...]
    weights: tuple[Weight, ...]
    conditions: tuple[Condition, ...]


@dataclass(slots=True, eq=False)
class Typer:
    """Infers types, those of equal layers once: deep networks repeat a few.

    Attributes:
        bounds: known bounds of the symbolic dims.
    """

    bounds: Bounds = field(default_factory=dict)
    # Equal types are one object, since hashing symbolic dims costs more than to look up by id.
    _types: dict[TensorType, TensorType] = field(default_factory=dict)
    # The op and the types are kept, so that no other object gets the id of one of them.
    _known: dict[tuple[int, ...], tuple[Op, Sequence[TensorType], Typed]] = field(
        default_factory=dict
    )

    def infer(self, op_name: str, op: Op, types: Sequence[TensorType]) -> Typed:
        """The types of a layer's outputs, its weights and its conditions.

        Raises:
            Refusal: the layer cannot work on inputs of these types.
        """
        key = (id(op), *map(id, types))
        known = self._known.get(key)
        if known is None:
            typed = _infer(op_name, op, types, self.bounds)
            outputs = tuple(self._types.setdefault(one, one) for one in typed.outputs)
            known = (op, types, Typed(outputs, typed.weights, typed.conditions))
            self._known[key] = known
        return known[2]


def _infer(op_name: str, op: Op, types: Sequence[TensorType], bounds: Bounds) -> Typed:
    _check_arity(op_name, op, len(types) - len(op.referenced))
    cx = ShapeContext(bounds)
    try:
        inferred = op.infer(cx, *types)
    except DimTooComplexError as error:
        raise _too_complex(op_name, error) from None
    outputs = (inferred,) if isinstance(inferred, TensorType) else inferred
    _check_not_empty(op_name, outputs)
    _check_not_too_large(op_name, outputs)
    weights = op.weights(*types)
    _check_weights(op_name, weights)
    return Typed(tuple(outputs), weights, tuple(cx.conditions))


def type_node(
    path: str,
    op_name: str,
    op: Op,
    inputs: Sequence[Value],
    span: Span,
    *,
    calls: tuple[Span, ...] = (),
    keys: Mapping[str, str] | None = None,
    attribute_spans: Mapping[str, Span] | None = None,
    side: str | None = None,
    implied: bool = False,
    typer: Typer | None = None,
) -> Node:
    """Infer a layer's output types and weights.

    Args:
        path: dotted layer path.
        op_name: the word in the table of ops.
        op: validated attributes.
        inputs: values read.
        span: the layer in the spec.
        calls: spans of the block calls that led here, outermost first.
        keys: weight name -> full `state_dict` key, where it is not `path.name`.
        attribute_spans: where each attribute was written.
        side: see `Node.side`.
        implied: see `Node.implied`.
        typer: knows the bounds of the symbolic dims and the layers typed before.

    Raises:
        Refusal: the layer cannot work on these inputs.
    """
    typed = (typer or Typer()).infer(op_name, op, [value.type for value in inputs])
    names = keys or {}
    weights = tuple(
        WeightRef(names.get(w.name, f"{path}.{w.name}" if w.name else path), w)
        for w in typed.weights
    )
    return Node(
        path=path,
        op_name=op_name,
        op=op,
        inputs=tuple(inputs),
        outputs=tuple(
            Value(path if i == 0 else f"{path}:{i}", type_, span)
            for i, type_ in enumerate(typed.outputs)
        ),
        weights=weights,
        span=span,
        calls=calls,
        side=side,
        implied=implied,
        attribute_spans=attribute_spans or {},
        conditions=typed.conditions,
    )


def _check_arity(op_name: str, op: Op, count: int) -> None:
    least, most = op.arity
    if count >= least and (most is None or count <= most):
        return
    if most is None:
        wanted = f"at least {least}"
    else:
        wanted = str(least) if least == most else f"{least} to {most}"
    plural = "" if wanted == "1" else "s"
    raise Refusal("wrong-arity", f"`{op_name}` takes {wanted} input{plural}, not {count}")


def _check_not_empty(op_name: str, outputs: Sequence[TensorType]) -> None:
    for output in outputs:
        if any(isinstance(dim, int) and dim <= 0 for dim in output.shape):
            raise Refusal(
                "empty-output",
                f"`{op_name}` would produce {format_shape(output.shape)}, which holds no elements",
            )


def _check_not_too_large(op_name: str, outputs: Sequence[TensorType]) -> None:
    for output in outputs:
        # Symbolic sizes are at least 1, so the known ones alone are a lower bound.
        known = [dim for dim in output.shape if isinstance(dim, int)]
        if prod(known) > MAX_ELEMENTS:
            raise Refusal(
                "too-large",
                f"`{op_name}` would produce {format_shape(output.shape)}, more elements than "
                "64 bits can count",
                label=_product(known),
            )


def _check_weights(op_name: str, weights: Sequence[Weight]) -> None:
    for weight in weights:
        if weight.numel > MAX_ELEMENTS:
            name = f" `{weight.name}`" if weight.name else ""
            raise Refusal(
                "too-large",
                f"the weight{name} of this `{op_name}` would have "
                f"{format_shape(weight.shape)}, more elements than 64 bits can count",
                label=_product(weight.shape),
            )


def _product(sizes: Sequence[int]) -> str:
    return f"{' * '.join(map(str, sizes))} = {prod(sizes):,}"


def _too_complex(op_name: str, error: DimTooComplexError) -> Refusal:
    return Refusal(
        "too-complex",
        f"the size that `{op_name}` would produce is too long to be kept exact: {error}",
        help=["give the input a fixed size"],
    )

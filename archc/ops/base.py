"""What an op is: one declaration that every stage of the compiler reads.

An op never imports torch or onnx. It receives an *emitter* (`TorchEmitter`, `OnnxEmitter`) and
calls it; the targets implement the emitters.
"""

# Annotations are no text here (PEP 563): pydantic evaluates those of `Op` for every op there is.

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from archc.ops.conditions import ShapeContext
from archc.ops.initial import Init
from archc.ops.reach import Reaches, untracked
from archc.records import dataclass
from archc.types import Dim, DType, TensorType

Literalish = int | float | bool | str | None | Dim | tuple[Any, ...]
"""What may stand as a literal in generated Python."""

OnnxAttribute = int | float | str | Sequence[int] | Sequence[float] | Sequence[str]
"""What may stand as an ONNX attribute."""

Types = TensorType | tuple[TensorType, ...]
"""One output, or several."""


class Operand(NamedTuple):
    """An input of a layer as an emitter names it, with its type.

    Attributes:
        name: a Python expression (torch) or a value name (ONNX); only its emitter reads it.
        type: shape and dtype.
    """

    name: str
    type: TensorType


class Default(NamedTuple):
    """A keyword argument that generated source leaves out while it equals the default."""

    value: Literalish
    default: Literalish


class TorchCode(Protocol):
    """An expression of generated source; opaque to ops, may be an operand of the next one."""


class TorchModule(Protocol):
    """The module that a layer owns; calling it yields the expression of its result."""

    def __call__(self, *operands: Operand | TorchCode) -> TorchCode:
        """The expression `self.name(operands...)`."""
        ...


class TorchEmitter(Protocol):
    """Writes one layer into generated PyTorch source."""

    def module(
        self, constructor: str, *args: Literalish, **kwargs: Literalish | Default
    ) -> TorchModule:
        """Give the layer a module, e.g. `module("nn.Linear", 400, 120)`.

        The module's parameters and buffers must be named as the op's weights are.
        """
        ...

    def expr(
        self, template: str, *operands: Operand | TorchCode, **literals: Literalish
    ) -> TorchCode:
        """An expression: positional fields are operands, named fields are literals.

        `expr("F.pad({0}, {pad})", x, pad=(0, 1))`. A field that is a symbolic dim is written
        as sizes of the layer's operands at run time.
        """
        ...

    def weight(self, name: str) -> TorchCode:
        """A parameter or buffer that the layer keeps itself (not inside a module)."""
        ...

    @property
    def may_overwrite(self) -> bool:
        """Whether an activation may write its result over what it reads."""
        ...


class OnnxEmitter(Protocol):
    """Writes one layer into an ONNX graph."""

    @property
    def opset(self) -> int:
        """Version of the default operator set being written."""
        ...

    def op(
        self,
        op_type: str,
        *inputs: Operand | None,
        type: TensorType | None = None,
        **attributes: OnnxAttribute,
    ) -> Operand:
        """Append a node with one output.

        Args:
            op_type: ONNX operator of the default domain.
            inputs: values; None leaves an optional input out.
            type: type of the result; omitted for the node that computes the layer's output.
            attributes: ONNX attributes, written exactly as given.
        """
        ...

    def ops(
        self,
        op_type: str,
        *inputs: Operand | None,
        types: Sequence[TensorType],
        **attributes: OnnxAttribute,
    ) -> tuple[Operand, ...]:
        """Append a node with several outputs, one for each of `types`."""
        ...

    def split(
        self, x: Operand, *, axis: int, sizes: Sequence[int], types: Sequence[TensorType]
    ) -> tuple[Operand, ...]:
        """Append a Split node."""
        ...

    def weight(self, name: str) -> Operand:
        """The initializer of one of the layer's weights."""
        ...

    def constant(
        self,
        values: Sequence[int] | Sequence[float] | int | float,
        dtype: DType = DType.INT64,
        shape: tuple[int, ...] | None = None,
    ) -> Operand:
        """An initializer with fixed values (a scalar, a vector, or `shape`)."""
        ...

    def dims(self, shape: Sequence[Dim], like: Operand | None = None) -> Operand:
        """An int64 vector of dims for Reshape, Expand, Resize and the like.

        Static dims are constants. With `like` (the tensor being reshaped) a symbolic dim that
        equals `like`'s at the same position is written 0 and one further dim -1, as Reshape
        reads them; whatever remains is computed from the shapes of the graph's inputs.
        """
        ...

    def require_opset(self, version: int, reason: str) -> None:
        """Refuse (a located diagnostic) when the chosen opset is below `version`."""
        ...

    def refuse(self, message: str, *, help: Sequence[str] = ()) -> None:
        """Record that ONNX cannot express this layer; located at the layer."""
        ...


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that a layer owns.

    Attributes:
        name: last component of the `state_dict` key; empty when the layer's path is the key.
        shape: static sizes.
        init: how it is drawn.
        dtype: element type.
        buffer: whether it is a buffer (not trained).
        zero_row: index along the first axis whose numbers are zeros at first.
    """

    name: str
    shape: tuple[int, ...]
    init: Init
    dtype: DType = DType.FLOAT32
    buffer: bool = False
    zero_row: int | None = None

    @property
    def numel(self) -> int:
        """Number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return self.numel * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one layer for one run.

    Attributes:
        macs: multiply-accumulates of convolutions and matrix products, as torchvision and
            fvcore count them (0 for everything else).
    """

    macs: Dim = 0

    @property
    def flops(self) -> Dim:
        """Floating-point operations: two per MAC, a product and a sum.

        Biases, norms, activations and pools count as nothing, as in torch.utils.flop_counter:
        next to the products they are few, and what one of them costs depends on the hardware.
        """
        return 2 * self.macs


class Op(BaseModel):
    """Base of all ops. Fields are the attributes a spec may write.

    Class attributes:
        principal: the field that the layer's first key fills (`conv: 64` fills `out`).
        arity: how many inputs: (least, most); most None is any number.
        text_fields: fields whose value is plain text, never an expression.
        references: attributes that name another layer, whose value becomes a further input. Each
            has a field of the same name that says whether it is given; its inputs come last.
        spare_result: whether the result is memory of its own, and torch's gradient needs it not, so
            that the only layer that reads it may write over it.
        fixed_keys: whether PyTorch computes it only by a module that has its own names for the
            weights, so that none of them can be kept under another key.
        channels_first: whether axis 1 of what it yields are channels and those behind it space.
        pointwise: whether every position of the result is made of that of the inputs.
        copies: whether, in inference, every element of the result is an element of the input as it
            is, at a place that `reach` tells.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True
    )

    principal: ClassVar[str | None] = None
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    text_fields: ClassVar[frozenset[str]] = frozenset()
    references: ClassVar[tuple[str, ...]] = ()
    spare_result: ClassVar[bool] = False
    channels_first: ClassVar[bool] = False
    pointwise: ClassVar[bool] = False
    copies: ClassVar[bool] = False
    fixed_keys: ClassVar[bool] = False

    @property
    def referenced(self) -> tuple[str, ...]:
        """The references that are given, in the order of the last inputs."""
        return tuple(name for name in self.references if getattr(self, name))

    def infer(self, cx: ShapeContext, *args: Any, **kwargs: Any) -> Types:
        """The output type(s) for input types `args`.

        Raises:
            Refusal: the inputs or attributes cannot work; says why and what would.
        """
        raise NotImplementedError

    def weights(self, *args: Any, **kwargs: Any) -> tuple[Weight, ...]:
        """The tensors this layer owns, for input types `args` that `infer` accepted."""
        return ()

    def cost(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Cost:
        """Work for one run."""
        return Cost()

    def index_bounds(self, inputs: Sequence[TensorType]) -> tuple[int | None, ...]:
        """Of each input, the number below which its integers must lie; None where any will do."""
        return (None,) * len(inputs)

    def resolution(self) -> float:
        """The number whose rounding onnxruntime's result is off by, however small the result is.

        0 where errors shrink with results; more where a kernel takes a difference of larger
        numbers (docs/parity.md).
        """
        return 0.0

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """What a position of the outputs reads of each input, axis by axis.

        Unless an op declares it, nothing is claimed of receptive fields behind it.
        """
        return untracked(inputs)

    def explain(self, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """The worked arithmetic behind the output shape, one line per computed axis.

        For example `height (32 + 2*0 - 5)//1 + 1 = 28`.
        """
        return ()

    def to_torch(self, t: TorchEmitter, *args: Any, **kwargs: Any) -> TorchCode:
        """Lower to PyTorch source; `args` are Operands."""
        raise NotImplementedError

    def to_onnx(self, g: OnnxEmitter, *args: Any, **kwargs: Any) -> Operand | tuple[Operand, ...]:
        """Lower to ONNX nodes; `args` are Operands; the last node carries the output.

        An op that does nothing in inference returns its operand.
        """
        raise NotImplementedError

"""Affine map of the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from archc.ops.base import Cost, Default, OnnxEmitter, Op, Operand, TorchCode, TorchEmitter, Weight
from archc.ops.conditions import Refusal, ShapeContext, static_size
from archc.ops.fields import Flag, PositiveInt, describe, whole
from archc.ops.initial import fan_in_uniform
from archc.ops.reach import Reaches, pointwise
from archc.types import TensorType, dim_product, format_dim, format_shape


def _part(value: Any) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise PydanticCustomError(
            "wrong-type",
            "must be a part such as [16, 32], not {value}",
            {"value": describe(value)},
        )
    start, stop = (whole(item, 0, "a non-negative integer") for item in value)
    return start, stop


Part = Annotated[
    tuple[int, int],
    BeforeValidator(_part),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 2,
            "maxItems": 2,
        }
    ),
]


class Linear(Op):
    """Affine map of the last axis, `y = x @ weight.T + bias`.

    `zero_bias: [start, stop]` counts a part of the bias as zero though it is stored, as the keys'
    third in the attention of Swin Transformer V2 (arXiv 2111.09883). `transposed` keeps the weight
    as [in, out], as the checkpoints of GPT-2 do.

    Source: torch.nn.Linear; ONNX Gemm for rank 2, MatMul and Add for higher ranks.
    """

    spare_result = True
    principal = "out"

    out: PositiveInt
    bias: Flag = True
    zero_bias: Part | None = None
    transposed: Flag = False

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType:
        """[..., in] -> [..., out]."""
        self._check_zero_bias()
        if x.rank < 2:
            raise Refusal(
                "wrong-rank",
                f"`linear` needs a batch axis and a feature axis, not {format_shape(x.shape)}",
                because=[(0, f"{format_shape(x.shape)} comes from here")],
            )
        static_size(
            x.shape[-1],
            Refusal(
                "symbolic-weight",
                f"the last axis is {format_dim(x.shape[-1])}, but `linear` needs a fixed size: "
                "its weight has one column per input feature",
                because=[(0, f"{format_shape(x.shape)} comes from here")],
                help=["fix the input size, or pool to a fixed size first: {adaptive_avgpool: 1}"],
            ),
        )
        return x.with_shape((*x.shape[:-1], self.out))

    def _check_zero_bias(self) -> None:
        if self.zero_bias is None:
            return
        start, stop = self.zero_bias
        if not self.bias or not 0 <= start < stop <= self.out:
            why = f"lies outside of its {self.out} numbers" if self.bias else "is not there at all"
            raise Refusal(
                "bad-value",
                f"`zero_bias`: the part of the bias from {start} to {stop} {why}",
                at="zero_bias",
            )

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """`weight` [out, in], transposed [in, out], and `bias` [out]."""
        fan_in = x.shape[-1]
        assert isinstance(fan_in, int)  # infer refused symbolic sizes
        init = fan_in_uniform(fan_in)
        shape = (fan_in, self.out) if self.transposed else (self.out, fan_in)
        weight = Weight("weight", shape, init)
        return (weight, Weight("bias", (self.out,), init)) if self.bias else (weight,)

    def cost(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Cost:
        """One MAC per output element and input feature."""
        return Cost(macs=dim_product(outputs[0].shape) * inputs[0].shape[-1])

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """The features are the ones asked for."""
        return (f"features {format_dim(x.shape[-1])} -> {self.out}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """All features of one position."""
        return pointwise(inputs, outputs[0], {inputs[0].rank - 1})

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Linear`; `F.linear` where a weight is not used as it is kept."""
        if self.zero_bias is None and not self.transposed:
            bias = Default(self.bias, True)
            return t.module("nn.Linear", x.type.shape[-1], self.out, bias=bias)(x)
        weight = t.weight("weight")
        if self.transposed:
            weight = t.expr("{0}.T", weight)
        if not self.bias:
            return t.expr("F.linear({0}, {1})", x, weight)
        return t.expr("F.linear({0}, {1}, {2})", x, weight, self._torch_bias(t))

    def _torch_bias(self, t: TorchEmitter) -> TorchCode:
        if self.zero_bias is None:
            return t.weight("bias")
        start, stop = self.zero_bias
        return t.expr(
            "{0}.slice_scatter({0}.new_zeros({length}), start={start}, end={stop})",
            t.weight("bias"),
            length=stop - start,
            start=start,
            stop=stop,
        )

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Gemm with the weight as it is stored; MatMul above rank 2, over [in, out]."""
        weight = g.weight("weight")
        bias = self._onnx_bias(g) if self.bias else None
        if x.type.rank == 2:
            return g.op("Gemm", x, weight, bias, transB=int(not self.transposed))
        if not self.transposed:
            flipped = weight.type.with_shape(reversed(weight.type.shape))
            weight = g.op("Transpose", weight, type=flipped, perm=[1, 0])
        if bias is None:
            return g.op("MatMul", x, weight)
        product = x.type.with_shape((*x.type.shape[:-1], self.out))
        return g.op("Add", g.op("MatMul", x, weight, type=product), bias)

    def _onnx_bias(self, g: OnnxEmitter) -> Operand:
        bias = g.weight("bias")
        if self.zero_bias is None:
            return bias
        start, stop = self.zero_bias
        kept = [0.0 if start <= index < stop else 1.0 for index in range(self.out)]
        return g.op("Mul", bias, g.constant(kept, bias.type.dtype), type=bias.type)

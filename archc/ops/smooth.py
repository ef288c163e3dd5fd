"""Smooth activations: sigmoids, exponential and Gaussian units."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from archc.ops.activation import Activation
from archc.ops.base import Default, OnnxEmitter, Operand, TorchCode, TorchEmitter
from archc.ops.fields import Number, PositiveNumber
from archc.ops.forms import scalar
from archc.types import DType, TensorType


class Sigmoid(Activation):
    """`1 / (1 + exp(-x))`. Source: torch.nn.Sigmoid, ONNX Sigmoid."""

    torch_module = "nn.Sigmoid"
    onnx_operator = "Sigmoid"

    def resolution(self) -> float:
        """The kernel adds 1/2 and a fraction: off by three roundings of 1, and 0 below -18."""
        return 1.5


class Tanh(Activation):
    """Hyperbolic tangent. Source: torch.nn.Tanh, ONNX Tanh."""

    torch_module = "nn.Tanh"
    onnx_operator = "Tanh"


class Softsign(Activation):
    """`x / (1 + |x|)`. Source: torch.nn.Softsign, ONNX Softsign."""

    torch_module = "nn.Softsign"
    onnx_operator = "Softsign"


class Selu(Activation):
    """Scaled ELU with its two fixed constants. Source: torch.nn.SELU, ONNX Selu."""

    torch_module = "nn.SELU"
    onnx_operator = "Selu"

    def resolution(self) -> float:
        """Scale and alpha: `exp(x) - 1` is a difference."""
        return 1.7580993408473766


class Silu(Activation):
    """`x * sigmoid(x)`, also known as swish. Source: torch.nn.SiLU; ONNX Sigmoid and Mul."""

    torch_module = "nn.SiLU"
    overwrites = True

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Sigmoid and Mul: onnxruntime fuses them, while Swish (opset 24) has no fast kernel."""
        return g.op("Mul", x, g.op("Sigmoid", x, type=x.type))

    def resolution(self) -> float:
        """The sigmoid's, times the largest `-x` at which it is not 0 yet."""
        return 24.0


class Mish(Activation):
    """`x * tanh(softplus(x))`. Source: torch.nn.Mish; ONNX Softplus, Tanh and Mul."""

    torch_module = "nn.Mish"

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """The definition of Mish (opset 18), which has no kernel of its own anyway."""
        softplus = g.op("Softplus", x, type=x.type)
        return g.op("Mul", x, g.op("Tanh", softplus, type=x.type))


class Elu(Activation):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere. Source: torch.nn.ELU, ONNX Elu."""

    principal = "alpha"

    alpha: PositiveNumber = 1.0

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.ELU`."""
        return t.module("nn.ELU", alpha=Default(self.alpha, 1.0))(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Elu."""
        return g.op("Elu", x, alpha=self.alpha)

    def resolution(self) -> float:
        """`exp(x) - 1` is a difference."""
        return self.alpha


class Celu(Activation):
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere.

    Source: torch.nn.CELU, ONNX Celu.
    """

    principal = "alpha"

    alpha: PositiveNumber = 1.0

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.CELU`."""
        return t.module("nn.CELU", alpha=Default(self.alpha, 1.0))(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Celu, which took float32 only before opset 28; `alpha * elu(x / alpha)` otherwise."""
        if x.type.dtype is DType.FLOAT32:
            return g.op("Celu", x, alpha=self.alpha)
        scaled = g.op("Div", x, scalar(g, self.alpha, x), type=x.type)
        unit = g.op("Elu", scaled, type=x.type, alpha=1.0)
        return g.op("Mul", unit, scalar(g, self.alpha, x))

    def resolution(self) -> float:
        """`exp(x / alpha) - 1` is a difference."""
        return self.alpha


def _word(value: Any) -> Any:
    """`none` is no value in the language, and the name of the exact form in torch and ONNX."""
    return "none" if value is None else value


class Gelu(Activation):
    """`x * Phi(x)` with the normal distribution function, or its tanh approximation.

    The two differ by up to 4.7e-4. Source: torch.nn.GELU, ONNX Gelu (opset 20).
    """

    principal = "approximate"

    approximate: Annotated[Literal["none", "tanh"], BeforeValidator(_word)] = "none"

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.GELU`."""
        return t.module("nn.GELU", approximate=Default(self.approximate, "none"))(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Gelu; below opset 20 spelt in the order onnxruntime recognises and fuses."""
        if g.opset >= 20:
            return g.op("Gelu", x, approximate=self.approximate)
        if self.approximate == "none":
            scaled = g.op("Div", x, scalar(g, math.sqrt(2.0), x), type=x.type)
            bell = g.op("Erf", scaled, type=x.type)
        else:
            bell = g.op("Tanh", _tanh_argument(g, x), type=x.type)
        gate = g.op("Add", bell, scalar(g, 1.0, x), type=x.type)
        return g.op("Mul", g.op("Mul", x, gate, type=x.type), scalar(g, 0.5, x))

    def resolution(self) -> float:
        """`1 + tanh(...)` is a difference left of 0, as `1 + erf(...)` is, in torch too."""
        return 5.0 if self.approximate == "tanh" else 0.0


def _tanh_argument(g: OnnxEmitter, x: Operand) -> Operand:
    """`sqrt(2 / pi) * (x + 0.044715 * x**3)`."""
    cube = g.op("Pow", x, scalar(g, 3.0, x), type=x.type)
    small = g.op("Mul", cube, scalar(g, 0.044715, x), type=x.type)
    inner = g.op("Add", x, small, type=x.type)
    return g.op("Mul", inner, scalar(g, math.sqrt(2.0 / math.pi), x), type=x.type)


class Softplus(Activation):
    """`log(1 + exp(beta * x)) / beta`, and `x` itself where `beta * x > threshold`.

    Source: torch.nn.Softplus; ONNX Softplus has neither beta nor threshold.
    """

    principal = "beta"

    beta: PositiveNumber = 1.0
    threshold: Number = 20.0

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """`nn.Softplus`."""
        return t.module(
            "nn.Softplus",
            beta=Default(self.beta, 1.0),
            threshold=Default(self.threshold, 20.0),
        )(x)

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand:
        """Softplus, scaled by beta, and Where for a threshold that can be seen."""
        beta = scalar(g, self.beta, x)
        scaled = x if self.beta == 1.0 else g.op("Mul", x, beta, type=x.type)
        cut = self._threshold_matters(x.type)
        last = None if self.beta == 1.0 and not cut else x.type
        soft = g.op("Softplus", scaled, type=last)
        if self.beta != 1.0:
            soft = g.op("Div", soft, beta, type=x.type if cut else None)
        if not cut:
            return soft
        above = TensorType(x.type.shape, DType.BOOL)
        linear = g.op("Greater", scaled, scalar(g, self.threshold, x), type=above)
        return g.op("Where", linear, x, soft)

    def _threshold_matters(self, x: TensorType) -> bool:
        # Above the threshold the exact value exceeds x by the factor 1 + log1p(e**-t) / t, which
        # from t = 20 on (1e-10) is far below the resolution of every dtype but float64.
        return x.dtype is DType.FLOAT64 or self.threshold < 20.0

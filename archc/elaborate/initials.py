"""`init:` as written, turned into how each weight is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from archc.diagnostics import Span
from archc.diagnostics.closest import closest
from archc.elaborate.env import LayerScope
from archc.graph import Node, WeightRef
from archc.ops.base import Weight
from archc.ops.fields import describe
from archc.ops.initial import Constant, Init, Normal, TruncatedNormal, Uniform
from archc.spec.expressions import FUNCTIONS, ExpressionError, parse_expression
from archc.spec.tree import Mapping as MappingNode
from archc.spec.tree import Node as TreeNode
from archc.spec.tree import Scalar

_CALL = re.compile(r"\s*([a-z_]+)\s*(\(.*\))?\s*", re.DOTALL)
_MODES = ("fan_in", "fan_out")

Rule = Callable[[Weight, list[object], Span], Init]


def apply_init(
    node: Node, written: TreeNode, scope: LayerScope, *, is_default: bool = False
) -> Node:
    """The node with its weights drawn as `init:` says.

    One value is for the weight called `weight` (or the layer's only one); a mapping gives one
    value per weight.

    Args:
        node: the layer.
        written: the value of `init`.
        scope: the names that it may use.
        is_default: whether it is written for all layers of a kind, of which some may lack a weight.

    Raises:
        ExpressionError: a weight, a distribution or a number is wrong.
    """
    wanted, places = _by_weight(node, written)
    names = [ref.weight.name for ref in node.weights]
    for name, span in places.items():
        if name not in names:
            close = closest(name, names)
            if is_default and close is None:
                continue
            listing = ", ".join(f"`{known}`" for known in names) or "none"
            raise ExpressionError(
                "unknown-attribute",
                f"`{node.op_name}` has no weight `{name}`",
                span,
                [f"did you mean `{close}`?" if close else f"its weights: {listing}"],
            )
    weights = tuple(
        WeightRef(
            ref.key,
            replace(ref.weight, init=_init(wanted[ref.weight.name], ref, scope), zero_row=None),
        )
        if ref.weight.name in wanted
        else ref
        for ref in node.weights
    )
    return replace(node, weights=weights)


def _by_weight(node: Node, written: TreeNode) -> tuple[dict[str, Scalar], dict[str, Span]]:
    """Distributions by weight, and where the weights are named."""
    if isinstance(written, Scalar):
        only = node.weights[0].weight.name if len(node.weights) == 1 else "weight"
        return {only: written}, {only: written.span}
    if not isinstance(written, MappingNode):
        raise ExpressionError(
            "wrong-kind", "`init` is a distribution, or one per weight", written.span
        )
    wanted: dict[str, Scalar] = {}
    for entry in written.entries:
        if not isinstance(entry.value, Scalar):
            raise ExpressionError("wrong-kind", "this is no distribution", entry.value.span)
        wanted[entry.key.text] = entry.value
    return wanted, {entry.key.text: entry.key.span for entry in written.entries}


def _init(written: Scalar, ref: WeightRef, scope: LayerScope) -> Init:
    if isinstance(written.value, (int, float)) and not isinstance(written.value, bool):
        return Constant(float(written.value))
    match = _CALL.fullmatch(written.text)
    if match is None or (match[1] not in _RULES and (match[2] is None or match[1] in FUNCTIONS)):
        value = parse_expression(written).evaluate(scope)
        return Constant(_number(value, written.span))
    rule = _RULES.get(match[1])
    if rule is None:
        close = closest(match[1], list(_RULES))
        listing = ", ".join(f"`{name}`" for name in _RULES)
        raise ExpressionError(
            "unknown-function",
            f"there is no distribution `{match[1]}`",
            written.span,
            [f"did you mean `{close}`?" if close else f"there are {listing}"],
        )
    arguments: object = []
    if match[2] is not None and match[2].strip("() "):
        expression = parse_expression(written, match[2], match.start(2))
        arguments = expression.evaluate(scope, unknown=_mode)
    listed = list(arguments) if isinstance(arguments, (list, tuple)) else [arguments]
    return rule(ref.weight, listed, written.span)


def _mode(name: str, span: Span) -> object:
    if name in _MODES:
        return name
    close = closest(name, _MODES)
    if close is None:
        raise KeyError(name)
    help_ = [f"did you mean `{close}`?"]
    raise ExpressionError("unknown-name", f"`{name}` means nothing here", span, help_)


def _number(value: object, span: Span) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError("wrong-type", f"a number is wanted here, not {describe(value)}", span)
    return float(value)


def _numbers(values: list[object], counts: tuple[int, ...], span: Span) -> list[float]:
    if len(values) not in counts:
        wanted = " or ".join(str(count or "no") for count in counts)
        plural = "" if counts == (1,) else "s"
        raise ExpressionError(
            "expression-type", f"it takes {wanted} number{plural}, not {len(values)}", span
        )
    return [_number(value, span) for value in values]


def _spread(values: list[object], span: Span) -> tuple[float, float]:
    """`(std)` or `(mean, std)`."""
    numbers = _numbers(values, (1, 2), span)
    return (0.0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _normal(weight: Weight, values: list[object], span: Span) -> Init:
    return Normal(*_spread(values, span))


def _trunc_normal(weight: Weight, values: list[object], span: Span) -> Init:
    return TruncatedNormal(*_spread(values, span))


def _uniform(weight: Weight, values: list[object], span: Span) -> Init:
    low, high = _numbers(values, (2,), span)
    return Uniform(low, high)


def _constant(weight: Weight, values: list[object], span: Span) -> Init:
    return Constant(_numbers(values, (1,), span)[0])


def _fixed(value: float) -> Rule:
    def rule(weight: Weight, values: list[object], span: Span) -> Init:
        _numbers(values, (0,), span)
        return Constant(value)

    return rule


def _fans(weight: Weight, span: Span) -> tuple[int, int]:
    """(fan_in, fan_out) as torch.nn.init computes them."""
    if len(weight.shape) < 2:
        raise ExpressionError(
            "bad-value", f"`{weight.name}` has no fan: its shape is {list(weight.shape)}", span
        )
    receptive = math.prod(weight.shape[2:])
    return weight.shape[1] * receptive, weight.shape[0] * receptive


def _kaiming(weight: Weight, values: list[object], span: Span) -> float:
    """Standard deviation with the gain of relu (arXiv 1502.01852)."""
    mode = values[0] if values else "fan_in"
    if mode not in _MODES or len(values) > 1:
        raise ExpressionError("bad-value", "it takes `fan_in` or `fan_out`", span)
    fan_in, fan_out = _fans(weight, span)
    return math.sqrt(2.0 / (fan_in if mode == "fan_in" else fan_out))


def _kaiming_normal(weight: Weight, values: list[object], span: Span) -> Init:
    return Normal(0.0, _kaiming(weight, values, span))


def _kaiming_uniform(weight: Weight, values: list[object], span: Span) -> Init:
    bound = math.sqrt(3.0) * _kaiming(weight, values, span)
    return Uniform(-bound, bound)


def _xavier(weight: Weight, values: list[object], span: Span) -> float:
    """Standard deviation (Glorot and Bengio 2010)."""
    _numbers(values, (0,), span)
    return math.sqrt(2.0 / sum(_fans(weight, span)))


def _xavier_normal(weight: Weight, values: list[object], span: Span) -> Init:
    return Normal(0.0, _xavier(weight, values, span))


def _xavier_uniform(weight: Weight, values: list[object], span: Span) -> Init:
    bound = math.sqrt(3.0) * _xavier(weight, values, span)
    return Uniform(-bound, bound)


_RULES: Mapping[str, Rule] = {
    "zeros": _fixed(0.0),
    "ones": _fixed(1.0),
    "constant": _constant,
    "normal": _normal,
    "trunc_normal": _trunc_normal,
    "uniform": _uniform,
    "kaiming_normal": _kaiming_normal,
    "kaiming_uniform": _kaiming_uniform,
    "xavier_normal": _xavier_normal,
    "xavier_uniform": _xavier_uniform,
}

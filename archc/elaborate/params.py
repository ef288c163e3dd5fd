"""Params: values of the declared kind, defaults and `let` evaluated when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archc.diagnostics import Span
from archc.elaborate.arguments import shown
from archc.elaborate.env import Env, LayerValue, OpWord
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Argument, Param
from archc.spec.tree import Node
from archc.types import Expr

_KIND_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int, Expr),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "op": (OpWord, LayerValue),
    "text": (str, OpWord),
}
_KIND_WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "op": "an op or a block",
    "text": "a word",
}


def check_kind(param: Param, value: object, span: Span) -> None:
    """Refuse a value that is not of a param's declared kind.

    Raises:
        ExpressionError: `wrong-type` or `not-an-integer`.
    """
    if param.kind is None or (param.kind == "op" and value is None):
        return
    accepted = _KIND_TYPES[param.kind]
    if isinstance(value, bool) and param.kind != "bool":
        accepted = ()
    if isinstance(value, accepted):
        return
    if param.kind == "int" and isinstance(value, float):
        raise ExpressionError(
            "not-an-integer",
            f"`{param.name}` is an integer, not the float {value}",
            span,
            ["wrap it in int() or use // instead of /"],
        )
    raise ExpressionError(
        "wrong-type", f"`{param.name}` takes {_KIND_WORDS[param.kind]}, not {shown(value)}", span
    )


def define(
    env: Env,
    params: Mapping[str, Param],
    lets: Mapping[str, Argument],
    evaluate: Callable[[Node], object],
    *,
    but: Mapping[str, object],
) -> None:
    """Fill an environment with defaults and lets, evaluated when they are asked for.

    Args:
        env: what to fill.
        params: declared params; those without a default are left out.
        lets: definitions.
        evaluate: evaluates in the scope of the definitions.
        but: params that are given.
    """
    for name, param in params.items():
        if name not in but and param.kind is None:
            env.thunks[name] = (param.span, _thunk(evaluate, param.default))
    for name, let in lets.items():
        env.thunks[name] = (let.key.span, _thunk(evaluate, let.value))


def _thunk(evaluate: Callable[[Node], object], node: Node) -> Callable[[], object]:
    return lambda: evaluate(node)

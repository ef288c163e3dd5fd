"""Random size expressions, as trees that can be run on integers and on symbols alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from archc.types.dims import ceil_div, dim_max, dim_min, symbol

NAMES = ("H", "N", "W")
SYMBOLS = {name: symbol(name) for name in NAMES}


@dataclass(frozen=True)
class Tree:
    """`run` computes the expression from values (integers or symbols) for the names."""

    text: str
    run: Callable[[Mapping[str, Any]], Any]

    def __repr__(self) -> str:
        return self.text


def _leaf(value: str | int) -> Tree:
    if isinstance(value, str):
        return Tree(value, lambda env: env[value])
    return Tree(str(value), lambda env: value)


def _binary(op: str, left: Tree, right: Tree) -> Tree:
    code = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "max": dim_max,
        "min": dim_min,
    }[op]
    text = f"{op}({left}, {right})" if len(op) > 1 else f"({left} {op} {right})"
    return Tree(text, lambda env: code(left.run(env), right.run(env)))


def _divided(op: str, left: Tree, by: int) -> Tree:
    code = {"//": lambda a: a // by, "%": lambda a: a % by, "ceil": lambda a: ceil_div(a, by)}[op]
    return Tree(f"({left} {op} {by})", lambda env: code(left.run(env)))


def _over_size(op: str, left: Tree, name: str, plus: int) -> Tree:
    def run(env: Mapping[str, Any]) -> Any:
        divisor = env[name] + plus
        return left.run(env) // divisor if op == "//" else left.run(env) % divisor

    return Tree(f"({left} {op} ({name} + {plus}))", run)


def _extend(inner: st.SearchStrategy[Tree], kinds: str) -> st.SearchStrategy[Tree]:
    options = [
        st.builds(_binary, st.sampled_from("++-*"), inner, inner),
        st.builds(_divided, st.sampled_from(["//", "//", "%", "ceil"]), inner, st.integers(1, 6)),
    ]
    if "m" in kinds:
        options.append(st.builds(_binary, st.sampled_from(["max", "min"]), inner, inner))
    if "q" in kinds:
        args = (st.sampled_from(["//", "%"]), inner, st.sampled_from(NAMES), st.integers(0, 2))
        options.append(st.builds(_over_size, *args))
    return st.one_of(options)


def trees(
    *, kinds: str = "mq", names: tuple[str, ...] = NAMES, leaves: int = 8
) -> st.SearchStrategy[Tree]:
    """Trees of + - * and division; with `m` maxima and minima, with `q` division by sizes."""
    leaf = st.one_of(st.sampled_from(names), st.integers(-9, 9)).map(_leaf)
    return st.recursive(leaf, lambda inner: _extend(inner, kinds), max_leaves=leaves)


def environments(low: int = 1, high: int = 40) -> st.SearchStrategy[dict[str, int]]:
    """Sizes for every name."""
    return st.fixed_dictionaries({name: st.integers(low, high) for name in NAMES})

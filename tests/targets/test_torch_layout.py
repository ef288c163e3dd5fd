"""Line breaks: whatever is laid out, `ruff format` has nothing to change."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from archc.targets.torch.layout import (
    assignment,
    expression,
    flat,
    literal_text,
    returned,
    signature,
    spaced,
)
from tests.targets.torch_reference import ruff

names = st.sampled_from(["x", "self.conv", "in_channels", "identity", "self.downsample", "planes"])
constants = st.sampled_from(
    ["0", "True", "None", "1e-5", "(1, 2)", '"reflect"', "planes * 4", "1.5"]
)
atoms = st.one_of(names, constants)


def _call(parts: tuple[str, list[str], list[tuple[str, str]]]) -> str:
    name, args, kwargs = parts
    given_ = [*args, *(f"{key}={value}" for key, value in dict(kwargs).items())]
    return f"{name}({', '.join(given_)})"


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    keywords = st.sampled_from(["kernel_size", "stride", "dim", "bias"])
    constructors = st.sampled_from(["nn.Conv2d", "nn.Sequential", "torch.cat", "Bottleneck", "f"])
    kwargs = st.lists(st.tuples(keywords, inner), max_size=3)
    calls = st.builds(_call, st.tuples(constructors, st.lists(inner, max_size=5), kwargs))
    folds = st.tuples(inner, st.integers(2, 40)).map(lambda p: f"*[{p[0]} for _ in range({p[1]})]")
    lists = st.lists(st.one_of(inner, folds), min_size=1, max_size=5)
    return st.one_of(calls, calls, lists.map(lambda items: f"[{', '.join(items)}]"))


values = st.recursive(atoms, _nested, max_leaves=14)
calls = _nested(values).filter(lambda text: not text.startswith("["))
chains = st.tuples(
    names,
    st.lists(
        st.tuples(st.sampled_from(["reshape", "permute"]), st.lists(atoms, min_size=1, max_size=6)),
        min_size=1,
        max_size=4,
    ),
).map(lambda p: p[0] + "".join(f".{name}({', '.join(args)})" for name, args in p[1]))
sums = st.lists(names, min_size=2, max_size=9).map(" + ".join)


@st.composite
def functions(draw: st.DrawFn) -> str:
    """A function of statements as the target writes them."""
    lines = ["def f():"]
    for _ in range(draw(st.integers(1, 8))):
        value = draw(st.one_of(calls, chains, values))
        kind = draw(st.sampled_from(["assign", "return", "alone", "append"]))
        if kind == "assign":
            lines += assignment(draw(st.sampled_from(["x", "self.layer1", "identity"])), value, 4)
        elif kind == "return":
            lines += returned(draw(st.one_of(st.just(value), sums)), 4)
        elif kind == "append":
            lines += assignment("layers", f"[{value}]", 4, "+=")
        elif "(" in value:
            lines += expression(f"super().__init__({value})", 4)
    return "\n".join([*lines, "    pass", ""])


@given(functions())
@settings(max_examples=150, deadline=None)
def test_statements_are_as_ruff_formats_them(text: str) -> None:
    assert ruff(text, "format", "--diff") == ""


parameters = st.lists(
    st.sampled_from(
        ["planes: int", "stride: int = 1", "activation: type[nn.Module] | None = None"]
    ),
    max_size=6,
)


def _has_default(parameter: str) -> bool:
    return "=" in parameter


@given(st.sampled_from(["__init__", "forward"]), parameters, st.sampled_from(["None", "Tensor"]))
def test_signatures_are_as_ruff_formats_them(name: str, rest: list[str], result: str) -> None:
    unique = [
        text.replace(":", f"{i}:", 1) for i, text in enumerate(sorted(rest, key=_has_default))
    ]
    text = "\n".join(
        ["class A:", *signature(name, ["self", *unique], result, 4), "        pass", ""]
    )
    assert ruff(text, "format", "--diff") == ""


def _operation(parts: tuple[str, str, str]) -> str:
    left, operator, right = parts
    return f"({left}) {operator} ({right})"


operations = st.recursive(
    st.sampled_from(["h", "w", "in_channels", "x.shape[2]", "2", "17"]),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//"]), inner).map(_operation),
    max_leaves=24,
)


@given(operations, st.sampled_from(["F.pad(x, (0, {}))", "{}", "x.reshape({}, -1)", "f(a={})"]))
@settings(max_examples=300, deadline=None)
def test_broken_operations_say_the_same(text: str, around: str) -> None:
    """Brackets that an operand needs stay when it goes onto lines of its own."""
    text = around.format(text)
    (made,) = ast.parse("\n".join(assignment("size", text, 0))).body
    assert isinstance(made, ast.Assign)
    assert ast.dump(made.value) == ast.dump(ast.parse(text, mode="eval").body)


@given(operations, st.sampled_from(["F.pad(x, (0, {}))", "{}"]))
@settings(max_examples=100, deadline=None)
def test_operations_are_as_ruff_formats_them(text: str, around: str) -> None:
    lines = assignment("size", spaced(around.format(text)), 4)
    assert ruff("\n".join(["def f():", *lines, ""]), "format", "--diff") == ""


@given(values)
def test_one_line_says_the_same(text: str) -> None:
    node = ast.parse(text, mode="eval").body
    assert ast.dump(ast.parse(flat(node), mode="eval").body) == ast.dump(node)


literals = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
)


@given(literals)
@settings(max_examples=300)
def test_literals_are_what_they_were(value: object) -> None:
    text = literal_text(value)
    assert repr(eval(text, {"float": float})) == repr(value)
    assert text.isprintable()

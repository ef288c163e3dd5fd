"""Random activations, norms, shape ops and joins with inputs for them, right and wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from hypothesis import strategies as st

from archc.ops.base import Op
from archc.ops.table import OPS

Draw = Any
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """An op and the shapes it is given."""

    name: str
    op: Op
    shapes: tuple[Shape, ...]


def case(name: str, attributes: dict[str, Any], *shapes: Shape) -> Case:
    return Case(name, OPS[name].model_validate(attributes), shapes)


def shape(draw: Draw, least: int = 1, most: int = 5, largest: int = 5) -> Shape:
    return tuple(draw(st.lists(st.integers(1, largest), min_size=least, max_size=most)))


def some(draw: Draw, **strategies: st.SearchStrategy[Any]) -> dict[str, Any]:
    """A random subset of attributes; the others keep their defaults."""
    return {name: draw(values) for name, values in strategies.items() if draw(st.booleans())}


numbers = st.sampled_from([0.1, 0.5, 1.0, 1.7, 3.0])
epsilons = st.sampled_from([1e-6, 1e-3, 0.5])
momenta = st.sampled_from([None, 0.0, 0.3, 1.0])
flags = st.booleans()
axes = st.integers(-6, 5)

PLAIN = [
    *("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "tanh", "softsign"),
    *("selu", "mish", "identity", "dropout", "drop_path"),
]

MOVING = frozenset(
    [
        *("flatten", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "rearrange"),
        *("select", "slice", "split", "chunk", "concat", "identity", "dropout", "drop_path"),
    ]
)
"""Ops whose results are elements of their inputs."""


@st.composite
def activations(draw: Draw, name: str | None = None) -> Case:
    """Any of them, or the one called `name`."""
    if name is None:
        name = draw(st.sampled_from(["plain"] * 4 + list(ARGUMENTS)))
        name = draw(st.sampled_from(PLAIN)) if name == "plain" else name
    attributes = some(draw, **ARGUMENTS.get(name, {}))
    if name == "drop_path":
        attributes = {"p": draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))}
    # Enough elements that errors are measured against one of ordinary size.
    return case(name, attributes, (*shape(draw, 0, 4), draw(st.integers(16, 24))))


ARGUMENTS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "leaky_relu": {"slope": st.sampled_from([0.2, -0.5, 0.0, 2.0])},
    "prelu": {"per_channel": flags},
    "hardtanh": {
        "min": st.sampled_from([-2.5, 0.0, 1.0]),
        "max": st.sampled_from([-1.0, 1.0, 3.5]),
    },
    "elu": {"alpha": numbers},
    "celu": {"alpha": numbers},
    "gelu": {"approximate": st.sampled_from(["none", "tanh"])},
    "softplus": {"beta": numbers, "threshold": st.sampled_from([-1.0, 0.0, 1.0, 5.0, 20.0, 30.0])},
    "softmax": {"dim": axes},
    "log_softmax": {"dim": axes},
    "dropout": {"p": st.sampled_from([0.0, 0.2, 1.0])},
}


@st.composite
def batchnorms(draw: Draw) -> Case:
    attributes = some(draw, eps=epsilons, momentum=momenta, affine=flags, track_running_stats=flags)
    return case("batchnorm", attributes, shape(draw, 1, 6, 4))


@st.composite
def layernorms(draw: Draw, name: str | None = None) -> Case:
    name = name or draw(st.sampled_from(["layernorm", "layernorm", "layernorm2d", "rmsnorm"]))
    if name == "layernorm2d":
        return case(name, some(draw, eps=epsilons), shape(draw, 3, 5))
    attributes = some(draw, eps=epsilons, axes=st.integers(1, 3), affine=flags)
    if name == "layernorm":
        attributes |= some(draw, bias=flags)
    return case(name, attributes, shape(draw))


@st.composite
def groupnorms(draw: Draw) -> Case:
    attributes = {"groups": draw(st.integers(1, 4)), **some(draw, eps=epsilons, affine=flags)}
    batch, *rest = shape(draw, 1, 5, 3)
    channels = [draw(st.sampled_from([attributes["groups"], 2 * attributes["groups"], 4, 6]))]
    return case("groupnorm", attributes, (batch, *(channels if rest else []), *rest[1:]))


@st.composite
def instancenorms(draw: Draw) -> Case:
    attributes = some(draw, eps=epsilons, momentum=numbers, affine=flags, track_running_stats=flags)
    ranks = draw(st.sampled_from([(3, 5), (3, 5), (3, 5), (2, 6)]))
    return case("instancenorm", attributes, shape(draw, *ranks, 4))


@st.composite
def lrns(draw: Draw) -> Case:
    attributes = {
        "size": draw(st.integers(1, 6)),
        **some(draw, alpha=st.sampled_from([0.1, 0.5, 1.0]), beta=numbers, k=numbers),
    }
    return case("lrn", attributes, shape(draw, 2, 5, 6))


@st.composite
def flattens(draw: Draw) -> Case:
    return case("flatten", some(draw, start=axes, end=axes), shape(draw))


@st.composite
def reshapes(draw: Draw) -> Case:
    given = shape(draw)
    target = list(draw(st.permutations(given)))
    while len(target) > 1 and draw(st.booleans()):
        target[:2] = [target[0] * target[1]]
    if draw(st.integers(0, 5)) == 0:
        target[-1] += 1
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return case("reshape", {"shape": target}, given)


@st.composite
def moves(draw: Draw, name: str | None = None) -> Case:
    given = shape(draw)
    rank = len(given)
    name = name or draw(st.sampled_from(["permute", "transpose", "squeeze", "unsqueeze"]))
    if name == "permute":
        dims = draw(st.permutations(range(rank)))
        dims = [d - rank if draw(st.booleans()) else d for d in dims]
        if draw(st.integers(0, 5)) == 0:
            dims = draw(st.lists(st.integers(-rank, rank), min_size=1, max_size=rank + 1))
        return case(name, {"dims": dims}, given)
    if name == "transpose":
        return case(name, {"dims": [draw(axes), draw(axes)]}, given)
    if name == "squeeze" and draw(st.booleans()):
        at = draw(st.integers(0, rank - 1))
        given = (*given[:at], 1, *given[at + 1 :])
        given = given if rank > 1 else (1, 3)
        return case(name, {"dim": draw(st.sampled_from([at, at - len(given)]))}, given)
    return case(name, {"dim": draw(axes)}, given)


@st.composite
def parts(draw: Draw, name: str | None = None) -> Case:
    given = shape(draw, 2)
    name = name or draw(st.sampled_from(["select", "slice", "split", "chunk"]))
    attributes = some(draw, dim=st.integers(-3, 2))
    if name == "select":
        attributes["index"] = draw(st.integers(-5, 4))
    elif name == "slice":
        places = st.integers(-5, 5)
        attributes |= some(draw, start=places, stop=places, step=st.integers(1, 3))
    elif name == "chunk":
        attributes["chunks"] = draw(st.integers(1, 4))
    else:
        attributes["sizes"] = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
        axis = attributes.get("dim", 1)
        if -len(given) <= axis < len(given) and draw(st.integers(0, 4)):
            sizes = list(given)
            sizes[axis] = sum(attributes["sizes"])
            given = tuple(sizes)
    axis = attributes.get("dim", 1)
    if name in ("slice", "chunk") and -len(given) <= axis < len(given):
        sizes = list(given)
        sizes[axis] = draw(st.integers(1, 12))  # of few elements many cuts are the same
        given = tuple(sizes)
    return case(name, attributes, given)


def _grouped(draw: Draw, names: list[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for name in names:
        if groups and groups[-1] and draw(st.integers(0, 2)) == 0:
            groups[-1].append(name)
        else:
            groups.append([name])
        if draw(st.integers(0, 6)) == 0:
            groups.append([])
    return groups


def _side(groups: list[list[str]]) -> str:
    return " ".join(
        "1" if not group else group[0] if len(group) == 1 else f"({' '.join(group)})"
        for group in groups
    )


@st.composite
def rearranges(draw: Draw) -> Case:
    names = list("abcdef")[: draw(st.integers(1, 6))]
    sizes = {name: draw(st.integers(1, 3)) for name in names}
    left = _grouped(draw, names)
    if draw(st.integers(0, 4)) == 0:
        # Two axes in the last place: so far back groups are seldom drawn.
        left = [["a"], *([] for _ in range(draw(st.integers(2, 3)))), ["b"], ["c", "d"]]
        names, sizes = list("abcd"), {"a": 2, "b": 1, "c": draw(st.integers(1, 3)), "d": 3}
    right = _grouped(draw, list(draw(st.permutations(names))))
    given = [prod(sizes[name] for name in group) for group in left]
    known = {
        name: sizes[name]
        for group in left
        for name in (group[1:] if draw(st.integers(0, 4)) else group)
    }
    if draw(st.integers(0, 6)) == 0:
        given[draw(st.integers(0, len(given) - 1))] += 1
    if draw(st.integers(0, 8)) == 0 and known:
        del known[draw(st.sampled_from(sorted(known)))]
    texts = [_side(left), _side(right)]
    if draw(st.integers(0, 3)) == 0:
        others = shape(draw, 0, 2)
        at = draw(st.sampled_from([0, len(left)]))
        given[at:at] = others
        texts[0] = f"... {texts[0]}" if at == 0 else f"{texts[0]} ..."
        texts[1] = draw(
            st.sampled_from([f"... {texts[1]}", f"{texts[1]} ...", f"{texts[1]} (...)"])
        )
    return case("rearrange", {"pattern": " -> ".join(texts), **known}, tuple(given))


@st.composite
def joins(draw: Draw, name: str | None = None) -> Case:
    name = name or draw(st.sampled_from(["add", "sub", "mul", "concat"]))
    first = shape(draw, 1, 4, 4)
    shapes = []
    for _ in range(2 if name == "sub" else draw(st.integers(2, 3))):
        dims = list(first)
        if draw(st.booleans()):
            at = draw(st.integers(0, len(dims) - 1))
            dims[at] = draw(st.sampled_from([1, 1, dims[at] + 1]))
        if draw(st.integers(0, 9)) == 0:
            dims.append(1)
        shapes.append(tuple(dims))
    attributes = some(draw, dim=st.integers(-3, 2)) if name == "concat" else {}
    return case(name, attributes, *shapes)


FAMILIES: dict[str, st.SearchStrategy[Case]] = {
    "activation": activations(),
    "batchnorm": batchnorms(),
    "layernorm": layernorms(),
    "groupnorm": groupnorms(),
    "instancenorm": instancenorms(),
    "lrn": lrns(),
    "flatten": flattens(),
    "reshape": reshapes(),
    "move": moves(),
    "part": parts(),
    "rearrange": rearranges(),
    "join": joins(),
}

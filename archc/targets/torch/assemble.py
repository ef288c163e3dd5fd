"""From planned levels to classes: blocks first, what uses them after."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from archc.graph import Graph
from archc.targets.torch.classes import ClassCode
from archc.targets.torch.code import (
    NO_DEFAULT,
    Apply,
    Body,
    Construct,
    Container,
    Loop,
    Member,
    MemberCode,
    Sequential,
    Statement,
    TensorMember,
    Var,
    rewrite,
)
from archc.targets.torch.columns import Given, Parameter, Shared
from archc.targets.torch.loops import as_loop
from archc.targets.torch.naming import class_name, unique_name
from archc.targets.torch.parameters import parametrise
from archc.targets.torch.plan import Planner
from archc.targets.torch.share import share
from archc.targets.torch.signatures import TAKEN
from archc.targets.torch.sizes import SIZE_OF
from archc.targets.torch.tree import Level
from archc.types import DType

Key = tuple[Any, ...]

_DIGITS = re.compile(r"\d+")


class Assembler:
    """Writes the classes of a planned tree."""

    def __init__(
        self, graph: Graph, planner: Planner, outputs: Mapping[str, str], dtype: DType
    ) -> None:
        self.graph = graph
        self.dtype = dtype
        self.planner = planner
        self.outputs = outputs
        self.classes: list[ClassCode] = []
        self.root_name = class_name(graph.name)
        self._taken = {self.root_name}
        self._made: dict[Level, Construct] = {}
        self._groups: dict[Key, list[Level]] = {}
        self._keys: dict[Level, Key] = {}
        self._open: set[Key] = set()
        self._ties: dict[Level, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}

    def run(self, root: Level) -> list[ClassCode]:
        """All classes, the root's last."""
        self._group(root, (), "")
        self._place_ties()
        self._make(("root",))
        return self.classes

    def _place_ties(self) -> None:
        """Let the innermost class that holds both parameters make them one."""
        levels = {level.path: level for level in self._keys}
        for own, key in self.graph.ties().items():
            path = _common_level(own, key)
            while path not in levels:
                path = path.rpartition(".")[0]
            home = levels[path]
            ways = home.way_to(own), home.way_to(key)
            assert ways[0] is not None and ways[1] is not None
            self._ties.setdefault(home, []).append((ways[0], ways[1]))

    # -- groups ---------------------------------------------------------------------------

    def _group(self, level: Level, owner: Key, way: str) -> None:
        """Find the levels that are classes, and which of them may share one."""
        if level.path == "":
            key: Key = ("root",)
        elif level.op_name:
            key = ("op", level.op_name, level.base.constructor if level.base else "")
        elif level.block is not None:
            key = ("block", level.block)
        else:
            key = ("section", owner, way)
        inner = (key, "") if key[0] != "section" else (owner, f"{way}.")
        for name, child in level.children.items():
            if isinstance(child, Level):
                self._group(child, inner[0], inner[1] + _DIGITS.sub("", name))
        if self._is_class(level):
            self._keys[level] = key
            self._groups.setdefault(key, []).append(level)

    def _is_class(self, level: Level) -> bool:
        plan = self.planner.plans[level]
        if level.path == "" or level.op_name:
            return True
        if plan.form == "container":
            held = level.children.items()
            return any(isinstance(c, TensorMember) or name in TAKEN for name, c in held)
        return plan.form == "class" or level.block is not None

    def _needed(self, level: Level) -> Iterable[Level]:
        """Levels whose classes the code of this one constructs."""
        for child in level.children.values():
            if isinstance(child, Level):
                if child in self._keys:
                    yield child
                else:
                    yield from self._needed(child)

    # -- one group ------------------------------------------------------------------------

    def _make(self, key: Key) -> None:
        """The classes of a group, after those that they construct."""
        self._open.add(key)
        for level in self._groups[key]:
            self._prepare(level)
        self._build([level for level in self._groups[key] if level not in self._made])
        self._open.discard(key)

    def _prepare(self, level: Level) -> None:
        for needed in self._needed(level):
            if needed in self._made:
                continue
            if self._keys[needed] in self._open:
                # A group cannot wait for itself: this level gets a class of its own.
                self._prepare(needed)
                self._build([needed])
            else:
                self._make(self._keys[needed])

    def _build(self, levels: list[Level]) -> None:
        bodies = [self._body(level) for level in levels]
        given = [self._given(level) for level in levels]
        classes = share(bodies, given)
        for shared, suffix in zip(classes, _suffixes(classes, given), strict=True):
            self._define(levels, bodies, given, shared, suffix)

    def _define(
        self,
        levels: list[Level],
        bodies: list[Body],
        given: list[Given],
        shared: Shared,
        suffix: str,
    ) -> None:
        made = parametrise(shared, given)
        served = [levels[index] for index in shared.members]
        body = made.body
        name = self._name(served[0], suffix + "List" * isinstance(body.base, Loop))
        self.classes.append(
            ClassCode(
                name,
                made.parameters,
                made.variables,
                body,
                self._doc(served[0]),
                _same_shapes([bodies[index] for index in shared.members]),
            )
        )
        for index, literals in made.instances.items():
            self._made[levels[index]] = _construction(name, made.parameters, literals)

    def _given(self, level: Level) -> Given:
        inputs = self.planner.plans[level].inputs
        entering = self.planner.values.get(inputs[0]) if inputs else None
        shape = entering.type.shape if entering else ()
        scope = level.scope
        return Given(scope.params, scope.lets, shape) if scope else Given({}, {}, shape)

    def _name(self, level: Level, suffix: str) -> str:
        if level.path == "":
            return self.root_name
        if level.op_name:
            wanted = _wrapper_name(level)
        elif level.block is not None:
            wanted = class_name(level.block, "Block")
        else:
            wanted = class_name(_DIGITS.sub("", level.name) or level.path, "Section")
        name = unique_name(wanted + suffix, self._taken)
        self._taken.add(name)
        return name

    def _doc(self, level: Level) -> str:
        if level.path == "":
            return ""
        return level.scope.doc if level.scope else ""

    # -- one level ------------------------------------------------------------------------

    def _body(self, level: Level) -> Body:
        plan = self.planner.plans[level]
        members = tuple(self._members(level))
        if plan.form == "sequential":
            body = Body(plan.inputs, (), (), plan.outputs, Sequential(members))
        elif plan.form == "container":
            body = Body((), members, (), ())
        else:
            body = Body(plan.inputs, members, plan.statements, plan.outputs, level.base)
        if level.path == "":
            body = self._root(body)
        trained = self.planner.trains_only(level)
        asides = () if trained else tuple(n for n in body.outputs if n in self.planner.asides)
        types = tuple(
            self.planner.values[name].type if name in self.planner.values else None
            for name in body.inputs
        )
        hints = tuple(self._hint(name, body.inputs) for name in body.inputs)
        integers = tuple(name for name in body.inputs if name.startswith(SIZE_OF))
        body = replace(
            body,
            types=types,
            hints=hints,
            integers=integers,
            asides=asides,
            ties=tuple(self._ties.get(level, ())),
        )
        return _renamed(body if level.path == "" else as_loop(body))

    def _hint(self, name: str, inputs: Sequence[str]) -> str:
        """What to call an input; the main value goes without a name beside the network's inputs."""
        entering = {value.name for value in self.graph.inputs}
        if name == inputs[0] and name not in entering and entering.issuperset(inputs[1:]):
            return ""
        return name.rpartition(".")[2].removeprefix(SIZE_OF)

    def _root(self, body: Body) -> Body:
        """The graph's own inputs and outputs, in their order; sizes are read off the inputs."""
        names = tuple(value.name for value in self.graph.inputs)
        sizes = tuple(self._size(name) for name in body.inputs if name.startswith(SIZE_OF))
        asides = self.planner.asides
        outputs = (*self.outputs.values(), *asides)
        keys = (*self.outputs, *self._aside_keys(asides))
        return replace(
            body,
            inputs=names,
            dtype=self.dtype,
            statements=(*sizes, *body.statements),
            outputs=outputs,
            keys=keys if len(keys) > 1 else (),
        )

    def _size(self, name: str) -> Statement:
        symbol = name.removeprefix(SIZE_OF)
        for value in self.graph.inputs:
            for axis, dim in enumerate(value.type.shape):
                if str(dim) == symbol:
                    expr = Apply(f"{{0}}.shape[{axis}]", (Var(value.name),))
                    return Statement((name,), expr, hint=symbol)
        raise AssertionError(f"no input has an axis {symbol}")

    def _aside_keys(self, asides: Sequence[str]) -> list[str]:
        """Names for what runs in training only.

        That of the outermost such level; of the layer where several share that level, or where an
        output has its name.
        """
        levels = [self._aside_level(name) for name in asides]
        keys: list[str] = []
        for name, level in zip(asides, levels, strict=True):
            alone = levels.count(level) == 1 and level not in self.outputs
            keys.append(level if alone else unique_name(name, {*self.outputs, *levels, *keys}))
        return keys

    def _aside_level(self, name: str) -> str:
        """The outermost level that runs in training only."""
        parts = name.split(".")
        for count in range(1, len(parts)):
            prefix = ".".join(parts[:count]) + "."
            inside = [s for s in self.planner.steps if s.node.path.startswith(prefix)]
            if inside and all(step.is_training_only for step in inside):
                return prefix[:-1]
        return name

    def _members(self, level: Level) -> Iterable[Member]:
        for name, child in level.children.items():
            yield Member(name, self._code(child))

    def _code(self, child: Level | Construct | TensorMember) -> MemberCode:
        if not isinstance(child, Level):
            return child
        if child in self._keys:
            return self._made[child]
        plan = self.planner.plans[child]
        items = tuple(self._members(child))
        if plan.form == "container":
            return Container(items)
        return Sequential(items, named=not plan.numbered)


def _common_level(one: str, other: str) -> str:
    """The innermost level that two keys lie in."""
    parts = zip(one.split(".")[:-1], other.split(".")[:-1], strict=False)
    return ".".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], parts))


def _suffixes(classes: Sequence[Shared], given: Sequence[Given]) -> list[str]:
    """What tells classes of one block apart.

    A child that the most common one lacks, or has, or a param of the spec that is zero there.
    """
    common = max(classes, key=lambda shared: len(shared.members))
    return [_difference(shared, common, given) for shared in classes]


def _difference(own: Shared, common: Shared, given: Sequence[Given]) -> str:
    if own is common:
        return ""
    for mine, usual in (
        (_children(own), _children(common)),
        (_set_params(own, given), _set_params(common, given)),
    ):
        extra = [name for name in mine if name not in usual]
        lacking = [name for name in usual if name not in mine]
        if extra or lacking:
            return f"{'With' if extra else 'Without'}{class_name((extra or lacking)[0], '')}"
    return ""


def _children(shared: Shared) -> list[str]:
    return [member.name for member in shared.body.members]


def _set_params(shared: Shared, given: Sequence[Given]) -> list[str]:
    """Params that are neither zero nor false for any instance."""
    tables = [given[index].params for index in shared.members]
    return [name for name in tables[0] if all(table.get(name) for table in tables)]


def _wrapper_name(level: Level) -> str:
    """The name of a class for one layer: `PaddedConv2d`, `Permute`."""
    name = class_name(level.op_name, "Layer")
    if level.base is None:
        return name
    base = str(level.base.constructor).rpartition(".")[2]
    if base.lower().startswith(name.lower()):
        return f"Padded{base}"
    return base + name[len(base) :] if name.lower().startswith(base.lower()) else name


def _construction(name: str, parameters: Sequence[Parameter], literals: Sequence[Any]) -> Construct:
    """The call of a generated class: what has a default is passed by keyword."""
    args = [x for p, x in zip(parameters, literals, strict=True) if p.default is NO_DEFAULT]
    kwargs = [
        (p.name, x)
        for p, x in zip(parameters, literals, strict=True)
        if p.default is not NO_DEFAULT
    ]
    return Construct(name, tuple(args), tuple(kwargs))


def _renamed(body: Body) -> Body:
    """Values numbered in order, so that the code of two instances compares equal."""
    names: dict[str, str] = {}
    for name in body.inputs:
        names[name] = f"i{len(names)}"
    for statement in body.statements:
        for name in statement.outputs:
            names[name] = f"v{len(names)}"
    for name in body.outputs:
        names.setdefault(name, f"v{len(names)}")

    def change(part: Any) -> Any:
        if isinstance(part, Var):
            return Var(names[part.value])
        if isinstance(part, Statement):
            return replace(part, outputs=tuple(names[name] for name in part.outputs))
        return part

    return replace(
        rewrite(body, change),
        inputs=tuple(names[name] for name in body.inputs),
        outputs=tuple(names[name] for name in body.outputs),
        integers=tuple(names[name] for name in body.integers),
        asides=tuple(names[name] for name in body.asides),
    )


def _same_shapes(bodies: list[Body]) -> bool:
    """Whether one comment is true of all instances."""
    first = [statement.types for statement in bodies[0].statements]
    return all([s.types for s in body.statements] == first for body in bodies[1:])

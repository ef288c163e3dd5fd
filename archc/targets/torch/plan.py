"""What the forward of each level does: its inputs, its statements in order, its outputs."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Literal as OneOf

from archc.graph import Graph, Value
from archc.records import dataclass
from archc.targets.torch.code import (
    Apply,
    Attribute,
    Construct,
    Expression,
    Invoke,
    Literal,
    Statement,
    Var,
    rewrite,
    values_of,
)
from archc.targets.torch.signatures import TAKEN
from archc.targets.torch.tree import TENSOR_AT, Level, Step

Form = OneOf["class", "sequential", "container"]


@dataclass(slots=True, eq=False)
class Plan:
    """The code of one level, children named but not yet written.

    Attributes:
        level: the level.
        form: a class with its own forward, `nn.Sequential`, or a container called from above.
        inputs: ids of values it takes.
        outputs: ids of values it makes for others.
        statements: in an order in which every value is made before it is read.
        numbered: the children are 0, 1, 2 ... and run in that order.
    """

    level: Level
    form: Form = "class"
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    numbered: bool = False


@dataclass(slots=True, eq=False)
class _Unit:
    """A statement to be: one step, or the call of one child level."""

    way: tuple[str, ...]
    indices: list[int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    level: Level | None = None
    step: Step | None = None


class Planner:
    """Plans every level, innermost first."""

    def __init__(self, graph: Graph, steps: list[Step], outputs: Mapping[str, str]) -> None:
        self.graph = graph
        self.steps = steps
        self.plans: dict[Level, Plan] = {}
        self.values: dict[str, Value] = {value.name: value for value in graph.inputs}
        self._maker: dict[str, int] = {}
        self._readers: dict[str, list[int]] = {}
        self._results = set(outputs.values())
        for step in steps:
            for value in step.node.outputs:
                self.values[value.name] = value
                self._maker[value.name] = step.index
        self._live = self._find_live()
        for index in sorted(self._live):
            for name in steps[index].reads:
                self._readers.setdefault(name, []).append(index)
        self._indices: dict[Level, list[int]] = {}

    @cached_property
    def asides(self) -> tuple[str, ...]:
        """Ids of values that layers beside the chain make and nothing reads."""
        return tuple(
            value.name
            for index in sorted(self._live)
            for value in self.steps[index].node.outputs
            if self.steps[index].is_training_only
            and value.name not in self._readers
            and value.name not in self._results
        )

    def plan(self, level: Level) -> Plan:
        """Plan a level and all below it."""
        for child in list(level.children.values()):
            if isinstance(child, Level):
                self.plan(child)
        plan = self._plan(level)
        self.plans[level] = plan
        return plan

    def indices(self, level: Level) -> list[int]:
        """Positions of the steps in and below a level that do something."""
        found = self._indices.get(level)
        if found is None:
            found = [step.index for step in level.steps if step.index in self._live]
            for child in level.children.values():
                if isinstance(child, Level):
                    found += self.indices(child)
            found.sort()
            self._indices[level] = found
        return found

    def trains_only(self, level: Level) -> bool:
        """Whether all of a level runs in training only."""
        return self._in_training(self.indices(level))

    # -- liveness -------------------------------------------------------------------------

    def _find_live(self) -> set[int]:
        """Steps whose result reaches an output, or that train beside the chain."""
        wanted = set(self._results)
        live: set[int] = set()
        for step in reversed(self.steps):
            makes = {value.name for value in step.node.outputs}
            if step.is_training_only or makes & wanted:
                live.add(step.index)
                wanted.update(step.reads)
        return live

    # -- one level ------------------------------------------------------------------------

    def _plan(self, level: Level) -> Plan:
        if not self.indices(level):
            return Plan(level, "container")
        units = self._ordered(level)
        statements = tuple(self._statement(unit, level) for unit in units)
        inputs, outputs = self._interface(level, self.indices(level))
        plan = Plan(level, "class", inputs, outputs, statements)
        # The class of a single step is what wrapping makes: it is not wrapped again.
        plan.numbered = not level.op_name and self._is_numbered_chain(plan, units)
        if plan.numbered:
            self._wrap(plan, units)
        section = level.path != "" and level.block is None and not level.op_name
        if plan.numbered or (section and self._is_named_chain(plan)):
            plan.form = "sequential"
        return plan

    def _interface(
        self, level: Level, indices: list[int]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Values that cross the level's border, inwards and outwards."""
        inside = set(indices)
        inputs: dict[str, None] = {}
        outputs: dict[str, None] = {}
        for index in indices:
            for name in self.steps[index].reads:
                if name.startswith(TENSOR_AT):
                    if level.way_to(name.removeprefix(TENSOR_AT)) is None:
                        inputs[name] = None
                elif self._maker.get(name, -1) not in inside:
                    inputs[name] = None
            for value in self.steps[index].node.outputs:
                readers = self._readers.get(value.name, ())
                aside = self.steps[index].is_training_only and not readers
                if value.name in self._results or aside or not inside.issuperset(readers):
                    outputs[value.name] = None
        # Tensors flow first, so that the main value is the first parameter.
        flowing = [name for name in inputs if name in self.values]
        return (*flowing, *(n for n in inputs if n not in self.values)), tuple(outputs)

    # -- order ----------------------------------------------------------------------------

    def _ordered(self, level: Level) -> list[_Unit]:
        """The statements of a level; levels that no single call can run are dissolved."""
        units = list(self._units(level, ()))
        while True:
            order, stuck = _topological(units)
            # A level of one step cannot be what closes a cycle.
            tangled = [unit for unit in stuck if unit.level is not None and len(unit.indices) > 1]
            if not tangled:
                return order
            for unit in tangled:
                assert unit.level is not None
                self.plans[unit.level].form = "container"
                at = units.index(unit)
                units[at : at + 1] = self._units(unit.level, unit.way)

    def _units(self, level: Level, way: tuple[str, ...]) -> Iterable[_Unit]:
        found = [self._step_unit(s, way) for s in level.steps if s.index in self._live]
        for name, child in level.children.items():
            if not isinstance(child, Level) or not self.indices(child):
                continue
            plan = self.plans[child]
            if plan.form == "container":
                found += self._units(child, (*way, name))
            else:
                indices = self.indices(child)
                found.append(_Unit((*way, name), indices, plan.inputs, plan.outputs, level=child))
        return sorted(found, key=lambda unit: unit.indices[0])

    def _step_unit(self, step: Step, way: tuple[str, ...]) -> _Unit:
        outputs = tuple(value.name for value in step.node.outputs)
        return _Unit(way, [step.index], step.reads, outputs, step=step)

    # -- statements -----------------------------------------------------------------------

    def _statement(self, unit: _Unit, level: Level) -> Statement:
        training = self._in_training(unit.indices) and not self._in_training(self.indices(level))
        types = tuple(self.values[name].type for name in unit.outputs)
        if unit.level is not None:
            call = Invoke(unit.way, tuple(self._operand(name, level) for name in unit.inputs))
            return Statement(
                unit.outputs, call, training=training, hint=unit.level.name, types=types
            )
        assert unit.step is not None
        node = unit.step.node
        hint = node.op_name if node.implied else node.path.rpartition(".")[2]

        def change(part: object) -> object:
            if isinstance(part, Invoke):
                return Invoke((*unit.way, *part.member), part.operands)
            return self._operand(part.value, level) if isinstance(part, Var) else part

        expr = rewrite(unit.step.expr, change)
        return Statement(unit.outputs, expr, training=training, hint=hint, types=types)

    def _operand(self, name: str, level: Level) -> Var | Attribute:
        if name.startswith(TENSOR_AT):
            way = level.way_to(name.removeprefix(TENSOR_AT))
            if way is not None:
                return Attribute(way)
        return Var(name)

    def _in_training(self, indices: list[int]) -> bool:
        return all(self.steps[index].is_training_only for index in indices)

    # -- forms ----------------------------------------------------------------------------

    def _is_numbered_chain(self, plan: Plan, units: list[_Unit]) -> bool:
        """Whether the statements run children 0, 1, 2 ... one after the other."""
        if not _is_chain(plan, self.values) or (plan.level.path == "" and not self._is_single()):
            return False
        if any(not isinstance(c, (Level, Construct)) for c in plan.level.children.values()):
            return False
        names = [_slot(unit) for unit in units]
        return names == [str(i) for i in range(len(names))] and set(plan.level.children) <= set(
            names
        )

    def _is_single(self) -> bool:
        """Whether the network takes one value and gives one."""
        graph = self.graph
        return len(graph.inputs) == len(graph.outputs) == 1 and not self.asides

    def _is_named_chain(self, plan: Plan) -> bool:
        """Whether the statements call every child once, in order."""
        if not _is_chain(plan, self.values):
            return False
        called = [_plain_call(s) for s in plan.statements]
        names = [(name,) for name in plan.level.children]
        return (
            len(called) == len(plan.statements)
            and called == names
            and not TAKEN & set(plan.level.children)
        )

    def _wrap(self, plan: Plan, units: list[_Unit]) -> None:
        """Give each step that is no plain call of a module a class of its own."""
        level = plan.level
        children = dict(level.children)
        for unit, statement in zip(units, plan.statements, strict=True):
            if unit.step is None or _plain_call(statement) is not None:
                continue
            step, name = unit.step, _slot(unit)
            own = Level(step.node.path, op_name=step.node.op_name)
            if _is_permutation(step.expr):
                own.op_name, step.expr = "permute", _with_dims(step.expr)
            own.steps.append(step)
            module = children.get(name)
            if isinstance(module, Construct):
                own.base = module
                step.expr = rewrite(step.expr, _call_of_base)
            children[name] = own
            level.steps.remove(step)
            self.plans[own] = self._plan(own)
        level.children = {_slot(unit): children[_slot(unit)] for unit in units}
        plan.statements = tuple(self._statement(unit, level) for unit in self._ordered(level))


def _slot(unit: _Unit) -> str:
    """The name that a statement's layer has at its level."""
    if unit.step is not None:
        return unit.step.node.path.rpartition(".")[2]
    return ".".join(unit.way)


BASE = ("super()",)
"""The member that stands for the class a class derives from."""


_PERMUTE = re.compile(r"\{0\}\.permute\(([\d, ]+)\)")


def _is_permutation(expr: Expression) -> bool:
    if not isinstance(expr, Apply) or not isinstance(expr.operands[0], Var):
        return False
    return _PERMUTE.fullmatch(expr.template) is not None


def _with_dims(expr: Expression) -> Expression:
    """A permutation with its axes as a value, so that one class serves all."""
    assert isinstance(expr, Apply)
    dims = tuple(int(axis) for axis in re.findall(r"\d+", expr.template[len("{0}") :]))
    return Apply("{0}.permute({dims})", expr.operands, (("dims", Literal(dims, "dims", "dims")),))


def _call_of_base(part: object) -> object:
    return Invoke(BASE, part.operands) if isinstance(part, Invoke) else part


def _plain_call(statement: Statement) -> tuple[str, ...] | None:
    """The child that a statement calls, if it does nothing else."""
    expr = statement.expr
    if not isinstance(expr, Invoke) or len(expr.operands) != 1 or len(expr.member) != 1:
        return None
    return expr.member if isinstance(expr.operands[0], Var) else None


def _is_chain(plan: Plan, values: Mapping[str, Value]) -> bool:
    """One value in, one out, each statement reading what the one before made and nothing else."""
    if len(plan.inputs) != 1 or len(plan.outputs) != 1:
        return False
    if plan.inputs[0] not in values and not plan.inputs[0].startswith(TENSOR_AT):
        return False
    flowing = plan.inputs[0]
    for statement in plan.statements:
        reads = set(values_of(statement.expr))
        if reads != {flowing} or len(statement.outputs) != 1 or statement.training:
            return False
        flowing = statement.outputs[0]
    return flowing == plan.outputs[0]


def _topological(units: list[_Unit]) -> tuple[list[_Unit], list[_Unit]]:
    """Units in an order that respects their values, and those caught in a cycle or behind one."""
    maker = {name: i for i, unit in enumerate(units) for name in unit.outputs}
    followers: list[set[int]] = [set() for _ in units]
    waits = [0] * len(units)
    for i, unit in enumerate(units):
        sources = {maker[name] for name in unit.inputs if name in maker} - {i}
        waits[i] = len(sources)
        for source in sources:
            followers[source].add(i)
    ready = [(unit.indices[0], i) for i, unit in enumerate(units) if waits[i] == 0]
    heapq.heapify(ready)
    order: list[_Unit] = []
    while ready:
        _, i = heapq.heappop(ready)
        order.append(units[i])
        for follower in followers[i]:
            waits[follower] -= 1
            if waits[follower] == 0:
                heapq.heappush(ready, (units[follower].indices[0], follower))
    done = {id(unit) for unit in order}
    return order, _on_cycles([u for u in units if id(u) not in done])


def _on_cycles(units: list[_Unit]) -> list[_Unit]:
    """Drop, from units that wait for each other, those that nobody among them waits for."""
    while True:
        read = {name for unit in units for name in unit.inputs}
        kept = [unit for unit in units if any(name in read for name in unit.outputs)]
        if len(kept) == len(units):
            return units
        units = kept

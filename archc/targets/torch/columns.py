"""The literals of a class over all instances that share it, and what is written in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from archc.records import dataclass, field
from archc.targets.torch.code import (
    ABSENT,
    NO_DEFAULT,
    Body,
    Construct,
    Container,
    Literal,
    Loop,
    Member,
    MemberCode,
    Name,
    Sequential,
    distinct,
    literals,
)
from archc.types import Dim


@dataclass(slots=True, eq=False)
class Shared:
    """One class to be, and the instances it serves.

    Attributes:
        body: the code, with the values of one instance in it.
        members: index of each instance -> its literals, in the order of the body's; ABSENT where
            the instance lacks the code.
    """

    body: Body
    members: dict[int, list[Any]]


@dataclass(slots=True, eq=False)
class Column:
    """One literal of a class, over all instances.

    Attributes:
        position: among the literals of the class.
        context: the child or layer that it belongs to.
        optional: it is all there is to an optional child (`nn.ReLU` of an activation).
        literals: one for each instance; ABSENT where the instance lacks the code.
    """

    position: int
    context: str
    optional: bool
    literals: list[Any]

    @property
    def sample(self) -> Literal:
        """The literal of the first instance that has it."""
        return next(item for item in self.literals if isinstance(item, Literal))

    @property
    def values(self) -> list[Any]:
        """The values, ABSENT where an instance has none."""
        return [item if item is ABSENT else item.value for item in self.literals]

    @property
    def is_constant(self) -> bool:
        """Whether one text serves all instances."""
        present = [item for item in self.literals if item is not ABSENT]
        if self.optional and len(present) < len(self.literals):
            return False
        same = len({distinct(item.value) for item in present}) == 1
        return same or all(item.is_default for item in present)

    @property
    def default(self) -> Any:
        """The callee's default if it is the same for all, else NO_DEFAULT."""
        defaults = {distinct(i.default): i.default for i in self.literals if i is not ABSENT}
        return next(iter(defaults.values())) if len(defaults) == 1 else NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of one instance besides its code.

    Attributes:
        params: numbers that its block got in the spec.
        lets: numbers that the block computed from them.
        input: shape of what enters.
    """

    params: Mapping[str, int | float | bool]
    lets: Mapping[str, int | float | bool]
    input: tuple[Dim, ...]


@dataclass(slots=True, eq=False)
class Parameter:
    """One argument of a constructor.

    Attributes:
        values: what belongs to each instance; ABSENT where nothing is known.
        kind: see `Literal.kind`; empty while a number of the spec has no use yet.
        rank: place among the parameters of its group.
        name: set once all parameters are known, unless the spec has a name for it.
        default: what it is when left out.
        columns: the literals that are this parameter.
        rows: instances whose code needs it.
        optional: it is None where the code does not need it.
        is_let: the spec computes it: an expression of others reads better.
    """

    values: list[Any]
    kind: str = ""
    rank: tuple[int, int] = (0, 0)
    name: str = ""
    default: Any = NO_DEFAULT
    columns: list[Column] = field(default_factory=list)
    rows: set[int] = field(default_factory=set)
    optional: bool = False
    is_let: bool = False

    @property
    def is_named(self) -> bool:
        """Whether the spec names it."""
        return self.rank[0] < UNNAMED

    @property
    def passed(self) -> list[Any]:
        """What each instance passes; ABSENT where it does not matter."""
        unused = None if self.optional else ABSENT
        return [value if row in self.rows else unused for row, value in enumerate(self.values)]

    @property
    def annotation(self) -> str:
        """Its type."""
        kinds = {_type_of(value) for value in self.passed if value is not ABSENT}
        kinds |= {_type_of(self.default)} if self.default is not NO_DEFAULT else set()
        kinds -= {"int"} if "float" in kinds else set()
        return " | ".join(sorted(kinds, key=lambda kind: (kind == "None", kind)))

    def has_role(self, role: str) -> bool:
        """Whether it fills an argument of that name."""
        return any(column.sample.role == role for column in self.columns)

    def use(self, rows: Iterable[int]) -> None:
        """Note that the code of some instances needs it."""
        self.rows.update(rows)

    def literal(self, row: int) -> Literal:
        """What an instance passes."""
        value = self.passed[row]
        if value is ABSENT and self.is_named:
            value = self.values[row]
        elif value is ABSENT:
            value = _filler(self.annotation) if self.default is NO_DEFAULT else self.default
        kind = self.kind if self.kind in ("channels", "class") else self.name
        return Literal(value, self.name, kind, self.default)


INPUT, PARAM, LET, UNNAMED = range(4)
"""Groups of parameters, in the order of a signature."""


def known_parameters(given: Sequence[Given], axis: int) -> list[Parameter]:
    """What the spec tells of all instances and is not always the same.

    Args:
        given: what is known of each.
        axis: axis of the input that holds features.
    """
    inputs = [g.input[axis] if len(g.input) > 1 else ABSENT for g in given]
    name = "in_channels" if axis == 1 else "in_features"
    found = [Parameter(inputs, rank=(INPUT, 0), name=name)]
    for group, tables in ((PARAM, [g.params for g in given]), (LET, [g.lets for g in given])):
        for place, name in enumerate(tables[0]):
            values = [table.get(name, ABSENT) for table in tables]
            if group == LET and [*map(distinct, values)] == [*map(distinct, inputs)]:
                found[0].name = name
            else:
                found.append(Parameter(values, "", (group, place), name, is_let=group == LET))
    return [p for p in found if _varies(p.values)]


def _varies(values: list[Any]) -> bool:
    plain = all(isinstance(value, (bool, int, float)) for value in values)
    return plain and len({distinct(value) for value in values}) > 1


SAME = "{0}"
TIMES = "{0} * {1}"
PER = "{0} // {1}"
ROOT = "{0}**-0.5"
_VALUES: dict[str, Callable[..., Any]] = {
    SAME: lambda a: a,
    TIMES: lambda a, b: a * b,
    PER: lambda a, b: a // b,
    ROOT: lambda a: a**-0.5,
}


@dataclass(frozen=True, slots=True)
class Text:
    """What is written for a column: `{0}`, `{0} * {1}`, `{0} != {1}`."""

    form: str
    operands: tuple[Parameter | Text | int, ...]

    def write(self, shorter: Mapping[str, str]) -> str:
        """The text, once the parameters have names.

        Args:
            shorter: expression -> local variable that holds it.
        """
        text = self.form.format(*(_operand_text(operand, shorter) for operand in self.operands))
        return shorter.get(text, text)

    def values(self, count: int) -> list[Any]:
        """What a size comes to for each instance; ABSENT where something in it is."""
        known = [_operand_values(operand, count) for operand in self.operands]
        rows = list(zip(*known, strict=True))
        return [ABSENT if ABSENT in row else _VALUES[self.form](*row) for row in rows]

    def parameters(self) -> Iterator[Parameter]:
        """The parameters in it."""
        for operand in self.operands:
            if isinstance(operand, Parameter):
                yield operand
            elif isinstance(operand, Text):
                yield from operand.parameters()


def _operand_text(operand: Parameter | Text | int, shorter: Mapping[str, str]) -> str:
    if isinstance(operand, Text):
        return operand.write(shorter)
    return operand.name if isinstance(operand, Parameter) else str(operand)


def _operand_values(operand: Parameter | Text | int, count: int) -> list[Any]:
    if isinstance(operand, Text):
        return operand.values(count)
    return operand.values if isinstance(operand, Parameter) else [operand] * count


def columns_of(shared: Shared) -> list[Column]:
    """The columns of a class, in order."""
    rows = list(shared.members.values())
    return [
        Column(position, context, optional, [row[position] for row in rows])
        for position, (context, optional) in enumerate(_contexts(shared.body))
    ]


def _contexts(body: Body) -> Iterator[tuple[str, bool]]:
    """For each literal of the body, what it belongs to."""
    for member in body.members:
        yield from _of_member(member, member.name)
    for statement in body.statements:
        for _ in literals(statement):
            yield statement.hint, False
    if body.base is not None:
        yield from _of_code(body.base, "")


def _of_member(member: Member, context: str) -> Iterator[tuple[str, bool]]:
    code = member.code
    if isinstance(code, Construct) and isinstance(code.constructor, Literal):
        yield context, True
        for _ in literals(code.kwargs):
            yield context, False
    else:
        yield from _of_code(code, context)
    yield _flag_context(member, context), False


def _of_code(code: MemberCode | Loop, context: str) -> Iterator[tuple[str, bool]]:
    if isinstance(code, (Sequential, Loop, Container)):
        for item in code.items:
            inner = context if item.name.isdigit() and context else item.name
            yield from _of_member(item, inner)
    else:
        for _ in literals(code):
            yield context, False


def _flag_context(member: Member, context: str) -> str:
    """What to call a flag for a child: its name, or its class's if it is numbered."""
    code = member.code
    if not member.name.isdigit() or not isinstance(code, Construct):
        return context
    head = code.constructor
    name = head if isinstance(head, str) else str(head.value.text)
    return name.rpartition(".")[2].rstrip("123d") or context


def _filler(annotation: str) -> Any:
    """A value for an argument that the instance does not use."""
    return {"int": 0, "float": 0.0, "bool": False}.get(annotation)


def _type_of(value: Any) -> str:
    if isinstance(value, Name):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type_of(item) for item in value)}]"
    return "None" if value is None else type(value).__name__

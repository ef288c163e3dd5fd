"""The parameters of a class: what differs between the instances that share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from archc.records import dataclass
from archc.targets.torch.code import (
    ABSENT,
    NO_DEFAULT,
    Body,
    Literal,
    Name,
    distinct,
    rewrite,
)
from archc.targets.torch.columns import SAME, Column, Given, Parameter, Shared, Text, columns_of
from archc.targets.torch.derive import Finder, features_axis
from archc.targets.torch.naming import option_name, unique_name, usable_identifier
from archc.targets.torch.options import replace_flags
from archc.targets.torch.signatures import CHANNELS


@dataclass(frozen=True, slots=True)
class Parametrised:
    """A class with its parameters.

    Attributes:
        body: the code; literals that differ are names.
        parameters: required ones first.
        variables: (name, expression) of local variables of the constructor.
        instances: index -> what it passes, in the order of the parameters.
    """

    body: Body
    parameters: tuple[Parameter, ...]
    variables: tuple[tuple[str, str], ...]
    instances: Mapping[int, tuple[Literal, ...]]


def parametrise(shared: Shared, given: Sequence[Given]) -> Parametrised:
    """Find the parameters of a class.

    Args:
        shared: the code and the literals of each instance.
        given: index -> what else is known of the instance.
    """
    indices = list(shared.members)
    columns = columns_of(shared)
    known = [given[index] for index in indices]
    finder = Finder(known, features_axis(columns, known))
    texts = {c.position: finder.text(c) for c in columns if not c.is_constant}
    for column in columns:
        echo = finder.echo(column) if column.is_constant else None
        if echo is not None:
            texts[column.position] = echo
    for parameter in finder.parameters:
        if parameter.rows:
            _set_default(parameter)
    replaced = replace_flags(finder.parameters, columns, texts)
    parameters = [p for p in finder.parameters if p.rows and p not in replaced]
    _name(parameters, columns)
    parameters.sort(key=lambda p: (p.default is not NO_DEFAULT, p.kind == "flag", p.rank))
    shorter = _local_variables(parameters, finder.parameters, columns, texts)
    return Parametrised(
        _written(shared.body, columns, texts, replaced, shorter),
        tuple(parameters),
        tuple((name, text) for text, name in shorter.items()),
        {index: tuple(p.literal(row) for p in parameters) for row, index in enumerate(indices)},
    )


def _set_default(parameter: Parameter) -> None:
    """The default that spares the call sites most."""
    known = [value for value in parameter.passed if value is not ABSENT]
    if parameter.kind == "flag":
        parameter.default = known.count(True) * 2 > len(known)
        return
    if parameter.kind == "class":
        value, count = Counter(known).most_common(1)[0]
        parameter.default = value if count * 2 > len(known) else NO_DEFAULT
        return
    defaults = {distinct(column.default): column.default for column in parameter.columns}
    if len(defaults) == 1:
        default = next(iter(defaults.values()))
        if any(distinct(value) == distinct(default) for value in known):
            parameter.default = default


# -- names --------------------------------------------------------------------------------

_FEATURE_ROLES = frozenset({"normalized_shape", "in_features", "out_features", "embedding_dim"})


def _name(parameters: list[Parameter], columns: list[Column]) -> None:
    """Name parameters after what they are passed to, as a person would."""
    sizes = [c for c in columns if c.sample.kind == "channels" and c.sample.role != "groups"]
    taken = {parameter.name for parameter in parameters if parameter.is_named}
    inner = [p for p in parameters if p.kind == "channels" and not any(_ends(p, sizes))]
    for parameter in parameters:
        if parameter.is_named:
            parameter.name = usable_identifier(parameter.name)
            continue
        candidates = map(usable_identifier, _candidates(parameter, sizes, len(inner) == 1))
        names = [name for name in candidates if name]
        free = [name for name in names if name not in taken]
        parameter.name = free[0] if free else unique_name(names[-1], taken)
        taken.add(parameter.name)


def _ends(parameter: Parameter, sizes: list[Column]) -> tuple[bool, bool]:
    """Whether it is the size of what enters, and of what leaves."""
    return sizes[0] in parameter.columns, sizes[-1] in parameter.columns


def _candidates(parameter: Parameter, sizes: list[Column], only: bool) -> list[str]:
    column = parameter.columns[0]
    role = column.sample.role
    context = "hidden" if column.context.isdigit() else column.context or "hidden"
    if parameter.kind == "flag":
        return [option_name(context), f"use_{context}"]
    if role == "p":
        return [context if "drop" in context else "dropout", f"{context}_dropout"]
    if parameter.kind != "channels":
        return [role, f"{context}_{role}"]
    roles = {c.sample.role for c in parameter.columns}
    if not roles & CHANNELS:
        return [role, f"{context}_{role}"]
    noun = "features" if roles <= _FEATURE_ROLES else "channels"
    if roles == {"groups"}:
        return ["groups", f"{context}_groups"]
    match _ends(parameter, sizes):
        case (True, True):
            return [noun, f"{context}_{noun}"]
        case (True, False):
            return [f"in_{noun}", f"{context}_{noun}"]
        case (False, True):
            return [f"out_{noun}", f"{context}_{noun}"]
    return [f"hidden_{noun}" if only else f"{context}_{noun}", f"{context}_{noun}"]


_OFTEN = 4
"""Times that an expression is written before a variable reads better."""


def _local_variables(
    parameters: list[Parameter],
    known: list[Parameter],
    columns: list[Column],
    texts: Mapping[int, Text],
) -> dict[str, str]:
    """Expressions that are written often -> a variable for each."""
    written: dict[str, list[Column]] = {}
    for column in columns:
        text = texts.get(column.position)
        if text is not None and text.form != SAME:
            written.setdefault(text.write({}), []).append(column)
    taken = {parameter.name for parameter in parameters}
    sizes = [c for c in columns if c.sample.kind == "channels" and c.sample.role != "groups"]
    variables: dict[str, str] = {}
    for expression, uses in written.items():
        if len(uses) < _OFTEN:
            continue
        values = texts[uses[0].position].values(len(uses[0].literals))
        lets = [p.name for p in known if p.is_let and p.values == values]
        leaves = sizes[-1] in uses and not any(name.startswith("out") for name in taken)
        name = lets[0] if lets else "out_channels" if leaves else "hidden_channels"
        variables[expression] = unique_name(usable_identifier(name), taken)
        taken.add(variables[expression])
    return variables


# -- writing ------------------------------------------------------------------------------


def _written(
    body: Body,
    columns: list[Column],
    texts: Mapping[int, Text],
    replaced: Mapping[Parameter, Text],
    shorter: Mapping[str, str],
) -> Body:
    """The body with parameters in the place of what differs."""
    rest = iter(columns)

    def write(part: Any) -> Any:
        if not isinstance(part, Literal):
            return part
        column = next(rest)
        text = texts.get(column.position)
        if text is None:
            return column.sample
        operand = text.operands[0]
        if isinstance(operand, Parameter) and operand in replaced:
            text = replaced[operand]
        return Literal(Name(text.write(shorter)), column.sample.role, column.sample.kind)

    return rewrite(body, write)

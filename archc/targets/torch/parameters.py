"""The parameters of a class: what differs between the instances that share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.targets.torch.code import (
    ABSENT,
    NO_DEFAULT,
    Body,
    Literal,
    Name,
    distinct,
    literals,
    rewrite,
)
from archc.targets.torch.naming import unique_name, usable_identifier
from archc.targets.torch.share import Shared


@dataclass(slots=True, eq=False)
class Parameter:
    """One argument of a constructor.

    Attributes:
        values: what each instance passes; ABSENT where it does not matter.
        kind: see `Literal.kind`.
        name: set once all parameters are known, unless the spec has a name for it.
        default: what it is when left out.
        columns: the literals that it stands for.
        from_spec: it is a param of the block in the spec.
    """

    values: list[Any]
    kind: str
    name: str = ""
    default: Any = NO_DEFAULT
    columns: list[Column] = field(default_factory=list)
    from_spec: bool = False

    @property
    def annotation(self) -> str:
        """Its type."""
        kinds = {_type_of(value) for value in self.values if value is not ABSENT}
        kinds |= {_type_of(self.default)} if self.default is not NO_DEFAULT else set()
        kinds -= {"int"} if "float" in kinds else set()
        return " | ".join(sorted(kinds, key=lambda kind: (kind == "None", kind)))

    def literal(self, index: int) -> Literal:
        """What instance `index` passes."""
        value = self.values[index]
        if value is ABSENT:
            value = _filler(self.annotation) if self.default is NO_DEFAULT else self.default
        kind = self.kind if self.kind in ("channels", "class") else self.name
        return Literal(value, self.name, kind, self.default)


@dataclass(slots=True, eq=False)
class Column:
    """One literal of a class, over all instances."""

    position: int
    context: str
    literals: list[Any]

    @property
    def sample(self) -> Literal:
        """The literal of the first instance that has it."""
        return next(item for item in self.literals if item is not ABSENT)  # type: ignore[no-any-return]

    @property
    def values(self) -> list[Any]:
        """The values, ABSENT where an instance has none."""
        return [item if item is ABSENT else item.value for item in self.literals]

    @property
    def is_constant(self) -> bool:
        """Whether one text serves all instances."""
        present = [item for item in self.literals if item is not ABSENT]
        return len({distinct(item.value) for item in present}) == 1 or all(
            item.is_default for item in present
        )

    @property
    def default(self) -> Any:
        """The callee's default if it is the same for all, else NO_DEFAULT."""
        defaults = {
            distinct(item.default): item.default for item in self.literals if item is not ABSENT
        }
        return next(iter(defaults.values())) if len(defaults) == 1 else NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Parametrised:
    """A class with its parameters.

    Attributes:
        body: the code; literals that differ are names.
        parameters: required ones first.
        instances: index -> what it passes, in the order of the parameters.
    """

    body: Body
    parameters: tuple[Parameter, ...]
    instances: Mapping[int, tuple[Literal, ...]]


def parametrise(shared: Shared, spec_params: Sequence[Mapping[str, Any]]) -> Parametrised:
    """Find the parameters of a class.

    Args:
        shared: the code and the literals of each instance.
        spec_params: index -> the params that the block got in the spec.
    """
    indices = list(shared.members)
    columns = _columns(shared)
    finder = _Finder(_from_spec([spec_params[index] for index in indices]))
    texts: dict[int, _Text] = {}
    for column in columns:
        if not column.is_constant:
            texts[column.position] = finder.text(column)
    parameters = [p for p in finder.parameters if p.columns]
    for parameter in parameters:
        _set_default(parameter)
    options = _fold_options(parameters)
    parameters = [p for p in parameters if p not in options]
    _name(parameters, columns)
    parameters.sort(key=lambda p: (p.default is not NO_DEFAULT, p.kind == "flag"))
    body = _written(shared.body, columns, texts, options)
    return Parametrised(
        body,
        tuple(parameters),
        {index: tuple(p.literal(row) for p in parameters) for row, index in enumerate(indices)},
    )


# -- finding ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """A literal written over a parameter: `{}`, `{} * 4`, `{} // 2`."""

    parameter: Parameter
    form: str = "{}"


class _Finder:
    """Gives each differing literal a parameter, or an expression of one."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self.parameters = parameters

    def text(self, column: Column) -> _Text:
        """What to write for a column."""
        sample = column.sample
        for parameter in self._by_likeness(sample):
            if self._accepts(parameter, column):
                self._merge(parameter, column)
                return _Text(parameter)
        derived = self._derived(column)
        if derived is not None:
            derived.parameter.columns.append(column)
            return derived
        parameter = Parameter(column.values, sample.kind, columns=[column])
        self.parameters.append(parameter)
        return _Text(parameter)

    def _by_likeness(self, sample: Literal) -> list[Parameter]:
        def unlike(parameter: Parameter) -> bool:
            roles = {c.sample.role for c in parameter.columns} | {parameter.name}
            return sample.role not in roles

        return sorted(self.parameters, key=unlike)

    def _accepts(self, parameter: Parameter, column: Column) -> bool:
        if not parameter.from_spec and parameter.kind != column.sample.kind:
            return False
        pairs = list(zip(parameter.values, column.values, strict=True))
        known = [(a, b) for a, b in pairs if ABSENT not in (a, b)]
        # An absent value may be filled in, but not on the strength of nothing.
        return bool(known) and all(distinct(a) == distinct(b) for a, b in known)

    def _merge(self, parameter: Parameter, column: Column) -> None:
        parameter.columns.append(column)
        if parameter.from_spec and parameter.kind == "":
            parameter.kind = column.sample.kind
        parameter.values = [
            b if a is ABSENT else a for a, b in zip(parameter.values, column.values, strict=True)
        ]

    def _derived(self, column: Column) -> _Text | None:
        """An expression of a parameter that gives every instance its value."""
        role, kind = column.sample.role, column.sample.kind
        for parameter in self.parameters:
            pairs = _integer_pairs(parameter, column)
            if not pairs:
                continue
            if role == "padding" and _has_role(parameter, "kernel_size"):
                if all(value == base // 2 for base, value in pairs):
                    return _Text(parameter, "{} // 2")
            elif kind == "channels" and (parameter.kind == "channels" or parameter.from_spec):
                form = _ratio(pairs)
                if form is not None:
                    return _Text(parameter, form)
        return None


def _has_role(parameter: Parameter, role: str) -> bool:
    return any(column.sample.role == role for column in parameter.columns)


def _integer_pairs(parameter: Parameter, column: Column) -> list[tuple[int, int]]:
    """(parameter, column) of each instance that has the column; empty if one is no integer."""
    pairs = [
        (base, value)
        for base, value in zip(parameter.values, column.values, strict=True)
        if value is not ABSENT
    ]
    return pairs if all(type(a) is int and type(b) is int for a, b in pairs) else []


def _ratio(pairs: list[tuple[int, int]]) -> str | None:
    """`{} * k` or `{} // k`, if more than one size shows it."""
    if len({base for base, _ in pairs}) < 2 or any(base < 1 or value < 1 for base, value in pairs):
        return None
    base, value = pairs[0]
    factor, divisor = value // base, base // value
    if factor > 1 and all(v == b * factor for b, v in pairs):
        return f"{{}} * {factor}"
    if divisor > 1 and all(v * divisor == b for b, v in pairs):
        return f"{{}} // {divisor}"
    return None


def _columns(shared: Shared) -> list[Column]:
    rows = list(shared.members.values())
    return [
        Column(position, context, [row[position] for row in rows])
        for position, context in enumerate(_contexts(shared.body))
    ]


def _contexts(body: Body) -> list[str]:
    """For each literal of the body, the child or statement it belongs to."""
    contexts = [member.name for member in body.members for _ in literals(member)]
    contexts += [statement.hint for statement in body.statements for _ in literals(statement)]
    return contexts + ["" for _ in literals(body.base)]


def _from_spec(rows: list[Mapping[str, Any]]) -> list[Parameter]:
    """Params of the block that every instance got a plain value for, not always the same."""
    found: list[Parameter] = []
    for name in rows[0] if rows else ():
        values = [row.get(name, ABSENT) for row in rows]
        plain = all(isinstance(value, (bool, int, float)) for value in values)
        if plain and len({distinct(value) for value in values}) > 1:
            found.append(Parameter(values, "", name, from_spec=True))
    return found


# -- defaults -----------------------------------------------------------------------------


def _set_default(parameter: Parameter) -> None:
    known = [value for value in parameter.values if value is not ABSENT]
    if parameter.kind == "flag":
        parameter.default = known.count(True) * 2 > len(known)
        return
    if parameter.kind == "class":
        texts = Counter(value.text for value in known if value is not None)
        text, count = texts.most_common(1)[0]
        parameter.default = Name(text) if count * 2 > len(known) else NO_DEFAULT
        return
    defaults = {distinct(column.default): column.default for column in parameter.columns}
    if len(defaults) == 1:
        default = next(iter(defaults.values()))
        if any(distinct(value) == distinct(default) for value in known):
            parameter.default = default


def _fold_options(parameters: list[Parameter]) -> dict[Parameter, Parameter]:
    """Flags that say no more than another parameter does by being None: flag -> that one."""
    folded: dict[Parameter, Parameter] = {}
    for flag in parameters:
        if flag.kind != "flag":
            continue
        for parameter in parameters:
            given = [value is not ABSENT for value in parameter.values]
            if given == flag.values and _may_be_none(parameter):
                parameter.values = [None if v is ABSENT else v for v in parameter.values]
                if parameter.default is NO_DEFAULT:
                    parameter.default = None
                folded[flag] = parameter
                break
    return folded


def _may_be_none(parameter: Parameter) -> bool:
    free = parameter.default is NO_DEFAULT or parameter.kind == "class"
    return parameter.kind != "flag" and free and None not in parameter.values


def _filler(annotation: str) -> Any:
    """A value for an argument that the instance does not use."""
    return {"int": 0, "float": 0.0, "bool": False}.get(annotation)


# -- names --------------------------------------------------------------------------------

_FEATURE_ROLES = frozenset({"normalized_shape", "in_features", "out_features", "embedding_dim"})
_ROLE_NAMES = {"p": "dropout", "normalized_shape": "features", "num_features": "channels"}


def _name(parameters: list[Parameter], columns: list[Column]) -> None:
    """Name parameters after what they are passed to, as a person would."""
    sizes = [c for c in columns if c.sample.kind == "channels" and c.sample.role != "groups"]
    taken = {parameter.name for parameter in parameters if parameter.from_spec}
    inner = [p for p in parameters if p.kind == "channels" and not _ends(p, sizes)]
    for parameter in parameters:
        if parameter.from_spec:
            parameter.name = usable_identifier(parameter.name)
            continue
        for name in _candidates(parameter, sizes, len(inner) == 1):
            parameter.name = usable_identifier(name)
            if parameter.name not in taken:
                break
        parameter.name = unique_name(parameter.name, taken)
        taken.add(parameter.name)


def _ends(parameter: Parameter, sizes: list[Column]) -> tuple[bool, bool] | None:
    """Whether it is the size of what enters and of what leaves; None if neither."""
    first, last = sizes[0] in parameter.columns, sizes[-1] in parameter.columns
    return (first, last) if first or last else None


def _candidates(parameter: Parameter, sizes: list[Column], only: bool) -> list[str]:
    column = parameter.columns[0]
    role, context = column.sample.role, column.context
    if parameter.kind == "flag":
        return [context, f"use_{context}"]
    if parameter.kind != "channels":
        role = _ROLE_NAMES.get(role, role)
        return [role, f"{context}_{role}"]
    roles = {c.sample.role for c in parameter.columns}
    noun = "features" if roles <= _FEATURE_ROLES else "channels"
    ends = _ends(parameter, sizes)
    if ends == (True, True):
        return [noun, f"{context}_{noun}"]
    if ends is not None:
        return [f"in_{noun}" if ends[0] else f"out_{noun}", f"{context}_{noun}"]
    if roles == {"groups"}:
        return ["groups", f"{context}_groups"]
    return [f"hidden_{noun}" if only else f"{context}_{noun}", f"{context}_{noun}"]


# -- writing ------------------------------------------------------------------------------


def _written(
    body: Body,
    columns: list[Column],
    texts: Mapping[int, _Text],
    options: Mapping[Parameter, Parameter],
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
        sample = column.sample
        if text.parameter in options:
            name = Name(f"{options[text.parameter].name} is not None")
        else:
            name = Name(text.form.format(text.parameter.name))
        return Literal(name, sample.role, sample.kind)

    return rewrite(body, write)


def _type_of(value: Any) -> str:
    if isinstance(value, Name):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type_of(item) for item in value)}]"
    return "None" if value is None else type(value).__name__

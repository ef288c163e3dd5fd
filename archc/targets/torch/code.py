"""The code of a model before it is text: constructions, expressions, statements.

Every value that stands in the code is a `Literal`, so that the code of two blocks can be compared
with the values left out, and written once with parameters in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from archc.records import dataclass, field, fields, replace
from archc.types import DType, TensorType

T = TypeVar("T")


class Missing(Enum):
    """Stands where there is no value, since None is one."""

    NO_DEFAULT = "no default"
    ABSENT = "absent"


NO_DEFAULT = Missing.NO_DEFAULT
ABSENT = Missing.ABSENT


@dataclass(frozen=True, slots=True)
class Name:
    """A value that is written as it stands: a class, a parameter, an expression of one."""

    text: str


def distinct(value: Any) -> Any:
    """A key that tells apart what Python's `==` does not: 1, 1.0, True, the two zeros, nan."""
    if isinstance(value, tuple):
        return tuple(distinct(item) for item in value)
    return (type(value).__name__, repr(value))


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the source.

    Attributes:
        value: a number, text, None, a tuple of such, or a `Name`.
        role: the argument it fills; a parameter is named after it.
        kind: values of one kind may share a parameter.
        default: what the callee takes when it is left out.
    """

    value: Any
    role: str = ""
    kind: str = ""
    default: Any = NO_DEFAULT

    @property
    def is_default(self) -> bool:
        """Whether it need not be written."""
        return bool(distinct(self.value) == distinct(self.default))


@dataclass(frozen=True, slots=True)
class Var:
    """A value held by a local variable, by its id."""

    value: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """The call of a member, by its way down from `self`: `self.conv(x)`."""

    member: tuple[str, ...]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A parameter or buffer, by its way down from `self`: `self.embedding.weight`."""

    member: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A size known at run time only, e.g. `{0}.shape[2] // 2`."""

    template: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """A tuple of sizes of which one at least is known at run time only.

    Attributes:
        items: its parts.
        single: it is one size, no tuple.
    """

    items: tuple[Literal | Size, ...]
    single: bool = False


@dataclass(frozen=True, slots=True)
class Apply:
    """An expression made from a template, e.g. `F.pad({0}, {pad})`."""

    template: str
    operands: tuple[Expression, ...]
    literals: tuple[tuple[str, Literal | Sizes], ...] = ()


Expression = Var | Invoke | Attribute | Apply


@dataclass(frozen=True, slots=True)
class Draw:
    """How a tensor is drawn: `nn.init.normal_(weight, std=0.02)`.

    Attributes:
        tensor: its name in its module.
        function: of `torch.nn.init`, without the underscore at its end.
        arguments: by their roles.
    """

    tensor: str
    function: str
    arguments: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Construct:
    """A module: `nn.Conv2d(3, 64, 7, stride=2)`.

    Attributes:
        constructor: the class; a Literal where instances of a block may differ in it.
        args: positional arguments.
        kwargs: keyword arguments.
        draws: tensors that are not drawn as the class draws them.
    """

    constructor: str | Literal
    args: tuple[Literal, ...] = ()
    kwargs: tuple[tuple[str, Literal], ...] = ()
    draws: tuple[Draw, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorMember:
    """A parameter or buffer that a class keeps itself.

    Attributes:
        shape: sizes.
        init: how it is drawn: `uniform`, `normal`, `trunc_normal`, `constant`; or the function that
            works it out, whose name starts with an underscore.
        arguments: of the distribution or the function.
        dtype: element type.
        buffer: whether it is a buffer.
    """

    shape: tuple[Literal, ...]
    init: str
    arguments: tuple[Literal, ...]
    dtype: DType
    buffer: bool


PRESENT = Literal(True, kind="flag")


@dataclass(frozen=True, slots=True)
class Member:
    """A named child.

    Attributes:
        name: the last component of its path.
        code: how it is made.
        present: whether the instance has it.
    """

    name: str
    code: MemberCode
    present: Literal = PRESENT


@dataclass(frozen=True, slots=True)
class Sequential:
    """`nn.Sequential`.

    Attributes:
        items: the children in order.
        named: whether the names are written; they are 0, 1, 2 ... otherwise.
    """

    items: tuple[Member, ...]
    named: bool = False


@dataclass(frozen=True, slots=True)
class Loop:
    """`nn.ModuleList` as a base class: the children run in order, each on all that enters."""

    items: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """`nn.ModuleDict`: children that are called from outside."""

    items: tuple[Member, ...]


MemberCode = Construct | TensorMember | Sequential | Container


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of `forward`.

    Attributes:
        outputs: ids of the values it makes.
        expr: what it computes.
        present: whether the instance runs it; if not, its output is the value `bypass`.
        bypass: id of that value; empty if the statement always runs.
        training: run in training only.
        hint: what to call the result.
        types: types of the outputs, for the comment.
    """

    outputs: tuple[str, ...]
    expr: Expression
    present: Literal = PRESENT
    bypass: str = field(default="", compare=False)
    training: bool = False
    hint: str = field(default="", compare=False)
    types: tuple[TensorType, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Body:
    """The code of one class.

    Attributes:
        inputs: ids of the values that `forward` takes.
        members: what the constructor makes.
        statements: the lines of `forward`; none if the base class has it.
        outputs: ids of the results.
        base: class it derives from, with the arguments for its constructor.
        hints: what to call the inputs.
        types: types of the inputs, for the comments.
        integers: inputs that are sizes.
        keys: names of the results where they are returned as a dictionary.
        asides: results that there are in training only.
        ties: parameters that are other ones, both by their ways down from `self`.
        dtype: what the constructor converts all to in the end.
    """

    inputs: tuple[str, ...]
    members: tuple[Member, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[str, ...]
    base: Construct | Sequential | Loop | None = None
    hints: tuple[str, ...] = field(default=(), compare=False)
    types: tuple[TensorType | None, ...] = field(default=(), compare=False)
    integers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()
    ties: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    dtype: DType = DType.FLOAT32


_NO_CODE = frozenset(
    {"inputs", "outputs", "hints", "types", "integers", "keys", "asides", "ties", "member"}
)
_LEAVES = frozenset({"str", "bool", "Any", "DType"})  # annotations are texts here
_CODE: dict[type, tuple[str, ...]] = {
    kind: tuple(f.name for f in fields(kind) if f.name not in _NO_CODE and f.type not in _LEAVES)
    for kind in (
        Var,
        Invoke,
        Attribute,
        Size,
        Sizes,
        Apply,
        Literal,
        Draw,
        Construct,
        TensorMember,
        Member,
        Sequential,
        Loop,
        Container,
        Statement,
        Body,
    )
}
"""Every class of code, with the names of its fields that may hold more of it."""


def code_fields(part: object) -> tuple[str, ...] | None:
    """Names of the fields of a part that may hold code; None if it is no code itself."""
    return _CODE.get(type(part))


def rewrite(code: T, change: Callable[[Any], Any]) -> T:
    """Code with each part replaced by `change(part)`, from the bottom up; what stays is shared."""
    if isinstance(code, tuple):
        items = [rewrite(item, change) for item in code]
        same = all(new is old for new, old in zip(items, code, strict=True))
        return code if same else tuple(items)  # type: ignore[return-value]
    names = code_fields(code)
    if names is None:
        return code
    parts: dict[str, Any] = {}
    for name in names:
        old = getattr(code, name)
        new = rewrite(old, change)
        if new is not old:
            parts[name] = new
    return change(replace(code, **parts) if parts else code)  # type: ignore[type-var, no-any-return]


def walk(code: object) -> list[object]:
    """Every part, each after those inside it."""
    found: list[object] = []
    _collect(code, found)
    return found


def _collect(code: object, found: list[object]) -> None:
    if type(code) is tuple:
        for item in code:
            _collect(item, found)
        return
    names = _CODE.get(type(code))
    if names is not None:
        for name in names:
            _collect(getattr(code, name), found)
        found.append(code)


def literals(code: object) -> list[Literal]:
    """Every literal, in the order of the fields."""
    return [part for part in walk(code) if isinstance(part, Literal)]


def values_of(code: object) -> list[str]:
    """Ids of the values that code reads, in order of appearance."""
    return [part.value for part in walk(code) if isinstance(part, Var)]

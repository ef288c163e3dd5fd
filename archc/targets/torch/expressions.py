"""Code to text: expressions of a forward, constructions of a constructor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from archc.records import dataclass
from archc.targets.torch.code import (
    Apply,
    Attribute,
    Construct,
    Container,
    Expression,
    Invoke,
    Literal,
    Member,
    MemberCode,
    Name,
    Sequential,
    Size,
    Sizes,
    TensorMember,
    Var,
)
from archc.targets.torch.layout import literal_text, spaced
from archc.targets.torch.naming import is_attribute, is_hidden
from archc.targets.torch.plan import BASE

_FIELD = re.compile(r"\{(\w+)\}")


def value_text(value: object) -> str:
    """A literal value, or the name that stands in its place."""
    if isinstance(value, Name):
        return value.text
    if isinstance(value, tuple):
        return f"({', '.join(map(value_text, value))}{',' if len(value) == 1 else ''})"
    return literal_text(value)


def construct_text(code: Construct) -> str:
    """`nn.Conv2d(3, 64, 7, stride=2)`, without arguments that equal their defaults."""
    head = code.constructor
    name = head if isinstance(head, str) else value_text(head.value)
    return f"{name}({arguments_text(code)})"


def arguments_text(code: Construct) -> str:
    """The arguments of a construction."""
    given = [value_text(literal.value) for literal in code.args]
    given += [f"{k}={value_text(v.value)}" for k, v in code.kwargs if not v.is_default]
    return ", ".join(given)


def member_access(name: str, code: object, holder: str = "self") -> str:
    """How one gets from a module at its child.

    Args:
        name: the child's.
        code: what the child is, if that is known.
        holder: the module.
    """
    quoted = literal_text(name)
    if is_hidden(name):
        return f"{holder}.{store_of(code)}[{quoted}]"
    return f"{holder}.{name}" if is_attribute(name) else f"getattr({holder}, {quoted})"


def access_below(text: str, code: MemberCode | None, way: Sequence[str]) -> str:
    """How one gets from a module further down.

    Args:
        text: the module as an expression.
        code: what it is, if that is known.
        way: names, from child to child.
    """
    for name in way:
        if isinstance(code, Container):
            text += f"[{literal_text(name)}]"
        elif isinstance(code, Sequential) and not code.named:
            text += f"[{name}]"
        else:
            text = member_access(name, None, text)
        items = code.items if isinstance(code, (Container, Sequential)) else ()
        code = next((item.code for item in items if item.name == name), None)
    return text


def store_of(code: object) -> str:
    """The dictionary of nn.Module that a child lives in."""
    if not isinstance(code, TensorMember):
        return "_modules"
    return "_buffers" if code.buffer else "_parameters"


@dataclass(frozen=True, slots=True)
class Forward:
    """What the text of expressions depends on.

    Attributes:
        members: children of the class.
        variables: value -> local variable.
        attributes: text of a parameter -> attribute that keeps it.
    """

    members: Mapping[str, Member]
    variables: Mapping[str, str]
    attributes: Mapping[str, str]

    def text(self, expr: Expression) -> str:
        """An expression on one line."""
        match expr:
            case Var(value):
                return self.variables[value]
            case Attribute(member):
                return self.access(member)
            case Invoke(member, operands):
                given = ", ".join(self.text(operand) for operand in operands)
                if member == BASE:
                    return f"super().forward({given})"
                return f"{self.access(member)}({given})"
            case Apply(template, operands, literals):
                fields = {name: self._literal(value) for name, value in literals}
                return self._fill(template, operands, fields)

    def access(self, way: Sequence[str]) -> str:
        """The way from `self` down to a child or tensor."""
        code = self.members[way[0]].code
        return access_below(member_access(way[0], code), code, way[1:])

    def _literal(self, value: Literal | Sizes) -> str:
        if isinstance(value, Literal):
            text = value_text(value.value)
            return self.attributes.get(text, text)
        items = [
            spaced(self._fill(item.template, item.operands, {}))
            if isinstance(item, Size)
            else self._literal(item)
            for item in value.items
        ]
        if value.single:
            return items[0]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"

    def _fill(self, template: str, operands: Sequence[Expression], fields: dict[str, str]) -> str:
        texts = {str(i): self.text(operand) for i, operand in enumerate(operands)} | fields

        def put(match: re.Match[str]) -> str:
            text = texts[match[1]]
            start, end = match.span()
            open_ = template[:start].endswith(("(", "[", ", ", "=")) or start == 0
            closed = template[end:].startswith((")", "]", ",")) or end == len(template)
            if template[:start].endswith(".permute(") and text.startswith("("):
                return text[1:-1]
            return text if (open_ and closed) or _is_atom(text) else f"({text})"

        return _FIELD.sub(put, template)


def _is_atom(text: str) -> bool:
    """Whether an operator or attribute beside it takes the whole text for its operand."""
    depth = 0
    for i, ch in enumerate(text):
        depth += (ch in "([{") - (ch in ")]}")
        if depth == 0 and ch == " ":
            return False
        if i == 0 and ch in "-+~":
            return False
    return True

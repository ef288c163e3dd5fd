"""One class to text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from archc.records import dataclass
from archc.targets.torch.code import (
    NO_DEFAULT,
    Body,
    Invoke,
    Loop,
    Name,
    Sequential,
    Statement,
    TensorMember,
    literals,
    values_of,
    walk,
)
from archc.targets.torch.columns import Parameter
from archc.targets.torch.expressions import Forward, access_below, member_access, value_text
from archc.targets.torch.inline import inline_sums
from archc.targets.torch.layout import (
    WIDTH,
    assignment,
    literal_text,
    returned,
    signature,
)
from archc.targets.torch.members import Constructor
from archc.targets.torch.naming import (
    is_attribute,
    option_name,
    unique_name,
    usable_identifier,
)
from archc.targets.torch.signatures import TAKEN
from archc.targets.torch.variables import Variables, name_variables
from archc.types import DType, TensorType, format_shape

_INDENT = 8


@dataclass(frozen=True, slots=True)
class ClassCode:
    """A class, complete but for its layout.

    Attributes:
        name: its name.
        parameters: of the constructor.
        variables: (name, expression) of its local variables.
        body: the code.
        doc: text for the docstring.
        shapes: whether all instances have the shapes that the body tells.
    """

    name: str
    parameters: tuple[Parameter, ...]
    variables: tuple[tuple[str, str], ...]
    body: Body
    doc: str = ""
    shapes: bool = False

    def lines(self) -> list[str]:
        """The text."""
        return _Printer(self).lines()


def docstring(text: str, indent: int) -> list[str]:
    """A docstring; nothing in the text can end it or act on a terminal."""
    paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
    pad = " " * indent
    width = WIDTH - indent
    wrapped: list[str] = []
    for paragraph in filter(None, map(_escaped, paragraphs)):
        first = textwrap.wrap(
            paragraph if wrapped else f'"""{paragraph}',
            width,
            break_long_words=False,
            break_on_hyphens=False,
        )
        wrapped += ["", *first] if wrapped else first
    if not wrapped:
        return []
    if len(wrapped) == 1 and len(wrapped[0]) + 3 <= width:
        return [f'{pad}{wrapped[0]}"""']
    return [*(f"{pad}{line}".rstrip() for line in wrapped), f'{pad}"""']


def _escaped(text: str) -> str:
    """Text inside a docstring: quotes and backslashes cannot act, nor what does not print."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"' if '"""' in text else '"')
    if safe.endswith('"') and not safe.endswith('\\"'):
        safe = f'{safe[:-1]}\\"'
    return "".join(
        ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in safe
    )


class _Printer:
    def __init__(self, code: ClassCode) -> None:
        self.code = code
        self.body = inline_sums(code.body)
        self.members = {member.name: member for member in self.body.members}
        self.attributes: dict[str, str] = {}
        self.guards: dict[str, str] = {}
        self.types: dict[str, TensorType | None] = dict(
            zip(self.body.inputs, self.body.types, strict=True)
        )
        for statement in self.body.statements:
            self.types.update(zip(statement.outputs, statement.types, strict=False))

    def lines(self) -> list[str]:
        """The class."""
        self._find_attributes()
        base = self.body.base
        parent = "nn.Module" if base is None else "nn.Sequential"
        if isinstance(base, Loop):
            parent = "nn.ModuleList"
        elif base is not None and not isinstance(base, Sequential):
            parent = str(base.constructor)
        head = [f"class {self.code.name}({parent}):", *docstring(self.code.doc, 4)]
        buffers = [
            f"    {member.name}: Tensor"
            for member in self.body.members
            if isinstance(member.code, TensorMember)
            and member.code.buffer
            and is_attribute(member.name)
        ]
        parts = [buffers] if buffers else []
        constructor = self._constructor()
        if constructor:
            parts.append(constructor)
        if self.body.outputs and not isinstance(base, Sequential):
            parts.append(self._forward())
        blank = [""] if len(head) > 1 else []
        for part in parts:
            head += [*blank, *part]
            blank = [""]
        return head

    # -- attributes that the forward needs ------------------------------------------------

    def _find_attributes(self) -> None:
        options: dict[str, list[Statement]] = {}
        for statement in self.body.statements:
            for literal in literals(statement.expr):
                if isinstance(literal.value, Name):
                    self._attribute(literal.value.text, literal.role)
            present = statement.present.value
            if isinstance(present, Name) and self._optional_child(statement) is None:
                options.setdefault(present.text, []).append(statement)
        for text, statements in options.items():
            self.guards[text] = self._guard(text, statements)

    def _attribute(self, text: str, role: str) -> str:
        """The attribute that keeps a parameter, or an expression of some, for the forward."""
        if text not in self.attributes:
            wanted = text if is_attribute(text) else usable_identifier(role.rstrip("0123456789"))
            kept = {name.removeprefix("self.") for name in self.attributes.values()}
            self.attributes[text] = f"self.{unique_name(wanted, {*self.members, *TAKEN, *kept})}"
        return self.attributes[text]

    def _guard(self, text: str, statements: list[Statement]) -> str:
        """What to ask at run time about optional statements that call no optional child."""
        parameter, is_option, _ = text.partition(" is not None")
        if is_option and parameter in self.attributes:
            return f"{self.attributes[parameter]} is not None"
        hints = [statement.hint for statement in statements]
        return self._attribute(text, option_name("add" if "add" in hints else hints[0]))

    def _optional_child(self, statement: Statement) -> str | None:
        """The child that a statement calls and that is missing when the statement is."""
        for name in _called(statement):
            member = self.members.get(name)
            if member is not None and member.present.value == statement.present.value:
                return member_access(name, member.code)
        return None

    # -- constructor ----------------------------------------------------------------------

    def _constructor(self) -> list[str]:
        made = Constructor()
        if self.body.base is None:
            made.base(None)
        for name, text in self.code.variables:
            made.let(name, text)
        if self.body.base is not None:
            made.base(self.body.base)
        for text, attribute in self.attributes.items():
            made.keep(attribute.removeprefix("self."), text)
        for member in self.body.members:
            made.member(member)
        for own, target in self.body.ties:
            made.tie(self._holder(own[:-1]), own[-1], self._holder(target))
        if self.body.dtype is not DType.FLOAT32:
            made.convert(self.body.dtype)
        if not self.code.parameters and made.lines == ["        super().__init__()"]:
            return []
        parameters = ["self", *map(_parameter_text, self.code.parameters)]
        return [*signature("__init__", parameters, "None", 4), *made.lines]

    def _holder(self, way: tuple[str, ...]) -> str:
        """The way down from `self` to a child, also of a class that derives from a container."""
        base = self.body.base
        if not way or isinstance(base, Sequential):
            return access_below("self", base if isinstance(base, Sequential) else None, way)
        return Forward(self.members, {}, {}).access(way)

    # -- forward --------------------------------------------------------------------------

    def _forward(self) -> list[str]:
        variables = name_variables(self.body)
        parameters = ["self"]
        for value, name in zip(self.body.inputs, variables.inputs, strict=True):
            parameters.append(f"{name}: {'int' if value in self.body.integers else 'Tensor'}")
        lines = signature("forward", parameters, self._result_type(), 4)
        if not self.body.keys:
            lines += [f"{' ' * _INDENT}{name} = None" for name in self._aside_names(variables)]
        if isinstance(self.body.base, Loop):
            return [*lines, *_loop(variables.inputs)]
        count = len(self.body.statements)
        last = self._returns_directly()
        opened = ""
        for i, statement in enumerate(self.body.statements[: count - last]):
            before = variables.before.get(i, ())
            lines += [f"{' ' * _INDENT}{a} = {b}" for a, b in before]
            opened = "" if before else opened
            condition = self._condition(statement)
            if condition and condition != opened:
                lines.append(f"{' ' * _INDENT}if {condition}:")
            opened = condition
            lines += self._statement(i, statement, variables, _INDENT + 4 * bool(condition))
        if last:
            lines += [f"{' ' * _INDENT}{a} = {b}" for a, b in variables.before.get(count - 1, ())]
            lines += self._commented(returned(self._text(count - 1, variables), _INDENT), count - 1)
        else:
            lines += self._return(variables)
        return lines

    def _aside_names(self, variables: Variables) -> list[str]:
        pairs = zip(self.body.outputs, variables.results, strict=True)
        return [name for value, name in pairs if value in self.body.asides]

    def _condition(self, statement: Statement) -> str:
        if statement.training:
            return "self.training"
        present = statement.present.value
        if not isinstance(present, Name):
            return ""
        child = self._optional_child(statement)
        return f"{child} is not None" if child is not None else self.guards[present.text]

    def _text(self, i: int, variables: Variables) -> str:
        forward = Forward(self.members, variables.reads[i], self.attributes)
        return forward.text(self.body.statements[i].expr)

    def _statement(
        self, i: int, statement: Statement, variables: Variables, indent: int
    ) -> list[str]:
        target = ", ".join(variables.writes[i])
        return self._commented(assignment(target, self._text(i, variables), indent), i)

    def _returns_directly(self) -> bool:
        """Whether the last statement is the return."""
        if not self.body.statements or self.body.keys or len(self.body.outputs) != 1:
            return False
        last = self.body.statements[-1]
        plain = not last.training and not isinstance(last.present.value, Name)
        return plain and last.outputs == self.body.outputs

    def _return(self, variables: Variables) -> list[str]:
        if not self.body.keys:
            return returned(", ".join(variables.results), _INDENT)
        rows = list(zip(self.body.keys, variables.results, self.body.outputs, strict=True))
        main = [row for row in rows if row[2] not in self.body.asides]
        lines = []
        if len(main) < len(rows):
            lines = [f"{' ' * _INDENT}if self.training:"]
            lines += returned(_dictionary(rows), _INDENT + 4)
        result = main[0][1] if len(main) == 1 else _dictionary(main)
        return lines + returned(result, _INDENT)

    def _result_type(self) -> str:
        if self.body.keys:
            single = len(self.body.outputs) == len(self.body.asides) + 1
            return "Tensor | dict[str, Tensor]" if single else "dict[str, Tensor]"
        types = ["Tensor | None" if o in self.body.asides else "Tensor" for o in self.body.outputs]
        return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"

    # -- comments -------------------------------------------------------------------------

    def _commented(self, lines: list[str], i: int) -> list[str]:
        """The shape at the end of a line, where it changes and there is room."""
        statement = self.body.statements[i]
        if not self.code.shapes or len(lines) != 1 or len(statement.types) != 1:
            return lines
        if not self._changes(i):
            return lines
        line = f"{lines[0]}  # {format_shape(statement.types[0].shape)}"
        return [line] if len(line) <= WIDTH else lines

    def _changes(self, i: int) -> bool:
        """Whether the shape is another than that of what the statement reads first."""
        statement = self.body.statements[i]
        reads = values_of(statement.expr)
        return not reads or self.types.get(reads[0]) != statement.types[0]


def _loop(inputs: Sequence[str]) -> list[str]:
    """The lines that run all children in order."""
    flow, layer = inputs[0], unique_name("layer", set(inputs))
    call = assignment(flow, f"{layer}({', '.join(inputs)})", _INDENT + 4)
    return [f"{' ' * _INDENT}for {layer} in self:", *call, *returned(flow, _INDENT)]


def _dictionary(rows: list[tuple[str, str, str]]) -> str:
    return f"{{{', '.join(f'{literal_text(key)}: {name}' for key, name, _ in rows)}}}"


def _called(statement: Statement) -> Iterator[str]:
    """Children that a statement calls."""
    return (part.member[0] for part in walk(statement.expr) if isinstance(part, Invoke))


def _parameter_text(parameter: Parameter) -> str:
    text = f"{parameter.name}: {parameter.annotation}"
    if parameter.default is NO_DEFAULT:
        return text
    return f"{text} = {value_text(parameter.default)}"

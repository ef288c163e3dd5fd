"""Children of a class to text: the lines of its constructor."""

from __future__ import annotations

from collections.abc import Sequence

from archc.records import dataclass, field
from archc.targets.torch.code import (
    Construct,
    Container,
    Literal,
    Loop,
    Member,
    MemberCode,
    Name,
    Sequential,
    TensorMember,
)
from archc.targets.torch.expressions import (
    arguments_text,
    construct_text,
    member_access,
    store_of,
    value_text,
)
from archc.targets.torch.fold import Entry, fold
from archc.targets.torch.layout import WIDTH, assignment, expression, literal_text
from archc.targets.torch.naming import is_attribute, is_hidden
from archc.targets.torch.tensors import FAN_UNIFORM
from archc.types import DType

_INDENT = 8


@dataclass(slots=True)
class Constructor:
    """Collects the lines of an `__init__`, without its signature."""

    lines: list[str] = field(default_factory=list)
    indent: int = _INDENT

    def base(self, code: Construct | Sequential | Loop | None) -> None:
        """The call of the base class's constructor."""
        if isinstance(code, Loop):
            code = Sequential(code.items)
            given = f"[{', '.join(self._arguments(code, 'layers'))}]"
            if given.startswith("[*[") and given.endswith("]]") and given.count("*[") == 1:
                given = given[2:-1]
        elif isinstance(code, Sequential):
            given = ", ".join(self._arguments(code, "layers"))
        else:
            given = arguments_text(code) if code is not None else ""
        self.lines += expression(f"super().__init__({given})", _INDENT)
        if code is not None:
            self._draws("self", code)

    def let(self, name: str, text: str) -> None:
        """A local variable."""
        self.lines += assignment(name, text, _INDENT)

    def keep(self, attribute: str, text: str) -> None:
        """Keep a parameter for the forward."""
        self.lines += assignment(f"self.{attribute}", text, _INDENT)

    def member(self, member: Member) -> None:
        """Make one child."""
        condition = _condition(member)
        if isinstance(member.code, TensorMember):
            self._tensor(member.name, member.code, condition)
        elif condition is None:
            self._set(member.name, self._text(member.code, f"{member.name}_layers"))
            self._draws(member_access(member.name, member.code), member.code)
        else:
            self._optional(member, condition)

    def tie(self, holder: str, name: str, other: str) -> None:
        """Make a parameter another one."""
        if is_attribute(name):
            self.lines += assignment(f"{holder}.{name}", other, _INDENT)
        else:
            call = f"{holder}.register_parameter({literal_text(name)}, {other})"
            self.lines += expression(call, _INDENT)

    def convert(self, dtype: DType) -> None:
        """Convert all that floats to a dtype."""
        self.lines.append(f"{' ' * _INDENT}self.to(torch.{dtype.value})")

    # -- modules --------------------------------------------------------------------------

    def _set(self, name: str, text: str) -> None:
        """`self.name = text`, or what has the same effect for other names."""
        if is_hidden(name):
            self.lines += assignment(f"self._modules[{literal_text(name)}]", text, self.indent)
        elif is_attribute(name):
            self.lines += assignment(f"self.{name}", text, self.indent)
        else:
            call = f"self.add_module({literal_text(name)}, {text})"
            self.lines += expression(call, self.indent)

    def _optional(self, member: Member, condition: str) -> None:
        plain = is_attribute(member.name)
        if isinstance(member.code, Construct) and plain and not member.code.draws:
            value = f"{construct_text(member.code)} if {condition} else None"
            line = f"{' ' * self.indent}self.{member.name} = {value}"
            if len(line) <= WIDTH:
                self.lines.append(line)
                return
        if plain:
            self.lines.append(f"{' ' * self.indent}self.{member.name}: nn.Module | None = None")
        else:
            self._set(member.name, "None")
        self.lines.append(f"{' ' * self.indent}if {condition}:")
        self.indent += 4
        self._set(member.name, self._text(member.code, f"{member.name}_layers"))
        self._draws(member_access(member.name, member.code), member.code)
        self.indent -= 4

    def _draws(self, access: str, code: MemberCode) -> None:
        """Draw the tensors of a module and of those in it that are not drawn as torch does."""
        match code:
            case Construct(draws=draws):
                for draw in draws:
                    call = draw_text(f"{access}.{draw.tensor}", draw.function, draw.arguments)
                    self.lines += expression(call, self.indent)
            case Container(items):
                for item in items:
                    self._draws(f"{access}[{literal_text(item.name)}]", item.code)
            case Sequential(items, named) if named or not _has_options(items):
                for item in items:
                    inner = member_access(item.name, item.code, access)
                    self._draws(inner if named else f"{access}[{item.name}]", item.code)

    def _text(self, code: MemberCode, layers: str) -> str:
        match code:
            case Construct():
                return construct_text(code)
            case Sequential():
                return f"nn.Sequential({', '.join(self._arguments(code, layers))})"
            case Container(items):
                pairs = [f"{literal_text(m.name)}: {self._text(m.code, layers)}" for m in items]
                return f"nn.ModuleDict({{{', '.join(pairs)}}})"
        raise AssertionError("a tensor is no module")

    def _arguments(self, code: Sequential, layers: str) -> list[str]:
        """The arguments of `nn.Sequential`; optional children are collected in a list first."""
        if not code.named and _has_options(code.items):
            self._collect(code.items, layers)
            return [f"*{layers}"]
        entries = [self._entry(item, f"{layers}_{item.name}") for item in code.items]
        if not code.named:
            return fold(entries)
        names = [item.name for item in code.items]
        pairs = fold(entries, names)
        if len(pairs) == 1 and pairs[0].startswith("*["):
            return [f"OrderedDict({pairs[0][2:-1]})"]
        plain = len(pairs) == len(names) and all(map(is_attribute, names))
        if plain and "self" not in names:
            keywords = [f"{n}={entry.text}" for n, entry in zip(names, entries, strict=True)]
            return [f"OrderedDict({', '.join(keywords)})"]
        return [f"OrderedDict([{', '.join(pairs)}])"]

    def _entry(self, item: Member, layers: str) -> Entry:
        text = self._text(item.code, layers)
        code = item.code if isinstance(item.code, Construct) and not item.code.draws else None
        return Entry(text, code)

    def _collect(self, items: Sequence[Member], layers: str) -> None:
        """Append the items to a list, each run of them under its condition."""
        runs = _runs(items)
        first = self._entries(runs[0][1], layers) if runs[0][0] is None else []
        self.lines += assignment(f"{layers}: list[nn.Module]", f"[{', '.join(first)}]", self.indent)
        for condition, run in runs[bool(first) :]:
            if condition is not None:
                self.lines.append(f"{' ' * self.indent}if {condition}:")
                self.indent += 4
            self._append(run, layers)
            self.indent -= 4 * (condition is not None)
        places = {id(item): i for i, item in enumerate(runs[0][1])} if first else {}
        for item in items:
            if id(item) in places:
                self._draws(f"{layers}[{places[id(item)]}]", item.code)

    def _append(self, items: Sequence[Member], layers: str) -> None:
        """Append items to the list; those to be drawn anew one by one, while they are the last."""
        if _has_draws(items):
            for item in items:
                text = self._entry(item, f"{layers}_{item.name}").text
                self.lines += expression(f"{layers}.append({text})", self.indent)
                self._draws(f"{layers}[-1]", item.code)
            return
        texts = self._entries(items, layers)
        if len(texts) == 1 and not texts[0].startswith("*"):
            self.lines += expression(f"{layers}.append({texts[0]})", self.indent)
        else:
            self.lines += assignment(layers, f"[{', '.join(texts)}]", self.indent, "+=")

    def _entries(self, items: Sequence[Member], layers: str) -> list[str]:
        return fold([self._entry(item, f"{layers}_{item.name}") for item in items])

    # -- tensors --------------------------------------------------------------------------

    def _tensor(self, name: str, code: TensorMember, condition: str | None) -> None:
        made = tensor_text(code)
        value = made if code.buffer else f"nn.Parameter({made})"
        if condition is not None:
            value = f"{value} if {condition} else None"
        quoted = literal_text(name)
        if is_hidden(name):
            self.lines += assignment(f"self.{store_of(code)}[{quoted}]", value, self.indent)
        elif code.buffer:
            self.lines += expression(f"self.register_buffer({quoted}, {value})", self.indent)
        elif is_attribute(name):
            self.lines += assignment(f"self.{name}", value, self.indent)
        else:
            self.lines += expression(f"self.register_parameter({quoted}, {value})", self.indent)
        if code.init == "constant" or code.init.startswith("_"):
            return
        access = member_access(name, code)
        drawn = draw_text(access, code.init, code.arguments)
        if condition is not None:
            self.lines.append(f"{' ' * self.indent}if {access} is not None:")
        self.lines += expression(drawn, self.indent + 4 * (condition is not None))


def tensor_text(code: TensorMember) -> str:
    """The tensor that a parameter or buffer starts from."""
    if code.init.startswith("_"):
        given = [f"{a.role}={value_text(a.value)}" for a in code.arguments if not a.is_default]
        return f"{code.init}({', '.join(given)})"
    shape = tuple(size.value for size in code.shape)
    sizes = [value_text(size) for size in shape] or ["()"]
    dtype = [] if code.dtype is DType.FLOAT32 else [f"dtype=torch.{code.dtype.value}"]
    if code.init != "constant":
        return f"torch.empty({', '.join([*sizes, *dtype])})"
    value = code.arguments[0].value
    if value in (0.0, 1.0):
        return f"torch.{'ones' if value else 'zeros'}({', '.join([*sizes, *dtype])})"
    return f"torch.full({', '.join([value_text(shape), value_text(value), *dtype])})"


def draw_text(access: str, function: str, arguments: Sequence[Literal]) -> str:
    """The call that draws a tensor."""
    if function == FAN_UNIFORM:
        fan = value_text(arguments[0].value)
        bound = f"{fan}**-0.5" if fan.isidentifier() or fan.isdigit() else f"({fan}) ** -0.5"
        return f"nn.init.uniform_({access}, -({bound}), {bound})"
    if function == "constant":
        value = arguments[0].value
        if value in (0.0, 1.0):
            return f"nn.init.{'ones' if value else 'zeros'}_({access})"
        return f"nn.init.constant_({access}, {value_text(value)})"
    given = [f"{a.role}={value_text(a.value)}" for a in arguments if not a.is_default]
    return f"nn.init.{function}_({', '.join([access, *given])})"


def _has_draws(items: Sequence[Member]) -> bool:
    return any(
        item.code.draws
        if isinstance(item.code, Construct)
        else isinstance(item.code, (Sequential, Container)) and _has_draws(item.code.items)
        for item in items
    )


def _has_options(items: Sequence[Member]) -> bool:
    return any(_condition(item) is not None for item in items)


def _condition(member: Member) -> str | None:
    """The parameter that says whether the child is there, or None if it always is."""
    value = member.present.value
    return value.text if isinstance(value, Name) else None


def _runs(items: Sequence[Member]) -> list[tuple[str | None, list[Member]]]:
    """Neighbours of one condition together."""
    runs: list[tuple[str | None, list[Member]]] = []
    for item in items:
        condition = _condition(item)
        if runs and runs[-1][0] == condition:
            runs[-1][1].append(item)
        else:
            runs.append((condition, [item]))
    return runs

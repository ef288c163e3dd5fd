"""One layer to code: the emitter that `Op.to_torch` calls, recording instead of printing."""

from __future__ import annotations

import re

from archc.graph import Node
from archc.ops.activation import Activation
from archc.ops.base import Default, Literalish, Operand, TorchCode, TorchModule
from archc.records import dataclass
from archc.targets.torch.code import (
    NO_DEFAULT,
    Apply,
    Attribute,
    Construct,
    Draw,
    Expression,
    Invoke,
    Literal,
    Name,
    Sizes,
    Var,
)
from archc.targets.torch.signatures import CHANNELS, POSITIONAL
from archc.targets.torch.sizes import contains_symbol, runtime_sizes
from archc.targets.torch.tensors import Draws

OWN = ("",)
"""The member name of the layer itself, replaced when its place in a class is known."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """The code of one node.

    Attributes:
        node: the layer.
        module: the module it owns, or None.
        expr: its result; values are named as in the graph, the layer's own module `OWN`, its
            own tensors `(*OWN, name)`.
    """

    node: Node
    module: Construct | None
    expr: Expression


def lower(node: Node, draws: Draws, may_overwrite: bool) -> Lowered:
    """Run the op's lowering and record what it writes."""
    recorder = _Recorder(node, draws, may_overwrite)
    operands = [Operand(value.name, value.type) for value in node.inputs]
    expr = recorder.code(node.op.to_torch(recorder, *operands))
    return Lowered(node, recorder.construct, expr)


class _Recorder:
    """A `TorchEmitter` that keeps code as data."""

    def __init__(self, node: Node, draws: Draws, may_overwrite: bool) -> None:
        self.node = node
        self.draws = draws
        self.may_overwrite = may_overwrite
        self.construct: Construct | None = None

    def module(
        self, constructor: str, *args: Literalish, **kwargs: Literalish | Default
    ) -> TorchModule:
        assert self.construct is None, f"{self.node.op_name} makes a second module"
        names = POSITIONAL.get(constructor, ())
        roles = [names[i] if i < len(names) else f"arg{i}" for i in range(len(args))]
        draws = self._draws()
        if self._is_activation(args, kwargs) and not draws:
            # Arguments are the same wherever the class differs.
            name = Literal(Name(constructor), "activation", "class")
            self.construct = Construct(name, kwargs=_written(kwargs))
            return self._call
        self.construct = Construct(
            constructor,
            tuple(_literal(value, role) for value, role in zip(args, roles, strict=True)),
            tuple((name, _literal(value, name)) for name, value in kwargs.items()),
            draws,
        )
        return self._call

    def _draws(self) -> tuple[Draw, ...]:
        """Weights that the spec wants drawn otherwise than torch does."""
        node = self.node
        usual = {w.name: w.init for w in node.op.weights(*(v.type for v in node.inputs))}
        own = [ref.weight for ref in node.weights if not ref.alias]  # a tied one is drawn elsewhere
        changed = [weight for weight in own if weight.init != usual[weight.name]]
        return tuple(self.draws.of(node.op_name, weight) for weight in changed)

    def _is_activation(
        self, args: tuple[Literalish, ...], kwargs: dict[str, Literalish | Default]
    ) -> bool:
        """Whether the class alone says it all, so that a block may take it as a parameter."""
        others = [value for name, value in kwargs.items() if name != "inplace"]
        plain = all(isinstance(v, Default) and v.value == v.default for v in others)
        return isinstance(self.node.op, Activation) and not args and plain

    def _call(self, *operands: Operand | TorchCode) -> TorchCode:
        return Invoke(OWN, tuple(self.code(operand) for operand in operands))

    def expr(
        self, template: str, *operands: Operand | TorchCode, **literals: Literalish
    ) -> TorchCode:
        read = tuple(self.code(operand) for operand in operands)
        shapes = _shapes(template)
        written = tuple(
            (name, self._field(name, value, shapes)) for name, value in literals.items()
        )
        return Apply(template, read, written)

    def _field(self, name: str, value: Literalish, shapes: set[str]) -> Literal | Sizes:
        if contains_symbol(value) or (isinstance(value, tuple) and name in shapes):
            return runtime_sizes(value, name, self.node.inputs)
        kind = "size" if name in _SIZE_FIELDS and type(value) is int else name
        return Literal(value, name, kind)

    def weight(self, name: str) -> TorchCode:
        return Attribute((*OWN, name))

    def code(self, operand: Operand | TorchCode) -> Expression:
        if isinstance(operand, Operand):
            return Var(operand.name)
        assert isinstance(operand, (Var, Invoke, Attribute, Apply)), "code of another emitter"
        return operand


_SIZE_FIELDS = frozenset({"length", "start", "stop", "height", "width"})
_SIZED = re.compile(r"\b(?:unflatten|reshape|view|expand|_window_mask)\(([^()]*)\)")


def _shapes(template: str) -> set[str]:
    """Fields that tell a function sizes: each part of such a tuple is a value of its own."""
    calls = _SIZED.findall(template)
    return {name for call in calls for name in re.findall(r"\{([a-z]\w*)\}", call)}


def _written(kwargs: dict[str, Literalish | Default]) -> tuple[tuple[str, Literal], ...]:
    """The arguments that are not left at their defaults."""
    arguments = ((name, _literal(value, name)) for name, value in kwargs.items())
    return tuple((name, literal) for name, literal in arguments if not literal.is_default)


def _literal(given: Literalish | Default, role: str) -> Literal:
    value, default = given if isinstance(given, Default) else (given, NO_DEFAULT)
    assert not contains_symbol(value), f"{role} of a module must be static"
    return Literal(value, role, "channels" if role in CHANNELS else role, default)

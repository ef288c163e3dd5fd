"""The layer tree: which level owns which module and tensor, and where each layer's code runs."""

from __future__ import annotations

from archc.diagnostics import Diagnostics
from archc.graph import Graph, Node, Scope
from archc.graph.graph import WeightRef
from archc.records import dataclass, field, replace
from archc.targets.torch.code import (
    Apply,
    Attribute,
    Construct,
    Expression,
    Invoke,
    Literal,
    TensorMember,
    Var,
    rewrite,
    values_of,
)
from archc.targets.torch.lower import OWN, Lowered, lower
from archc.targets.torch.overwriting import overwriting
from archc.targets.torch.signatures import FUNCTIONAL, KEPT
from archc.targets.torch.tensors import Draws

TENSOR_AT = "tensor:"
"""Prefix of the id of a value that is a parameter or buffer, by its key."""


@dataclass(slots=True, eq=False)
class Level:
    """A level of the layer tree.

    Attributes:
        path: dotted path; "" at the root.
        scope: what the graph says of it; None where a dotted name implies it.
        children: what it holds, by name, in the order of the layers.
        steps: layers whose code runs here, in dataflow order.
        op_name: the op, where the level is one layer with a class of its own.
        base: the module that such a class derives from.
    """

    path: str
    scope: Scope | None = None
    children: dict[str, Level | Construct | TensorMember] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    op_name: str = ""
    base: Construct | None = None

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.rpartition(".")[2]

    @property
    def block(self) -> str | None:
        """The block that the level is an instance of."""
        return self.scope.block if self.scope else None

    def way_to(self, path: str) -> tuple[str, ...] | None:
        """Components from here down to `path`, or None if it lies elsewhere."""
        if not self.path:
            return tuple(path.split("."))
        if path.startswith(f"{self.path}."):
            return tuple(path[len(self.path) + 1 :].split("."))
        return None


@dataclass(slots=True, eq=False)
class Step:
    """One layer's code at its level.

    Attributes:
        index: position in dataflow order.
        node: the layer.
        expr: values named as in the graph; members by their way from the level; tensors as
            values `TENSOR_AT + key`.
        reads: ids of the values it needs, each once.
    """

    index: int
    node: Node
    expr: Expression
    reads: tuple[str, ...]

    @property
    def is_training_only(self) -> bool:
        """Whether it runs in training only."""
        return self.node.side == "training"


class TreeBuilder:
    """Puts the graph's layers into levels."""

    def __init__(self, graph: Graph, sink: Diagnostics) -> None:
        self.graph = graph
        self.sink = sink
        self.root = Level("", graph.scopes.get(""))
        self.steps: list[Step] = []
        self._levels = {"": self.root}
        self._paths = _level_paths(graph)
        self._owned: set[str] = set()
        self._results = {value.name for value in graph.outputs.values()}
        self._renamed: dict[str, Var] = {}
        self._node: Node | None = None
        self._draws = Draws(graph)

    def build(self) -> Level:
        """The root of the tree."""
        overwriters = overwriting(self.graph)
        for node in self.graph.nodes:
            self._place(lower(node, self._draws, node.path in overwriters))
        return self.root

    def value(self, name: str) -> str:
        """The id of a value, seen through layers that do nothing."""
        return self._renamed[name].value if name in self._renamed else name

    def level(self, path: str) -> Level:
        """The level at `path`, made with those above it."""
        found = self._levels.get(path)
        if found is None:
            found = self._levels[path] = Level(path, self.graph.scopes.get(path))
            self._adopt(self.level(_parent(path)), found.name, found)
        return found

    def _adopt(self, home: Level, name: str, child: Level | Construct | TensorMember) -> None:
        """Give a level a child."""
        if name in KEPT and self._node is not None:
            self.sink.error(
                "unsupported-by-target",
                f"a PyTorch module cannot have a child named `{name}`",
                self._node.span,
                help=["give it another name"],
            )
        home.children[name] = child

    def _place(self, lowered: Lowered) -> None:
        node, expr = lowered.node, lowered.expr
        self._node = node
        if isinstance(expr, Apply) and expr.template == "{0}" and not node.path[-1:].isdigit():
            operand = expr.operands[0]
            if isinstance(operand, Var):
                self._renamed[node.output.name] = Var(self.value(operand.value))
                return
        own = any(ref.own_key.startswith(f"{node.path}.") for ref in node.weights)
        module = lowered.module
        functional = module is not None and self._needs_function(node)
        if module is not None and functional:
            expr = self._as_function(node, module, expr)
            module = None
        inside = node.path in self._paths or (module is None and own)
        home = self.level(node.path if inside else _parent(node.path))
        if own and module is None and home.scope is None:
            home.op_name = node.op_name
        name = node.path.rpartition(".")[2]
        if module is not None:
            name = _free(node.op_name, home) if inside else name
            self._adopt(home, name, module)
            self._owned |= {ref.own_key for ref in node.weights}
        else:
            self._own_tensors(node)
        code = self._resolve(expr, node, name)
        if isinstance(code, Var) and node.output.name not in self._results:
            self._renamed[node.output.name] = code
        else:
            self._add(home, node, code)

    def _add(self, home: Level, node: Node, expr: Expression) -> None:
        step = Step(len(self.steps), node, expr, tuple(dict.fromkeys(values_of(expr))))
        self.steps.append(step)
        home.steps.append(step)

    def _needs_function(self, node: Node) -> bool:
        inside = node.path in self._paths and bool(node.weights)
        return inside or any(
            ref.own_key in self._owned or ref.own_key != f"{node.path}.{ref.weight.name}"
            for ref in node.weights
        )

    def _as_function(self, node: Node, module: Construct, expr: Expression) -> Expression:
        """The same result with the module's tensors kept outside it."""
        form = FUNCTIONAL.get(str(module.constructor))
        if form is None:
            self.sink.error(
                "unsupported-by-target",
                f"PyTorch cannot keep the weights of `{node.op_name}` under other names",
                node.span,
                help=["leave out `keys` here"],
            )
            return expr
        template, reads = form
        named = dict(module.kwargs)
        given = {ref.weight.name: Attribute((*OWN, ref.weight.name)) for ref in node.weights}

        def call(part: object) -> object:
            if not isinstance(part, Invoke) or part.member != OWN:
                return part
            text, operands = template, list(part.operands)
            for name in ("weight", "bias"):
                if name in given:
                    text = text.replace(f"{{{name}}}", f"{{{len(operands)}}}")
                    operands.append(given[name])
                else:
                    text = text.replace(f", {{{name}}}", "" if not reads else ", None")
            absent = Literal(None, "")  # left out of the call, as its default is
            literals = tuple((name, replace(named.get(name, absent), default="")) for name in reads)
            if "normalized_shape" in text:
                literals = (("normalized_shape", module.args[0]), *literals)
            return Apply(text, tuple(operands), literals)

        return rewrite(expr, call)

    def _own_tensors(self, node: Node) -> None:
        for ref in node.weights:
            if ref.own_key not in self._owned:
                self._owned.add(ref.own_key)
                self._keep(ref, node)

    def _keep(self, ref: WeightRef, node: Node) -> None:
        home = self.level(_parent(ref.own_key))
        name = ref.own_key.rpartition(".")[2]
        if name in home.children:
            self.sink.error(
                "unsupported-by-target",
                f"PyTorch cannot keep a tensor under `{ref.own_key}`: a layer has that name",
                node.span,
            )
            return
        self._adopt(home, name, self._draws.member(node.op_name, ref.weight))

    def _resolve(self, expr: Expression, node: Node, name: str) -> Expression:
        """Name members by their way from the home level, tensors by their keys."""
        keys = {ref.weight.name: ref.own_key for ref in node.weights}

        def change(part: object) -> object:
            if isinstance(part, Invoke) and part.member == OWN:
                return Invoke((name,), part.operands)
            if isinstance(part, Attribute):
                return Var(TENSOR_AT + keys[part.member[-1]])
            if isinstance(part, Var):
                return Var(self.value(part.value))
            return part

        return rewrite(expr, change)


def _level_paths(graph: Graph) -> set[str]:
    """Paths with something below them."""
    paths = set(graph.scopes)
    for node in graph.nodes:
        path = _parent(node.path)
        while path and path not in paths:
            paths.add(path)
            path = _parent(path)
    return paths


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _free(name: str, level: Level) -> str:
    """A name that no child of the level has."""
    number, free = 1, name
    while free in level.children:
        number += 1
        free = f"{name}{number}"
    return free

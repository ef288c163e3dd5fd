"""Walking a checked tree: names looked up, operators and functions applied, steps counted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Protocol

from archc.diagnostics.closest import MAX_OPTIONS, closest
from archc.spec.expressions.fault import MAX_LIST, Budget, Fault, Undecided, limit, wrong_type
from archc.spec.expressions.functions import FUNCTIONS
from archc.spec.expressions.lexer import WORDS
from archc.spec.expressions.operators import (
    Value,
    binary,
    compare,
    describe,
    negative,
    positive,
    truth,
)
from archc.spec.expressions.parser import Tree

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}


class Scope(Protocol):
    """What names mean where an expression stands."""

    def lookup(self, name: str) -> object:
        """The value of a name.

        Raises:
            KeyError: it has none.
        """

    def names(self) -> Iterable[str]:
        """Names that can be suggested for one that is unknown."""


def evaluate(
    tree: Tree, scope: Scope, unknown: Callable[[str, tuple[int, int]], object] | None = None
) -> Value:
    """The value of a tree.

    Args:
        tree: what to evaluate.
        scope: what names mean.
        unknown: last resort for a name, called with it and its place in the text; it declines
            by raising KeyError.

    Raises:
        Fault: with its place, the innermost operation that fails.
    """
    evaluator = _Evaluator(tree, scope, unknown)
    value = evaluator.visit(tree.root)
    if isinstance(value, list):
        evaluator.measure(value)
    return value


class _Evaluator:
    __slots__ = ("budget", "locals", "scope", "tree", "unknown")

    def __init__(
        self,
        tree: Tree,
        scope: Scope,
        unknown: Callable[[str, tuple[int, int]], object] | None,
    ) -> None:
        self.tree = tree
        self.scope = scope
        self.unknown = unknown
        self.locals: list[dict[str, Value]] = []
        self.budget = Budget()

    def visit(self, node: ast.expr) -> Value:
        self.budget.spend()
        try:
            return _VISIT[type(node)](self, node)
        except Fault as fault:
            if fault.place is None:
                self.locate(fault, node)
            raise

    def measure(self, items: list[Value]) -> None:
        """Count the items of a list with those of the lists in it.

        Lists are shared, not copied: `[a, a]` of `[b, b]` of ... is small until it is walked.
        """
        total, stack = 0, [items]
        while stack:
            inner = stack.pop()
            total += len(inner)
            if total > MAX_LIST:
                raise Fault(
                    "expression-limit",
                    f"a list of more than {MAX_LIST:,} items, those of inner lists counted",
                    place=self.tree.place(self.tree.root),
                )
            stack += [item for item in inner if isinstance(item, list)]
        try:
            self.budget.spend(total)
        except Fault as fault:
            self.locate(fault, self.tree.root)
            raise

    def locate(self, fault: Fault, node: ast.expr) -> None:
        """Place a fault at a node, or at the operand of it that is to blame."""
        operands = _operands(node)
        blamed: ast.expr = node
        if fault.operand is not None and fault.operand < len(operands):
            blamed = operands[fault.operand]
        fault.place = self.tree.place(blamed)
        if isinstance(fault, Undecided):
            fault.explain(self.tree.source(node))
        elif fault.code == "division-by-zero" and blamed is not node:
            fault.message = f"`{self.tree.source(node)}` divides by zero"
            if not isinstance(blamed, ast.Constant):
                fault.message += f": `{self.tree.source(blamed)}` is 0"

    # -- leaves -------------------------------------------------------------------------

    def constant(self, node: ast.Constant) -> Value:
        return node.value

    def name(self, node: ast.Name) -> Value:
        name = node.id
        if name in WORDS:
            return WORDS[name]
        for bound in reversed(self.locals):
            if name in bound:
                return bound[name]
        try:
            return self.scope.lookup(name)
        except KeyError:
            pass
        if self.unknown is not None:
            try:
                return self.unknown(name, self.tree.place(node))
            except KeyError:
                pass
        if name == "none":
            return None
        raise self.unknown_name(node)

    def unknown_name(self, node: ast.Name) -> Fault:
        place = self.tree.place(node)
        if node.id in FUNCTIONS:
            message = f"`{node.id}` is a function"
            return Fault("unknown-name", message, f"call it: {node.id}(...)", place=place)
        inner = (name for bound in self.locals for name in bound)
        close = closest(node.id, islice(chain(inner, self.scope.names()), MAX_OPTIONS))
        hints = (f"did you mean `{close}`?",) if close else ()
        return Fault("unknown-name", f"`{node.id}` means nothing here", *hints, place=place)

    def sequence(self, node: ast.List | ast.Tuple) -> Value:
        return [self.visit(item) for item in node.elts]

    # -- operators ----------------------------------------------------------------------

    def unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand)
        operand = self.visit(node.operand)
        return negative(operand) if isinstance(node.op, ast.USub) else positive(operand)

    def binary(self, node: ast.BinOp) -> Value:
        left, right = self.visit(node.left), self.visit(node.right)
        return binary(_BINARY[type(node.op)], left, right, self.budget)

    def boolean(self, node: ast.BoolOp) -> Value:
        stops_at = isinstance(node.op, ast.Or)
        for operand in node.values[:-1]:
            value = self.visit(operand)
            if self.decide(value, operand) == stops_at:
                return value
        return self.visit(node.values[-1])

    def comparison(self, node: ast.Compare) -> Value:
        left_node, left = node.left, self.visit(node.left)
        for operator, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.visit(right_node)
            try:
                holds = compare(_COMPARE[type(operator)], left, right, self.budget)
            except Fault as fault:
                if fault.operand is not None and fault.place is None:
                    fault.place = self.tree.place((left_node, right_node)[fault.operand])
                raise
            if not holds:
                return False
            left_node, left = right_node, right
        return True

    def conditional(self, node: ast.IfExp) -> Value:
        return self.visit(node.body if self.truth(node.test) else node.orelse)

    def truth(self, node: ast.expr) -> bool:
        return self.decide(self.visit(node), node)

    def decide(self, value: Value, node: ast.expr) -> bool:
        try:
            return truth(value, self.budget)
        except Undecided as fault:
            self.locate(fault, node)
            raise

    # -- lists --------------------------------------------------------------------------

    def subscript(self, node: ast.Subscript) -> Value:
        items = self.visit(node.value)
        if not isinstance(items, list | tuple):
            raise wrong_type(f"{describe(items)} cannot be indexed", operand=0)
        if isinstance(node.slice, ast.Slice):
            part = list(items[self.bounds(node.slice)])
            self.budget.spend(len(part))
            return part
        index = self.visit(node.slice)
        if isinstance(index, bool) or not isinstance(index, int):
            raise wrong_type(f"an index is an integer, not {describe(index)}", operand=1)
        if not -len(items) <= index < len(items):
            name = self.tree.source(node.value)
            raise wrong_type(
                f"index {index} is out of range: `{name}` is {describe(items)}", operand=1
            )
        return items[index]

    def bounds(self, node: ast.Slice) -> slice:
        bounds: list[int | None] = []
        for part in (node.lower, node.upper, node.step):
            value = None if part is None else self.visit(part)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                assert part is not None
                fault = wrong_type(f"a bound of a slice is an integer, not {describe(value)}")
                self.locate(fault, part)
                raise fault
            bounds.append(value)
        if bounds[2] == 0:
            raise wrong_type("the step of a slice cannot be 0")
        return slice(*bounds)

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Value:
        result: list[Value] = []
        self.locals.append({})
        try:
            for _ in self.loop(node.generators):
                if len(result) == MAX_LIST:
                    raise limit(f"a list of more than {MAX_LIST:,} items")
                result.append(self.visit(node.elt))
        finally:
            self.locals.pop()
        return result

    def loop(self, generators: list[ast.comprehension]) -> Iterator[None]:
        """Bind the targets of the generators for each combination that passes the conditions."""
        head, rest = generators[0], generators[1:]
        items = self.visit(head.iter)
        if not isinstance(items, list | tuple):
            fault = wrong_type(f"`for` needs a list, not {describe(items)}")
            self.locate(fault, head.iter)
            raise fault
        for item in items:
            self.budget.spend()
            self.bind(head.target, item)
            if not all(self.truth(condition) for condition in head.ifs):
                continue
            if rest:
                yield from self.loop(rest)
            else:
                yield

    def bind(self, target: ast.expr, value: Value) -> None:
        """Give the names of a target their values."""
        if isinstance(target, ast.Name):
            self.locals[-1][target.id] = value
            return
        assert isinstance(target, ast.Tuple | ast.List)
        if not isinstance(value, list | tuple) or len(value) != len(target.elts):
            message = f"{describe(value)} cannot be taken apart into {len(target.elts)} names"
            raise Fault("expression-type", message, place=self.tree.place(target))
        for part, item in zip(target.elts, value, strict=True):
            self.bind(part, item)

    # -- calls --------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Value:
        assert isinstance(node.func, ast.Name)
        arguments = [self.visit(argument) for argument in node.args]
        named = {word.arg or "": self.visit(word.value) for word in node.keywords}
        return FUNCTIONS[node.func.id].run(self.budget, *arguments, **named)


def _operands(node: ast.expr) -> list[ast.expr]:
    """What `Fault.operand` counts."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Subscript):
        return [node.value, node.slice]
    if isinstance(node, ast.Call):
        return [*node.args, *(word.value for word in node.keywords)]
    return []


_VISIT: dict[type[ast.expr], Callable[[_Evaluator, Any], Value]] = {
    ast.Constant: _Evaluator.constant,
    ast.Name: _Evaluator.name,
    ast.List: _Evaluator.sequence,
    ast.Tuple: _Evaluator.sequence,
    ast.UnaryOp: _Evaluator.unary,
    ast.BinOp: _Evaluator.binary,
    ast.BoolOp: _Evaluator.boolean,
    ast.Compare: _Evaluator.comparison,
    ast.IfExp: _Evaluator.conditional,
    ast.Subscript: _Evaluator.subscript,
    ast.ListComp: _Evaluator.comprehension,
    ast.GeneratorExp: _Evaluator.comprehension,
    ast.Call: _Evaluator.call,
}

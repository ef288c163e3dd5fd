"""Text of an expression to a checked syntax tree."""

from __future__ import annotations

import ast
import math
import re
from functools import lru_cache

from archc.diagnostics.closest import closest
from archc.records import dataclass
from archc.spec.expressions.fault import MAX_DEPTH, Fault, limit
from archc.spec.expressions.functions import FUNCTIONS, INSTEAD_OF
from archc.spec.expressions.lexer import CONSTANTS, WORDS, check_tokens, tokenize
from archc.spec.tree import INT_LIMIT

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPACE = re.compile(r"\s")

_ALLOWED = (
    ast.Constant,
    ast.Name,
    ast.UnaryOp,
    ast.BinOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.List,
    ast.Tuple,
    ast.Subscript,
    ast.Slice,
    ast.ListComp,
    ast.GeneratorExp,
    ast.comprehension,
    ast.Call,
    ast.keyword,
)


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A checked syntax tree.

    Attributes:
        text: what was parsed.
        root: its tree, whose columns count UTF-8 bytes from a bracket put before the text.
    """

    text: str
    root: ast.expr

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Offsets into `text`, in characters."""
        assert isinstance(node, ast.expr | ast.keyword)
        start, end = node.col_offset - 1, (node.end_col_offset or 1) - 1
        if self.text.isascii():
            return start, end
        data = self.text.encode()
        return len(data[:start].decode()), len(data[:end].decode())

    def source(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self.place(node)
        return self.text[start:end]


@lru_cache(maxsize=4096)
def parse(text: str) -> Tree:
    """Parse and check an expression.

    Raises:
        Fault: `bad-expression`, `unknown-function` or `expression-limit`, with its place.
    """
    if _WORD.fullmatch(text):
        tokens = tokenize(text)
        if tokens[0].kind == "name" and text not in CONSTANTS:
            name = ast.Name(text, ast.Load(), col_offset=1, end_col_offset=len(text) + 1)
            return Tree(text, name)
    check_tokens(tokenize(text))
    tree = Tree(text, _python_tree(text))
    _check(tree)
    return tree


def _python_tree(text: str) -> ast.expr:
    # In brackets, because a leading space would be an indentation.
    line = "(" + _SPACE.sub(" ", text) + ")"
    try:
        return ast.parse(line, mode="eval").body
    except SyntaxError as error:
        offset = min(max((error.offset or 2) - 2, 0), len(text))
        if re.search(r"\bif\b", text) and not re.search(r"\belse\b", text):
            raise Fault("bad-expression", "an `if` without `else`", place=(0, len(text))) from None
        place = next((t.place for t in tokenize(text) if t.end > offset), (offset, len(text)))
        raise Fault("bad-expression", "this does not fit here", place=place) from None
    except (RecursionError, MemoryError):
        raise Fault(
            "expression-limit", "the expression is nested too deep", place=(0, len(text))
        ) from None


def _check(tree: Tree) -> None:
    """Refuse what is outside the language, also in branches that are never taken."""
    stack: list[tuple[ast.AST, int]] = [(tree.root, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            fault = limit(f"operations are nested more than {MAX_DEPTH} deep")
            fault.place = (0, len(tree.text))
            raise fault
        children = [child for child in ast.iter_child_nodes(node) if not _is_mark(child)]
        if isinstance(node, ast.Call):
            _check_call(tree, node)
            children = [*node.args, *node.keywords]
            if len(children) == 1 and isinstance(children[0], ast.GeneratorExp):
                children = [children[0].elt, *children[0].generators]
        elif isinstance(node, ast.comprehension):
            _check_target(tree, node.target)
            children = [node.iter, *node.ifs]
        elif isinstance(node, ast.Constant):
            _check_constant(tree, node)
        elif isinstance(node, ast.GeneratorExp):
            raise Fault(
                "bad-expression",
                "a `for` stands in brackets of its own or in a call",
                "write a list: [... for ...]",
                place=tree.place(node),
            )
        elif not isinstance(node, _ALLOWED):
            raise Fault(
                "bad-expression", "this is not part of the language", place=(0, len(tree.text))
            )
        stack.extend((child, depth + 1) for child in children)


def _is_mark(node: ast.AST) -> bool:
    """Operators and load/store marks: the lexer lets only those of the language through."""
    return isinstance(node, ast.operator | ast.unaryop | ast.boolop | ast.cmpop | ast.expr_context)


def _check_call(tree: Tree, node: ast.Call) -> None:
    if not isinstance(node.func, ast.Name):
        raise Fault("bad-expression", "only functions can be called", place=tree.place(node.func))
    name = node.func.id
    function = FUNCTIONS.get(name)
    if function is None:
        hint = INSTEAD_OF.get(name)
        if hint is None:
            close = closest(name, FUNCTIONS)
            known = ", ".join(sorted(FUNCTIONS))
            hint = f"did you mean `{close}`?" if close else f"functions are {known}"
        message = f"there is no function `{name}`"
        raise Fault("unknown-function", message, hint, place=tree.place(node.func))
    problem = function.misfit(len(node.args), [word.arg or "" for word in node.keywords])
    if problem:
        raise Fault("bad-expression", problem, place=tree.place(node))


def _check_target(tree: Tree, target: ast.expr) -> None:
    stack = [target]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Tuple | ast.List):
            stack.extend(node.elts)
        elif not isinstance(node, ast.Name) or node.id in WORDS:
            raise Fault("bad-expression", "a `for` binds names only", place=tree.place(node))


def _check_constant(tree: Tree, node: ast.Constant) -> None:
    value = node.value
    if isinstance(value, int) and not value < INT_LIMIT:
        fault = limit(f"`{_shortened(tree.source(node))}` does not fit into 64 bits")
    elif isinstance(value, float) and not math.isfinite(value):
        fault = limit(f"`{_shortened(tree.source(node))}` is too large")
    else:
        return
    fault.place = tree.place(node)
    raise fault


def _shortened(digits: str) -> str:
    return digits if len(digits) <= 24 else digits[:10] + "..." + digits[-4:]

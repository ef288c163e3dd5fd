"""Line breaks as `ruff format` makes them, for the statements that generated source consists of.

An expression that does not fit is parsed and laid out again: brackets open at the end of a line,
their content is indented, on one line if it fits and one item per line otherwise.
"""

from __future__ import annotations

import ast

WIDTH = 88
STEP = 4


def assignment(target: str, value: str, indent: int, operator: str = "=") -> list[str]:
    """`target = value`, as lines."""
    return _prefixed(f"{target} {operator} ", value, indent)


def returned(value: str, indent: int) -> list[str]:
    """`return value`, as lines."""
    return _prefixed("return ", value, indent)


def expression(value: str, indent: int) -> list[str]:
    """An expression that stands alone, as lines."""
    return _prefixed("", value, indent)


def _prefixed(prefix: str, value: str, indent: int) -> list[str]:
    flat = f"{' ' * indent}{prefix}{value}"
    if len(flat) <= WIDTH:
        return [flat]
    node = ast.parse(value, mode="eval").body
    return f"{' ' * indent}{prefix}{_statement_value(node, indent, len(prefix))}".split("\n")


def signature(name: str, parameters: list[str], returns: str, indent: int) -> list[str]:
    """`def name(parameters) -> returns:`, as lines."""
    pad = " " * indent
    flat = f"{pad}def {name}({', '.join(parameters)}) -> {returns}:"
    if len(flat) <= WIDTH:
        return [flat]
    inner = f"{pad}{' ' * STEP}{', '.join(parameters)}"
    lines = [inner] if len(inner) <= WIDTH else [f"{pad}{' ' * STEP}{p}," for p in parameters]
    return [f"{pad}def {name}(", *lines, f"{pad}) -> {returns}:"]


# -- breaking -----------------------------------------------------------------------------


def _statement_value(node: ast.expr, indent: int, prefix: int) -> str:
    """A value that is too long for its line."""
    if isinstance(node, ast.Call) and _links(node) < 2:
        return _broken_call(node, indent, indent + prefix)
    if isinstance(node, (ast.List, ast.Dict)) or (isinstance(node, ast.Tuple) and node.elts):
        return _broken(node, indent)
    inner = indent + STEP
    return f"(\n{' ' * inner}{_in_brackets(node, inner)}\n{' ' * indent})"


def _in_brackets(node: ast.expr, indent: int) -> str:
    """An expression inside brackets of its own, at the start of a line."""
    text = flat(node)
    if indent + len(text) <= WIDTH:
        return text
    if isinstance(node, (ast.BinOp, ast.BoolOp)):
        return f"\n{' ' * indent}".join(_terms(node, indent))
    return _lay(node, indent, indent, 0)


def _lay(node: ast.expr, indent: int, column: int, suffix: int) -> str:
    """An expression that starts at `column` of a line indented by `indent`.

    Args:
        node: the expression.
        indent: of the line.
        column: where the expression starts.
        suffix: characters that follow it on its last line.
    """
    text = flat(node)
    if column + len(text) + suffix <= WIDTH:
        return text
    if isinstance(node, ast.Starred):
        # A chain of methods goes on below the star.
        start = column if _links(node.value) >= 2 else column + 1
        return "*" + _lay(node.value, indent, start, suffix + column + 1 - start)
    if isinstance(node, ast.BinOp):
        return f"\n{' ' * (indent + STEP)}".join(_terms(node, indent + STEP))
    if isinstance(node, ast.Call) and _links(node) >= 2 and column == indent:
        return f"\n{' ' * indent}".join(_chain(node, indent))
    if isinstance(node, ast.Call):
        return _broken_call(node, indent, column)
    if isinstance(node, (ast.List, ast.Tuple, ast.Dict, ast.ListComp)):
        return _broken(node, indent)
    return text


def _broken_call(node: ast.Call, indent: int, column: int) -> str:
    """A call with its arguments on lines of their own."""
    if not node.args and not node.keywords:
        return flat(node)
    head = flat(node.func)
    if column + len(head) + 1 > WIDTH and isinstance(node.func, ast.Attribute):
        head = f"{_lay(node.func.value, indent, column, len(node.func.attr) + 2)}.{node.func.attr}"
        if len(head.rpartition("\n")[2]) + len(flat(node)) - len(flat(node.func)) <= WIDTH:
            return head + flat(node)[len(flat(node.func)) :]
    inner = indent + STEP
    if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp) and not node.keywords:
        return f"{head}(\n{' ' * inner}{_comprehension(node.args[0], inner)}\n{' ' * indent})"
    line = ", ".join([*map(flat, node.args), *map(_keyword, node.keywords)])
    if inner + len(line) > WIDTH:
        last = len(node.args) + len(node.keywords) == 1
        items = [_lay(item, inner, inner, not last) for item in node.args]
        items += [
            f"{k.arg}={_lay(k.value, inner, inner + len(k.arg or '') + 1, not last)}"
            for k in node.keywords
        ]
        line = _rows(items, inner)
    return f"{head}(\n{' ' * inner}{line}\n{' ' * indent})"


def _rows(items: list[str], indent: int) -> str:
    """Items one per line; a comma follows each, unless there is only one."""
    return items[0] if len(items) == 1 else f",\n{' ' * indent}".join(items) + ","


def _broken(node: ast.expr, indent: int) -> str:
    """A list, tuple, dict or comprehension with its content on lines of its own."""
    inner = indent + STEP
    start, end = f"\n{' ' * inner}", f"\n{' ' * indent}"
    if isinstance(node, ast.ListComp):
        return f"[{start}{_comprehension(node, inner)}{end}]"
    if isinstance(node, ast.Dict):
        items = [
            f"{flat(key)}: {_lay(value, inner, inner + len(flat(key)) + 2, 1)}"
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        ]
        return "{" + start + _rows(items, inner) + end + "}"
    assert isinstance(node, (ast.List, ast.Tuple))
    brackets = "[]" if isinstance(node, ast.List) else "()"
    last = len(node.elts) == 1
    items = [_lay(item, inner, inner, not last) for item in node.elts]
    return brackets[0] + start + _rows(items, inner) + end + brackets[1]


def _comprehension(node: ast.ListComp | ast.GeneratorExp, indent: int) -> str:
    loops = [f"for {flat(g.target)} in {flat(g.iter)}" for g in node.generators]
    line = " ".join([flat(node.elt), *loops])
    if indent + len(line) <= WIDTH:
        return line
    return f"\n{' ' * indent}".join([_lay(node.elt, indent, indent, 0), *loops])


def _links(node: ast.expr) -> int:
    """Calls of methods on results of calls: `x.a(...).b(...).c(...)` has two."""
    count = 0
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
        count += isinstance(node, (ast.Call, ast.Subscript))
    return count


def _chain(node: ast.expr, indent: int) -> list[str]:
    """The calls of a chain of methods, each on its line."""
    links: list[str] = []
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        arguments = ast.Call(ast.Name(f".{node.func.attr}"), node.args, node.keywords)
        if not isinstance(node.func.value, (ast.Call, ast.Subscript)):
            arguments.func = node.func
        links.append(_lay(arguments, indent, indent, 0))
        if arguments.func is node.func:
            return links[::-1]
        node = node.func.value
    return [flat(node), *links[::-1]]


def _terms(node: ast.BinOp | ast.BoolOp, indent: int) -> list[str]:
    """Operands of one precedence, each but the first behind its operator."""
    if isinstance(node, ast.BoolOp):
        word = "and" if isinstance(node.op, ast.And) else "or"
        first, *rest = map(flat, node.values)
        return [first, *(f"{word} {text}" for text in rest)]
    level = _PRECEDENCE[type(node.op)]
    terms: list[str] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and _PRECEDENCE[type(left.op)] == level:
        symbol = _SYMBOLS[type(left.op)]
        column = indent + len(symbol) + 1
        terms.append(f"{symbol} {_laid_operand(left.right, level + 1, indent, column)}")
        left = left.left
    return [_laid_operand(left, level, indent, indent), *terms[::-1]]


def _laid_operand(node: ast.expr, level: int, indent: int, column: int) -> str:
    """An operand that starts at `column`, in brackets where it binds less than `level`."""
    text = _operand(node, level)
    if text == flat(node):
        return _lay(node, indent, column, 0)
    if column + len(text) <= WIDTH:
        return text
    inner = indent + STEP
    return f"(\n{' ' * inner}{_in_brackets(node, inner)}\n{' ' * indent})"


# -- on one line --------------------------------------------------------------------------

_SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.MatMult: "@",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_PRECEDENCE: dict[type[ast.operator], int] = {
    kind: 1 if kind in (ast.Add, ast.Sub) else 3 if kind is ast.Pow else 2 for kind in _SYMBOLS
}


def spaced(text: str) -> str:
    """An expression on one line, with spaces where ruff wants them."""
    return flat(ast.parse(text, mode="eval").body)


def flat(node: ast.expr) -> str:
    """An expression on one line, as it was written (strings keep double quotes)."""
    if isinstance(node, ast.Call):
        inner = ", ".join([*map(flat, node.args), *map(_keyword, node.keywords)])
        if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            inner = inner[1:-1]
        return f"{flat(node.func)}({inner})"
    if isinstance(node, ast.Attribute):
        return f"{_operand(node.value, 9)}.{node.attr}"
    if isinstance(node, ast.Starred):
        return f"*{flat(node.value)}"
    if isinstance(node, ast.BinOp):
        return _flat_operation(node)
    if isinstance(node, ast.List):
        return f"[{', '.join(map(flat, node.elts))}]"
    if isinstance(node, ast.Tuple):
        return f"({', '.join(map(flat, node.elts))}{',' if len(node.elts) == 1 else ''})"
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return "{" + ", ".join(f"{flat(k)}: {flat(v)}" for k, v in pairs if k is not None) + "}"
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        loops = "".join(f" for {flat(g.target)} in {flat(g.iter)}" for g in node.generators)
        brackets = "[]" if isinstance(node, ast.ListComp) else "()"
        return f"{brackets[0]}{flat(node.elt)}{loops}{brackets[1]}"
    return _text(node)


def _text(node: ast.expr) -> str:
    """Names, constants and what else is short, with ruff's quotes and numbers."""
    if isinstance(node, ast.Constant):
        return literal_text(node.value)
    if isinstance(node, ast.JoinedStr):
        return ast.unparse(node).replace("'", '"')
    return ast.unparse(node)


def _flat_operation(node: ast.BinOp) -> str:
    symbol, level = _SYMBOLS[type(node.op)], _PRECEDENCE[type(node.op)]
    left, right = _operand(node.left, level), _operand(node.right, level + 1)
    if isinstance(node.op, ast.Pow) and _hugs(node.left) and _hugs(node.right):
        return f"{left}**{right}"
    return f"{left} {symbol} {right}"


def _hugs(node: ast.expr) -> bool:
    """Whether `**` stands without spaces beside it."""
    if isinstance(node, ast.Attribute):
        return _hugs(node.value)
    return isinstance(node, (ast.Name, ast.Constant))


def _operand(node: ast.expr, level: int) -> str:
    text = flat(node)
    if isinstance(node, ast.BinOp) and _PRECEDENCE[type(node.op)] < level:
        return f"({text})"
    if isinstance(node, (ast.UnaryOp, ast.IfExp, ast.Compare, ast.BoolOp)):
        return f"({text})"
    return text


def _keyword(node: ast.keyword) -> str:
    return f"{node.arg}={flat(node.value)}" if node.arg else f"**{flat(node.value)}"


def literal_text(value: object) -> str:
    """A literal as ruff leaves it: double quotes, `1e-5`."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal_text, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return _float_text(value)
    return repr(value)


def _float_text(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return f'float("{value!r}")'
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def _quoted(value: str) -> str:
    """A string literal; nothing in it can end it or act on a terminal."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(_escaped(ch, quote) for ch in value) + quote


def _escaped(ch: str, quote: str) -> str:
    if ch in (quote, "\\"):
        return "\\" + ch
    if ch.isprintable():
        return ch
    return f"\\u{ord(ch):04x}" if ord(ch) < 0x10000 else f"\\U{ord(ch):08x}"

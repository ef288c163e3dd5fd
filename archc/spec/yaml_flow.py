"""Values inside `{ }` and `[ ]` that a comma of their own has cut up.

`{conv: max(1, 8)}` is correct YAML for the keys `conv` and `8)`. Nobody means that, and what
follows from it (an unknown argument `8)`) would explain nothing, so it is reported here and
the value is put together again.
"""

from __future__ import annotations

from archc.diagnostics import Diagnostics, Span
from archc.spec.tree import Node, Scalar

_MAX_PIECES = 64  # Looked through for the end of one value, so that many open ones stay cheap.


def quoted(text: str) -> str:
    """The text as a person would quote it in YAML."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def mend_split_values(nodes: list[Node], width: int, sink: Diagnostics) -> list[Node]:
    """Report and join values whose brackets close only in a later item.

    Args:
        nodes: items of a flow sequence, or keys and values of a flow mapping in turn.
        width: 1 for a sequence, 2 for a mapping, where only values (odd places) begin one.
        sink: receives `bad-yaml`.
    """
    result: list[Node] = []
    index = 0
    while index < len(nodes):
        node = nodes[index]
        stop = index + 1
        if index % width == width - 1 and _open_brackets(node) > 0:
            stop = _end_of_value(nodes, index, width)
        if stop > index + 1:
            node = _joined(nodes[index:stop], sink)
        result.append(node)
        index = stop
    return result


def _open_brackets(node: Node) -> int:
    """How many `(` of a plain scalar are not closed in it; negative for too many `)`."""
    if not isinstance(node, Scalar) or not node.plain:
        return 0
    return node.text.count("(") - node.text.count(")")


def _end_of_value(nodes: list[Node], start: int, width: int) -> int:
    """Where the pieces end that close the brackets opened in `nodes[start]`."""
    depth = 0
    for index in range(start, min(len(nodes), start + _MAX_PIECES)):
        depth += _open_brackets(nodes[index])
        if depth <= 0:
            # The pieces of a mapping are keys and values: a key's value goes with it.
            return index + 1 if width == 1 or index % 2 else index + 2
    return start + 1


def _joined(pieces: list[Node], sink: Diagnostics) -> Scalar:
    source = pieces[0].span.source
    start = pieces[0].span.start
    end = max(piece.span.end for piece in pieces if piece.span.end > piece.span.start)
    written = source.text[start:end]
    text = " ".join(written.split())
    span = Span(source, start, end)
    sink.error(
        "bad-yaml",
        f"the comma in `{text}` ends the value, because it stands inside `{{ }}` or `[ ]`",
        span,
        help=(f"quote it: {quoted(text)}",),
    )
    return Scalar(text, True, span, written == text)

"""Whatever comes in: no exception, and every finding has a place inside the text."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from archc.diagnostics import Diagnostics, Source
from archc.spec.tree import Mapping, Node, Scalar, Sequence
from archc.spec.yaml import MAX_DEPTH, parse_yaml

PIECES = st.sampled_from(
    [
        *"[]{}:,-?!&*|>%@`'\"#~<",
        *(" ", "  ", "\n", "\n  ", "\n\t", "\r\n", "\r", "\x85", "\u2028", "\ufeff", "\0"),
        *(": ", "- ", "? ", "<<: ", "&a ", "*a", "!!x ", "---\n", "...\n", "%YAML 1.2\n", "| \n"),
        *("a", "bc", "é", "😀", "1", "max(1, 8)", "f(", ")", "for i in x", "\\x0", '"\\u00e9"'),
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=40).map("".join),
    st.text(max_size=60),
    st.binary(max_size=60).map(lambda data: data.decode("utf-8", errors="surrogateescape")),
)


def check_spans(node: Node) -> None:
    """Spans lie inside the text and hold what they stand for; depth is bounded."""
    stack = [(node, 1)]
    while stack:
        node, depth = stack.pop()
        text = node.span.source.text
        assert 0 <= node.span.start <= node.span.end <= len(text)
        assert depth <= MAX_DEPTH + 1
        if isinstance(node, Scalar):
            if node.offsets_exact:
                inner = node.sub_span(0, len(node.text))
                assert text[inner.start : inner.end] == node.text
        elif isinstance(node, Sequence):
            stack += [(item, depth + 1) for item in node.items]
        else:
            assert isinstance(node, Mapping)
            for entry in node.entries:
                stack += [(entry.key, depth + 1), (entry.value, depth + 1)]


def run(text: str, *, pure: bool) -> tuple[Node | None, Diagnostics]:
    sink = Diagnostics()
    return parse_yaml(Source("t.yaml", text), sink, pure=pure), sink


@settings(deadline=None)  # no absolute times
@given(TEXTS)
@example("a: &b\n  *b : c")
@example("- &a 'b'\n- *a\n...\n")
@example('"\\N\\_\\L\\P"')
@example("{f(, f(, ) : }")
def test_any_text(text: str) -> None:
    for pure in (False, True):
        root, sink = run(text, pure=pure)
        assert root is not None or sink.has_errors
        if root is not None:
            check_spans(root)
        for diagnostic in sink:
            labels = [diagnostic.primary, *diagnostic.secondary]
            for label in labels:
                assert label is not None
                assert 0 <= label.span.start <= label.span.end <= len(text)
                str(label.span)


@settings(deadline=None)  # no absolute times
@given(TEXTS)
def test_both_parsers_agree_on_what_they_accept(text: str) -> None:
    (fast, fast_sink), (pure, pure_sink) = run(text, pure=False), run(text, pure=True)
    if fast_sink.has_errors or pure_sink.has_errors:
        return  # They differ on exotic text; what counts is that neither fails.
    stack = [(fast, pure)]
    while stack:
        one, other = stack.pop()
        assert type(one) is type(other)
        assert one is not None
        assert other is not None
        assert (one.span.start, one.span.end) == (other.span.start, other.span.end)
        if isinstance(one, Scalar) and isinstance(other, Scalar):
            assert (one.text, one.plain) == (other.text, other.plain)
        elif isinstance(one, Sequence) and isinstance(other, Sequence):
            stack += zip(one.items, other.items, strict=True)
        elif isinstance(one, Mapping) and isinstance(other, Mapping):
            for mine, theirs in zip(one.entries, other.entries, strict=True):
                stack += [(mine.key, theirs.key), (mine.value, theirs.value)]

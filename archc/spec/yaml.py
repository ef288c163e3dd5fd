"""YAML text to a tree with places, composed iteratively from the parser's events.

Neither PyYAML's composer nor its constructors are used: they recurse, resolve YAML 1.1 types,
let duplicate keys pass and forget where things stood.
"""

from __future__ import annotations

import re
from typing import Any, Protocol, TypeAlias

from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.parser import Parser, ParserError
from yaml.reader import Reader
from yaml.scanner import Scanner

from archc.diagnostics import Diagnostics, Label, Source, Span
from archc.spec.tree import Entry, Mapping, Node, Scalar, Sequence
from archc.spec.yaml_errors import explain_characters, explain_syntax
from archc.spec.yaml_flow import mend_split_values

try:
    from yaml._yaml import CParser
except ImportError:  # PyYAML was built without libyaml.
    CParser = None  # type: ignore[assignment, misc]

# PyYAML's stubs leave marks optional, though every event of a parser has them.
_Event: TypeAlias = Any

MAX_DEPTH = 64
"""Collections may nest this deep, aliases counted at their full depth."""

MAX_ALIASED_NODES = 100_000
"""Nodes that all aliases of a file together may repeat."""

_BYTE_ORDER_MARK = "\ufeff"
# Alternatives of few ranges each: of a class that reaches beyond ASCII in more than two, `re`
# makes a table of 65,536 entries, which takes longer than reading a spec.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]|[\ud800-\udfff]|[\ufeff\ufffe\uffff]"
)
_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?\r?\n)*(%[^\r\n]*)")


class _EventParser(Protocol):
    def get_event(self) -> _Event: ...


class _PurePythonParser(Reader, Scanner, Parser):
    """The event half of PyYAML's loader, without its composer and constructor."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def get_event(self) -> _Event:
        try:
            return super().get_event()  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError) as error:
            # It does not range-check `"\\UFFFFFFFF"` and overlong %YAML versions.
            mark = self.get_mark()
            raise ParserError(None, None, "found a number out of range", mark) from error


def parse_yaml(source: Source, sink: Diagnostics, *, pure: bool = False) -> Node | None:
    """Compose the single document of a source.

    Args:
        source: the text; a leading byte order mark is skipped.
        sink: receives `bad-text`, `bad-yaml`, `yaml-feature`, `duplicate-key`, `too-deep` and
            `empty-file`, each located.
        pure: use PyYAML's own parser even where libyaml is there.

    Returns:
        The root, also when only its parts are at fault (a duplicate key, a tag); None when
        there is no document or it cannot be composed to its end.
    """
    base = 1 if source.text.startswith(_BYTE_ORDER_MARK) else 0
    forbidden = _FORBIDDEN.search(source.text, base)
    if forbidden:
        sink.add(explain_characters(Span(source, forbidden.start(), forbidden.end())))
        return None
    directive = _DIRECTIVE.match(source.text, base)
    if directive:
        sink.error(
            "yaml-feature",
            "YAML directives are not part of the language",
            Span(source, *directive.span(1)),
            help=("remove the line",),
        )
        return None
    text = source.text[base:]
    composer = _Composer(source, base, sink)
    try:
        parser: _EventParser = _PurePythonParser(text) if pure or CParser is None else CParser(text)
        return composer.compose(parser)
    except YAMLError as error:
        sink.add(explain_syntax(source, base, error, composer.open_bracket))
    except _AbandonedError:
        pass
    return None


class _AbandonedError(Exception):
    """The document cannot be composed to its end; the reason has been reported."""


class _Frame:
    """A collection whose end has not been seen."""

    __slots__ = (
        "anchor",
        "end",
        "entries",
        "flow",
        "height",
        "items",
        "key",
        "size",
        "start",
        "suspect",
    )

    def __init__(self, event: _Event, start: int, end: int) -> None:
        self.anchor: str | None = event.anchor
        self.flow = bool(event.flow_style)
        self.suspect = False  # Whether a comma may have cut a value such as `max(1, 8)`.
        self.start = start
        self.end = end
        self.items: list[Node] = []
        self.entries: list[tuple[Node, Node]] | None = (
            [] if type(event) is MappingStartEvent else None
        )
        self.key: Node | None = None
        self.size = 1
        self.height = 1


class _Composer:
    """Builds nodes bottom-up over an explicit stack."""

    def __init__(self, source: Source, base: int, sink: Diagnostics) -> None:
        self.source = source
        self.base = base
        self.sink = sink
        self.stack: list[_Frame] = []
        self.root: Node | None = None
        # Node, expanded size and height by anchor; None while the node is still open.
        self.anchors: dict[str, tuple[Node, int, int] | None] = {}
        self.aliased = 0
        self.unresolved: list[Node] = []

    @property
    def open_bracket(self) -> int | None:
        """Where the innermost unfinished `[` or `{` stands."""
        return self.stack[-1].start if self.stack and self.stack[-1].flow else None

    def compose(self, parser: _EventParser) -> Node | None:
        """Run over all events of the stream."""
        while True:
            event = parser.get_event()
            kind = type(event)
            if kind is ScalarEvent:
                self.add_scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self.open(event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self.close(event)
            elif kind is AliasEvent:
                self.add_alias(event)
            elif kind is DocumentStartEvent:
                self.start_document(event)
            elif kind is StreamEndEvent:
                break
        if self.root is None or _is_blank(self.root):
            self.sink.error(
                "empty-file",
                f"{self.source.name} holds no document",
                Span(self.source, self.base, self.base),
                help=("a spec begins with `archc: 1`",),
            )
            return None
        return self.root

    def start_document(self, event: _Event) -> None:
        if self.root is None:
            return
        span = self.span_of(event)
        self.sink.error(
            "yaml-feature",
            "a second document begins here; a file holds one",
            Span(self.source, span.start, min(span.start + 3, len(self.source.text))),
            help=("put the other spec into a file of its own",),
        )
        raise _AbandonedError

    def add_scalar(self, event: _Event) -> None:
        text: str = event.value
        start = self.base + event.start_mark.index
        end = self.base + event.end_mark.index
        style = event.style
        if event.tag is not None or event.anchor is not None:
            self.check_tag(event, start)
            if not style:
                start = end - len(text)
            elif style in "'\"":
                start = self.source.text.index(style, start)
        if not style:
            exact = self.source.text[start:end] == text
            if "(" in text and self.stack:
                self.stack[-1].suspect = self.stack[-1].flow
        else:
            if style in "|>":  # Its end mark stands at the next token.
                end = start + len(self.source.text[start:end].rstrip())
            exact = style in "'\"" and self.source.text[start + 1 : end - 1] == text
            if style == '"' and not exact and (bad := _FORBIDDEN.search(text)):
                self.sink.add(explain_characters(Span(self.source, start, end), bad.group()))
        node = Scalar(text, not style, Span(self.source, start, end), exact)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, 1, 0)
        self.attach(node, end, 1, 0)

    def open(self, event: _Event) -> None:
        start = self.base + event.start_mark.index
        end = self.base + event.end_mark.index
        if len(self.stack) >= MAX_DEPTH:
            self.refuse_depth(Span(self.source, start, max(end, start + 1)))
        if event.tag is not None:
            self.check_tag(event, start)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.stack.append(_Frame(event, end - 1 if event.flow_style else start, end))

    def close(self, event: _Event) -> None:
        frame = self.stack.pop()
        # The end of a block collection is known only at the next token, lines further down.
        end = self.base + event.end_mark.index if frame.flow else frame.end
        node: Node
        if frame.entries is None:
            items = mend_split_values(frame.items, 1, self.sink) if frame.suspect else frame.items
            node = Sequence(tuple(items), Span(self.source, frame.start, end))
        else:
            node = self.mapping(frame, end)
        if frame.anchor is not None:
            self.anchors[frame.anchor] = (node, frame.size, frame.height)
        self.attach(node, end, frame.size, frame.height)

    def attach(self, node: Node, end: int, size: int, height: int) -> None:
        """Hand a finished node to the collection around it."""
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        frame.end = end
        frame.size += size
        if height >= frame.height:
            frame.height = height + 1
        if frame.entries is None:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            frame.entries.append((frame.key, node))
            frame.key = None

    def mapping(self, frame: _Frame, end: int) -> Mapping:
        """Check keys; entries whose key is unusable are reported and left out."""
        pairs = frame.entries or []
        if frame.suspect:
            flat = [node for pair in pairs for node in pair]
            joined = mend_split_values(flat, 2, self.sink)
            pairs = list(zip(joined[::2], joined[1::2], strict=True))
        first: dict[str, Scalar] = {}
        entries: list[Entry] = []
        for key, value in pairs:
            if not isinstance(key, Scalar):
                self.sink.error(
                    "yaml-feature", "a key has to be a word, not a list or mapping", key.span
                )
                continue
            text = key.text
            if text in first and not _may_repeat(text):
                self.sink.error(
                    "duplicate-key",
                    f"`{text}` is already given in this mapping",
                    key.span,
                    secondary=(Label(first[text].span, "first given here"),),
                    help=("remove one of the two",),
                )
                continue
            first[text] = key
            if text == "<<" or not text:
                self.refuse_key(key)
                continue
            entries.append(Entry(key, value))
        return Mapping(tuple(entries), Span(self.source, frame.start, end))

    def refuse_key(self, key: Scalar) -> None:
        if any(key is node for node in self.unresolved):
            return
        if key.text:
            self.sink.error(
                "yaml-feature",
                "merge keys (`<<`) are not part of the language",
                key.span,
                help=("use `defaults:`, a block or a `let:` instead",),
            )
        else:
            self.sink.error("bad-yaml", "a key is missing before this `:`", key.span)

    def add_alias(self, event: _Event) -> None:
        span = self.span_of(event)
        name: str = event.anchor
        target = self.anchors.get(name)
        if target is not None:
            node, size, height = target
        else:
            node, size, height = Scalar("", True, span, False), 1, 0
            self.unresolved.append(node)
            if name in self.anchors:
                self.sink.error("yaml-feature", f"`*{name}` stands inside what it refers to", span)
            else:
                self.sink.error("bad-yaml", f"no anchor `&{name}` comes before `*{name}`", span)
        self.aliased += size
        if self.aliased > MAX_ALIASED_NODES:
            self.sink.error(
                "yaml-feature",
                f"aliases of this file repeat more than {MAX_ALIASED_NODES} nodes",
                span,
                help=("repeat layers with `for`, or name them in a block",),
            )
            raise _AbandonedError
        if len(self.stack) + height > MAX_DEPTH:
            self.refuse_depth(span)
        self.attach(node, span.end, size, height)

    def refuse_depth(self, span: Span) -> None:
        self.sink.error("too-deep", f"nested more than {MAX_DEPTH} levels deep", span)
        raise _AbandonedError

    def check_tag(self, event: _Event, start: int) -> None:
        if event.tag is None:
            return
        end = start
        while end < len(self.source.text) and not self.source.text[end].isspace():
            end += 1
        self.sink.error(
            "yaml-feature",
            "YAML tags are not part of the language",
            Span(self.source, start, end),
            help=("remove the tag; quote the value if it begins with `!`",),
        )

    def span_of(self, event: _Event) -> Span:
        return Span(
            self.source, self.base + event.start_mark.index, self.base + event.end_mark.index
        )


def _may_repeat(key: str) -> bool:
    """Whether a key splices its body in place, so that several may stand in one mapping."""
    return key == "else" or key.startswith(("for ", "if ", "elif "))


def _is_blank(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text == ""

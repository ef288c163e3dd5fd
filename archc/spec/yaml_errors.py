"""What a YAML parser's complaint means to a person who writes a spec.

libyaml and PyYAML word the same findings differently, and in terms of their own grammar
("did not find expected key"). Both agree on places, so a message is chosen by the kind of
complaint and by the text that stands at its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from yaml.error import MarkedYAMLError, YAMLError

from archc.diagnostics import Diagnostic, Label, Source, Span
from archc.records import dataclass
from archc.spec.yaml_flow import quoted

_CLOSING = {"[": "]", "{": "}"}
_SEPARATOR = re.compile(r": |, |[\[{,]")
_BRACKET = re.compile(r"[\[\]{}]")
_KEY_EARLIER = re.compile(r":(?= )")


def explain_characters(span: Span, decoded: str | None = None) -> Diagnostic:
    """`bad-text` for a character that no text file holds.

    Args:
        span: the character, or the quoted scalar whose escapes yield it.
        decoded: the character, where an escape yields it.
    """
    character = decoded or span.source.text[span.start]
    name = f"U+{ord(character):04X}"
    hints: tuple[str, ...] = ()
    if decoded is not None:
        message = f"an escape in this text yields the character {name}"
    elif character == "\0":
        message = "the file holds NUL characters, so it is not text in UTF-8"
        hints = ("is this a binary file, or UTF-16? Save it as UTF-8",)
    elif 0xD800 <= ord(character) <= 0xDFFF:
        message = f"the text holds half of a surrogate pair ({name})"
    elif character == "\ufeff":
        message = f"the text holds a byte order mark ({name}) that is not its first character"
        hints = ("delete it; it is invisible in most editors",)
    else:
        message = f"the text holds the control character {name}"
        hints = ("delete it",)
    return Diagnostic("bad-text", message, Label(span), help=hints)


@dataclass(frozen=True, slots=True)
class _Complaint:
    """A parser's error, placed in the source."""

    source: Source
    problem: str
    context: str
    at: int
    opened: int | None

    @property
    def char(self) -> str:
        return self.source.text[self.at : self.at + 1]

    @property
    def line_start(self) -> int:
        return self.source.text.rfind("\n", 0, self.at) + 1

    @property
    def before(self) -> str:
        """The text of the line up to the place."""
        return self.source.text[self.line_start : self.at]

    def diagnostic(
        self,
        message: str,
        *help: str,
        span: tuple[int, int] | None = None,
        label: str = "",
        opened: str = "",
    ) -> Diagnostic:
        length = len(self.source.text)
        start, end = span or (self.at, self.at + 1)
        primary = Label(Span(self.source, min(start, length), min(end, length)), label)
        secondary: tuple[Label, ...] = ()
        if opened and self.opened is not None:
            secondary = (Label(Span(self.source, self.opened, self.opened + 1), opened),)
        return Diagnostic("bad-yaml", message, primary, secondary, help)


def explain_syntax(
    source: Source, base: int, error: YAMLError, bracket: int | None = None
) -> Diagnostic:
    """`bad-yaml` for an error of either parser.

    Args:
        source: the text.
        base: how many characters of it the parser was not given (a byte order mark).
        error: what the parser raised.
        bracket: where the innermost open `[` or `{` stands.
    """
    if not isinstance(error, MarkedYAMLError):
        return Diagnostic("bad-yaml", str(error), Label(Span(source, 0, 0)))
    mark = error.problem_mark or error.context_mark
    opened = error.context_mark
    place = None if opened is None else base + opened.index
    context = error.context or ""
    complaint = _Complaint(
        source,
        error.problem or "",
        context,
        0 if mark is None else min(base + mark.index, len(source.text)),
        bracket if bracket is not None and "parsing a flow" in context else place,
    )
    for applies, explain in _EXPLANATIONS:
        if applies(complaint):
            return explain(complaint)
    return complaint.diagnostic(_plain_words(complaint.problem))


def _plain_words(problem: str) -> str:
    return (
        problem.replace("did not find expected", "expected here:").replace("<", "").replace(">", "")
    )


def _tab(c: _Complaint) -> Diagnostic:
    start = c.at if c.char == "\t" else c.source.text.rfind("\t", 0, c.at + 1)
    start = start if start >= 0 else c.at
    return c.diagnostic(
        "a tab stands in the indentation", "indent with spaces", span=(start, start + 1)
    )


def _unclosed_quote(c: _Complaint) -> Diagnostic:
    start = c.at if c.opened is None else c.opened
    quote = c.source.text[start : start + 1]
    return c.diagnostic(
        "this quote is never closed", f"add the closing {quote}", span=(start, start + 1)
    )


def _escape(c: _Complaint) -> Diagnostic:
    backslash = c.source.text.rfind("\\", 0, c.at + 1)
    start = backslash if backslash >= 0 else c.at
    shown = c.source.text[start : start + 2]
    return c.diagnostic(
        f"`{shown}` is not an escape of double-quoted text",
        "write \\\\ for a backslash, or use single quotes",
        span=(start, start + 2),
    )


def _indicator(c: _Complaint) -> Diagnostic:
    start = c.at if c.opened is None else c.opened
    char = c.source.text[start : start + 1]
    shown = "a backtick" if char == "`" else f"`{char}`"
    return c.diagnostic(
        f"an unquoted value cannot begin with {shown}",
        "quote the value",
        span=(start, max(c.at, start + 1)),
    )


def _flow(c: _Complaint) -> Diagnostic:
    """Something other than `,` or the closing bracket inside `[ ]` or `{ }`."""
    text = c.source.text
    bracket = "" if c.opened is None else text[c.opened : c.opened + 1]
    inside = c.before[-1:]
    if c.char in ("[", "{") and c.char and (inside.isalnum() or inside in ("_", ")", "]", "}")):
        start, end = _value_around(c)
        return c.diagnostic(
            f"`{c.char}` cannot stand in an unquoted value inside `{{ }}` or `[ ]`",
            f"quote it: {quoted(text[start:end])}",
            span=(start, end),
        )
    if bracket in _CLOSING and not _is_closed(c):
        return _unclosed_bracket(c, bracket)
    if c.char == ":" and "\n" in text[c.opened : c.at]:
        return c.diagnostic(
            "a `,` is missing before this entry",
            span=(c.line_start + len(c.before) - len(c.before.lstrip()), c.at + 1),
            opened=f"inside this `{bracket}`",
        )
    if c.char == ":":
        return c.diagnostic(
            "a second `:` in one entry",
            "separate entries with `,`",
            "quote the value if the `:` belongs to it",
            opened=f"inside this `{bracket}`" if bracket else "",
        )
    closing = _CLOSING.get(bracket, "]")
    return c.diagnostic(
        f"`,` or `{closing}` is expected here",
        "quote the whole value if it is an expression",
        opened=f"inside this `{bracket}`" if bracket else "",
    )


def _is_closed(c: _Complaint) -> bool:
    """Whether the bracket around the place has a partner; quotes are not looked into."""
    depth = 0
    for match in _BRACKET.finditer(c.source.text, c.opened or 0):
        depth += 1 if match.group() in _CLOSING else -1
        if depth == 0:
            return True
    return False


def _unclosed_bracket(c: _Complaint, bracket: str) -> Diagnostic:
    assert c.opened is not None
    closing = _CLOSING[bracket]
    missing = Label(
        Span(c.source, c.at, min(c.at + 1, len(c.source.text))),
        f"`{closing}` is missing before this",
    )
    return Diagnostic(
        "bad-yaml",
        f"this `{bracket}` is never closed",
        Label(Span(c.source, c.opened, c.opened + 1)),
        (missing,),
        (f"add the closing `{closing}`",),
    )


def _value_around(c: _Complaint) -> tuple[int, int]:
    """The piece of the line that was probably meant as one value."""
    text = c.source.text
    start = c.line_start
    for match in _SEPARATOR.finditer(c.before):
        start = c.line_start + match.end()
    depth = 0
    end = start
    while end < len(text) and text[end] != "\n":
        char = text[end]
        if depth == 0 and (char in ",]}" or text.startswith(": ", end)):
            break
        depth += (char in "([{") - (char in ")]}")
        end += 1
    return start, start + len(text[start:end].rstrip())


def _second_colon(c: _Complaint) -> Diagnostic:
    if _KEY_EARLIER.search(c.before):
        return c.diagnostic(
            "a second `:` in one line: a key takes one value",
            "quote the value if the `:` belongs to it",
            "write an inner mapping in `{ }`, or indented on lines of its own",
        )
    if c.before.rstrip().endswith(("]", "}", "'", '"')) and c.before[:1].strip():
        return c.diagnostic("a key has to be a plain word")
    return c.diagnostic(
        "this key is indented deeper than the entry above, which already has a value",
        "give it the indentation of its neighbours",
        span=(c.line_start + len(c.before) - len(c.before.lstrip()), c.at + 1),
    )


def _item_in_line(c: _Complaint) -> Diagnostic:
    return c.diagnostic(
        "a list item cannot begin on the line of its key",
        "put `- ` on the next line, or write the list in `[ ]`",
    )


def _question_mark(c: _Complaint) -> Diagnostic:
    return c.diagnostic("`?` cannot stand here", "quote the value if the `?` belongs to it")


def _no_colon(c: _Complaint) -> Diagnostic:
    start = c.at if c.opened is None else c.opened
    end = c.source.text.find("\n", start)
    return c.diagnostic(
        "this line is not of the form `key: value`",
        "a `:` and a space have to follow the key",
        span=(start, len(c.source.text) if end < 0 else end),
    )


def _block_mapping(c: _Complaint) -> Diagnostic:
    if c.char in ("]", "}") and c.char:
        return c.diagnostic(f"this `{c.char}` closes nothing")
    if c.char == ":":
        return c.diagnostic("a key is missing before this `:`")
    if c.before.strip():
        return c.diagnostic("text follows a value that has already ended", "quote the whole value")
    if c.char == "-":
        return c.diagnostic(
            "a list item stands among the keys of a mapping",
            "indent it below the key it belongs to",
            opened="the mapping begins here",
        )
    return c.diagnostic(
        "the indentation of this line matches none of the entries above it",
        "give it the indentation of its neighbours",
        opened="the mapping begins here",
    )


def _block_list(c: _Complaint) -> Diagnostic:
    if c.char in ("]", "}") and c.char:
        return c.diagnostic(f"this `{c.char}` closes nothing")
    if c.before.strip():
        return c.diagnostic("text follows a value that has already ended", "quote the whole value")
    return c.diagnostic(
        "a list item is expected here: `- `",
        "begin the line with `- `, or give it the indentation of the key it belongs to",
        opened="the list begins here",
    )


def _after_document(c: _Complaint) -> Diagnostic:
    return c.diagnostic("text follows the end of the document", "a file holds one document")


def _problem(*words: str) -> Callable[[_Complaint], bool]:
    return lambda c: any(word in c.problem for word in words)


def _context(*words: str) -> Callable[[_Complaint], bool]:
    return lambda c: any(word in c.context for word in words)


_EXPLANATIONS: tuple[
    tuple[Callable[[_Complaint], bool], Callable[[_Complaint], Diagnostic]], ...
] = (
    (lambda c: "tab" in c.problem or (c.char == "\t" and "any token" in c.problem), _tab),
    (_problem("unexpected end of stream", "unexpected document separator"), _unclosed_quote),
    (_problem("escape", "number out of range", "hex"), _escape),
    (_problem("any token"), _indicator),
    (_context("scanning an alias", "scanning an anchor", "a tag", "tag handle"), _indicator),
    (_problem("mapping values are not allowed"), _second_colon),
    (_problem("sequence entries are not allowed"), _item_in_line),
    (_problem("mapping keys are not allowed"), _question_mark),
    (_problem("could not find expected ':'"), _no_colon),
    (_context("parsing a flow"), _flow),
    (_context("parsing a block mapping"), _block_mapping),
    (_context("parsing a block collection"), _block_list),
    (_problem("document start"), _after_document),
)
"""Tried in this order: whether it applies, and what to say."""

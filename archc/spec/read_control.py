"""Reading `for` and `if` among layers, in the short form and in the machine form."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from archc.spec.expressions import ExpressionError, parse_for
from archc.spec.syntax import Broken, Chain, ForItem, IfItem, Item, LayerItem
from archc.spec.tree import Entry, Node, Scalar

if TYPE_CHECKING:
    from archc.spec.read_chain import ChainReader

_MACHINE_KEYS = {"for": "do", "if": "then"}


def is_structural(key: Scalar) -> bool:
    """Whether a mapping key is `for ...`, `if ...`, `elif ...` or `else`."""
    text = key.text.strip()
    return text in {"else", "for", "if"} or text.startswith(("for ", "if ", "elif "))


def is_machine(entries: tuple[Entry, ...]) -> bool:
    """Whether a mapping is a whole `{for:, do:}` or `{if:, then:, else:}`."""
    if not entries:
        return False
    partner = _MACHINE_KEYS.get(entries[0].key.text.strip())
    return partner is not None and any(entry.key.text == partner for entry in entries)


def misspelt(key: Scalar) -> str | None:
    """What is wrong with a key that was meant as an alternative, if it was."""
    if key.text.startswith(("else if ", "elseif ")):
        return "`else if` is written `elif`"
    return "`elif` needs a condition" if key.text == "elif" else None


def read_control(reader: ChainReader, entries: tuple[Entry, ...], listed: bool) -> list[Item]:
    """A loop, or an `if` with what belongs to it.

    Args:
        reader: reads the bodies.
        entries: the entries that form it, the first one structural.
        listed: see `ChainReader.chain`.
    """
    first = entries[0]
    word = first.key.text.split(None, 1)[0]
    if word == "for":
        return _loop(reader, entries, listed)
    if word == "if":
        return _alternatives(reader, entries, listed)
    problem = reader.broken(f"`{word}` without an `if` before it", first.key.span)
    return [LayerItem(None, problem)]


def _loop(reader: ChainReader, entries: tuple[Entry, ...], listed: bool) -> list[Item]:
    first, rest = entries[0], entries[1:]
    if first.key.text.strip() == "for":
        keyed = {entry.key.text: entry for entry in rest}
        body = keyed.pop("do", None)
        _stray(reader, keyed.values(), "`for` takes `do`")
        if body is None or not isinstance(first.value, Scalar):
            return _incomplete(
                reader, first, "`for` needs a header and `do:`", "{for: i in range(3), do: [...]}"
            )
        return [_for(reader, first.value, body.value, listed)]
    _stray(reader, rest, "a `for` holds nothing beside its body")
    return [_for(reader, _tail(first.key, 3), first.value, listed)]


def _for(reader: ChainReader, header: Scalar, body: Node, listed: bool) -> ForItem:
    try:
        variables = parse_for(header).names
    except ExpressionError:  # reported when the loop is elaborated
        variables = ()
    return ForItem(header, reader.inside_loop(variables).chain(body, listed=listed))


def _alternatives(reader: ChainReader, entries: tuple[Entry, ...], listed: bool) -> list[Item]:
    if entries[0].key.text.strip() == "if":
        return _machine_if(reader, entries, listed)
    arms: list[tuple[Scalar | None, Chain]] = []
    for index, entry in enumerate(entries):
        word = entry.key.text.split(None, 1)[0]
        expected = word == ("if" if index == 0 else "elif") or entry.key.text.strip() == "else"
        closed = bool(arms) and arms[-1][0] is None
        if not expected or closed:
            problem = misspelt(entry.key)
            order = "an item holds one `if`, then any number of `elif`, at last an `else`"
            reader.sink.error(
                "wrong-kind",
                problem or f"`{entry.key.text}` cannot stand here",
                entry.key.span,
                help=[] if problem else [order],
            )
            return [LayerItem(None, Broken(entry.key.span))]
        condition = None if word == "else" else _tail(entry.key, len(word))
        arms.append((condition, reader.chain(entry.value, listed=listed)))
    return [IfItem(tuple(arms))]


def _machine_if(reader: ChainReader, entries: tuple[Entry, ...], listed: bool) -> list[Item]:
    first = entries[0]
    keyed = {entry.key.text: entry for entry in entries[1:]}
    then, orelse = keyed.pop("then", None), keyed.pop("else", None)
    _stray(reader, keyed.values(), "`if` takes `then` and `else`")
    if then is None or not isinstance(first.value, Scalar):
        return _incomplete(
            reader,
            first,
            "`if` needs a condition and `then:`",
            "{if: COND, then: [...], else: [...]}",
        )
    arms: list[tuple[Scalar | None, Chain]] = [
        (first.value, reader.chain(then.value, listed=listed))
    ]
    if orelse is not None:
        arms.append((None, reader.chain(orelse.value, listed=listed)))
    return [IfItem(tuple(arms))]


def _incomplete(reader: ChainReader, first: Entry, message: str, form: str) -> list[Item]:
    word = first.key.text.strip()
    short = "for i in range(3): [...]" if word == "for" else "if COND: [...]"
    reader.sink.error("missing-key", message, first.key.span, help=[f"write `{short}`, or {form}"])
    return [LayerItem(None, Broken(first.key.span))]


def _stray(reader: ChainReader, entries: Collection[Entry], why: str) -> None:
    for entry in entries:
        reader.sink.error("unknown-key", f"`{entry.key.text}`: {why}", entry.key.span)


def _tail(scalar: Scalar, start: int) -> Scalar:
    """What follows the first word of a key, with its own place."""
    start = len(scalar.text) - len(scalar.text[start:].lstrip())
    span = scalar.sub_span(start, len(scalar.text))
    return Scalar(scalar.text[start:], True, span, scalar.offsets_exact)

"""Seeded mutations of valid specs: bytes, tokens, and what the text means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from archc.diagnostics import Span
from archc.spec.tree import Node, Scalar
from tests.fuzz.bases import PLUGGED, Base, bases, small_bases, span_text
from tests.fuzz.pieces import PIECES, VALUES, WRONG


@dataclass(frozen=True)
class Edit:
    """A change of a text.

    Attributes:
        start: where the old text begins.
        end: where it ends.
        new: what stands there now.
        node: the part of the spec that is changed.
    """

    start: int
    end: int
    new: str
    node: Span


@dataclass(frozen=True)
class Mutant:
    """A mutated spec.

    Attributes:
        text: it.
        kind: how it was made.
        variant: which variant to check.
        overrides: params to set.
        place: the changed part in the new text, of a single change.
        plugged: whether the plugin is enabled.
    """

    text: str
    kind: str
    variant: str | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    place: tuple[int, int] | None = None
    plugged: bool = False


Mutator = Callable[[Random, Base], Edit | None]


def _replace(node: Node, new: str, around: Span | None = None) -> Edit:
    return Edit(node.span.start, node.span.end, new, around or node.span)


def _misspelt(rng: Random, word: str) -> str:
    at = rng.randrange(len(word) + 1)
    return rng.choice([word[:at] + "q" + word[at:], word + "x", word[::-1] + "z"])


# -- one fault, inside one layer ---------------------------------------------------------------


def attribute_renamed(rng: Random, base: Base) -> Edit | None:
    """`kernel` becomes `kernelx`."""
    calls = [call for call in base.calls if call.arguments]
    if not calls:
        return None
    call = rng.choice(calls)
    key = rng.choice(call.arguments).key
    return _replace(key, _misspelt(rng, key.text), call.node.span)


def attribute_doubled(rng: Random, base: Base) -> Edit | None:
    """An argument is given twice."""
    calls = [c for c in base.calls if c.arguments and span_text(c.node.span).startswith("{")]
    if not calls:
        return None
    call = rng.choice(calls)
    entry = rng.choice(call.arguments)
    end = call.node.span.end - 1
    return Edit(end, end, f", {span_text(entry.key.span.to(entry.value.span))}", call.node.span)


def value_spoilt(rng: Random, base: Base) -> Edit | None:
    """A value of a call becomes one that no attribute takes."""
    return _value_of_call(rng, base, WRONG)


def value_exchanged(rng: Random, base: Base) -> Edit | None:
    """A value of a call is negative, huge, a float, of another kind; some fit."""
    return _value_of_call(rng, base, VALUES)


def _value_of_call(rng: Random, base: Base, values: tuple[str, ...]) -> Edit | None:
    calls = [call for call in base.calls if call.head is not None]
    if not calls:
        return None
    call = rng.choice(calls)
    assert call.head is not None
    entry = rng.choice([call.head, *call.arguments])
    if span_text(entry.value.span) == "":
        return None
    return _replace(entry.value, rng.choice(values), call.node.span)


def op_renamed(rng: Random, base: Base) -> Edit | None:
    """`conv` becomes `conqv`."""
    call = rng.choice(base.calls)
    word = call.node if call.head is None else call.head.key
    assert isinstance(word, Scalar)
    return _replace(word, _misspelt(rng, word.text), call.node.span)


def reference_renamed(rng: Random, base: Base) -> Edit | None:
    """`from: stem` becomes `from: stqem`."""
    if not base.references:
        return None
    node = rng.choice(base.references)
    return _replace(node, _misspelt(rng, node.text))


def expression_broken(rng: Random, base: Base) -> Edit | None:
    """A name is misspelt, or an operator has nothing behind it."""
    calls = [call for call in base.calls if call.head is not None]
    if not calls:
        return None
    call = rng.choice(calls)
    assert call.head is not None
    values = [entry.value for entry in (call.head, *call.arguments)]
    leaves = [v for v in values if isinstance(v, Scalar) and v.text]
    if not leaves:
        return None
    leaf = rng.choice(leaves)
    ends = [" +", " )", " // 0", " + nobody", " + 1 / 2", " * [1]", "(1)", " if true", " ** -1"]
    return _replace(leaf, f"{leaf.text}{rng.choice(ends)}", call.node.span)


LOCAL: tuple[Mutator, ...] = (
    attribute_renamed,
    attribute_doubled,
    value_spoilt,
    op_renamed,
    reference_renamed,
    expression_broken,
)
"""Single faults that lie inside one layer, whatever they lead to."""


# -- changes whose consequences lie elsewhere --------------------------------------------------


def attribute_dropped(rng: Random, base: Base) -> Edit | None:
    """An argument is left out."""
    calls = [c for c in base.calls if c.arguments and span_text(c.node.span).startswith("{")]
    if not calls:
        return None
    call = rng.choice(calls)
    entry = rng.choice(call.arguments)
    start = base.text.rfind(",", 0, entry.key.span.start)
    return Edit(start, entry.value.span.end, "", call.node.span)


def op_exchanged(rng: Random, base: Base) -> Edit | None:
    """Another op stands in a layer's place."""
    call = rng.choice(base.calls)
    word = call.node if call.head is None else call.head.key
    return _replace(word, rng.choice(sorted(base.ops)), call.node.span)


def scalar_exchanged(rng: Random, base: Base) -> Edit | None:
    """Any value becomes another one: params, shapes, expectations, texts."""
    return _replace(rng.choice(base.scalars), rng.choice(VALUES))


def number_changed(rng: Random, base: Base) -> Edit | None:
    """A number is off by something."""
    numbers = [scalar for scalar in base.scalars if isinstance(scalar.value, (int, float))]
    if not numbers:
        return None
    node = rng.choice(numbers)
    factor = rng.choice([-1, 0, 2, 3, 7, 10**6, 10**12, 0.5])
    return _replace(node, str(node.value * factor + rng.choice([0, 0, 1, -1])))  # type: ignore[operator]


def key_exchanged(rng: Random, base: Base) -> Edit | None:
    """A key becomes another key or a value."""
    return _replace(rng.choice(base.keys), rng.choice([*VALUES, rng.choice(base.keys).text]))


def node_spliced(rng: Random, base: Base) -> Edit | None:
    """Part of one spec stands in another."""
    other = rng.choice(bases())
    return _replace(rng.choice(base.on_one_line), span_text(rng.choice(other.on_one_line).span))


def line_dropped(rng: Random, base: Base) -> Edit | None:
    """A line is gone: mostly a layer."""
    lines = base.text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    start = sum(map(len, lines[:at]))
    return _text_edit(base, start, start + len(lines[at]), "")


def line_repeated(rng: Random, base: Base) -> Edit | None:
    """A line stands twice, or very often."""
    lines = base.text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    start = sum(map(len, lines[: at + 1]))
    return _text_edit(base, start, start, lines[at] * rng.choice([1, 1, 2, 50]))


def lines_swapped(rng: Random, base: Base) -> Edit | None:
    """Two neighbours change places."""
    lines = base.text.splitlines(keepends=True)
    at = rng.randrange(len(lines) - 1)
    start = sum(map(len, lines[:at]))
    both = lines[at] + lines[at + 1]
    return _text_edit(base, start, start + len(both), lines[at + 1] + lines[at])


def line_moved(rng: Random, base: Base) -> Edit | None:
    """A line is indented otherwise."""
    lines = base.text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    start = sum(map(len, lines[:at]))
    new = rng.choice(["  ", " ", "\t", "- ", "    "]) + lines[at].lstrip(" ")
    return _text_edit(base, start, start + len(lines[at]), new)


_WRAPPINGS = (
    ("[", "]"),
    ("(", ")"),
    ("{a: ", "}"),
    ("{residual: [", "]}"),
    ("{seq: [", "]}"),
    ("{concat: [[], [", "]]}"),
    ("{for i in range(3): [", "]}"),
    ("not ", ""),
    ("-", ""),
    ("&a ", ""),
)


def wrapped(rng: Random, base: Base) -> Edit | None:
    """A part is put inside something else, once or too often."""
    node = rng.choice(base.on_one_line)
    inner = span_text(node.span)
    times = rng.choice([1, 1, 2, 10, 70])
    before, after = rng.choice(_WRAPPINGS)
    return _replace(node, before * times + inner + after * times)


def token_inserted(rng: Random, base: Base) -> Edit | None:
    """Something stands where it should not."""
    at = rng.randrange(len(base.text) + 1)
    return _text_edit(base, at, at + rng.choice([0, 0, 1, 3]), rng.choice(PIECES))


def piece_deleted(rng: Random, base: Base) -> Edit | None:
    """Some characters are gone."""
    at = rng.randrange(len(base.text))
    return _text_edit(base, at, at + rng.choice([1, 1, 2, 5, 40]), "")


def piece_repeated(rng: Random, base: Base) -> Edit | None:
    """Some characters stand twice, or too often."""
    at = rng.randrange(len(base.text))
    piece = base.text[at : at + rng.choice([1, 2, 5, 40, 200])]
    return _text_edit(base, at, at, piece * rng.choice([1, 2, 30]))


def byte_changed(rng: Random, base: Base) -> Edit | None:
    """A character becomes any other."""
    at = rng.randrange(len(base.text))
    code = rng.choice([rng.randrange(128), rng.randrange(256), rng.randrange(0x11000)])
    return _text_edit(base, at, at + 1, chr(code))


def _text_edit(base: Base, start: int, end: int, new: str) -> Edit:
    end = min(end, len(base.text))
    return Edit(start, end, new, Span(base.keys[0].span.source, start, end))


GLOBAL: tuple[Mutator, ...] = (
    attribute_dropped,
    value_exchanged,
    op_exchanged,
    scalar_exchanged,
    number_changed,
    key_exchanged,
    node_spliced,
    line_dropped,
    line_repeated,
    lines_swapped,
    line_moved,
    wrapped,
    token_inserted,
    piece_deleted,
    piece_repeated,
    byte_changed,
)

TEXTUAL: tuple[Mutator, ...] = tuple(m for m in GLOBAL[-9:] if m is not wrapped)
"""Changes that any text takes, also one that is no YAML."""


def single(rng: Random, mutators: tuple[Mutator, ...] = LOCAL) -> Mutant:
    """A spec with one change."""
    while True:
        base = _chosen(rng)
        mutator = rng.choice(mutators)
        edit = mutator(rng, base)
        if edit is not None and edit.new != base.text[edit.start : edit.end]:
            break
    text = base.text[: edit.start] + edit.new + base.text[edit.end :]
    grown = len(edit.new) - (edit.end - edit.start)
    end = max(edit.node.end, edit.end) + grown
    # The first variant of a network of the zoo is its smallest, which has what the others have.
    variant = rng.choice(base.variants[: 1 if rng.random() < 0.7 else None])
    kind, place = f"{base.name}:{mutator.__name__}", (edit.node.start, end)
    return Mutant(text, kind, variant, (), place, base.name == PLUGGED)


def _chosen(rng: Random) -> Base:
    """A base: a short one more often than a long one, as it is checked sooner.

    The short ones hold every op and feature between them, so that what is tested in the same time
    is more.
    """
    choice = small_bases() if rng.random() < 0.85 else bases()
    return rng.choices(choice, [1 / len(base.text) for base in choice])[0]


def mutant(seed: str) -> Mutant:
    """The mutant of a seed: one to four changes, now and then a variant and params set."""
    rng = Random(seed)
    first = single(rng, LOCAL + GLOBAL)
    if rng.random() < 0.5:
        return first
    text, kinds = first.text, [first.kind]
    base = rng.choice([b for b in bases() if first.kind.startswith(b.name)])
    for _ in range(rng.randrange(3)):
        rough = Base(base.name, text, base.ops, keys=base.keys)
        mutator = rng.choice(GLOBAL[-9:])
        if not text or mutator is wrapped or text.count("\n") < 2:
            break
        edit = mutator(rng, rough)
        assert edit is not None
        text = text[: edit.start] + edit.new + text[edit.end :]
        kinds.append(mutator.__name__)
    overrides: tuple[tuple[str, str], ...] = ()
    if base.params and rng.random() < 0.3:
        overrides = ((rng.choice([*base.params, "nobody"]), rng.choice([*VALUES, *PIECES])),)
    return replace(first, text=text, kind="+".join(kinds), overrides=overrides, place=None)

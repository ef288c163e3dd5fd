"""`checkpoint:` as written, turned into rules for the keys of checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archc.diagnostics import Diagnostics, Label
from archc.diagnostics.closest import closest
from archc.graph.renames import BadRuleError, Rename
from archc.spec.syntax import Argument
from archc.spec.tree import Mapping as MappingNode
from archc.spec.tree import Scalar, is_empty

KEYS = ("rename",)


def bind_renames(written: Mapping[str, Argument], sink: Diagnostics) -> tuple[Rename, ...]:
    """The rules, in the order of the spec; those that are wrong are reported and left out."""
    for key, argument in written.items():
        if key not in KEYS:
            close = closest(key, list(KEYS))
            sink.error(
                "unknown-key",
                f"`checkpoint` has no key `{key}`",
                argument.key.span,
                help=[f"did you mean `{close}`?" if close else "known keys: `rename`"],
            )
    rules = written.get("rename")
    if rules is None or is_empty(rules.value):
        return ()
    if not isinstance(rules.value, MappingNode):
        sink.error(
            "wrong-kind",
            "`rename` is a mapping of old keys to new ones",
            rules.value.span,
            help=['write {"**.norm.*.*": "**.norm*.*"}'],
        )
        return ()
    return tuple(_rules(rules.value, sink))


def _rules(written: MappingNode, sink: Diagnostics) -> Iterator[Rename]:
    for entry in written.entries:
        if not isinstance(entry.value, Scalar):
            sink.error("wrong-kind", "a new key is one text", entry.value.span)
            continue
        try:
            yield Rename(entry.key.text, entry.value.text, entry.key.span.to(entry.value.span))
        except BadRuleError as error:
            here, other = entry.key.span, entry.value.span
            if not error.in_pattern:
                here, other = other, here
            label = Label(other, "the new key" if error.in_pattern else "the pattern")
            sink.error("bad-rename", str(error), here, secondary=[label])

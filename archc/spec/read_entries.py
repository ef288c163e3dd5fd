"""Reading the parts of a spec that are plain entries: keys that are known, names, texts."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping

from archc.diagnostics import Diagnostics, Label
from archc.diagnostics.closest import closest
from archc.records import dataclass
from archc.spec.read_joins import STRUCTURES
from archc.spec.syntax import Argument, Param
from archc.spec.tree import Entry, Scalar, is_empty
from archc.spec.tree import Mapping as MappingNode

_WORDS = frozenset({*STRUCTURES, "true", "false", "null", "none", "any", "prev"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_identifier(text: str, taken: Collection[str] = ()) -> bool:
    """Whether a text can be a name in expressions, and no word of the language.

    Args:
        text: the name.
        taken: further words that it cannot be.
    """
    free = text not in _WORDS and text not in taken and not keyword.iskeyword(text)
    return free and _IDENTIFIER.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class EntryReader:
    """Reads entries.

    Attributes:
        sink: where findings go.
    """

    sink: Diagnostics

    def entries(self, entry: Entry | None, example: str = "") -> tuple[Entry, ...]:
        """The entries of a mapping; none when nothing is written."""
        if entry is None or is_empty(entry.value):
            return ()
        if isinstance(entry.value, MappingNode):
            return entry.value.entries
        self.sink.error(
            "wrong-kind",
            f"`{entry.key.text}` is a mapping",
            entry.value.span,
            help=[example or "write one `name: value` after the other"],
        )
        return ()

    def arguments(
        self, entry: Entry | None, *, identifiers: str | None = None
    ) -> dict[str, Argument]:
        """Entries as arguments.

        Args:
            entry: what holds them.
            identifiers: what they are, if expressions are to use them by name.
        """
        return {
            child.key.text: Argument(child.key, child.value)
            for child in self.entries(entry)
            if identifiers is None or self.identifier(child.key, identifiers)
        }

    def scalar(self, entry: Entry | None) -> Scalar | None:
        """The one value of an entry; None when nothing, or something else, is written."""
        if entry is None or is_empty(entry.value):
            return None
        if isinstance(entry.value, Scalar):
            return entry.value
        self.sink.error("wrong-kind", f"`{entry.key.text}` takes one value", entry.value.span)
        return None

    def text(self, entry: Entry | None) -> str:
        """The text of an entry."""
        scalar = self.scalar(entry)
        return "" if scalar is None else scalar.text

    def identifier(self, key: Scalar, what: str, taken: Collection[str] = ()) -> bool:
        """Whether a key can be a name in expressions; an error when it cannot."""
        text = key.text
        help_ = "such a name is made of letters, digits and `_`, and does not start with a digit"
        if is_identifier(text, taken):
            return True
        if _IDENTIFIER.fullmatch(text):
            help_ = f"`{text}` is a word of the language; choose another name"
        self.sink.error("bad-name", f"`{text}` cannot name {what}", key.span, help=[help_])
        return False

    def distinct(self, params: Mapping[str, Param], lets: Entry | None) -> None:
        """Report what `let` defines although it is a param."""
        for child in self.entries(lets) if params else ():
            param = params.get(child.key.text)
            if param is not None:
                self.sink.error(
                    "name-taken",
                    f"`{param.name}` is a param already",
                    child.key.span,
                    secondary=[Label(param.span, "declared here")],
                )

    def unknown_key(
        self, key: Scalar, options: Collection[str], where: str, help_: str | None = None
    ) -> str | None:
        """Report a key that means nothing and return the one that was probably meant."""
        close = closest(key.text, options)
        if help_ is None:
            listing = ", ".join(f"`{option}`" for option in options)
            help_ = f"did you mean `{close}`?" if close else f"known keys: {listing}"
        self.sink.error("unknown-key", f"{where} has no key `{key.text}`", key.span, help=[help_])
        return close

"""Which arguments a call has: those written at it, then the defaults of files."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from archc.elaborate.frame import Place
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Argument, Call
from archc.spec.tree import Mapping

if TYPE_CHECKING:
    from archc.elaborate.elaborator import Elaborator

Written = dict[str, tuple[Argument, Place]]
"""Arguments by name, each with the place whose names it may use."""

_LONGEST = 60  # characters of a layer that is written out in a suggestion


def written_arguments(
    call: Call,
    name: str,
    principal: str | None,
    names: Collection[str],
    place: Place,
    *,
    layers: bool,
) -> Written:
    """Arguments as written.

    Args:
        call: of an op or block.
        name: its word.
        principal: the argument that the first key holds.
        names: those of all arguments.
        place: where the call stands.
        layers: whether an argument may be a layer given as a value, which is a mapping.

    Raises:
        ExpressionError: there is a value that cannot be, or one is given twice.
    """
    arguments: Written = {}
    if names and isinstance(call.primary, Mapping) and _nests(call.primary, names, place, layers):
        raise _nested(call.primary, name, principal, names)
    if call.primary is not None:
        if principal is None:
            raise ExpressionError(
                "unknown-attribute",
                f"`{name}` takes no value",
                call.primary.span,
                [f"write `{name}` alone"],
            )
        arguments[principal] = (Argument(call.head, call.primary), place)
    for key, argument in call.arguments.items():
        if key in arguments:
            raise ExpressionError(
                "duplicate-key",
                f"`{key}` is given twice",
                argument.key.span,
                [f"`{name}: ...` already is `{key}`"],
            )
        arguments[key] = (argument, place)
    return arguments


def _nests(mapping: Mapping, names: Collection[str], place: Place, layers: bool) -> bool:
    """Whether a mapping holds arguments, as in other formats, and is no layer."""
    keys = [entry.key.text for entry in mapping.entries]
    if not keys or (keys[0] in place.frame.module.words.known and keys[0] not in names):
        return False
    return not layers or any(key in names for key in keys)


def _nested(
    mapping: Mapping, name: str, principal: str | None, names: Collection[str]
) -> ExpressionError:
    values = {
        entry.key.text: entry.value.span.source.text[entry.value.span.start : entry.value.span.end]
        for entry in mapping.entries
    }
    first = values.pop(principal, "") if principal else ""
    form = ", ".join([f"{name}: {first}", *(f"{key}: {value}" for key, value in values.items())])
    help_ = [f"put them into the mapping that begins with `{name}`"]
    if any(key not in names for key in values):
        help_.append(f"it takes {', '.join(f'`{key}`' for key in names)}")
    elif len(form) <= _LONGEST and "\n" not in form:
        help_ = [f"write `{{{form}}}`"]
    message = f"arguments of `{name}` stand beside it, not inside its value"
    return ExpressionError("wrong-kind", message, mapping.span, help_)


def add_defaults(elaborator: Elaborator, arguments: Written, name: str, place: Place) -> None:
    """Add what `defaults` say of an op or block: those of the text's own file, then the spec's.

    A default uses the names of its file, and the sizes of what enters the layer.
    """
    for module in dict.fromkeys((place.frame.module, elaborator.main)):
        _, defaults = module.spec.defaults.get(name, (None, {}))
        for key, argument in defaults.items():
            arguments.setdefault(key, (argument, place.in_file(module)))

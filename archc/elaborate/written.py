"""Which arguments a call has: those written at it, then the defaults of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archc.elaborate.frame import Place
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Argument, Call

if TYPE_CHECKING:
    from archc.elaborate.elaborator import Elaborator

Written = dict[str, tuple[Argument, Place]]
"""Arguments by name, each with the place whose names it may use."""


def written_arguments(call: Call, name: str, principal: str | None, place: Place) -> Written:
    """Arguments as written.

    Raises:
        ExpressionError: there is a value that cannot be, or one is given twice.
    """
    arguments: Written = {}
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


def add_defaults(elaborator: Elaborator, arguments: Written, name: str, place: Place) -> None:
    """Add what `defaults` say of an op or block: those of the text's own file, then the spec's.

    A default uses the names of its file, and the sizes of what enters the layer.
    """
    for module in dict.fromkeys((place.frame.module, elaborator.main)):
        _, defaults = module.spec.defaults.get(name, (None, {}))
        for key, argument in defaults.items():
            arguments.setdefault(key, (argument, place.in_file(module)))

"""Names in generated source: identifiers a person could have chosen, never shadowing anything."""

from __future__ import annotations

import builtins
import keyword
import re
from unicodedata import normalize

from archc.targets.torch.signatures import TAKEN

RESERVED = frozenset(
    {*keyword.kwlist, *keyword.softkwlist, *dir(builtins)}
    | {"self", "nn", "F", "torch", "Tensor", "OrderedDict", "math"}
)
"""Names that generated source must not bind."""

_WORD = re.compile(r"[A-Za-z0-9]+")
MAX_LENGTH = 60


_OPTIONS = {"add": "residual", "mul": "gate"}


def option_name(layer: str) -> str:
    """What to call the flag that says whether a layer is there."""
    return _OPTIONS.get(layer, layer)


def is_attribute(name: str) -> bool:
    """Whether `self.name` can be set and is this name: not taken, not mangled, not normalised."""
    plain = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
    return plain and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether `self.name` is something else, so that a child is only found in its dictionary.

    Python reads identifiers in the normal form NFKC: `self.ﬁ` is `self.fi`.
    """
    return name in TAKEN or (name.isidentifier() and normalize("NFKC", name) != name)


def usable_identifier(text: str, otherwise: str = "value") -> str:
    """A variable name made from any text."""
    name = "_".join(_WORD.findall(text))[:MAX_LENGTH].lower()
    if not name or name[0].isdigit():
        name = f"{otherwise}_{name}" if name else otherwise
    return f"{name}_" if name in RESERVED else name


def class_name(text: str, otherwise: str = "Model") -> str:
    """A class name made from any text: `conv_norm_act` is ConvNormAct."""
    words = _WORD.findall(text)
    name = "".join(word[0].upper() + word[1:] for word in words)[:MAX_LENGTH]
    if not name or name[0].isdigit():
        name = f"{otherwise}{name}"
    return f"{name}Module" if name in RESERVED else name


def unique_name(name: str, taken: set[str] | frozenset[str]) -> str:
    """The name, or with the first number that makes it unique."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free

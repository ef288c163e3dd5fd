"""Flags of optional code that say no more than other parameters do.

A flag can be a parameter that is None (`squeeze: int | None = None`), or a condition that everyone
in this field writes: `stride != 1 or in_channels != out_channels`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archc.targets.torch.code import ABSENT, NO_DEFAULT
from archc.targets.torch.columns import INPUT, PARAM, Column, Parameter, Text


def replace_flags(
    parameters: Sequence[Parameter], columns: Sequence[Column], texts: Mapping[int, Text]
) -> dict[Parameter, Text]:
    """Flag -> what to write for it instead; the parameters that takes are noted."""
    replaced: dict[Parameter, Text] = {}
    for flag in parameters:
        if flag.kind != "flag" or ABSENT in flag.values:
            continue
        text = _none(flag, parameters, classes=True)
        if not flag.is_named:
            text = text or _condition(flag, parameters, columns, texts)
        text = text or _none(flag, parameters, classes=False)
        if text is not None:
            replaced[flag] = text
            _use(text, range(len(flag.values)))
    return replaced


def _use(text: Text, rows: range) -> None:
    for parameter in text.parameters():
        if not parameter.optional:
            parameter.use(rows)


def _none(flag: Parameter, parameters: Sequence[Parameter], *, classes: bool) -> Text | None:
    """A parameter that the code needs just where the flag is set: elsewhere it is None."""
    for parameter in parameters:
        if parameter.kind == "flag" or (parameter.kind == "class") != classes:
            continue
        free = parameter.default is NO_DEFAULT or classes
        needed = [row in parameter.rows for row in range(len(flag.values))]
        if free and needed == flag.values:
            parameter.optional = True
            if parameter.default is NO_DEFAULT:
                parameter.default = None
            return Text("{0} is not None", (parameter,))
    return None


def _condition(
    flag: Parameter,
    parameters: Sequence[Parameter],
    columns: Sequence[Column],
    texts: Mapping[int, Text],
) -> Text | None:
    """A condition over sizes that is true where the flag is set."""
    certain = [parameter for parameter in parameters if not parameter.optional]
    for text, values in _conditions(certain, columns, texts):
        if any(parameter.optional for parameter in text.parameters()):
            continue
        if values == flag.values:
            return text
        if [not value for value in values] == flag.values:
            return Text(_NEGATED[text.form], text.operands)
    return None


_CHANGES = "{0} != {1}"
_NOT_ONE = "{0} != 1"
_STRIDES_OR_CHANGES = "{0} != 1 or {1} != {2}"
_NEGATED = {
    _CHANGES: "{0} == {1}",
    _NOT_ONE: "{0} == 1",
    _STRIDES_OR_CHANGES: "{0} == 1 and {1} == {2}",
}


def _conditions(
    parameters: Sequence[Parameter], columns: Sequence[Column], texts: Mapping[int, Text]
) -> Iterator[tuple[Text, list[bool]]]:
    """What a block may depend on: its stride, a change of its width, a factor of the spec."""
    for factor in parameters:
        if factor.rank[0] == PARAM and factor.kind == "" and _integers(factor.values):
            yield Text(_NOT_ONE, (factor,)), [value != 1 for value in factor.values]
    leaving = _leaving(columns, texts)
    entering = _entering(parameters)
    if leaving is not None and entering is not None:
        yield from _changes(parameters, entering, *leaving)
    for size in parameters:
        if entering is not None and size is not entering and size.kind == "channels":
            pairs = zip(entering.values, size.values, strict=True)
            if _integers(size.values):
                yield Text(_CHANGES, (entering, size)), [a != b for a, b in pairs]


def _changes(
    parameters: Sequence[Parameter], entering: Parameter, last: Text, leaves: list[Any]
) -> Iterator[tuple[Text, list[bool]]]:
    changes = [a != b for a, b in zip(entering.values, leaves, strict=True)]
    stride = next((p for p in parameters if p.has_role("stride") and _integers(p.values)), None)
    if stride is not None:
        either = [s != 1 or c for s, c in zip(stride.values, changes, strict=True)]
        yield Text(_STRIDES_OR_CHANGES, (stride, entering, last)), either
    yield Text(_CHANGES, (entering, last)), changes


def _entering(parameters: Sequence[Parameter]) -> Parameter | None:
    """The size of what enters a block."""
    return next((p for p in parameters if p.rank[0] == INPUT and _integers(p.values)), None)


def _leaving(columns: Sequence[Column], texts: Mapping[int, Text]) -> tuple[Text, list[Any]] | None:
    """The size of what leaves a block, as written, and its values."""
    sizes = [c for c in columns if c.sample.kind == "channels" and c.sample.role != "groups"]
    written = [texts[c.position] for c in sizes if c.position in texts]
    if not written:
        return None
    values = written[-1].values(len(sizes[-1].literals))
    return (written[-1], values) if _integers(values) else None


def _integers(values: Sequence[Any]) -> bool:
    return all(type(value) is int for value in values)

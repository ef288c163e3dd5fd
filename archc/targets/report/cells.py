"""How numbers, shapes and receptive fields are written in tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from archc.graph.receptive import Field
from archc.types import Dim, format_dim, is_static


def count_text(dim: Dim) -> str:
    """A number of operations, `4.09G`; the expression where sizes are not fixed."""
    if not is_static(dim):
        return format_dim(dim)
    return _scaled(dim, ("", "k", "M", "G", "T", "P"), "")


def bytes_text(dim: Dim) -> str:
    """A number of bytes, `3.2 MB`; the expression where sizes are not fixed."""
    if not is_static(dim):
        return f"{format_dim(dim)} B"
    return _scaled(dim, ("B", "kB", "MB", "GB", "TB", "PB"), " ")


def _scaled(number: int, units: Sequence[str], gap: str) -> str:
    """Three digits at least, in powers of 1000."""
    if number < 1000:
        return f"{number}{gap}{units[0]}"
    power = min((len(str(number)) - 1) // 3, len(units) - 1)
    if round(number / 1000**power, 1) >= 1000 and power + 1 < len(units):
        power += 1  # 999,999 is 1.00M, not 1000.0k
    scaled = number / 1000**power
    digits = 2 if scaled < 9.995 else 1 if scaled < 999.95 else 0
    return f"{scaled:.{digits}f}{gap}{units[power]}"


def field_text(fields: Sequence[Field]) -> str:
    """Size, stride and offset, `427 /32 -213`; `all`; `?` where no size is claimed.

    Axes that agree are written once, others as `3x1`.
    """
    distinct = dict.fromkeys(_input_text(own) for own in _by_input(fields))
    return " | ".join(distinct)


def field_size_text(fields: Sequence[Field]) -> str:
    """The size alone."""
    distinct = dict.fromkeys(_joined([_size(f) for f in own]) for own in _by_input(fields))
    return " | ".join(distinct)


def _by_input(fields: Sequence[Field]) -> list[list[Field]]:
    groups: dict[str, list[Field]] = {}
    for field in fields:
        groups.setdefault(field.input, []).append(field)
    return list(groups.values())


def _input_text(fields: Sequence[Field]) -> str:
    size = _joined([_size(field) for field in fields])
    if any(field.kind != "box" for field in fields):
        return size
    stride = _joined([str(field.stride) for field in fields])
    offset = _joined([str(field.offset) for field in fields])
    return f"{size} /{stride} {offset}"


def _size(field: Field) -> str:
    if field.kind == "box":
        return str(field.size)
    return "all" if field.kind == "whole" else "?"


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(set(parts)) == 1 else "x".join(parts)

"""Protobuf's wire format: how the fields of a message stand in a file.

Models are written in it directly. Protobuf can serialise nothing but what is in memory as a whole,
and importing onnx takes longer than writing the graph of a large network.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import math
import struct
from functools import cache

_VARINT, _LENGTH_DELIMITED, _FIXED32 = 0, 2, 5
_64_BITS = (1 << 64) - 1


def varint(value: int) -> bytes:
    """A non-negative integer in base 128, least significant group first."""
    if value <= 0x7F:
        return value.to_bytes(1, "little")
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


@cache
def _tag(field: int, kind: int) -> bytes:
    return varint(field << 3 | kind)


def frame(field: int, length: int) -> bytes:
    """What stands before `length` bytes of a message, string or bytes field."""
    return _tag(field, _LENGTH_DELIMITED) + varint(length)


def integer(field: int, value: int) -> bytes:
    """An int32, int64, enum or bool field; a negative one is its 64-bit two's complement."""
    return _tag(field, _VARINT) + varint(value & _64_BITS)


def single(field: int, value: float) -> bytes:
    """A float field: the nearest float32."""
    try:
        data = struct.pack("<f", value)
    except OverflowError:  # what is beyond its range rounds to infinity
        data = struct.pack("<f", math.copysign(math.inf, value))
    return _tag(field, _FIXED32) + data


def content(field: int, data: bytes) -> bytes:
    """A message or bytes field."""
    return _tag(field, _LENGTH_DELIMITED) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A string field."""
    return content(field, value.encode())

"""The few parts of protobuf's wire format that streaming weights takes.

Messages are serialised by protobuf itself; only the frames around the weights' data are written
here, because protobuf can serialise nothing but what is in memory as a whole.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

_LENGTH_DELIMITED = 2


def varint(value: int) -> bytes:
    """A non-negative integer in base 128, least significant group first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def frame(field: int, length: int) -> bytes:
    """What stands before `length` bytes of a message, string or bytes field."""
    return varint(field << 3 | _LENGTH_DELIMITED) + varint(length)

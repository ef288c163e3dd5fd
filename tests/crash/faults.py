"""Failures of the operating system, made to order.

Everything that `archc.output` asks of the system goes through a handful of functions of `os`.
They are counted while they concern one folder, and one call of them can be made to fail, to write
less than it was given, or to be the last thing that the process does.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

FUNCTIONS = (
    "open",
    "dup",
    "write",
    "fsync",
    "close",
    "replace",
    "link",
    "unlink",
    "chmod",
    "lseek",
)
CALLS = ("create", *FUNCTIONS)
"""What is counted: opening a file that is not there yet is a call of its own."""

ERRORS = {
    "ENOSPC": errno.ENOSPC,
    "EDQUOT": errno.EDQUOT,
    "EIO": errno.EIO,
    "EINTR": errno.EINTR,
    "EROFS": errno.EROFS,
    "EACCES": errno.EACCES,
}


@dataclass
class Fault:
    """What happens at one of the counted calls.

    Attributes:
        number: which call, from 0; -1 for none, so that calls are only counted.
        error: what it fails with; 0 for no error.
        short: whether a write takes only half of what it is given.
        kill: whether the process is killed, `before` or `after` the call.
        stays: whether all later calls of the same name fail likewise, as on a full disk.
        seen: the names of the calls so far.
    """

    number: int = -1
    error: int = 0
    short: bool = False
    kill: str = ""
    stays: bool = False
    seen: list[str] = field(default_factory=list)
    _failed: str = ""

    def strikes(self, name: str) -> bool:
        """Count a call; whether it is the one."""
        self.seen.append(name)
        if len(self.seen) - 1 == self.number:
            self._failed = name
            return True
        return self.stays and name == self._failed


@contextmanager
def injected(folder: Path, fault: Fault) -> Iterator[Fault]:
    """Let a fault happen in a folder, in this process."""
    system = _System(folder, fault)
    for name in FUNCTIONS:
        setattr(os, name, partial(system.call, name))
    try:
        yield fault
    finally:
        for name, function in system.original.items():
            setattr(os, name, function)


class _System:
    """The functions of `os`, watched."""

    def __init__(self, folder: Path, fault: Fault) -> None:
        self.original = {name: getattr(os, name) for name in FUNCTIONS}
        self._folder = folder
        self._fault = fault
        self._descriptors: set[int] = set()

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        fault = self._fault
        creates = name == "open" and bool(arguments[1] & os.O_CREAT)
        if not self._concerns(arguments[0]) or not fault.strikes("create" if creates else name):
            return self._real(name, *arguments, **options)
        if fault.kill == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.error:
            if name == "close":  # a failing close closes all the same
                self._real(name, *arguments)
            raise OSError(fault.error, os.strerror(fault.error))
        if fault.short and name == "write":
            descriptor, data = arguments
            arguments = (descriptor, data[: max(1, len(data) // 2)])
        result = self._real(name, *arguments, **options)
        if fault.kill == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def _real(self, name: str, *arguments: Any, **options: Any) -> Any:
        result = self.original[name](*arguments, **options)
        if name == "close":
            self._descriptors.discard(arguments[0])
        elif name in ("open", "dup") and self._concerns(arguments[0]):
            self._descriptors.add(result)
        return result

    def _concerns(self, target: Any) -> bool:
        if isinstance(target, int):
            return target in self._descriptors
        path = Path(os.fspath(target))
        return self._folder in (path, path.parent)

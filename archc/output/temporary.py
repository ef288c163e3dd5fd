"""Temporary files beside an output, and the locks that tell whose are dead.

A process holds a lock on every temporary file that it writes, and on a folder while it moves files
there. Locks end with the process, however it ends: what nobody holds is what a killed process has
left. Where the system has no such locks, nothing of others is ever removed.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows
    LOCKS = False
else:
    LOCKS = True

SUFFIX = ".archc-tmp"
_NAME = re.compile(r"\.[0-9a-f]{16}\.archc-tmp")
_PATIENCE = 30  # seconds that another process may take to move its files
FOLLOW_NOTHING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
"""A pipe or a link under the name of a temporary file is not waited for, nor followed."""

_temporaries: dict[Path, int] = {}
"""Temporary names that may exist -> the process that made them."""


def temporary_beside(path: Path) -> Path:
    """A fresh name in the same folder."""
    temporary = path.with_name(f".{secrets.token_hex(8)}{SUFFIX}")
    _temporaries[temporary] = os.getpid()
    return temporary


def create_beside(path: Path) -> tuple[Path, int]:
    """A new file in the same folder, open for writing and locked.

    Raises:
        OSError: it cannot be made.
    """
    # O_EXCL and a fresh name rather than mkstemp: the mode then follows the umask.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = temporary_beside(path)
        descriptor = os.open(temporary, flags, 0o666)
        if locked(descriptor) is not False and is_at(descriptor, temporary):
            return temporary, descriptor
        os.close(descriptor)  # somebody tidied up between making and locking it
        remove(temporary)


def remove(temporary: Path) -> None:
    """Remove a temporary file, if it is there."""
    with suppress(OSError):
        temporary.unlink()
    _temporaries.pop(temporary, None)


def leave(temporary: Path) -> None:
    """Leave a temporary file to whoever writes to the folder next."""
    _temporaries.pop(temporary, None)


@atexit.register
def _remove_what_is_left() -> None:
    """Remove what an interrupt has left: it may come between making a file and remembering it."""
    for temporary in [path for path, pid in _temporaries.items() if pid == os.getpid()]:
        remove(temporary)


def is_temporary(name: str) -> bool:
    """Whether a name is one that `temporary_beside` gives."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def locked_folders(folders: Iterable[Path]) -> Iterator[bool]:
    """Be the only one to move files in some folders.

    Yields:
        Whether that is so: some systems and file systems have no locks.

    Raises:
        OSError: another process keeps a folder for longer than moving files takes.
    """
    with ExitStack() as stack:
        held = LOCKS
        for folder in sorted(set(folders)):  # in one order, or two processes wait for each other
            try:
                descriptor = os.open(folder, os.O_RDONLY)
            except OSError:
                held = False
                continue
            stack.callback(close_quietly, descriptor)
            held = _wait_for(descriptor) and held
        yield held


def close_quietly(descriptor: int) -> None:
    """Close what was only read or locked."""
    with suppress(OSError):  # nothing was written through it
        os.close(descriptor)


def _wait_for(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while (found := locked(descriptor)) is False:
        if time.monotonic() > deadline:
            raise OSError("another process keeps the folder locked")
        time.sleep(0.001)
    return bool(found)


def locked(descriptor: int) -> bool | None:
    """Lock an open file: whether that worked, None where there are no locks."""
    if not LOCKS:
        return None
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one that a path names."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def remove_dead(folder: Path) -> None:
    """Remove temporary files that no process writes any more; the folder has to be locked."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if is_temporary(entry.name)]
    except OSError:
        return
    for name in names:
        with suppress(OSError):
            _remove_if_dead(folder / name)


def _remove_if_dead(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | FOLLOW_NOTHING)
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if is_file and locked(descriptor) and is_at(descriptor, path):
            path.unlink()
    finally:
        close_quietly(descriptor)


def read_own(path: Path, limit: int) -> bytes:
    """A small file that this user wrote.

    Raises:
        OSError: it is a link, no file, somebody else's, or too large.
    """
    descriptor = os.open(path, os.O_RDONLY | FOLLOW_NOTHING)
    try:
        found = os.fstat(descriptor)
        foreign = hasattr(os, "geteuid") and found.st_uid != os.geteuid()
        if not stat.S_ISREG(found.st_mode) or foreign or found.st_size > limit:
            raise OSError("no file of this user")
        return os.read(descriptor, limit)
    finally:
        close_quietly(descriptor)

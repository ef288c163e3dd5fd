"""Folders for what is needed on the way to an output, and for nobody afterwards.

A process holds a lock on each of its folders, as on temporary files (`archc.output.temporary`): one
that nobody holds was left by a process that was killed, and goes with the next output beside it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archc.output.refusal import reported, resolved
from archc.output.temporary import FOLLOW_NOTHING, LOCKS, close_quietly, is_at, locked

_LOCK = "lock"
_NAME = re.compile(r"\.[0-9a-f]{16}\.archc-dir")


@contextmanager
def scratch_folder(parent: str | Path) -> Iterator[Path]:
    """A folder that is gone afterwards; only this user can look into it.

    Args:
        parent: where to make it. What killed processes have left there is removed before.

    Raises:
        OutputError: it cannot be made.
    """
    place = resolved(Path(parent))
    remove_dead_folders(place)
    with reported(Path(parent)):
        folder, descriptor = _made(place)
    try:
        yield folder
    finally:
        if not LOCKS:  # on Windows an open file cannot be removed; elsewhere it stays locked
            close_quietly(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
        if LOCKS:
            close_quietly(descriptor)


def _made(parent: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor of the file in it that is locked."""
    while True:
        folder = parent / f".{secrets.token_hex(8)}.archc-dir"
        folder.mkdir(0o700)
        # A file inside, as whoever writes to the folder locks the folder itself.
        lock = folder / _LOCK
        with suppress(FileNotFoundError):
            descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            if locked(descriptor) is not False and is_at(descriptor, lock):
                return folder, descriptor
            close_quietly(descriptor)  # somebody tidied up between making and locking it


def remove_dead_folders(parent: Path) -> None:
    """Remove folders of this user that no process uses any more."""
    if not LOCKS:
        return
    try:
        with os.scandir(parent) as entries:
            names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        with suppress(OSError):
            _remove_if_dead(parent / name)


def _remove_if_dead(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | FOLLOW_NOTHING)
    except FileNotFoundError:  # killed before it was locked, if nobody locks it right now
        folder.rmdir()
        return
    try:
        if locked(descriptor) and is_at(descriptor, folder / _LOCK):
            shutil.rmtree(folder)
    finally:
        close_quietly(descriptor)

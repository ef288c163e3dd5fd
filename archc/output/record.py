"""Moving the files of a set, so that a process that is killed meanwhile leaves no mixture.

No system call moves two files at once. So what is about to be moved is written down first, in a
file beside it; a new main file is the last to appear; and where a new side file replaces an old
one, the old main file leaves before that. Whoever reads then finds the old set, the new one, or no
main file. The next output to the folder finishes what a killed process has begun, or takes it
back where that process was taking it back itself.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from archc.output.file import OutputFile, write_all
from archc.output.temporary import (
    create_beside,
    is_temporary,
    leave,
    read_own,
    remove,
    temporary_beside,
)
from archc.records import dataclass, field

_SUFFIX = ".archc-set"
_MAX_RECORD = 65536  # bytes

Identity = tuple[int, int, int] | None
"""Inode, size and time of change of a file; None for none."""


def identity(path: Path) -> Identity:
    """Which file stands at a path, and whether somebody has written to it since."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Move:
    """One file of a set.

    Attributes:
        temporary: name of the new file until it is moved.
        path: name of its destination.
        kept: second name of the old file meanwhile; None if there is none, or no such thing.
        new: the new file.
        old: the old file.
    """

    temporary: str
    path: str
    kept: str | None
    new: Identity
    old: Identity


@dataclass(slots=True)
class Commit:
    """The moves of a set, which can be taken back until they are complete.

    Attributes:
        files: side files first, the main file last; all complete.
        durable: whether every step is on the disk before the next.
    """

    files: Sequence[OutputFile]
    durable: bool
    _kept: list[Path | None] = field(default_factory=list)
    _existed: list[bool] = field(default_factory=list)
    _record: Path | None = None
    _moved_main: bool = False

    def run(self) -> None:
        """Move all files, or none.

        Raises:
            OutputError: one of them cannot be moved.
            OSError: what is going to be moved cannot be written down.
        """
        try:
            for file in self.files:
                self._existed.append(file.path.exists())
                self._kept.append(_second_name(file.path) if self._existed[-1] else None)
            if len(self.files) > 1:
                self._write_down()
            if self._withdraws():
                self.files[-1].path.unlink()
            for file in self.files:
                self._moved_main = file is self.files[-1]
                file.move()
                self._sync_folder(file.path.parent)
        except BaseException:
            self._take_back()
            raise
        self._forget()

    def _withdraws(self) -> bool:
        """Whether the old main file, beside a new side file, would be a mixture."""
        *sides, main = self.files
        replaced = [
            file
            for file, existed in zip(sides, self._existed, strict=False)
            if existed and not file.named_by_content
        ]
        if not replaced or self._kept[-1] is None:
            return False
        return not filecmp.cmp(main.temporary, main.path, shallow=False)

    def _write_down(self) -> None:
        main = self.files[-1].path
        if any(file.path.parent != main.parent for file in self.files):
            return  # over links to several folders: the order has to be enough
        moves = [
            (
                file.temporary.name,
                file.path.name,
                kept.name if kept is not None else None,
                identity(file.temporary),
                identity(file.path),
            )
            for file, kept in zip(self.files, self._kept, strict=True)
        ]
        temporary, descriptor = create_beside(main)
        try:
            write_all(descriptor, json.dumps(moves).encode())
            if self.durable:
                os.fsync(descriptor)
            name = hashlib.sha256(os.fsencode(main.name)).hexdigest()[:16]
            self._record = main.with_name(f".{name}{_SUFFIX}")
            temporary.replace(self._record)
            self._sync_folder(main.parent)
        finally:
            with suppress(OSError):  # all of it was written
                os.close(descriptor)
            remove(temporary)

    def _sync_folder(self, folder: Path) -> None:
        if self.durable:
            sync_folder(folder)

    def _take_back(self) -> None:
        """Put everything back, the main file last; what cannot be is left to the next output."""
        main = self.files[-1].path
        try:
            # The new main file leaves before the old side files come.
            if self._moved_main and (self._kept[-1] is not None or not self._existed[-1]):
                main.unlink(missing_ok=True)
            for file, kept, existed in zip(self.files, self._kept, self._existed, strict=False):
                _restore(file.path, kept, existed)
        except OSError:
            for kept in self._kept:
                if kept is not None:
                    leave(kept)
        else:
            self._forget()

    def _forget(self) -> None:
        if self._record is not None:
            remove(self._record)
        for kept in self._kept:
            if kept is not None:
                remove(kept)


def _second_name(path: Path) -> Path | None:
    """Keep a file under a second name."""
    kept = temporary_beside(path)
    with suppress(OSError):  # a file system without hard links cannot keep it
        kept.hardlink_to(path)
        return kept
    remove(kept)
    return None


def _restore(path: Path, kept: Path | None, existed: bool) -> None:
    if kept is not None:
        try:
            kept.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            path.hardlink_to(kept)
        # Moving a name over another of the same file does nothing and leaves both.
        remove(kept)
    elif not existed:
        path.unlink(missing_ok=True)


def finish_others(folder: Path) -> None:
    """Finish what killed processes have begun to move; the folder has to be locked.

    Nothing is moved but files of this user whose identity is the one that was written down, and
    only over files that have not changed since. So a record that somebody plants does nothing.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(_SUFFIX)]
    except OSError:
        return
    for name in names:
        with suppress(OSError, ValueError, TypeError, RecursionError):
            _finish(folder, [_move(item) for item in json.loads(_read(folder / name))])
        remove(folder / name)


def _read(path: Path) -> bytes:
    return read_own(path, _MAX_RECORD)


def _move(item: Any) -> _Move:
    """An entry of a record.

    Raises:
        ValueError: it is none that archc writes.
        TypeError: likewise.
    """
    temporary, path, kept, new, old = item
    names = [name for name in (temporary, path, kept) if name is not None]
    plain = all(isinstance(name, str) and Path(name).name == name for name in names)
    hidden = [name for name in (temporary, kept) if name is not None]
    if not plain or not all(is_temporary(name) for name in hidden):
        raise ValueError("no record of archc's")
    return _Move(temporary, path, kept, tuple(new), None if old is None else tuple(old))


def _finish(folder: Path, moves: Sequence[_Move]) -> None:
    at = {move.path: identity(folder / move.path) for move in moves}
    if not moves or any(at[move.path] not in (None, move.new, move.old) for move in moves):
        return  # somebody has written there since
    waiting = [move for move in moves if identity(folder / move.temporary) == move.new]
    if all(move in waiting or at[move.path] == move.new for move in moves):
        main = moves[-1]
        if at[main.path] == main.old and any(at[move.path] for move in waiting[:-1]):
            (folder / main.path).unlink(missing_ok=True)  # see Commit.run
        for move in waiting:
            (folder / move.temporary).replace(folder / move.path)
        return
    if at[moves[-1].path] == moves[-1].new:
        (folder / moves[-1].path).unlink(missing_ok=True)
    for move in moves:
        kept = folder / move.kept if move.kept is not None else None
        if kept is not None and identity(kept) != move.old:
            kept = None
        if at[move.path] != move.old:
            _restore(folder / move.path, kept, move.old is not None)


def sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system lets a folder be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

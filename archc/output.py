"""Output files that are complete or absent.

A file is written beside its destination under a random name, synced and moved over it. Whatever
goes wrong on the way - an exception, Ctrl-C, a full disk - the old file stays as it was and
nothing temporary remains.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from archc.diagnostics import Diagnostic

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PIECE = 1 << 20  # bytes per write: one huge write to the page cache is several times slower

_HELP = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your quota, or write to another disk",
    errno.EACCES: "check the permissions of the folder",
    errno.EPERM: "check the permissions of the folder",
    errno.EROFS: "the file system is mounted read-only: write to another folder",
    errno.EFBIG: "the file system or a limit of the process does not allow files of this size",
    errno.ENAMETOOLONG: "choose a shorter file name",
}


class OutputError(Exception):
    """An output cannot be written.

    Attributes:
        diagnostic: what to tell the person; its code is `unwritable-output` or
            `overwrites-input`.
    """

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class OutputFile(io.RawIOBase):
    """A binary file on its way to `path`; made by `OutputSet`, written from start to end.

    Attributes:
        path: where it will appear. May be changed until the set is committed, so that a name can
            depend on the content.
        size: bytes written so far.
    """

    def __init__(self, given: Path, path: Path, *, replaces: bool = True) -> None:
        self.path = path
        self.size = 0
        self._given = given
        self._replaces = replaces
        self._temporary = _temporary_beside(path)
        with _reported(given):
            # O_EXCL and a fresh name rather than mkstemp: the mode then follows the umask.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._file = io.FileIO(os.open(self._temporary, flags, 0o666), "wb")
        self._pending = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Append bytes.

        Raises:
            OutputError: the disk is full or the like.
        """
        view = memoryview(data).cast("B")
        with _reported(self._given):
            if len(view) < PIECE:
                self._pending += view
                if len(self._pending) >= PIECE:
                    self._drain()
            else:
                self._drain()
                self._put(view)
        self.size += len(view)
        return len(view)

    def _drain(self) -> None:
        pending, self._pending = self._pending, bytearray()
        self._put(memoryview(pending))

    def _put(self, view: memoryview) -> None:
        start = 0
        while start < len(view):
            start += self._file.write(view[start : start + PIECE]) or 0

    def amend(self, offset: int, data: bytes) -> None:
        """Write over bytes that were written before.

        Raises:
            OutputError: the disk is full or the like.
        """
        with _reported(self._given):
            self._drain()
            self._file.seek(offset)
            self._put(memoryview(data))
            self._file.seek(0, io.SEEK_END)

    def sync(self) -> None:
        """Bring everything to the disk; nothing can be written afterwards."""
        with _reported(self._given):
            self._drain()
            with suppress(FileNotFoundError):
                self._temporary.chmod(stat.S_IMODE(self.path.stat().st_mode))
            os.fsync(self._file.fileno())
            self._file.close()

    def move(self) -> None:
        """Let it appear at `path`."""
        with _reported(self._given):
            if self._replaces:
                self._temporary.replace(self.path)
                return
            try:
                self.path.hardlink_to(self._temporary)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links: as close as it gets
                self.path.open("xb").close()
                self._temporary.replace(self.path)
            _remove(self._temporary)

    def discard(self) -> None:
        """Remove what is temporary."""
        with suppress(OSError):
            self._file.close()
        _remove(self._temporary)


class OutputSet:
    """A main file and the side files it refers to: all of them appear, the main one last.

    Use as a context manager; leaving it normally commits, an exception discards everything.

        with OutputSet(path, inputs=[spec]) as out:
            data = out.side(path.with_suffix(".data"))
            data.write(...)
            out.main.write(...)

    Args:
        path: the main file. A symbolic link stays one: the file it names is replaced.
        inputs: files that must not be overwritten (the spec, the weights).
        replaces: whether a file that exists is replaced, or refused.

    Raises:
        OutputError: a destination cannot be written or is an input. Raised on entry for what can
            be seen beforehand.
    """

    def __init__(
        self, path: str | Path, *, inputs: Iterable[str | Path] = (), replaces: bool = True
    ) -> None:
        self._inputs = tuple(Path(name) for name in inputs)
        self._replaces = replaces
        self._sides: list[OutputFile] = []
        self._path = Path(path)

    def __enter__(self) -> Self:
        self.main = self._open(self._path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            for file in (*self._sides, self.main):
                file.discard()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the files appear, the main one first; as given, where folders are the same."""
        folder = self._path.parent
        beside = self.main.path.parent == Path(os.path.realpath(folder))
        sides = [
            folder / file.path.name
            if beside and file.path.parent == self.main.path.parent
            else file.path
            for file in self._sides
        ]
        return (self._path, *sides)

    def side(self, path: str | Path) -> OutputFile:
        """Open a side file."""
        file = self._open(Path(path))
        self._sides.append(file)
        return file

    def need(self, size: int) -> None:
        """Say beforehand that the disk has no room for what is going to be written.

        Args:
            size: bytes of all files of the set together.

        Raises:
            OutputError: less than that is free. A file that is replaced counts as long as the new
                one is being written.
        """
        with suppress(OSError):  # a file system that cannot tell
            free = shutil.disk_usage(self.main.path.parent).free
            if size > free:
                raise _unwritable(
                    self._path,
                    f"it takes {size / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free there",
                    [_HELP[errno.ENOSPC]],
                )

    def _open(self, path: Path) -> OutputFile:
        destination = Path(os.path.realpath(path))
        _check_destination(path, destination, self._inputs)
        if not self._replaces and destination.exists():
            raise _unwritable(path, "it exists already", ["choose another name"])
        return OutputFile(path, destination, replaces=self._replaces)

    def _commit(self) -> None:
        files = (*self._sides, self.main)
        for file in files:
            _check_destination(file.path, file.path, self._inputs)
            file.sync()
        replaced: list[_Replaced] = []
        try:
            for file in files:
                replaced.append(_Replaced(file.path))
                file.move()
                _sync_folder(file.path.parent)
        except BaseException:
            for old in reversed(replaced):
                old.restore()
            raise
        for old in replaced:
            old.forget()


@contextmanager
def atomic_file(
    path: str | Path, *, inputs: Iterable[str | Path] = (), replaces: bool = True
) -> Iterator[OutputFile]:
    """One file that is written completely or not at all.

    Args:
        path: where it will appear.
        inputs: files that must not be overwritten.
        replaces: whether a file that exists is replaced, or refused.

    Raises:
        OutputError: see `OutputSet`.
    """
    with OutputSet(path, inputs=inputs, replaces=replaces) as out:
        yield out.main


_temporaries: dict[Path, int] = {}
"""Temporary names that may exist -> the process that made them."""


def _temporary_beside(path: Path) -> Path:
    """A fresh name in the same folder."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.archc-tmp")
    _temporaries[temporary] = os.getpid()
    return temporary


def _remove(temporary: Path) -> None:
    """Remove a temporary file, if it is there."""
    with suppress(OSError):
        temporary.unlink()
    _temporaries.pop(temporary, None)


@atexit.register
def _remove_what_is_left() -> None:
    """Remove what an interrupt has left: it may come between making a file and remembering it."""
    for temporary in [path for path, pid in _temporaries.items() if pid == os.getpid()]:
        _remove(temporary)


class _Replaced:
    """What stood at a path before; kept under a second name while a set is being moved."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._existed = path.exists()
        self._kept: Path | None = None
        if self._existed:
            kept = _temporary_beside(path)
            with suppress(OSError):  # a file system without hard links cannot keep it
                kept.hardlink_to(path)
                self._kept = kept

    def restore(self) -> None:
        """Put it back; a file that was not there goes."""
        with suppress(OSError):
            if self._kept is not None:
                self._kept.replace(self._path)
                # Moving a name over another of the same file does nothing and leaves both.
                _remove(self._kept)
            elif not self._existed:
                self._path.unlink(missing_ok=True)

    def forget(self) -> None:
        """The new file stays."""
        if self._kept is not None:
            _remove(self._kept)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system lets a folder be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_destination(given: Path, path: Path, inputs: tuple[Path, ...]) -> None:
    """Refuse what a rename would do and a person would not.

    Args:
        given: the path as the person wrote it.
        path: the same with symbolic links resolved.
        inputs: files being read.
    """
    with _reported(given):
        _check_folder(given, path.parent)
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise _unwritable(given, "it is a folder", ["give the file a name inside it"])
        if not stat.S_ISREG(mode):
            raise _unwritable(given, "it is a device, not a file", ["choose a file name"])
        for name in inputs:
            if name.exists() and name.samefile(path):
                message = f"`{given}` is an input of this command and would be overwritten"
                help = ("choose another output",)
                raise OutputError(
                    Diagnostic("overwrites-input", message, help=help, path=str(given))
                )
        if not os.access(path, os.W_OK):
            raise _unwritable(
                given, "it is read-only", ["choose another name, or make it writable"]
            )


def _check_folder(given: Path, folder: Path) -> None:
    if folder.is_dir():
        return
    if folder.exists():
        raise _unwritable(given, f"`{given.parent}` is a file, not a folder", [])
    raise _unwritable(
        given, f"the folder `{given.parent}` does not exist", [f"mkdir -p {given.parent}"]
    )


def _unwritable(path: Path, reason: str, help: Iterable[str]) -> OutputError:
    return OutputError(
        Diagnostic(
            "unwritable-output",
            f"cannot write `{path}`: {reason}",
            help=tuple(help),
            path=str(path),
        )
    )


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a diagnostic."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        help = [_HELP[error.errno]] if error.errno in _HELP else []
        raise _unwritable(path, reason[:1].lower() + reason[1:], help) from error

"""What cannot be written, as a diagnostic."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archc.diagnostics import Diagnostic

HELP = {
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


def check_destination(given: Path, path: Path, inputs: tuple[Path, ...]) -> None:
    """Refuse what a rename would do and a person would not.

    Args:
        given: the path as the person wrote it.
        path: the same with symbolic links resolved.
        inputs: files being read.
    """
    with reported(given):
        _check_folder(given, path.parent)
        try:
            found = path.stat()
        except FileNotFoundError:
            return
        mode = found.st_mode
        if stat.S_ISDIR(mode):
            raise unwritable(given, "it is a folder", ["give the file a name inside it"])
        if not stat.S_ISREG(mode):
            raise unwritable(given, "it is a device, not a file", ["choose a file name"])
        for name in inputs:
            if name.exists() and name.samefile(path):
                message = f"`{given}` is an input of this command and would be overwritten"
                help = ("choose another output",)
                raise OutputError(
                    Diagnostic("overwrites-input", message, help=help, path=str(given))
                )
        if not os.access(path, os.W_OK) and _is_still(path, found):
            raise unwritable(given, "it is read-only", ["choose another name, or make it writable"])


def _is_still(path: Path, found: os.stat_result) -> bool:
    """Whether a file is the one it was: another build may withdraw or replace it meanwhile."""
    with suppress(FileNotFoundError):
        now = path.stat()
        # Of a file that is gone the next one may have the number.
        return os.path.samestat(now, found) and now.st_mtime_ns == found.st_mtime_ns
    return False


def _check_folder(given: Path, folder: Path) -> None:
    if folder.is_dir():
        return
    if folder.exists():
        raise unwritable(given, f"`{given.parent}` is a file, not a folder", [])
    raise unwritable(
        given, f"the folder `{given.parent}` does not exist", [f"mkdir -p {given.parent}"]
    )


def unwritable(path: Path, reason: str, help: Iterable[str]) -> OutputError:
    """The error that says why."""
    return OutputError(
        Diagnostic(
            "unwritable-output",
            f"cannot write `{path}`: {reason}",
            help=tuple(help),
            path=str(path),
        )
    )


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a diagnostic."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        help = [HELP[error.errno]] if error.errno in HELP else []
        raise unwritable(path, reason[:1].lower() + reason[1:], help) from error


def resolved(path: Path) -> Path:
    """A path with symbolic links resolved.

    Raises:
        OutputError: no file can have this name.
    """
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:  # a NUL character, or half of a surrogate pair
        raise unwritable(path, "no file can have this name", ["choose another name"]) from error

"""Files that appear together."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from archc.output.file import OutputFile
from archc.output.record import Commit, finish_others
from archc.output.refusal import HELP, check_destination, reported, resolved, unwritable
from archc.output.scratch import remove_dead_folders
from archc.output.temporary import locked_folders, remove_dead


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
        durable: whether the files are on the disk, and outlive a power cut, when the set is left;
            otherwise the system writes them when it sees fit, as with most programs.

    Raises:
        OutputError: a destination cannot be written or is an input. Raised on entry for what can
            be seen beforehand.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        inputs: Iterable[str | Path] = (),
        replaces: bool = True,
        durable: bool = True,
    ) -> None:
        self._inputs = tuple(Path(name) for name in inputs)
        self._replaces = replaces
        self._durable = durable
        self._sides: list[OutputFile] = []
        self._path = Path(path)
        self._tidied: set[Path] = set()

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
        beside = self.main.path.parent == resolved(folder)
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
                raise unwritable(
                    self._path,
                    f"it takes {size / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free there",
                    [HELP[errno.ENOSPC]],
                )

    def _open(self, path: Path) -> OutputFile:
        destination = resolved(path)
        check_destination(path, destination, self._inputs)
        if not self._replaces and destination.exists():
            raise unwritable(path, "it exists already", ["choose another name"])
        if destination.parent not in self._tidied:
            self._tidied.add(destination.parent)
            with reported(path):
                _tidy(destination.parent)
        return OutputFile(path, destination, replaces=self._replaces, durable=self._durable)

    def _commit(self) -> None:
        files = (*self._sides, self.main)
        for file in files:
            check_destination(file.path, file.path, self._inputs)
            file.complete()
        with reported(self._path), locked_folders(file.path.parent for file in files):
            Commit(files, self._durable).run()


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


def _tidy(folder: Path) -> None:
    """Finish or remove what killed processes have left in a folder."""
    with locked_folders([folder]) as alone:
        if alone:
            finish_others(folder)
            remove_dead(folder)
            remove_dead_folders(folder)

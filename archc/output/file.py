"""A file on its way to its destination."""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from archc.output.refusal import reported
from archc.output.temporary import LOCKS, create_beside, remove

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PIECE = 1 << 20  # bytes per write: one huge write to the page cache is several times slower


class OutputFile(io.RawIOBase):
    """A binary file on its way to `path`; made by `OutputSet`, written from start to end.

    Attributes:
        path: where it will appear. May be changed until the set is committed, so that a name can
            depend on the content.
        named_by_content: whether it does: a file that stands there already then holds the same.
        size: bytes written so far.
        temporary: where it stands meanwhile.
    """

    def __init__(
        self, given: Path, path: Path, *, replaces: bool = True, durable: bool = True
    ) -> None:
        self.path = path
        self.named_by_content = False
        self.size = 0
        self._given = given
        self._replaces = replaces
        self._durable = durable
        self._pending = bytearray()
        self._descriptor: int | None = None
        with reported(given):
            self.temporary, self._descriptor = create_beside(path)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Append bytes.

        Raises:
            OutputError: the disk is full or the like.
        """
        view = memoryview(data).cast("B")
        with reported(self._given):
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
        write_all(self._open_descriptor(), view)

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError("the file is complete")
        return self._descriptor

    def amend(self, offset: int, data: bytes) -> None:
        """Write over bytes that were written before.

        Raises:
            OutputError: the disk is full or the like.
        """
        with reported(self._given):
            self._drain()
            os.lseek(self._open_descriptor(), offset, os.SEEK_SET)
            self._put(memoryview(data))
            os.lseek(self._open_descriptor(), 0, os.SEEK_END)

    def complete(self) -> None:
        """Hand everything to the system, or bring it to the disk; nothing is written afterwards."""
        with reported(self._given):
            self._drain()
            with suppress(FileNotFoundError):
                self.temporary.chmod(stat.S_IMODE(self.path.stat().st_mode))
            if self._durable:
                os.fsync(self._open_descriptor())
            else:  # a file system over a network says here what it could not store
                os.close(os.dup(self._open_descriptor()))
        if not LOCKS:  # on Windows an open file cannot be moved; elsewhere it stays locked
            self._close()

    def move(self) -> None:
        """Let it appear at `path`."""
        with reported(self._given):
            if self._replaces:
                self.temporary.replace(self.path)
                return
            try:
                self.path.hardlink_to(self.temporary)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links: as close as it gets
                self.path.open("xb").close()
                self.temporary.replace(self.path)
            remove(self.temporary)

    def discard(self) -> None:
        """Remove what is temporary."""
        with suppress(OSError):
            self._close()
        remove(self.temporary)

    def _close(self) -> None:
        # What `complete` has brought home stays there, whatever close says.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def write_all(descriptor: int, data: ReadableBuffer) -> None:
    """Write bytes piece by piece; the system may take less than it is given.

    Raises:
        OSError: it takes no more.
    """
    view = memoryview(data)
    while view:
        written = os.write(descriptor, view[:PIECE])
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        view = view[written:]

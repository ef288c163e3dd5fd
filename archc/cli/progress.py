"""A line on standard error that tells how far long work has come."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self

import click

from archc.diagnostics.terminal import escape_terminal

PATIENCE = 1.0  # seconds of work before anything is shown
_INTERVAL = 0.1  # seconds between two changes of the line


class Progress:
    """Shows what is being done once it takes over a second, on a terminal only.

    Use as a context manager; the line is gone afterwards, whatever happens.
    """

    def __init__(self) -> None:
        self._enabled = sys.stderr is not None and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._text = ""
        self._printed = 0.0  # when, on the monotonic clock; 0 is not yet
        # One step may take long: the first line must not wait for the next one.
        self._timer = threading.Timer(PATIENCE, self._print)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        if self._enabled:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._enabled = False
            if self._printed:
                click.echo("\r\x1b[K", err=True, nl=False)

    def show(self, text: str) -> None:
        """Say what is being done now."""
        self._text = text
        if self._printed and time.monotonic() - self._printed >= _INTERVAL:
            self._print()

    def _print(self) -> None:
        with self._lock:
            if self._enabled:
                click.echo(f"\r\x1b[K{escape_terminal(self._text)}", err=True, nl=False)
                self._printed = time.monotonic()


def format_size(count: int) -> str:
    """Bytes as a person reads them, `246.9 kB`."""
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"

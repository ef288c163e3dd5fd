"""Reading a spec's text from a file or standard input."""

from __future__ import annotations

import os
import stat
import sys
from itertools import islice
from pathlib import Path

from archc.diagnostics import Diagnostic, Source
from archc.diagnostics.closest import closest

MAX_FILE_SIZE = 1024 * 1024
"""Bytes; the largest spec of the zoo has 6 KiB, and 20,000 layers written out take about 1 MiB."""

STDIN = "-"
STDIN_NAME = "<stdin>"

_MAX_SIBLINGS = 10_000  # Names looked through for a suggestion.
_WIDE_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def read_source(
    path: str, *, max_size: int = MAX_FILE_SIZE
) -> tuple[Source | None, list[Diagnostic]]:
    """Read a whole text.

    Args:
        path: a regular file, or `-` for standard input.
        max_size: bytes that are accepted.

    Returns:
        The source, or None and one of `missing-file`, `not-a-file`, `unreadable-file`,
        `file-too-large`, `bad-text`.
    """
    name = STDIN_NAME if path == STDIN else path
    try:
        data, problem = _read_stdin(max_size) if path == STDIN else _read_file(path, max_size)
    except OSError as error:
        problem = Diagnostic("unreadable-file", f"cannot read {name}: {_reason(error)}", path=name)
    if problem is not None:
        return None, [problem]
    if len(data) > max_size:
        return None, [_too_large(name, max_size)]
    return _decode(name, data)


def _read_stdin(max_size: int) -> tuple[bytes, Diagnostic | None]:
    if sys.stdin is None or sys.stdin.closed:
        return b"", Diagnostic("unreadable-file", "standard input is closed", path=STDIN_NAME)
    return sys.stdin.buffer.read(max_size + 1), None


def _read_file(path: str, max_size: int) -> tuple[bytes, Diagnostic | None]:
    try:
        status = Path(path).stat() if path else None
    except (FileNotFoundError, NotADirectoryError):
        return b"", _missing(path)
    except ValueError:  # A NUL character, or half of a surrogate pair.
        return b"", Diagnostic("missing-file", "no file can have this name", path=path)
    if status is None:
        return b"", Diagnostic("missing-file", "the file name is empty", path=path)
    kind = _special_kind(status.st_mode)
    if kind is not None:
        return b"", Diagnostic(
            "not-a-file",
            f"{path} is {kind}, not a file",
            help=(_help_for_special(path, status.st_mode),),
            path=path,
        )
    with Path(path).open("rb") as file:
        # The size is not trusted: a file may grow, and some (in /proc) say 0.
        return file.read(max_size + 1), None


def _special_kind(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def _help_for_special(path: str, mode: int) -> str:
    if not stat.S_ISDIR(mode):
        return "pass - to read standard input"
    specs = [name for name in _names_in(Path(path)) if name.endswith((".yaml", ".yml"))]
    if specs:
        return f"name a file in it, for example {Path(path) / min(specs)}"
    return "name a spec file"


def _missing(path: str) -> Diagnostic:
    parent = Path(path).parent
    if not parent.is_dir():
        return Diagnostic(
            "missing-file", f"{path} does not exist: there is no directory {parent}", path=path
        )
    wanted = Path(path).name
    names = _names_in(parent)
    likely = [name for name in (f"{wanted}.yaml", f"{wanted}.yml") if name in names]
    close = likely[0] if likely else closest(wanted, names)
    hints = (f"did you mean {parent / close}?",) if close else ()
    return Diagnostic("missing-file", f"{path} does not exist", help=hints, path=path)


def _names_in(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in islice(entries, _MAX_SIBLINGS)]
    except OSError:
        return []


def _too_large(name: str, max_size: int) -> Diagnostic:
    return Diagnostic(
        "file-too-large",
        f"{name} is larger than {max_size // 1024} KiB",
        help=(
            "repeat layers with `for` and blocks instead of writing them out",
            "or allow more: --max-file-size",
        ),
        path=name,
    )


def _decode(name: str, data: bytes) -> tuple[Source | None, list[Diagnostic]]:
    for mark, encoding in _WIDE_MARKS.items():
        if data.startswith(mark):
            return None, [
                Diagnostic(
                    "bad-text",
                    f"{name} is not UTF-8 but {encoding}",
                    help=("save it as UTF-8",),
                    path=name,
                )
            ]
    try:
        return Source(name, data.decode("utf-8").removeprefix("\ufeff")), []
    except UnicodeDecodeError as error:
        return None, [_undecodable(name, data, error.start)]


def _undecodable(name: str, data: bytes, offset: int) -> Diagnostic:
    line = data.count(b"\n", 0, offset) + 1
    help = "save it as UTF-8"
    if b"\0" in data[:8192]:
        help = "it looks like a binary file; a spec is YAML text"
    return Diagnostic(
        "bad-text",
        f"{name} is not UTF-8: byte 0x{data[offset]:02X} at offset {offset} (line {line})",
        help=(help,),
        path=name,
    )


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()

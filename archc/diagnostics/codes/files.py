"""Codes about files: what cannot be read or written."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec

FILES = (
    entry(
        "missing-file",
        "The file does not exist",
        """
        The path names nothing. Check its spelling and the directory you are in; the nearest name
        in that directory is suggested. A word without a suffix may also name a network of the zoo,
        which `archc list` shows; the nearest of those is suggested, too.
        """,
        needs="a path that names nothing",
    ),
    entry(
        "not-a-file",
        "The path is not a regular file",
        """
        The path names a directory, a device or a pipe. Name the file itself, or `-` to read
        from standard input.
        """,
        needs="a path that names a directory",
    ),
    entry(
        "unreadable-file",
        "The file cannot be read",
        """
        The operating system refused to open or read the file. The message says why; most often
        its permissions do not let you.
        """,
        needs="a file without read permission",
    ),
    entry(
        "bad-text",
        "The file is not plain UTF-8 text",
        """
        A spec is UTF-8 text without control characters. A file saved as Latin-1 or UTF-16, or a
        stray control character pasted from elsewhere, cannot be read reliably, so nothing is
        guessed. Save the file as UTF-8 and remove the character at the place shown.
        """,
        bad=spec("doc: rings a bell \x07\nlayers: [relu]"),
        good=spec("doc: rings a bell\nlayers: [relu]"),
    ),
    entry(
        "file-too-large",
        "The file is too large to be a spec",
        """
        A spec is written by a person and takes kilobytes; the limit is far above that and keeps
        a wrong path (a checkpoint, say) from filling the memory. Write repetition as `for` and
        blocks, and name the file you meant. Whoever runs archc can allow more: `--max-file-size`.
        """,
        needs="a file of several megabytes",
    ),
    entry(
        "empty-file",
        "The file holds no spec",
        """
        There is no text, or nothing but comments. The smallest spec gives its format version, a
        name, its inputs and a list of layers.
        """,
        bad="# nothing here yet\n",
        good=spec("layers: [relu]"),
    ),
    entry(
        "unwritable-output",
        "The output cannot be written",
        """
        The operating system refused to create or write the file. The directory has to exist and
        be writable, the disk must have room, and the name must end as the target's files do
        (`.onnx`, `.py`). What stood at that path before is untouched: output is written beside
        it and moved into place only when it is complete.
        """,
        needs="an output path in a directory that does not exist",
    ),
    entry(
        "overwrites-input",
        "The output would replace an input",
        """
        The output path names a file that this very command reads (the spec, a block file, a
        checkpoint). Choose another output path.
        """,
        needs="`-o` naming the spec itself",
    ),
)

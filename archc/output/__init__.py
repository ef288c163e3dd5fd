"""Output files that are complete or absent.

A file is written beside its destination under a random name, synced and moved over it. Files that
belong together appear together, see `OutputSet`. Whatever goes wrong on the way - an exception,
Ctrl-C, a full disk, a process that is killed - no reader meets a new file beside an old one, and
nothing temporary outlives the next output to the same folder.
"""

from __future__ import annotations

from archc.output.file import OutputFile
from archc.output.refusal import OutputError
from archc.output.scratch import scratch_folder
from archc.output.set import OutputSet, atomic_file

__all__ = ["OutputError", "OutputFile", "OutputSet", "atomic_file", "scratch_folder"]

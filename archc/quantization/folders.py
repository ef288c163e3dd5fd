"""Where onnxruntime's quantiser puts its temporary folders, without telling the whole process."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from archc.output import scratch_folder

_PACKAGE = "onnxruntime.quantization"
_folder: ContextVar[str | None] = ContextVar("folder", default=None)


class _Tempfile:
    """`tempfile` as the quantiser's modules see it; for all other threads the module itself.

    The quantiser takes no folder as an argument, and `tempfile.tempdir` belongs to all threads:
    what another one makes meanwhile would lie in ours, and go with it.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(tempfile, name)

    def TemporaryDirectory(self, *args: Any, **options: Any) -> Any:  # noqa: N802 - its name
        """The standard class, in this thread's folder where none is given."""
        if len(args) < 3 and options.get("dir") is None:
            options["dir"] = _folder.get()
        return tempfile.TemporaryDirectory(*args, **options)


_TEMPFILE = _Tempfile()


@contextlib.contextmanager
def quantiser_folder(parent: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, and takes the folders that the quantiser makes meanwhile.

    Args:
        parent: where to make it.

    Raises:
        OutputError: it cannot be made.
    """
    import onnxruntime.quantization  # noqa: F401 - its modules are looked through below

    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGE) and getattr(module, "tempfile", None) is tempfile:
            setattr(module, "tempfile", _TEMPFILE)  # noqa: B010 - not for mypy
    with scratch_folder(parent) as folder:
        token = _folder.set(str(folder))
        try:
            yield folder
        finally:
            _folder.reset(token)

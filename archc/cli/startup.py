"""What lets the program start sooner, set before anything large is imported.

It is for the program alone: as a library, archc leaves the settings of its process as they are.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from types import ModuleType
from typing import Any

_ALLOCATIONS = 100_000  # objects more than before, until the cycle collector looks at the new ones
_SEARCH = "pydantic.plugin._loader"


def start_sooner() -> None:
    """Leave out what a command makes no use of."""
    # A command makes much that lasts and few cycles: looking for them takes a tenth of a check,
    # most of it when all is over.
    gc.set_threshold(_ALLOCATIONS, 20, 100)
    atexit.register(gc.freeze)
    # Pydantic would look through all installed distributions for plugins, and run what it finds.
    if os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__") == "__all__":
        sys.modules.setdefault(_SEARCH, _NoPlugins(_SEARCH))
    # numpy would start threads for products of matrices, which no command makes of it: half of the
    # time of its import.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class _NoPlugins(ModuleType):
    """Stands for pydantic's search for plugins, whose imports alone are a twentieth of a check.

    If another version of pydantic asks it for more than the plugins, the module itself is imported.
    """

    @staticmethod
    def get_plugins() -> tuple[()]:
        return ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks whether it is a package
            raise AttributeError(name)
        if sys.modules.get(_SEARCH) is self:
            del sys.modules[_SEARCH]
        return getattr(importlib.import_module(_SEARCH), name)

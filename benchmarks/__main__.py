"""All benchmarks: `python -m benchmarks` prints the tables of docs/performance.md.

Each figure is measured in turn with a named peer in the same run; medians of at least five. Every
table is a word of its own, so that it can be run alone, and says how long it takes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

TABLES = (
    "starting",
    "checking",
    "scaling",
    "building",
    "limit",
    "copying",
    "large",
    "modules",
    "serving",
    "integers",
)
"""Names of modules here: each has `ABOUT` and `table(folder)`, which yields lines of Markdown."""

_PEERS = ("torch", "torchvision", "onnx", "onnxruntime", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="|".join(TABLES), help="default: all")
    chosen = parser.parse_args().tables or list(TABLES)
    unknown = set(chosen) - set(TABLES)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}")
    versions = ", ".join(f"{name} {version(name)}" for name in _PEERS)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{platform.machine()}, {os.cpu_count()} cores{load}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"Python {platform.python_version()}, {versions}")
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n## {name.capitalize()}\n\n{module.ABOUT}\n", flush=True)
        with tempfile.TemporaryDirectory(prefix="archc-bench-") as folder:
            for line in module.table(Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()

"""What comes out of a model: its largest entries, or a file of arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archc.output import atomic_file


def top_k(output: Any, count: int) -> list[list[tuple[int, float]]]:
    """The largest entries of each row of a [batch, classes] output, with their indices.

    Further axes are read as one. Where entries are equal the first comes first; NaNs come last.
    """
    import numpy as np

    rows = []
    for row in output.reshape(len(output), -1).astype(np.float64):
        best = np.argsort(-row, kind="stable")[:count]
        rows.append([(int(index), float(row[index])) for index in best])
    return rows


def write_arrays(
    arrays: Mapping[str, Any], path: str | Path, *, inputs: Iterable[str | Path] = ()
) -> None:
    """Write arrays by name as an `.npz` archive.

    Args:
        arrays: name -> array.
        path: the file; it appears when it is complete.
        inputs: files that must not be overwritten.

    Raises:
        OutputError: it cannot be written.
    """
    import numpy as np

    with (
        atomic_file(path, inputs=inputs) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        # np.savez takes names as keyword arguments and so has none called `file`.
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)

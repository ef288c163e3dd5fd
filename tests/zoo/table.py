"""The proof of the zoo: `python -m tests.zoo.table [MODEL ...]` measures and writes docs/zoo.md.

Each model runs in a process of its own, so that its memory is free before the next one; the file
is written after each. Of models that are not named the rows stay.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.zoo.catalogue import TORCHVISION

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
HEAD = "| model | parameters | keys | images | PyTorch | float32 | ONNX | optimized |"
SAME = "same bits"
_ROW = re.compile(r"\| (?P<model>\w+) \| (?P<parameters>[\d,]+) \| (?P<rest>.*) \|")


@dataclass(frozen=True)
class Row:
    """A line of the table; numbers are as they are written."""

    model: str
    parameters: str
    keys: str
    images: str
    torch: str
    float32: str
    written: str
    optimized: str

    @property
    def line(self) -> str:
        return f"| {' | '.join(astuple(self))} |"


def measure(spec: str, variant: str | None, name: str) -> Row:
    """Compare one model with torchvision's: slow, and large for large models."""
    from tests.zoo.graphs import graph_of
    from tests.zoo.oracle import meta_state
    from tests.zoo.proof import WAYS, proof_sizes, run

    graph = graph_of(spec, variant)
    ours = {ref.key: (ref.weight.shape, ref.weight.dtype.value) for ref in graph.weights()}
    theirs = {
        key: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for key, tensor in meta_state(name).items()
    }
    assert ours == theirs
    ways = zip(proof_sizes(spec, variant), WAYS, strict=True)
    runs = [run(spec, variant, name, size, *way) for size, way in ways]
    onnx = [item for done in runs for item in done.onnx]
    for item in (*onnx, *(item for done in runs for item in done.module)):
        assert item.ok, item
    difference = max(done.difference for done in runs)
    return Row(
        name,
        f"{graph.parameter_count:,}",
        f"{len(ours)}",
        ", ".join(f"{height} x {width}" for height, width in (done.size for done in runs)),
        SAME if all(done.same_bits for done in runs) else f"{difference:.1e}",
        f"{max(item.torch_error for item in onnx):.1e}",
        *(
            f"{max(item.ort_error for item in onnx if item.optimized is optimized):.1e}"
            for optimized in (False, True)
        ),
    )


def read_rows(text: str) -> dict[str, Row]:
    """The rows of the page, by model."""
    lines = (line for line in text.splitlines() if _ROW.fullmatch(line))
    rows = (Row(*line.strip("| ").split(" | ")) for line in lines)
    return {row.model: row for row in rows}


def with_rows(text: str, rows: Mapping[str, Row]) -> str:
    """The page with these rows in place of its own, in the order of the catalogue."""
    before, head, after = text.partition(HEAD)
    assert head, f"{PAGE} has no table"
    rest = [line for line in after.splitlines()[2:] if not _ROW.fullmatch(line)]
    ordered = [rows[name].line for _, _, name in TORCHVISION if name in rows]
    rule = "|---" * HEAD.count(" | ") + "|---|"
    return before + "\n".join([HEAD, rule, *ordered, *rest]) + "\n"


def write_row(row: Row) -> None:
    """Put a row into the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_rows(text, {**read_rows(text), row.model: row}), encoding="utf-8")


def measured(names: list[str]) -> Iterator[Row]:
    """The rows of these models, each measured in a new process."""
    chosen = [row for row in TORCHVISION if row[2] in names]
    # A child that is forked would inherit torch's threads.
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for entry in chosen:
            yield pool.submit(measure, *entry).result()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo.table", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all")
    known = [name for _, _, name in TORCHVISION]
    names = parser.parse_args().models or known
    unknown = set(names) - set(known)
    if unknown:
        parser.error(f"no model {', '.join(sorted(unknown))}")
    for row in measured(names):
        write_row(row)
        print(row.line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

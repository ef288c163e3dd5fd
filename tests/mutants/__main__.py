"""`python -m tests.mutants [OP ...]`: every seeded fault, and which of them no test notices."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch

from tests.mutants.hunt import Found, hunt
from tests.mutants.report import MEASURED, measured
from tests.properties.cases import PROPERTIES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--cases", type=int, default=300, help="drawn of each op")
    parser.add_argument("--jobs", type=int, default=1, help="ops at a time")
    parser.add_argument("--page", type=Path, help="page to bring up to date after each op")
    chosen = parser.parse_args(arguments)
    found: list[Found] = []
    ops = chosen.ops or sorted(PROPERTIES)
    for one in _hunted(ops, chosen.cases, chosen.jobs):
        found.append(one)
        survived = len(one.survivors)
        print(f"{one.op}: {one.killed} killed, {survived} not, {one.seconds:.1f} s", flush=True)
        text = measured(found, ops, chosen.cases)
        if chosen.page is not None:
            head = chosen.page.read_text().partition(MEASURED)[0]
            chosen.page.write_text(head + text)
    print(text)
    unexplained = [mutant for one in found for mutant in one.unexplained]
    for mutant in unexplained:
        print(f"survived: {mutant}", file=sys.stderr)
    return 1 if unexplained else 0


def _hunted(ops: Sequence[str], cases: int, jobs: int) -> Iterator[Found]:
    """What was found of each op, as soon as it is known."""
    if jobs == 1:
        torch.set_num_threads(1)
        yield from (hunt(op, cases) for op in ops)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        for future in as_completed([pool.submit(hunt, op, cases) for op in ops]):
            yield future.result()


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m tests.mutants [OP ...]`: every seeded fault, and which of them no test notices."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

import torch

from tests.mutants.equivalent import why
from tests.mutants.hunt import hunt
from tests.mutants.mutate import Mutant
from tests.properties.cases import PROPERTIES

KINDS = ("mutants", "killed", "equivalent", "survived")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--cases", type=int, default=30, help="random cases of each op")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    total: Counter[str] = Counter()
    unexplained: list[Mutant] = []
    print("| op | mutants | killed | equivalent | survived | seconds |")
    print("|---|---|---|---|---|---|")
    for op in chosen.ops or sorted(PROPERTIES):
        start = time.process_time()
        found = hunt(op, chosen.cases)
        equal = [mutant for mutant in found.survivors if why(mutant)]
        alive = [mutant for mutant in found.survivors if not why(mutant)]
        unexplained += alive
        for mutant in alive:
            print(f"survived: {mutant}", file=sys.stderr, flush=True)
        seconds = time.process_time() - start
        counts = (found.killed + len(found.survivors), found.killed, len(equal), len(alive))
        total.update(dict(zip(KINDS, counts, strict=True)))
        print(f"| {op} | {' | '.join(map(str, counts))} | {seconds:.1f} |", flush=True)
    print(f"| all | {' | '.join(str(total[kind]) for kind in KINDS)} | |")
    return 1 if unexplained else 0


if __name__ == "__main__":
    raise SystemExit(main())

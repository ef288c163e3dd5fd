"""Random networks on every target, as many as are asked for.

    python -m tests.networks.run --count 10000 [--first 0] [--failures FOLDER] [--dtype float16]

Each is written in a way of its own (`drawn_style`). One that fails is made smaller as long as it
fails, and written to a folder in `FOLDER` as a spec, with the file that it imports, if any.
With `--dtype float16` or `bfloat16` networks are held as `archc verify` does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from archc.graph.precision import PRECISIONS
from archc.types import DType
from tests.networks.check import check_fresh, check_targets, compiled
from tests.networks.grow import Body, Network, Section, bodies_of, network
from tests.networks.precision import examine_in
from tests.networks.style import Written, drawn_style
from tests.networks.write import count_items, written

BATCH = 40
"""Networks that one fresh process runs."""

SHRINKING = 20.0
"""Seconds spent on making one network smaller."""


def examine(numbers: Sequence[int], most: int = 200) -> dict[int, str]:
    """Check networks by their numbers; number -> what is wrong."""
    wrong: dict[int, str] = {}
    with tempfile.TemporaryDirectory(prefix="archc-networks-") as name:
        folder, prepared = Path(name), []
        for number in numbers:
            problem, ready = attempt(network(number, most), folder)
            if problem:
                wrong[number] = problem
            else:
                prepared.append(ready)
        for found, problem in check_fresh(folder, prepared).items():
            wrong[int(found.removeprefix("random"))] = problem
    return wrong


def as_drawn(net: Network) -> Written:
    """The network in the way of writing that its number draws."""
    return written(net, drawn_style(net.seed))


def attempt(net: Network, folder: Path) -> tuple[str, Any]:
    """What is wrong with a network in this process, or what a fresh one has to repeat."""
    try:
        return "", check_targets(as_drawn(net), folder, f"random{net.seed}", net.seed)
    except Exception as error:
        return f"{type(error).__name__}: {error}", None


def fails_here(net: Network) -> bool:
    """Whether the spec is one that archc takes and a target then fails in this process."""
    with tempfile.TemporaryDirectory(prefix="archc-networks-") as name:
        try:
            compiled(as_drawn(net))
        except Exception:
            return False
        return bool(attempt(net, Path(name))[0])


def fails_fresh(net: Network) -> bool:
    """Whether a fresh process computes something else."""
    with tempfile.TemporaryDirectory(prefix="archc-networks-") as name:
        problem, ready = attempt(net, Path(name))
        return not problem and bool(check_fresh(Path(name), [ready]))


def smaller(net: Network, fails: Callable[[Network], bool]) -> Network:
    """The network without what it fails without, as far as a minute of work goes."""
    end = time.process_time() + SHRINKING
    progress = True
    while progress:
        progress = False
        for body in _without_one(net.body):
            candidate = replace(net, body=body, outputs=())
            if time.process_time() > end:
                return net
            if body.items and fails(candidate):
                net, progress = candidate, True
                break
    return net


def _without_one(body: Body) -> Iterator[Body]:
    """The body with one item left out, or replaced by what it holds, or smaller itself."""
    for index, item in enumerate(body.items):
        before, after = body.items[:index], body.items[index + 1 :]
        yield replace(body, items=(*before, *after))
        for inner in bodies_of(item):
            kept = Section(item.name, inner)
            if inner.items and kept != item:
                yield replace(body, items=(*before, kept, *after))
            if isinstance(item, Section):
                yield from (
                    replace(body, items=(*before, replace(item, body=small), *after))
                    for small in _without_one(inner)
                )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.networks.run")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first network")
    parser.add_argument("--failures", type=Path, default=Path("failures"))
    parser.add_argument("--dtype", choices=[d.value for d in PRECISIONS], default="float32")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if chosen.dtype != DType.FLOAT32.value:
        return _run_in(DType(chosen.dtype), chosen.first, chosen.count)
    start, total, failed = time.process_time(), Counter[str](), 0
    for first in range(chosen.first, chosen.first + chosen.count, BATCH):
        numbers = range(first, min(first + BATCH, chosen.first + chosen.count))
        for number, problem in sorted(examine(numbers).items()):
            failed += 1
            _report(number, problem, chosen.failures)
        total.update(op for number in numbers for op in _ops_of(number))
        seconds = time.process_time() - start
        done = numbers[-1] + 1 - chosen.first
        layers = sum(total.values())
        print(f"{done} networks, {layers} layers, {failed} failed, {seconds:.0f} s", flush=True)
    print(", ".join(f"{op} {count}" for op, count in sorted(total.items())))
    return 1 if failed else 0


def _run_in(dtype: DType, first: int, count: int) -> int:
    failed = missing = 0
    start = time.process_time()
    for number in range(first, first + count):
        wrong, refused = examine_in(dtype, [(number, as_drawn(network(number)))])
        failed, missing = failed + len(wrong), missing + len(refused)
        for problem in wrong.values():
            print(f"network {number}: {problem[:300]}", flush=True)
    seconds = time.process_time() - start
    print(
        f"{count} networks, {missing} without a kernel of torch, {failed} failed, {seconds:.0f} s"
    )
    return 1 if failed else 0


def _ops_of(number: int) -> list[str]:
    try:
        return [node.op_name for node in compiled(as_drawn(network(number))).nodes]
    except AssertionError:
        return []


def _report(number: int, problem: str, folder: Path) -> None:
    net = network(number)
    print(f"network {number}: {problem[:300]}", flush=True)
    found = smaller(net, fails_here if fails_here(net) else fails_fresh)
    made = as_drawn(found)
    path = folder / f"random{number}" / "net.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = f" --variant {made.variant}" if made.variant else ""
    head = f"# {' '.join(problem.split())}\n# net.yaml{chosen}\n"
    path.write_text(head + made.text, encoding="utf-8")
    made.save_imports(path.parent)
    sizes = f"{count_items(net.body)} to {count_items(found.body)} items"
    print(f"network {number}: {sizes}: {path}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""Evidence for the parity gate: `python -m benchmarks.gate` prints the tables of docs/parity.md.

Correct networks (a zoo part and random ones) show how large errors are and how many of them the
gate would fail by mistake; the same networks with one known mistake show how many it finds.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import onnx

from archc.compile import check_file, check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.parity import DRAWS, FACTOR, FLOOR, Comparison, verify_graph
from archc.parity.sizes import choose_sizes
from archc.targets.onnx import write_onnx
from archc.weights import RandomisedWeights
from tests.parity.faults import network

SPECS = Path(__file__).parents[1] / "specs"
ZOO = {  # smallest first
    "lenet5": None,
    "shufflenet_v2": "shufflenet_v2_x0_5",
    "mobilenet_v3": "mobilenet_v3_small",
    "mnasnet": "mnasnet0_5",
    "squeezenet": "squeezenet1_0",
    "resnet": "resnet18",
    "mobilenet_v2": None,
    "regnet": "regnet_y_400mf",
    "efficientnet": "efficientnet_b0",
    "googlenet": None,
    "densenet": "densenet121",
    "alexnet": None,
    "zfnet": None,
    "swin": "swin_t",
    "convnext": "convnext_tiny",
    "swin_v2": "swin_v2_t",
    "maxvit": None,
    "vgg": "vgg11_bn",
    "vit": "vit_b_16",
}
FACTORS = (4.0, 8.0, 16.0, 32.0)


def zoo(count: int) -> Iterator[Graph]:
    for name, variant in islice(ZOO.items(), count):
        graph = check_file(str(SPECS / f"{name}.yaml"), variant).graph
        assert graph is not None, name
        yield graph


def random_networks(count: int) -> Iterator[Graph]:
    for seed in range(10_000, 10_000 + 4 * count):
        graph = check_source(Source("net.yaml", network(seed))).graph
        if graph is not None and choose_sizes(graph)[0]:
            yield graph
            count -= 1
            if not count:
                return


# -- correct networks -------------------------------------------------------------------------


def correct(graphs: Iterator[Graph], batches: list[int] | None) -> Iterator[str]:
    """How networks without a mistake fare."""
    found: dict[str, list[Comparison]] = defaultdict(list)
    count = 0
    for graph in graphs:
        report = verify_graph(graph, seed=count, batches=batches, locate=False)
        count += 1
        for item in report.comparisons:
            found[item.draw].append(item)
            if not item.ok:
                print(f"{graph.name}, {item.draw}, {dict(item.sizes)}: {item}", file=sys.stderr)
    yield f"{count} networks, {sum(map(len, found.values()))} comparisons"
    yield ""
    factors = " | ".join(f"false alarms at {factor:g}" for factor in FACTORS)
    yield f"| input | comparisons | median e(ort) | 99 % | largest | largest ratio | {factors} |"
    yield "|---|---|---|---|---|---|" + "---|" * len(FACTORS)
    for draw in DRAWS:
        items = found[draw]
        errors = np.array([item.ort_error for item in items if not item.problem])
        yield (
            f"| {draw} | {len(items)} | {np.median(errors):.1e} | {np.quantile(errors, 0.99):.1e} "
            f"| {errors.max():.1e} | {max(map(_ratio, items)):.1f} | "
            + " | ".join(str(sum(_fails(item, factor) for item in items)) for factor in FACTORS)
            + " |"
        )


def _ratio(item: Comparison) -> float:
    """The factor at which it would just pass, above the floor."""
    if item.problem or item.ort_error <= FLOOR:
        return 0.0
    return item.ort_error / max(item.torch_error, item.conditioning, 1e-30)


def _fails(item: Comparison, factor: float) -> bool:
    limit = max(FLOOR, factor * max(item.torch_error, item.conditioning))
    return bool(item.problem) or item.ort_error > limit


# -- networks with a mistake ------------------------------------------------------------------


def _float(name: str, change):
    def apply(node: onnx.NodeProto) -> bool:
        for attribute in node.attribute:
            if attribute.name == name:
                before = attribute.f
                attribute.f = change(before)
                return attribute.f != before
        return False

    return apply


def _alpha(node: onnx.NodeProto) -> bool:
    return node.op_type == "HardSigmoid" and _float("alpha", lambda value: 0.2)(node)


def _gelu(node: onnx.NodeProto) -> bool:
    if node.op_type != "Gelu":
        return False
    exact = any(a.name == "approximate" and a.s == b"tanh" for a in node.attribute)
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("approximate", "none" if exact else "tanh"))
    return True


def _padding_counts(node: onnx.NodeProto) -> bool:
    if node.op_type != "AveragePool":
        return False
    pads = next((list(a.ints) for a in node.attribute if a.name == "pads"), [])
    for attribute in node.attribute:
        if attribute.name == "count_include_pad" and any(pads):
            attribute.i = 1 - attribute.i
            return True
    return False


MISTAKES = {
    "eps 1e-5 for 1e-3, or the reverse": _float(
        "epsilon", lambda value: 1e-5 if value > 5e-4 else 1e-3
    ),
    "eps 1e-6 for 1e-5, or the reverse": _float(
        "epsilon", lambda value: 1e-6 if value > 5e-6 else 1e-5
    ),
    "hardsigmoid with ONNX's slope 0.2": _alpha,
    "gelu: tanh for erf, or the reverse": _gelu,
    "count_include_pad flipped": _padding_counts,
}


def wrong(graphs: Iterator[Graph], batches: list[int] | None) -> Iterator[str]:
    """How networks with one mistake at one random layer fare."""
    tried: Counter[str] = Counter()
    by_draw: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory(prefix="archc-gate-") as folder:
        for index, graph in enumerate(graphs):
            weights = RandomisedWeights(index)
            path = Path(folder) / "model.onnx"
            write_onnx(graph, weights, path)
            original = onnx.load(path)
            for name, mistake in MISTAKES.items():
                model = onnx.ModelProto()
                model.CopyFrom(original)
                nodes = list(model.graph.node)
                random.Random(index).shuffle(nodes)
                if not any(mistake(node) for node in nodes):
                    continue
                onnx.save(model, path)
                report = verify_graph(
                    graph, weights=weights, model=path, batches=batches, locate=False
                )
                tried[name] += 1
                draws = {item.draw for item in report.comparisons if not item.ok}
                by_draw[name].update(draws)
                by_draw[name]["any"] += bool(draws)
    columns = [*DRAWS, "any"]
    yield f"| mistake | networks | {' | '.join(f'found on {c}' for c in columns)} |"
    yield "|---|---|" + "---|" * len(columns)
    for name, count in tried.items():
        yield f"| {name} | {count} | " + " | ".join(str(by_draw[name][c]) for c in columns) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--random", type=int, default=200, help="random networks (default: 200)")
    parser.add_argument(
        "--zoo", type=int, default=len(ZOO), help="networks of the zoo (default: all)"
    )
    parser.add_argument("--batch", type=int, action="append", help="batches (default: 1, 2, 3)")
    chosen = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnx", "onnxruntime"))
    print(f"{platform.machine()}, Python {platform.python_version()}, {packages}")
    print(f"factor {FACTOR:g}, floor {FLOOR:g}")
    parts = {
        "Random networks": correct(random_networks(chosen.random), chosen.batch),
        "Random networks with a mistake": wrong(random_networks(chosen.random), [2]),
        "Zoo": correct(zoo(chosen.zoo), chosen.batch),
        "Zoo with a mistake": wrong(zoo(chosen.zoo), [1]),
    }
    for title, lines in parts.items():
        print(f"\n## {title}\n", flush=True)
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()

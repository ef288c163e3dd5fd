"""Emitted PyTorch modules, run eagerly, against torchvision's with the same weights."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ABOUT = (
    "Eager, 2 threads, the same weights and input, calls in turn; medians of at least fifteen, "
    "ratios call by call. LeNet-5 is held against a plain nn.Sequential. Frames are calls of "
    "Python functions in one forward. Takes about 3 minutes."
)

_ROUNDS = 15
_LEAST = 0.02  # seconds of each measurement: short forwards are called several times


def table(folder: Path) -> Iterator[str]:
    import torch

    import archc

    torch.set_num_threads(2)
    yield "| network | batch | emitted, ms | peer, ms | emitted / peer | frames | peer's frames |"
    yield "|---|---|---|---|---|---|---|"
    for name in ("lenet5", "resnet18", "resnet50", "vit_b_16", "swin_t"):
        ours = archc.load(name).eval()
        peer = _peer(name).eval()
        load_same(peer, ours)
        for batch in (1, 8):
            x = torch.randn(batch, *((1, 32, 32) if name == "lenet5" else (3, 224, 224)))
            with torch.inference_mode():
                times = _alternate(lambda x=x, m=ours: m(x), lambda x=x, m=peer: m(x))
                frames = [_frames(lambda x=x, m=m: m(x)) for m in (ours, peer)]
            a, b = (statistics.median(one) * 1e3 for one in zip(*times, strict=True))
            ratio = statistics.median(mine / other for mine, other in times)
            yield (
                f"| {name} | {batch} | {a:.2f} | {b:.2f} | {ratio:.3f} "
                f"| {frames[0]} | {frames[1]} |"
            )


def load_same(peer: Any, ours: Any) -> None:
    """Give the peer the weights of the emitted module: by key, or in order if it has other keys."""
    state, keys = ours.state_dict(), list(peer.state_dict())
    same = set(keys) == set(state)
    peer.load_state_dict(state if same else dict(zip(keys, state.values(), strict=True)))


def _alternate(ours: Callable[[], Any], peer: Callable[[], Any]) -> list[tuple[float, float]]:
    start = time.perf_counter()
    ours(), peer()
    repeats = max(1, int(_LEAST / (time.perf_counter() - start)))
    pairs = []
    for turn in range(_ROUNDS):
        # Whoever comes second finds other things in the caches: each comes first in turn.
        first, second = (ours, peer) if turn % 2 else (peer, ours)
        one, two = _seconds(first, repeats), _seconds(second, repeats)
        pairs.append((one, two) if turn % 2 else (two, one))
    return pairs


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def _frames(call: Callable[[], Any]) -> int:
    count = 0

    def tell(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(tell)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count - 1  # the call itself


def _peer(name: str) -> Any:
    from torch import nn

    from tests.zoo.oracle import torchvision_models

    if name != "lenet5":
        return torchvision_models().get_model(name, weights=None)
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh()),
        *(nn.Linear(84, 10), nn.Softmax(1)),
    )

"""Random small networks with branches, as specs with symbolic sizes."""

from __future__ import annotations

import random

CHANNELS = 4


def random_spec(seed: int) -> str:
    """A spec over [N, 4, H, W] whose layers demand something of H and W, as real ones do."""
    rng = random.Random(seed)
    layers = [f"  - {_item(rng, depth=0)}" for _ in range(rng.randint(2, 6))]
    return "\n".join(
        [
            "archc: 1",
            f"name: random{seed}",
            "inputs: {x: [N, 4, H, W]}",
            f"defaults: {{conv: {{out: {CHANNELS}}}}}",
            "layers:",
            *layers,
            "",
        ]
    )


def _item(rng: random.Random, depth: int) -> str:
    kinds = ["conv", "conv", "pool", "up", "pad"]
    if depth < 2:
        kinds += ["residual", "residual", "concat", "rearrange"]
    return _MAKERS[rng.choice(kinds)](rng, depth)


def _conv(rng: random.Random, depth: int) -> str:
    kernel = rng.choice([1, 2, 3, 5])
    padding = rng.choice(["0", "0", str(kernel // 2), "half", "[[0, 1], [1, 0]]"])
    return (
        f"{{conv: {CHANNELS}, kernel: {kernel}, stride: {rng.choice([1, 1, 2, 3])}, "
        f"padding: {padding}, dilation: {rng.choice([1, 1, 2])}}}"
    )


def _pool(rng: random.Random, depth: int) -> str:
    kernel = rng.choice([2, 3])
    ceil = rng.choice(["true", "false"])
    padding = rng.choice([0, 1])
    kind = rng.choice(["maxpool", "avgpool"])
    stride = rng.choice([1, 2, 3])
    return f"{{{kind}: {kernel}, stride: {stride}, padding: {padding}, ceil: {ceil}}}"


def _up(rng: random.Random, depth: int) -> str:
    if rng.random() < 0.5:
        return f"{{resize: , scale: {rng.choice([2, 3])}}}"
    output_padding = rng.choice([0, 1])
    return (
        f"{{conv_transpose: {CHANNELS}, kernel: {rng.choice([2, 3])}, stride: 2, "
        f"output_padding: {output_padding}}}"
    )


def _pad(rng: random.Random, depth: int) -> str:
    return f"{{pad_to: {rng.choice([2, 3, 4])}, dims: [2, 3]}}"


def _residual(rng: random.Random, depth: int) -> str:
    """A branch that often, but not always, comes back to the size it started from."""
    body = [
        [f"{{conv: {CHANNELS}, kernel: 3, padding: 1}}"],
        ["{maxpool: 2}", "{resize: , scale: 2}"],
        [f"{{conv: {CHANNELS}, kernel: 3, stride: 2, padding: 1}}", "{resize: , scale: 2}"],
        ["{avgpool: 3, stride: 3, ceil: true}", "{resize: , scale: 3}"],
        [
            f"{{conv: {CHANNELS}, kernel: 2, stride: 2}}",
            f"{{conv_transpose: {CHANNELS}, kernel: 2, stride: 2, output_padding: 1}}",
        ],
    ]
    inner = rng.choice(body)
    if rng.random() < 0.3:
        inner = [*inner, _item(rng, depth + 1)] if rng.random() < 0.2 else inner
    return "{residual: [" + ", ".join(inner) + "]}"


def _concat(rng: random.Random, depth: int) -> str:
    left = f"{{conv: {CHANNELS}, kernel: 3, stride: 2, padding: 1}}"
    right = rng.choice(
        ["{maxpool: 2}", "{maxpool: 2, ceil: true}", "{avgpool: 3, stride: 2, padding: 1}"]
    )
    return f"{{concat: [[{left}], [{right}]], then: [{{conv: {CHANNELS}}}]}}"


def _rearrange(rng: random.Random, depth: int) -> str:
    window = rng.choice([2, 3])
    pattern = "b c (h p) (w q) -> b (c p q) h w"
    return f'{{seq: [{{rearrange: "{pattern}", p: {window}, q: {window}}}, {{conv: {CHANNELS}}}]}}'


_MAKERS = {
    "conv": _conv,
    "pool": _pool,
    "up": _up,
    "pad": _pad,
    "residual": _residual,
    "concat": _concat,
    "rearrange": _rearrange,
}

"""Weights drawn at random: distributions, streams, chunks."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.graph.graph import WeightRef
from archc.graph.passes.recipe import Along, Flipped, Stored
from archc.ops.base import Weight
from archc.ops.initial import Constant, Init, Normal, TruncatedNormal, Uniform
from archc.types import DType
from archc.weights import ComputedWeights, DrawnWeights, RandomisedWeights, WeightSource
from archc.weights.source import CHUNK
from tests.targets.graphs import Net, small_net

ROOT = Path(__file__).parents[2]
NORMAL = statistics.NormalDist()


def ref(
    init: Init, *shape: int, key: str = "layer.weight", dtype: DType = DType.FLOAT32
) -> WeightRef:
    return WeightRef(key, Weight(key.rpartition(".")[2], shape, init, dtype))


def drawn(init: Init, count: int = 200_000, seed: int = 0) -> np.ndarray:
    return DrawnWeights(seed).array(ref(init, count))


def distance(numbers: np.ndarray, cdf: np.ufunc) -> float:
    """Kolmogorov's distance between a sample and a distribution."""
    ordered = np.sort(numbers.astype(np.float64))
    steps = np.arange(len(ordered) + 1) / len(ordered)
    exact = cdf(ordered)
    return float(max((steps[1:] - exact).max(), (exact - steps[:-1]).max()))


# Of samples of 200,000 one in a thousand is farther away: sqrt(ln(2000) / 2 / 200000).
FAR = 0.00436


# -- distributions ----------------------------------------------------------------------------


def test_uniform() -> None:
    numbers = drawn(Uniform(-0.25, 0.75))
    assert numbers.dtype == np.float32
    assert numbers.min() >= -0.25
    assert numbers.max() <= 0.75
    assert distance(numbers, lambda x: x + 0.25) < FAR


@pytest.mark.parametrize("count", [1, 2, 7, CHUNK - 1, CHUNK])
@pytest.mark.parametrize(
    "bounds", [(-0.1, 0.1), (0.0, 1.0), (2.0, 2.5), (1e6, 1e6 + 1), (-3e38, 3e38), (1e-30, 2e-30)]
)
def test_uniform_fills_its_bounds_and_stays_inside(bounds: tuple[float, float], count: int) -> None:
    low, high = bounds
    numbers = drawn(Uniform(low, high), count)
    assert numbers.min() >= np.float32(low)
    assert numbers.max() <= np.float32(high)
    if count >= CHUNK - 1:
        assert numbers.min() < low + 1e-3 * (high - low) + abs(low) * 1e-7
        assert numbers.max() > high - 1e-3 * (high - low) - abs(high) * 1e-7


def test_uniform_draws_every_bit() -> None:
    """Numbers near 0 are as fine as the words they are made of, and neighbours are unrelated."""
    numbers = drawn(Uniform(-(2.0**31), 2.0**31), CHUNK).astype(np.int64)
    assert abs(np.mean(numbers[abs(numbers) < 2**24] % 2) - 0.5) < 0.03
    assert abs(np.corrcoef(numbers[::2], numbers[1::2])[0, 1]) < 0.01


def test_normal() -> None:
    numbers = drawn(Normal(3.0, 0.5))
    assert distance(numbers, np.vectorize(statistics.NormalDist(3.0, 0.5).cdf)) < FAR


@pytest.mark.parametrize(
    ("mean", "std", "low", "high"),
    [
        (0.0, 0.02, -2.0, 2.0),  # what vision transformers use: hardly cut
        (0.0, 1.0, -2.0, 2.0),
        (1.0, 2.0, 0.5, 1.0),  # little inside, on one side
        (0.0, 1.0, -0.1, 0.2),  # little inside, on both sides
        (0.0, 1.0, 2.0, 9.0),  # a tail
        (0.0, 1.0, -5.0, -2.5),
        (0.0, 0.5, 3.0, 3.1),
    ],
)
def test_truncated_normal(mean: float, std: float, low: float, high: float) -> None:
    numbers = drawn(TruncatedNormal(mean, std, low, high))
    assert numbers.min() >= np.float32(low)
    assert numbers.max() <= np.float32(high)

    def upper(x: float) -> float:
        """Accurate in both tails."""
        return math.erfc((x - mean) / std / math.sqrt(2))

    sign = 1 if low + high >= 2 * mean else -1
    low_, high_ = sorted((sign * (low - mean) + mean, sign * (high - mean) + mean))
    mirrored = sign * (numbers.astype(np.float64) - mean) + mean
    total = upper(low_) - upper(high_)
    cdf = np.vectorize(lambda x: (upper(low_) - upper(x)) / total)
    assert distance(mirrored, cdf) < FAR


@pytest.mark.parametrize("bounds", [(50.0, 60.0), (-60.0, -50.0), (1.0, 1.0), (40.0, 1e9)])
def test_truncation_far_out_ends_and_stays_inside(bounds: tuple[float, float]) -> None:
    numbers = drawn(TruncatedNormal(0.0, 1.0, *bounds), 1000)
    assert len(numbers) == 1000
    assert numbers.min() >= bounds[0]
    assert numbers.max() <= bounds[1]


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.INT64, DType.FLOAT16, DType.BOOL])
def test_constants_in_every_dtype(dtype: DType) -> None:
    array = DrawnWeights().array(ref(Constant(1.0), 2, 3, dtype=dtype))
    np.testing.assert_array_equal(array, np.ones((2, 3), dtype.value), strict=True)


def test_a_weight_without_axes() -> None:
    scalar = ref(Constant(0.0), dtype=DType.INT64)
    array = DrawnWeights().array(scalar)
    assert (array.shape, array.dtype, int(array)) == ((), np.int64, 0)
    assert b"".join(DrawnWeights().chunks(scalar)) == bytes(8)


# -- streams ----------------------------------------------------------------------------------


def test_every_key_and_seed_has_a_stream_of_its_own() -> None:
    keys = [*(f"layer{i}.weight" for i in range(20)), "a.b", "a", "b", "ab"]
    arrays = [
        DrawnWeights(seed).array(ref(Uniform(0, 1), 50, key=key)).tobytes()
        for key in keys
        for seed in (0, 1, -1, 2**70)
    ]
    assert len(set(arrays)) == len(arrays)


def test_editing_one_layer_leaves_the_others_as_they_were() -> None:
    def weights(width: int, extra: bool) -> dict[str, bytes]:
        net = Net(x=["N", 8])
        net.add("a", "linear", attributes={"out": 8})
        if extra:
            net.add("new", "linear", attributes={"out": 8})
        net.add("b", "linear", attributes={"out": width})
        net.add("c", "linear", attributes={"out": 5})
        source = DrawnWeights(7)
        return {ref.key: source.array(ref).tobytes() for ref in net.graph().weights()}

    before, after = weights(16, False), weights(32, True)
    same = {key for key in before if before[key] == after[key]}
    # The bias of `c` is drawn from bounds that follow from its input's width.
    assert same == {"a.weight", "a.bias"}
    assert weights(16, True).items() >= before.items()


def test_chunks_stand_alone() -> None:
    long = DrawnWeights().array(ref(Normal(0, 1), 2 * CHUNK + 5))
    short = DrawnWeights().array(ref(Normal(0, 1), CHUNK))
    np.testing.assert_array_equal(long[:CHUNK], short)
    assert not np.array_equal(long[:CHUNK], long[CHUNK : 2 * CHUNK])


def test_the_numbers_are_the_same_on_every_run() -> None:
    code = """
from archc.weights import DrawnWeights
from tests.weights.test_drawn import ref, Normal, TruncatedNormal, Uniform
for init in (Uniform(-1, 1), Normal(0, 1), TruncatedNormal(0, 1, -1, 1)):
    print(DrawnWeights(5).array(ref(init, 3)).tolist())
"""
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


# -- chunks -----------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 3 * CHUNK),
    st.sampled_from([Uniform(-1, 1), Constant(2.0), TruncatedNormal(0, 1, -1, 1)]),
)
def test_chunks_are_the_array(count: int, init: Init) -> None:
    weight = ref(init, count)
    for source in (DrawnWeights(1), RandomisedWeights(1)):
        assert_chunks_are_the_array(source, weight)


def assert_chunks_are_the_array(source: WeightSource, weight: WeightRef) -> None:
    array = source.array(weight)
    assert array.shape == weight.weight.shape
    assert array.dtype == np.dtype(weight.weight.dtype.value)
    chunks = list(source.chunks(weight))
    assert max(chunk.nbytes for chunk in chunks) <= 4 << 20
    data = b"".join(chunks)
    assert data == array.astype(array.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize("length", [1, 7, CHUNK - 1, CHUNK, CHUNK + 3])
@pytest.mark.parametrize("count", [1, 2 * CHUNK + 5])
def test_scaled_chunks_are_the_array(length: int, count: int) -> None:
    rows = -(-count // length)
    weight = ref(Normal(0, 1), rows, length)
    factors = ref(Uniform(0.5, 2), rows, key="layer.factors")
    source = ComputedWeights(
        DrawnWeights(1), {weight.key: Along(Stored(weight), Stored(factors), 0)}
    )
    assert_chunks_are_the_array(source, weight)
    numbers, scales = (DrawnWeights(1).array(one).astype(float) for one in (weight, factors))
    expected = numbers * scales[:, None]
    np.testing.assert_array_equal(source.array(weight), expected.astype(np.float32))


@pytest.mark.parametrize("at_once", [1, 1_000_000, 10**9])
@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1500, 1501), (3, CHUNK + 1)])
def test_flipped_chunks_are_the_array(monkeypatch, shape: tuple[int, int], at_once: int) -> None:
    if at_once == 1 and max(shape) > 9:
        pytest.skip("a pass for each column")
    monkeypatch.setattr("archc.weights.computed._FLIPPED", at_once)
    weight, turned = ref(Normal(0, 1), *shape), ref(Normal(0, 1), *reversed(shape))
    source = ComputedWeights(DrawnWeights(1), {weight.key: Flipped(Stored(weight))})
    expected = DrawnWeights(1).array(weight).T
    np.testing.assert_array_equal(source.array(turned), expected)
    assert b"".join(source.chunks(turned)) == expected.tobytes()
    factors = ref(Normal(0, 1), shape[0])
    scaled = Flipped(Along(Stored(weight), Stored(factors), 0))
    source = ComputedWeights(DrawnWeights(1), {weight.key: scaled})
    assert b"".join(source.chunks(turned)) == source.array(turned).tobytes()


# -- weights for comparing targets ------------------------------------------------------------


def test_randomised_weights_leave_nothing_at_its_default() -> None:
    graph, source = small_net(), RandomisedWeights(3)
    seen = {weight.key: source.array(weight) for weight in graph.weights()}
    for key, array in seen.items():
        if key.endswith("num_batches_tracked"):
            assert array == 0
            continue
        assert np.isfinite(array).all()
        assert (array != 0).all(), key
        assert (array != 1).all(), key
        assert len(np.unique(array)) == array.size, key
    variance = seen["stem.bn.running_var"]
    assert ((variance >= 0.5) & (variance <= 2)).all()
    assert abs(seen["stem.bn.running_mean"]).max() > 0.05
    assert ((seen["stem.bn.weight"] > 0.4) & (seen["stem.bn.weight"] < 1.6)).all()
    assert abs(seen["head.bias"]).max() > 0.05


def test_randomised_weights_differ_by_seed_and_from_drawn_ones() -> None:
    weight = ref(Normal(0, 1), 4, 4)
    first, second = RandomisedWeights(0).array(weight), RandomisedWeights(1).array(weight)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, DrawnWeights(0).array(weight))


def test_a_layer_scale_no_longer_hides_its_branch() -> None:
    scale = RandomisedWeights(0).array(ref(Constant(1e-6), 64, 1, 1, key="layer_scale"))
    assert scale.min() > 0.4


def test_integer_buffers_keep_what_they_mean() -> None:
    index = ref(Constant(3.0), 5, dtype=DType.INT64)
    np.testing.assert_array_equal(RandomisedWeights(0).array(index), np.full(5, 3))


@pytest.mark.parametrize("residual", [False, True])
def test_signals_survive_152_layers(residual: bool) -> None:
    """Convolutions as matrices: batch norm and ReLU after each, in blocks of three or a chain."""
    width, source = 64, RandomisedWeights(0)

    def norm(x: np.ndarray, layer: str) -> np.ndarray:
        names = ("running_mean", "running_var", "weight", "bias")
        inits = (Constant(0.0), Constant(1.0), Constant(1.0), Constant(0.0))
        mean, var, weight, bias = (
            source.array(ref(init, width, key=f"{layer}.{name}"))
            for name, init in zip(names, inits, strict=True)
        )
        return (x - mean) / np.sqrt(var + 1e-5) * weight + bias

    def linear(x: np.ndarray, layer: str) -> np.ndarray:
        return x @ source.array(ref(Uniform(-1, 1), width, width, key=f"{layer}.weight")).T

    x = np.random.default_rng(0).standard_normal((256, width))
    for block in range(50):
        branch = x
        for layer in range(3):
            branch = norm(linear(branch, f"{block}.conv{layer}"), f"{block}.bn{layer}")
            if layer < 2:
                branch = branch.clip(0)
        x = (x + branch if residual else branch).clip(0)
        assert 1e-2 < x.std() < 1e3, block

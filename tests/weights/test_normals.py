"""Normal numbers from a table: how close they come to a normal distribution."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from archc.weights.normals import plane, standard_normal

ROOT = Path(__file__).parents[2]
NORMAL = statistics.NormalDist()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


@pytest.fixture(scope="module")
def axes() -> tuple[np.ndarray, np.ndarray]:
    points = plane().view(np.float32).reshape(-1, 2).astype(np.float64)
    return points[:, 0], points[:, 1]


# -- the points themselves: sums of two of them are what is drawn ------------------------------


def test_moments_of_a_sum_of_two_points(axes) -> None:
    """Cumulants add up: those of a point are half of those of a pair of numbers."""
    a, b = axes
    for axis in axes:
        assert abs(axis.mean()) < 1e-8
        assert abs(2 * np.mean(axis**2) - 1) < 1e-6
        assert abs(2 * np.mean(axis**3)) < 1e-7
        assert abs(2 * (np.mean(axis**4) - 3 / 4)) < 5e-4  # of 3
    assert abs(2 * np.mean(a * b)) < 1e-5
    assert max(abs(2 * np.mean(a * a * b)), abs(2 * np.mean(a * b * b))) < 1e-7
    assert max(abs(2 * np.mean(a**3 * b)), abs(2 * np.mean(a * b**3))) < 1.5e-4
    assert abs(2 * (np.mean(a * a * b * b) - 1 / 4)) < 1.5e-4


def test_the_distribution_function_of_a_sum(axes) -> None:
    for axis in axes:
        ordered = np.sort(axis)

        def below(x: float, ordered: np.ndarray = ordered) -> float:
            sides = [np.searchsorted(ordered, x - ordered, side) for side in ("left", "right")]
            return float(np.mean(sides)) / len(ordered)  # half of what is exactly x

        for x in np.linspace(-4.5, 4.5, 37):
            assert abs(below(x) - NORMAL.cdf(x)) < 3e-6
        assert 0.98 < below(-4.0) / NORMAL.cdf(-4.0) < 1
        assert 0.83 < below(-5.0) / NORMAL.cdf(-5.0) < 1
        assert 6 < 2 * ordered[-1] < 6.2


def test_points_cover_the_plane_evenly(axes) -> None:
    """Each of 4,096 cells of equal probability holds 16 points, give or take a few."""
    edges = [NORMAL.inv_cdf(i / 64) / math.sqrt(2) for i in range(1, 64)]
    cells = np.searchsorted(edges, axes[0]) * 64 + np.searchsorted(edges, axes[1])
    counts = np.bincount(cells, minlength=4096)
    assert counts.min() >= 10 and counts.max() < 22


# -- what is drawn -----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 1001])
def test_counts(count: int) -> None:
    numbers = standard_normal(rng(), count)
    assert (numbers.shape, numbers.dtype) == ((count,), np.float32)
    assert numbers.flags.c_contiguous and len(set(numbers)) == count


def test_neighbours_are_independent() -> None:
    """Numbers come in pairs of one draw; cells of pairs and of strangers are equally full."""
    numbers = standard_normal(rng(1), 2_000_000)
    edges = [NORMAL.inv_cdf(i / 32) for i in range(1, 32)]
    cells = np.searchsorted(edges, numbers)
    for first, second in ((cells[::2], cells[1::2]), (cells[1:-1:2], cells[2::2])):
        counts = np.bincount(first * 32 + second, minlength=1024)
        expected = len(first) / 1024
        # One in a thousand exceeds 1,168: chi-squared with 1,023 degrees of freedom.
        assert ((counts - expected) ** 2 / expected).sum() < 1168


def test_a_seed_gives_the_same_numbers_whatever_a_processor_can() -> None:
    code = (
        "import numpy as np, sys\n"
        "from archc.weights.drawn import draw\n"
        "from archc.ops.initial import Normal, TruncatedNormal, Uniform\n"
        "for init in (Normal(0, 0.3), TruncatedNormal(0, 1), Uniform(-0.1, 0.1)):\n"
        "    rng = np.random.Generator(np.random.SFC64(3))\n"
        "    sys.stdout.buffer.write(draw(init, rng, 50_000).tobytes())\n"
    )
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatched
    except ImportError:
        pytest.skip("this numpy does not tell what it chooses between")
    made = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=ROOT,
            env={**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled},
            capture_output=True,
            check=True,
        ).stdout
        for disabled in ("", " ".join(dispatched))
    ]
    assert made[0] == made[1] and len(made[0]) == 3 * 4 * 50_000

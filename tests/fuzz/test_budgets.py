"""What asks for too much is refused at its place, in CPU time that a person does not notice."""

from __future__ import annotations

import pytest

from tests.fuzz.harness import run
from tests.fuzz.mutate import Mutant

HEAD = "archc: 1\nname: much\ninputs: {x: [N, 3, 32, 32]}\n"
SECONDS = 20  # CPU time that tells a bound from none, also on a crowded machine.


def first_error(text: str, **choice: object) -> str:
    outcome = run(Mutant(text, "budget", **choice), seconds=SECONDS)  # type: ignore[arg-type]
    assert outcome.problem == ""
    assert outcome.checked is not None
    errors = [d for d in outcome.checked.diagnostics if d.is_error]
    return errors[0].code if errors else "accepted"


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        ("{conv: 9000000000000000000}", "too-large"),
        ("{conv: 8, kernel: 1000000000000, padding: 1000000000000}", "too-large"),
        ("{conv: 8, dilation: 9000000000000000000, kernel: 3}", "kernel-too-large"),
        ("{adaptive_avgpool: 9000000000000000000}", "too-large"),
        ("{pad: 9000000000000000000}", "too-large"),
        ("{chunk: 1000000000}", "too-large"),
        ("{conv: 10**20}", "expression-limit"),
        ("{conv: 9**9**9}", "expression-limit"),
        ("{conv: 'sum(range(10**12))'}", "expression-limit"),
    ],
)
def test_one_layer(layer: str, code: str) -> None:
    assert first_error(f"{HEAD}layers: [{layer}]") == code


def test_sizes_too_long_to_be_exact() -> None:
    pools = "{maxpool: [3, 1], stride: [2, 1]}, {maxpool: [5, 1], stride: [3, 1]}"
    text = "archc: 1\nname: much\ninputs: {x: [N, 3, H, W]}\nlayers:\n - for i in range(60):\n"
    assert first_error(f"{text}    - {{concat: [[], {pools}], dim: 2}}\n") == "too-complex"


@pytest.mark.parametrize("count", ["10**12", "2**62", "100001"])
def test_one_loop(count: str) -> None:
    assert first_error(f"{HEAD}layers:\n - for i in range({count}): [relu]\n") == "expression-limit"


def test_loops_in_loops() -> None:
    loops = "for i in range(999): [{for j in range(999): [{for k in range(999): []}]}]"
    assert first_error(f"{HEAD}layers:\n - {loops}\n - relu\n") == "expansion-limit"


@pytest.mark.parametrize("inner", ["relu", "{if false: relu}", "[]"])
def test_blocks_that_double(inner: str) -> None:
    blocks = "".join(f"  b{i}: {{body: [b{i - 1}, b{i - 1}]}}\n" for i in range(1, 30))
    text = f"{HEAD}blocks:\n  b0: {{body: [{inner}]}}\n{blocks}layers: [b29]\n"
    assert first_error(text) == "expansion-limit"
